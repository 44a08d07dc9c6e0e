"""A stage of the PGGAN in PyTorch: the same networks, losses, optimizers and gradients. Needs the extra `bench`.

Written as PyTorch programmes are: up-sampling and convolution, convolution and mean, one after the other.
"""

from copy import deepcopy

import torch
from torch import nn
from torch.nn import functional

from benchmarks.pytorch_gan import TwoPlayers
from kerasgan.papers.pggan.layers import EPSILON, GROUP, HE
from kerasgan.papers.pggan.networks import Architecture
from kerasgan.papers.pggan.settings import START, ProgressiveTraining


class Conv(nn.Module):
    """`layers.EqualisedConv2D` without resampling."""

    def __init__(self, before: int, after: int, size: int, gain: float = HE):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(after, before, size, size))
        self.bias = nn.Parameter(torch.zeros(after))
        self.scale, self.padding = gain / (before * size * size) ** 0.5, size // 2

    def forward(self, x):
        return functional.conv2d(x, self.weight * self.scale, self.bias, padding=self.padding)


class Dense(nn.Module):
    """`layers.EqualisedDense`."""

    def __init__(self, before: int, after: int, gain: float = HE):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(after, before))
        self.bias = nn.Parameter(torch.zeros(after))
        self.scale = gain / before**0.5

    def forward(self, x):
        return functional.linear(x, self.weight * self.scale, self.bias)


class Generator(nn.Module):
    """`networks.generator` in mid-fade: noise (n, latent), classes (n,) to images (n, 1, side, side)."""

    def __init__(self, side: int, own: Architecture, layout: torch.memory_format):
        super().__init__()
        self.own, self.layout = own, layout
        self.sides = _sides(side)
        width = own.channels
        self.dense = Dense(own.latent, START * START * width(START), HE / START)
        self.up = nn.ModuleDict({str(n): Conv(width(n // 2), width(n), 3) for n in self.sides[1:]})
        self.conv = nn.ModuleDict({str(n): Conv(width(n), width(n), 3) for n in self.sides})
        self.image = nn.ModuleDict({str(n): Conv(width(n), 1, 1, 1.0) for n in self.sides[-2:]})
        if own.conditional(side):
            self.table = nn.Parameter(torch.zeros(own.classes, width(own.class_from)))

    def forward(self, noise, label, alpha: float):
        x = self.dense(_pixel_norm(noise)).unflatten(1, (START, START, -1))  # Keras's order of a map's elements
        x = x.permute(0, 3, 1, 2).contiguous(memory_format=self.layout)
        x = self._block(x, START, label)
        before = x
        for side in self.sides[1:]:
            before = x
            x = self._block(self.up[str(side)](functional.interpolate(x, scale_factor=2)), side, label)
        image = self._image(x, self.sides[-1])
        if len(self.sides) == 1:
            return image
        smaller = functional.interpolate(self._image(before, self.sides[-2]), scale_factor=2)
        return (1 - alpha) * smaller + alpha * image

    def _block(self, x, side: int, label):
        if side == self.own.class_from and hasattr(self, "table"):
            x = x + self.table[label][:, :, None, None].to(x.dtype)
        x = _pixel_norm(functional.leaky_relu(x, self.own.slope))
        return _pixel_norm(functional.leaky_relu(self.conv[str(side)](x), self.own.slope))

    def _image(self, x, side: int):
        with torch.autocast("cpu", enabled=False):
            return self.image[str(side)](x.float())


class Critic(nn.Module):
    """`networks.critic` in mid-fade: images (n, 1, side, side), classes (n,) to verdicts (n, 1)."""

    def __init__(self, side: int, own: Architecture):
        super().__init__()
        self.own, self.sides = own, _sides(side)[::-1]
        width = own.channels
        self.from_image = nn.ModuleDict({str(n): Conv(1, width(n), 1) for n in self.sides[:2]})
        self.conv = nn.ModuleDict({str(n): Conv(width(n), width(n), 3) for n in self.sides[:-1]})
        self.down = nn.ModuleDict({str(n): Conv(width(n), width(n // 2), 3) for n in self.sides[:-1]})
        self.conv[str(START)] = Conv(width(START) + 1, width(START), 3)
        self.features = Dense(START * START * width(START), width(START // 2))
        self.verdict = Dense(width(START // 2), 1, 1.0)
        if own.conditional(side):
            self.table = nn.Parameter(torch.zeros(own.classes, width(START // 2)))

    def forward(self, image, label, alpha: float):
        x = self._leaky(self.from_image[str(self.sides[0])](image))
        for level, side in enumerate(self.sides[:-1]):
            x = self._leaky(self.conv[str(side)](x))
            x = self._leaky(functional.avg_pool2d(self.down[str(side)](x), 2))
            if level == 0:
                smaller = self._leaky(self.from_image[str(side // 2)](functional.avg_pool2d(image, 2)))
                x = (1 - alpha) * smaller + alpha * x
        x = self._leaky(self.conv[str(START)](_with_deviation(x)))
        x = self._leaky(self.features(x.permute(0, 2, 3, 1).flatten(1)))
        with torch.autocast("cpu", enabled=False):
            x = x.float()
            verdict = self.verdict(x)
            if hasattr(self, "table"):
                verdict = verdict + (self.table[label] * x).sum(1, keepdim=True) / x.shape[1] ** 0.5
        return verdict

    def _leaky(self, x):
        return functional.leaky_relu(x, self.own.slope)


def _sides(side: int) -> list[int]:
    return [START << level for level in range((side // START).bit_length())]


def _pixel_norm(x):
    return x * torch.rsqrt(x.float().square().mean(1, keepdim=True) + EPSILON).to(x.dtype)


def _with_deviation(x):
    group = min(GROUP, len(x))
    groups = x.float().unflatten(0, (group, -1))
    deviations = (groups.var(0, correction=0) + EPSILON).sqrt().mean((1, 2, 3))
    maps = deviations.repeat(group)[:, None, None, None].expand(-1, 1, *x.shape[2:])
    return torch.cat([x, maps.to(x.dtype)], 1)


class Training(TwoPlayers):
    """Both networks of a stage and their updates, at one alpha.

    Args:
        side: pixels.
        own: of the networks.
        training: of configs/pggan.yaml; with the precision mixed_bfloat16, autocast.
        layout: memory format of images and weights.
    """

    def __init__(
        self,
        side: int,
        own: Architecture,
        training: ProgressiveTraining,
        layout: torch.memory_format,
        alpha: float = 0.5,
    ):
        self.own, self.training, self.layout = own, training, layout
        self.bfloat16 = training.precision == "mixed_bfloat16"
        self.alpha = 1.0 if side == START else alpha
        self.generator = Generator(side, own, layout).to(memory_format=layout)
        self.critic = Critic(side, own).to(memory_format=layout)
        self.averaged = deepcopy(self.generator).requires_grad_(False)
        self.players = [[*self.critic.parameters()], [*self.generator.parameters()]]
        betas = (training.beta_1, training.beta_2)
        self.optimizers = [
            torch.optim.Adam(each, training.learning_rate, betas, eps=training.epsilon) for each in self.players
        ]
        self.steps = 0

    def prepare(self, images, labels) -> tuple[torch.Tensor, torch.Tensor]:
        """NumPy images (n, side, side, 1) and classes (n,) as tensors, the images in the model's layout."""
        image = torch.from_numpy(images).permute(0, 3, 1, 2).contiguous(memory_format=self.layout)
        return image, torch.from_numpy(labels).long()

    def train_step(self, images: torch.Tensor, labels: torch.Tensor) -> tuple[float, float]:
        """One update of the generator after those of the critic; returns the losses of generator and critic."""
        if images.shape[2] > START:
            means = functional.interpolate(functional.avg_pool2d(images, 2), scale_factor=2)
            images = (1 - self.alpha) * means + self.alpha * images
        count = self.training.critic_steps
        for real, label in zip(images.chunk(count), labels.chunk(count), strict=True):
            self.steps += 1
            critic_loss = self.critic_loss(real, label)
            self.update(0, critic_loss)
        with self.autocast():
            loss = -self.critic(self.generator(self.noise(len(label)), label, self.alpha), label, self.alpha).mean()
        self.update(1, loss)
        with torch.no_grad():
            pairs = [[*network.parameters()] for network in (self.averaged, self.generator)]
            torch._foreach_lerp_(*pairs, 1 - self.training.average)
        return loss.item(), critic_loss.item()

    def critic_loss(self, real: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        own = self.training
        with self.autocast(), torch.no_grad():
            fake = self.generator(self.noise(len(real)), label, self.alpha)
        points = torch.rand(len(real), 1, 1, 1)
        between = (points * real + (1 - points) * fake).requires_grad_()
        with self.autocast():
            of_real, of_fake = (self.critic(each, label, self.alpha) for each in (real, fake))
            verdicts = self.critic(between, label, self.alpha)
        (slopes,) = torch.autograd.grad(verdicts.sum(), between, create_graph=True)
        penalty = ((slopes.float().square().sum((1, 2, 3)) + 1e-12).sqrt() - 1).square().mean()
        role = -1 if own.flip_every and self.steps % own.flip_every == 0 else 1
        distance = of_fake.mean() - of_real.mean()
        return role * distance + own.penalty_weight * penalty + own.drift * of_real.square().mean()

    def noise(self, count: int) -> torch.Tensor:
        return 2 * torch.rand(count, self.own.latent) - 1
