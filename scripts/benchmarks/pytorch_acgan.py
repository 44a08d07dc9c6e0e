"""The AC-GAN of features in PyTorch: the same networks, losses and optimizers. Needs the extra `bench`."""

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional

from benchmarks.pytorch_gan import TwoPlayers
from kerasgan.papers.featuregan.feature_networks import CLASSES, STRIDE, kernel_of, ladder
from kerasgan.papers.featuregan.settings import AcganSettings


class Generator(nn.Module):
    """`feature_networks.generator`: noise (n, latent) and classes (n,) to features (n, channels, height, width)."""

    def __init__(self, shape: Sequence[int], width: int, settings: AcganSettings, layout: torch.memory_format):
        super().__init__()
        self.layout, self.slope = layout, settings.slope
        (self.height, self.breadth), *sizes = _sizes(shape)
        self.project = nn.Linear(settings.latent + CLASSES, self.height * self.breadth * width, bias=False)
        self.norms = nn.ModuleList(_norm(width, settings) for _ in sizes)
        last = nn.ConvTranspose2d(width, shape[-1], _kernel(sizes[-1]), STRIDE)
        hidden = [nn.ConvTranspose2d(width, width, _kernel(size), STRIDE, bias=False) for size in sizes[:-1]]
        self.up = nn.ModuleList([*hidden, last])

    def forward(self, noise, label):
        x = self.project(torch.cat([noise, functional.one_hot(label, CLASSES).float()], 1))
        x = x.unflatten(1, (self.height, self.breadth, -1))  # Keras's order of a map's elements
        x = x.permute(0, 3, 1, 2).contiguous(memory_format=self.layout)
        for norm, up in zip(self.norms, self.up, strict=True):
            x = up(functional.leaky_relu(norm(x), self.slope))
        return x.float()


class Critic(nn.Module):
    """`feature_networks.discriminator`: features (n, channels, height, width) to logits (n, 1) and (n, 2)."""

    def __init__(self, shape: Sequence[int], width: int, settings: AcganSettings):
        super().__init__()
        self.slope, self.dropout = settings.slope, settings.dropout
        smallest, *sizes = _sizes(shape)
        self.down = nn.ModuleList(
            nn.Conv2d(shape[-1] if first else width, width, _kernel(size), STRIDE, bias=first)
            for first, size in zip((True, False, False), sizes[::-1], strict=True)
        )
        self.norms = nn.ModuleList(_norm(width, settings) for _ in sizes[1:])
        numbers = smallest[0] * smallest[1] * width
        self.source, self.classes = nn.Linear(numbers, 1), nn.Linear(numbers, CLASSES)

    def forward(self, features):
        x = features
        for level, down in enumerate(self.down):
            x = down(x)
            x = functional.leaky_relu(self.norms[level - 1](x) if level else x, self.slope)
            x = functional.dropout(x, self.dropout)
        with torch.autocast("cpu", enabled=False):
            x = x.float().permute(0, 2, 3, 1).flatten(1)
            return self.source(x)[:, 0], self.classes(x)


def _sizes(shape: Sequence[int]) -> list[tuple[int, int]]:
    return list(zip(ladder(shape[0]), ladder(shape[1]), strict=True))


def _kernel(size: tuple[int, int]) -> tuple[int, int]:
    return kernel_of(size[0]), kernel_of(size[1])


def _norm(width: int, settings: AcganSettings) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(width, eps=settings.epsilon, momentum=1 - settings.momentum)


class Training(TwoPlayers):
    """Both networks and their updates, with the generator's non-saturating loss.

    Args:
        shape: height, width and channels of the features.
        width: channels of the hidden layers.
        settings: of configs/featuregan.yaml; with the precision mixed_bfloat16, autocast.
        layout: memory format of features and weights.
    """

    def __init__(self, shape: Sequence[int], width: int, settings: AcganSettings, layout: torch.memory_format):
        self.layout, self.bfloat16 = layout, settings.precision == "mixed_bfloat16"
        self.latent = settings.latent
        self.generator = Generator(shape, width, settings, layout).to(memory_format=layout)
        self.critic = Critic(shape, width, settings).to(memory_format=layout)
        self.players = [[*self.critic.parameters()], [*self.generator.parameters()]]
        betas = (settings.beta_1, 0.999)
        # Fused: PyTorch's fastest Adam on processors.
        self.optimizers = [
            torch.optim.Adam(own, settings.learning_rate, betas, eps=1e-7, fused=True) for own in self.players
        ]

    def prepare(self, batch: dict) -> tuple[torch.Tensor, torch.Tensor]:
        """NumPy features (n, h, w, c) and labels (n,) as tensors."""
        features = torch.from_numpy(batch["feature"]).permute(0, 3, 1, 2).contiguous(memory_format=self.layout)
        return features, torch.from_numpy(batch["label"]).long()

    def train_step(self, real: torch.Tensor, label: torch.Tensor) -> tuple[float, float]:
        """One update of each player on the same generated features; returns the losses of generator and critic."""
        noise, wanted = self.noise(len(real)), self.wanted(len(real))
        with self.autocast():
            fake = self.generator(noise, wanted)
            real_source, real_classes = self.critic(real)
            fake_source, fake_classes = self.critic(fake.detach())
        critic_loss = functional.softplus(-real_source).mean() + functional.softplus(fake_source).mean()
        critic_loss = critic_loss + functional.cross_entropy(real_classes, label)
        critic_loss = critic_loss + functional.cross_entropy(fake_classes, wanted)
        self.update(0, critic_loss)
        with self.autocast():
            source, classes = self.critic(fake)
        loss = functional.softplus(-source).mean() + functional.cross_entropy(classes, wanted)
        self.update(1, loss)
        return loss.item(), critic_loss.item()

    def noise(self, count: int) -> torch.Tensor:
        return torch.randn(count, self.latent)

    def wanted(self, count: int) -> torch.Tensor:
        return torch.randint(CLASSES, (count,))
