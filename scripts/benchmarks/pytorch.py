"""The pairwise GAN in PyTorch: the same networks, losses, optimizers and gradients. Needs the extra `bench`.

Of the forms tried on a processor (PyTorch 2.13, channels last) this is the fastest. A step takes longer by 8 % with
padding before the up-convolutions instead of cropping behind, by 4 % with a `backward` for each network in turn, and
by 40 % in float32 and 85 % in bfloat16 with torch.compile of the networks; `Adam(fused=True)` changes nothing.
"""

import torch
from torch import nn
from torch.nn import functional

from kerasgan.papers.pairwise import networks
from kerasgan.papers.pairwise.settings import PairwiseSettings


class SameConv2d(nn.Conv2d):
    """A 4x4 convolution of stride 1 padded as TensorFlow's SAME: one pixel before, two behind."""

    def __init__(self, channels: int, filters: int):
        super().__init__(channels, filters, networks.KERNEL, padding=2)

    def forward(self, images):
        return super().forward(images)[:, :, 1:, 1:]


class Generator(nn.Module):
    """`networks.generator`; images are (n, 1, size, size)."""

    def __init__(self, filters=networks.GENERATOR_FILTERS):
        super().__init__()
        inputs = (1, *filters[:-1])
        self.down = nn.ModuleList(map(_halving, inputs, filters))
        inputs = (filters[-1], *(2 * count for count in filters[-2:0:-1]))
        self.up = nn.ModuleList(map(SameConv2d, inputs, filters[-2::-1]))
        self.last = SameConv2d(2 * filters[0], 1)

    def forward(self, images):
        x, skips = images, []
        for layer in self.down:
            x = functional.leaky_relu(layer(x), networks.SLOPE)
            skips.append(x)
        for layer, skip in zip(self.up, skips[-2::-1], strict=True):
            x = functional.relu(layer(functional.interpolate(x, scale_factor=2)))
            x = torch.cat((x, skip), dim=1)
        return torch.tanh(self.last(functional.interpolate(x, scale_factor=2)).float())


class Discriminator(nn.Module):
    """`networks.discriminator`; images are (n, 1, size, size)."""

    def __init__(self, filters=networks.DISCRIMINATOR_FILTERS):
        super().__init__()
        self.down = nn.ModuleList(map(_halving, (1, *filters[:-1]), filters))
        self.patches = SameConv2d(filters[-1], 1)

    def forward(self, images):
        x = images
        for layer in self.down:
            x = functional.leaky_relu(layer(x), networks.SLOPE)
        return self.patches(x).float()


def _halving(channels: int, filters: int) -> nn.Conv2d:
    return nn.Conv2d(channels, filters, networks.KERNEL, stride=2, padding=1)


class PairwiseGAN:
    """Algorithm 1 as kerasgan computes it: every gradient from one forward pass.

    Args:
        settings: of configs/pairwise.yaml.
        layout: memory format of images and weights.
        bfloat16: compute in bfloat16, by autocast.
    """

    def __init__(self, settings: PairwiseSettings, layout: torch.memory_format, bfloat16: bool):
        self.loss, self.layout, self.bfloat16 = settings.loss, layout, bfloat16
        self.generator_m, self.generator_n = (Generator().to(memory_format=layout) for _ in "mn")
        self.discriminator_m, self.discriminator_n = (Discriminator().to(memory_format=layout) for _ in "mn")
        generators = [*self.generator_m.parameters(), *self.generator_n.parameters()]
        self.players = [generators, [*self.discriminator_n.parameters()], [*self.discriminator_m.parameters()]]
        numbers = {"lr": settings.training.learning_rate, "betas": (settings.training.beta_1, 0.999), "eps": 1e-7}
        self.optimizers = [torch.optim.Adam(own, **numbers) for own in self.players]

    def prepare(self, batch: dict) -> dict[str, torch.Tensor]:
        """NumPy images (n, size, size, 1) as tensors of the model's layout."""
        tensors = {name: torch.from_numpy(images).permute(0, 3, 1, 2) for name, images in batch.items()}
        return {name: images.contiguous(memory_format=self.layout) for name, images in tensors.items()}

    def train_step(self, batch: dict[str, torch.Tensor]) -> None:
        """One update of all four networks."""
        with torch.autocast("cpu", torch.bfloat16, enabled=self.bfloat16):
            losses = self.losses(**batch)
        for own, loss in zip(self.players, losses, strict=True):
            for weight, gradient in zip(own, torch.autograd.grad(loss, own, retain_graph=True), strict=True):
                weight.grad = gradient
        for optimizer in self.optimizers:
            optimizer.step()

    def losses(self, m: torch.Tensor, n: torch.Tensor, tumour: torch.Tensor) -> list[torch.Tensor]:
        """Of the generators, D_n and D_m."""
        weight = self.loss.mask_background + (1 - self.loss.mask_background) * tumour
        fake_n, fake_m = self.generator_m(m), self.generator_n(n)
        fake_verdict_n, fake_verdict_m = self.discriminator_n(fake_n), self.discriminator_m(fake_m)
        l1 = (weight * (fake_n - n)).abs().mean() + (weight * (fake_m - m)).abs().mean()
        adversarial = (fake_verdict_n - 1).square().mean() + (fake_verdict_m - 1).square().mean()
        return [
            adversarial + self.loss.l1_weight * l1,
            (self.discriminator_n(n) - 1).square().mean() + fake_verdict_n.square().mean(),
            (self.discriminator_m(m) - 1).square().mean() + fake_verdict_m.square().mean(),
        ]
