"""The four-stream classifier in PyTorch, channels last: the same network, loss and updates. Needs the extra `bench`."""

from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional

from kerasgan.papers.pairwise import streams
from kerasgan.papers.pairwise.settings import ClassifierSettings, StreamSettings

EPSILON = 1e-3  # Keras's, of batch normalisation


class Stream(nn.Module):
    """Images (n, 1, size, size) to a feature map; pooled before ReLU as kerasgan does."""

    def __init__(self, settings: StreamSettings):
        super().__init__()
        channels = (1, *settings.filters[:-1])
        self.convolutions = nn.ModuleList(
            nn.Conv2d(i, o, streams.KERNEL, padding=1, bias=False)
            for i, o in zip(channels, settings.filters, strict=True)
        )
        self.norms = nn.ModuleList(
            nn.BatchNorm2d(count, eps=EPSILON, momentum=1 - settings.momentum) for count in settings.filters
        )
        self.pooled = settings.downsample_after

    def forward(self, x):
        for level, (convolution, norm) in enumerate(zip(self.convolutions, self.norms, strict=True), 1):
            x = norm(convolution(x))
            if level in self.pooled:
                x = functional.max_pool2d(x, 2)
            x = functional.relu(x)
        return x


class Classifier(nn.Module):
    """`streams.classifier`; images are a list of (n, 1, size, size), one per modality; returns logits (n, 2)."""

    def __init__(self, modalities: int, size: int, settings: StreamSettings):
        super().__init__()
        self.streams = nn.ModuleList(Stream(settings) for _ in range(modalities))
        channels, side = settings.filters[-1], size // 2 ** len(settings.downsample_after)
        self.attention = nn.Parameter(torch.zeros(modalities, side * side * channels))
        widths = (channels**2, *settings.dense)
        self.dense = nn.ModuleList(nn.Linear(i, o) for i, o in pairwise(widths))
        self.logits = nn.Linear(widths[-1], streams.CLASSES)

    def forward(self, images):
        # (n, pixels, channels) in float32: kerasgan's precision for the fusion, and Keras's order of a map's elements.
        maps = [
            stream(x).float().permute(0, 2, 3, 1).flatten(1, 2) for stream, x in zip(self.streams, images, strict=True)
        ]
        with torch.autocast("cpu", enabled=False):
            scores = [(x.flatten(1) * weight).sum(1) for x, weight in zip(maps, self.attention, strict=True)]
            attention = torch.softmax(torch.stack(scores, 1), 1)
            fused = sum(attention[:, k, None, None] * x for k, x in enumerate(maps))
            x = torch.bmm(fused.transpose(1, 2), fused).flatten(1) / fused.shape[1]
        for layer in self.dense:
            x = functional.relu(layer(x))
        return self.logits(x).float()


class Training:
    """Class-weighted cross-entropy and Adagrad, whose rule in PyTorch is Keras 2's."""

    def __init__(self, size: int, settings: ClassifierSettings, bfloat16: bool):
        self.bfloat16 = bfloat16
        self.network = Classifier(len(settings.modalities), size, settings.network)
        self.network.to(memory_format=torch.channels_last)
        self.modalities = settings.modalities
        self.weights = torch.tensor([settings.negative_weight, settings.positive_weight])
        self.optimizer = torch.optim.Adagrad(self.network.parameters(), settings.stage1.learning_rates[0], eps=1e-7)

    def prepare(self, batch: dict) -> tuple[list[torch.Tensor], torch.Tensor]:
        """NumPy images (n, size, size, 1) and labels as tensors."""
        images = [torch.from_numpy(batch[name]).permute(0, 3, 1, 2) for name in self.modalities]
        images = [image.contiguous(memory_format=torch.channels_last) for image in images]
        return images, torch.from_numpy(batch["label"]).long()

    def train_step(self, images: list[torch.Tensor], label: torch.Tensor) -> float:
        """One update; returns its loss."""
        self.optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=self.bfloat16):
            logits = self.network(images)
        losses = functional.cross_entropy(logits, label, reduction="none")
        loss = (self.weights[label] * losses).mean()  # over the number of slices, not over their weights
        loss.backward()
        self.optimizer.step()
        return loss.item()
