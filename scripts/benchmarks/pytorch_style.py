"""Neural style transfer in PyTorch as its tutorials write it: one image after another. Needs the extra `bench`."""

from contextlib import suppress

import numpy as np
import torch
from keras import Model
from torch import nn
from torch.nn import functional

from kerasgan.papers.aggrgan.lbfgs import HISTORY
from kerasgan.papers.aggrgan.style import BGR_MEANS, LossWeights


class Features(nn.Module):
    """VGG-19 of vgg19.py up to the last layer that a loss looks at, with its weights: (n, 3, h, w) to those maps."""

    def __init__(self, network: Model, weights: LossWeights, layout: torch.memory_format = torch.contiguous_format):
        super().__init__()
        layers = network.layers[1:]
        self.names = [layer.name for layer in layers]
        self.wanted = {*weights.style_layers, weights.content_layer}
        self.names = self.names[: max(map(self.names.index, self.wanted)) + 1]
        self.steps = nn.ModuleList(_copied(layer) for layer in layers[: len(self.names)])
        self.requires_grad_(False).to(memory_format=layout)

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        maps = {}
        for name, step in zip(self.names, self.steps, strict=True):
            x = step(x)
            if name in self.wanted:
                maps[name] = x
        return maps


def _copied(layer) -> nn.Module:
    """A convolution with its ReLU, or average pooling."""
    if layer.name.endswith("_pool"):
        return nn.AvgPool2d(2)
    kernel, bias = layer.get_weights()
    convolution = nn.Conv2d(kernel.shape[2], kernel.shape[3], kernel.shape[0], padding="same")
    convolution.weight.data = torch.from_numpy(kernel.transpose(3, 2, 0, 1).copy())
    convolution.bias.data = torch.from_numpy(bias)
    return nn.Sequential(convolution, nn.ReLU())


class Objective:
    """Eq. (16) of one image, which is the leaf tensor that PyTorch's optimizer moves."""

    def __init__(self, network: Features, content: np.ndarray, style: np.ndarray, weights: LossWeights):
        """Content and style (h, w) in grey levels."""
        self.network, self.weights = network, weights
        self.means = torch.tensor(BGR_MEANS, dtype=torch.float32)[:, None, None]
        with torch.no_grad():
            self.content = self.maps(torch.tensor(content, dtype=torch.float32))[weights.content_layer]
            maps = self.maps(torch.tensor(style, dtype=torch.float32))
            self.grams = {layer: gram(maps[layer]) for layer in weights.style_layers}

    def maps(self, image: torch.Tensor) -> dict[str, torch.Tensor]:
        return self.network((image - self.means)[None])

    def __call__(self, image: torch.Tensor) -> torch.Tensor:
        """The loss of an image (h, w) in grey levels."""
        maps, weights = self.maps(image), self.weights
        content = functional.mse_loss(maps[weights.content_layer], self.content, reduction="sum") / 2
        style = sum(style_loss(gram, maps[layer]) for layer, gram in self.grams.items()) / len(self.grams)
        variation = image.diff(dim=0).square().sum() + image.diff(dim=1).square().sum()
        return weights.content * content + weights.style * style + weights.variation * variation


def gram(maps: torch.Tensor) -> torch.Tensor:
    rows = maps.flatten(2)[0]
    return rows @ rows.T


def style_loss(target: torch.Tensor, maps: torch.Tensor) -> torch.Tensor:
    _, filters, height, width = maps.shape
    return ((gram(maps) - target) / (2 * filters * height * width)).square().sum()


def losses(
    objective: Objective, start: np.ndarray, iterations: int, line_search: str | None, target: float = -np.inf
) -> list[float]:
    """Losses of L-BFGS's evaluations from `start` (h, w) in grey levels to the first that is at most `target`."""
    image = torch.tensor(start, dtype=torch.float32, requires_grad=True)
    optimizer = torch.optim.LBFGS(
        [image],
        max_iter=iterations,
        max_eval=10 * iterations,
        tolerance_grad=0,
        tolerance_change=0,
        history_size=HISTORY,
        line_search_fn=line_search,
    )
    found = []

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = objective(image)
        loss.backward()
        found.append(loss.item())
        if found[-1] <= target:
            raise _Reached
        return loss

    with suppress(_Reached):
        optimizer.step(closure)
    return found


class _Reached(Exception):
    """The loss to reach has been reached."""
