"""The U-Net in PyTorch: the same network, loss and optimizer, mirrored. Needs the extra `bench`.

With a stride of 2 and a kernel of 3, TensorFlow pads a convolution behind, PyTorch before; so of images that are turned
by 180 degrees, with kernels that are, this is kerasgan's network turned by 180 degrees. Nothing has to be cropped.
"""

import torch
from torch import nn

from kerasgan.papers.featuregan.settings import UnetSettings
from kerasgan.papers.featuregan.unet import KERNEL


class Block(nn.Module):
    """Two convolutions with ReLU."""

    def __init__(self, channels: int, filters: int):
        super().__init__()
        self.first = nn.Conv2d(channels, filters, KERNEL, padding=1)
        self.second = nn.Conv2d(filters, filters, KERNEL, padding=1)

    def forward(self, x):
        return torch.relu_(self.second(torch.relu_(self.first(x))))


class UNet(nn.Module):
    """Images (n, channels, size, size) to probabilities (n, 1, size, size)."""

    def __init__(self, channels: int, filters: tuple[int, ...]):
        super().__init__()
        before = (channels, *filters[:-1])
        self.encoders = nn.ModuleList(Block(i, o) for i, o in zip(before, filters, strict=True))
        pairs = list(zip(filters[:0:-1], filters[-2::-1], strict=True))  # from the deepest up
        self.ups = nn.ModuleList(nn.ConvTranspose2d(i, o, KERNEL, 2, 1, output_padding=1) for i, o in pairs)
        self.decoders = nn.ModuleList(Block(2 * o, o) for _, o in pairs)
        self.logits = nn.Conv2d(filters[0], 1, 1)

    def forward(self, x):
        skips = []
        for level, encoder in enumerate(self.encoders):
            x = encoder(nn.functional.max_pool2d(x, 2) if level else x)
            skips.append(x)
        for up, decoder, skip in zip(self.ups, self.decoders, skips[-2::-1], strict=True):
            x = decoder(torch.cat([up(x), skip], 1))
        with torch.autocast("cpu", enabled=False):
            return torch.sigmoid(self.logits(x.float()))


class Training:
    """Soft Dice and Adam.

    Args:
        settings: of configs/featuregan.yaml; with the precision mixed_bfloat16, autocast.
        channels: of the images.
        layout: memory format of images and weights.
    """

    def __init__(self, settings: UnetSettings, channels: int, layout: torch.memory_format):
        self.layout, self.bfloat16 = layout, settings.precision == "mixed_bfloat16"
        self.smooth = settings.smooth
        self.network = UNet(channels, settings.filters).to(memory_format=layout)
        # Fused: PyTorch's fastest Adam on processors.
        self.optimizer = torch.optim.Adam(self.network.parameters(), settings.learning_rate, eps=1e-7, fused=True)

    def prepare(self, batch: dict) -> tuple[torch.Tensor, torch.Tensor]:
        """NumPy images and masks (n, size, size, c) as tensors of the model's layout."""
        arrays = (torch.from_numpy(batch[name]).permute(0, 3, 1, 2) for name in ("image", "mask"))
        return tuple(array.contiguous(memory_format=self.layout) for array in arrays)

    def train_step(self, image: torch.Tensor, mask: torch.Tensor) -> tuple[float, float, float]:
        """One update; returns loss, hard Dice and IoU before it."""
        self.optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=self.bfloat16):
            probability = self.network(image)
        loss = soft_dice(probability, mask, self.smooth)
        loss.backward()
        self.optimizer.step()
        return loss.item(), *overlaps(probability.detach() > 0.5, mask)


def soft_dice(probability: torch.Tensor, mask: torch.Tensor, smooth: float) -> torch.Tensor:
    """`losses.soft_dice`."""
    overlap, predicted, true = (each.sum((1, 2, 3)) for each in (probability * mask, probability, mask))
    return (1 - (2 * overlap + smooth) / (predicted + true + smooth)).mean()


def overlaps(predicted: torch.Tensor, mask: torch.Tensor) -> tuple[float, float]:
    """Hard Dice and IoU, the means over images; 1 where both are empty."""
    common, total = (predicted * mask).sum((1, 2, 3)), predicted.sum((1, 2, 3)) + mask.sum((1, 2, 3))
    empty = (total == 0).float()
    return ((2 * common + empty) / (total + empty)).mean().item(), (
        (common + empty) / (total - common + empty)
    ).mean().item()
