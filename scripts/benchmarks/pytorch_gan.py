"""What the trainings of two networks in PyTorch share. Needs the extra `bench`."""

from collections.abc import Sequence

import torch


class TwoPlayers:
    """Updates of a critic (0) and a generator (1), of which a training sets the following."""

    players: Sequence[list[torch.nn.Parameter]]  # their weights
    optimizers: Sequence[torch.optim.Optimizer]
    bfloat16: bool  # by autocast

    def update(self, player: int, loss: torch.Tensor) -> None:
        """A step of one player, with no gradient of the other's weights."""
        own = self.players[player]
        for weight, gradient in zip(own, torch.autograd.grad(loss, own), strict=True):
            weight.grad = gradient
        self.optimizers[player].step()

    def autocast(self) -> torch.autocast:
        return torch.autocast("cpu", torch.bfloat16, enabled=self.bfloat16)
