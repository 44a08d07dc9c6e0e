"""DCGAN and WGAN in PyTorch: the same networks, losses, optimizers and gradients. Needs the extra `bench`."""

from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional

from benchmarks.pytorch_gan import TwoPlayers
from kerasgan.gan.radford import START, levels_of
from kerasgan.papers.brainmr.networks import KERNEL
from kerasgan.papers.brainmr.settings import BrainmrSettings, NetworkSettings


class Generator(nn.Module):
    """`networks.generator`: noise (n, latent) to images (n, 1, size, size)."""

    def __init__(self, size: int, settings: NetworkSettings, layout: torch.memory_format):
        super().__init__()
        self.layout = layout
        filters = levels_of(size, settings.filters)
        self.project = nn.Linear(settings.latent, START * START * filters[0], bias=False)
        self.up = nn.ModuleList(nn.ConvTranspose2d(*ends, KERNEL, 2, 1, bias=False) for ends in pairwise(filters))
        self.norms = nn.ModuleList(_norm(count, settings) for count in filters)
        self.image = nn.ConvTranspose2d(filters[-1], 1, KERNEL, 2, 1)

    def forward(self, noise):
        x = self.project(noise).unflatten(1, (START, START, -1))  # Keras's order of a map's elements
        x = x.permute(0, 3, 1, 2).contiguous(memory_format=self.layout)
        x = functional.relu(self.norms[0](x))
        for layer, norm in zip(self.up, self.norms[1:], strict=True):
            x = functional.relu(norm(layer(x)))
        with torch.autocast("cpu", enabled=False):
            return self.image(x.float())


class Critic(nn.Module):
    """`networks.critic`: images (n, 1, size, size) to logits (n, 1)."""

    def __init__(self, size: int, settings: NetworkSettings):
        super().__init__()
        filters = levels_of(size, settings.filters)[::-1]
        ends = pairwise((1, *filters))
        self.down = nn.ModuleList(nn.Conv2d(*each, KERNEL, 2, 1, bias=each[0] == 1) for each in ends)
        self.norms = nn.ModuleList(_norm(count, settings) for count in filters[1:])
        self.verdict = nn.Linear(START * START * filters[-1], 1, bias=False)

    def forward(self, images):
        x = functional.elu(self.down[0](images))
        for layer, norm in zip(self.down[1:], self.norms, strict=True):
            x = functional.elu(norm(layer(x)))
        with torch.autocast("cpu", enabled=False):
            return self.verdict(x.float().permute(0, 2, 3, 1).flatten(1))


def _norm(count: int, settings: NetworkSettings) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(count, eps=settings.epsilon, momentum=1 - settings.momentum)


class Training(TwoPlayers):
    """Both networks and their updates.

    Args:
        model: "dcgan" or "wgan".
        settings: of configs/brainmr.yaml; with the precision mixed_bfloat16, autocast.
        layout: memory format of images and weights.
    """

    def __init__(self, model: str, settings: BrainmrSettings, layout: torch.memory_format):
        training = getattr(settings, model)
        self.layout, self.bfloat16 = layout, training.precision == "mixed_bfloat16"
        self.latent, self.wasserstein = settings.network.latent, model == "wgan"
        self.critic_steps = training.critic_steps if self.wasserstein else 1
        self.clip = training.clip if self.wasserstein else None
        self.generator = Generator(settings.data.size, settings.network, layout).to(memory_format=layout)
        self.critic = Critic(settings.data.size, settings.network).to(memory_format=layout)
        self.players = [[*self.critic.parameters()], [*self.generator.parameters()]]
        rate = training.learning_rate
        if self.wasserstein:
            self.optimizers = [torch.optim.RMSprop(own, rate, alpha=training.rho, eps=1e-7) for own in self.players]
        else:
            betas = (training.beta_1, 0.999)
            self.optimizers = [torch.optim.Adam(own, rate, betas, eps=1e-7) for own in self.players]

    def prepare(self, reals) -> torch.Tensor:
        """NumPy images (n, size, size, 1) as a tensor of the model's layout."""
        return torch.from_numpy(reals).permute(0, 3, 1, 2).contiguous(memory_format=self.layout)

    def train_step(self, reals: torch.Tensor) -> tuple[float, float]:
        """One update of the generator after those of the critic; returns the losses of generator and critic."""
        for real in reals.chunk(self.critic_steps):
            with self.autocast(), torch.no_grad():
                fake = self.generator(self.noise(len(real)))
            with self.autocast():
                verdicts = self.critic(real), self.critic(fake)
            critic_loss = self.critic_loss(*verdicts)
            self.update(0, critic_loss)
            if self.wasserstein:
                with torch.no_grad():
                    torch._foreach_clamp_min_(self.players[0], -self.clip)
                    torch._foreach_clamp_max_(self.players[0], self.clip)
        with self.autocast():
            verdict = self.critic(self.generator(self.noise(len(real))))
        loss = -verdict.mean() if self.wasserstein else functional.softplus(-verdict).mean()
        self.update(1, loss)
        return loss.item(), critic_loss.item()

    def critic_loss(self, real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
        if self.wasserstein:
            return fake.mean() - real.mean()
        return functional.softplus(-real).mean() + functional.softplus(fake).mean()

    def noise(self, count: int) -> torch.Tensor:
        return torch.randn(count, self.latent)
