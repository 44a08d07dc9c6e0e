"""The pairwise GAN of Ge et al. 2020 in NumPy, float64: section II-B, eqs. (1) to (4) and Algorithm 1, word for word.

Written from the paper as a second opinion on the package's TensorFlow, of which it uses nothing. Where the paper is
silent: LeakyReLU slope 0.2, nearest up-sampling, SAME padding as TensorFlow's, every norm a mean over pixels or
patches, and generators that minimise E ||D(G(x)) - 1||^2, as the text before eq. (1) has their aim.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import product

import numpy as np

Array = np.ndarray
KERNEL, SLOPE = 4, 0.2

# ---- reverse-mode differentiation ----


class Node:
    """A value and, for each node that it was computed from, the map from the gradient on it to that node's."""

    def __init__(self, value: Array, *parents: tuple[Node, Callable[[Array], Array]]):
        self.value, self.parents = np.asarray(value, np.float64), parents

    def __add__(self, other: Node) -> Node:
        return Node(self.value + other.value, (self, lambda g: g), (other, lambda g: g))

    def __rmul__(self, factor: float) -> Node:
        return Node(factor * self.value, (self, lambda g: factor * g))


Weights = Mapping[str, Node]  # "layer/kernel" or "layer/bias" -> Node


def gradients(loss: Node, weights: Weights) -> dict[str, Array]:
    """The gradient of a scalar by each of the weights."""
    flow = {loss: np.ones(())}
    for node in reversed(ancestry(loss, {})):  # each node after all that were computed from it
        for parent, pull in node.parents:
            flow[parent] = flow.get(parent, 0.0) + pull(flow[node])
    return {name: flow[weight] for name, weight in weights.items()}


def ancestry(node: Node, seen: dict[Node, None]) -> dict[Node, None]:
    """`seen`, with the node appended after everything that it was computed from."""
    if node not in seen:
        for parent, _ in node.parents:
            ancestry(parent, seen)
        seen[node] = None
    return seen


# ---- layers: images (batch, size, size, channels), kernels (4, 4, channels, filters) ----


def convolve(x: Node, weights: Weights, layer: str, stride: int) -> Node:
    kernel, bias = weights[f"{layer}/kernel"], weights[f"{layer}/bias"]
    size = x.value.shape[1]
    count = -(-size // stride)
    total = max((count - 1) * stride + KERNEL - size, 0)
    before = total // 2
    edge = (before, total - before)
    padded = np.pad(x.value, ((0, 0), edge, edge, (0, 0)))
    # What tap (i, j) of the kernel sees: one pixel of the padded image for each pixel of the output.
    reach = (count - 1) * stride + 1
    seen = {
        (i, j): np.s_[:, i : i + reach : stride, j : j + reach : stride] for i, j in product(range(KERNEL), repeat=2)
    }

    def to_x(gradient):
        back = np.zeros_like(padded)
        for tap, pixels in seen.items():
            back[pixels] += gradient @ kernel.value[tap].T
        return back[:, before : before + size, before : before + size]

    def to_kernel(gradient):
        back = np.zeros_like(kernel.value)
        for tap, pixels in seen.items():
            back[tap] = np.tensordot(padded[pixels], gradient, axes=([0, 1, 2], [0, 1, 2]))
        return back

    def to_bias(gradient):
        return gradient.sum(axis=(0, 1, 2))

    value = sum(padded[pixels] @ kernel.value[tap] for tap, pixels in seen.items()) + bias.value
    return Node(value, (x, to_x), (kernel, to_kernel), (bias, to_bias))


def upsample(x: Node) -> Node:
    def to_x(gradient):
        batch, size, _, channels = x.value.shape
        return gradient.reshape(batch, size, 2, size, 2, channels).sum(axis=(2, 4))

    return Node(x.value.repeat(2, axis=1).repeat(2, axis=2), (x, to_x))


def concatenate(x: Node, y: Node) -> Node:
    channels = x.value.shape[-1]
    value = np.concatenate([x.value, y.value], axis=-1)
    return Node(value, (x, lambda g: g[..., :channels]), (y, lambda g: g[..., channels:]))


def leaky_relu(x: Node, slope: float = SLOPE) -> Node:
    factor = np.where(x.value > 0, 1.0, slope)
    return Node(x.value * factor, (x, lambda g: g * factor))


def relu(x: Node) -> Node:
    return leaky_relu(x, slope=0.0)


def tanh(x: Node) -> Node:
    value = np.tanh(x.value)
    return Node(value, (x, lambda g: g * (1 - value**2)))


# ---- networks: Figure 3 and II-B2, of any depth ----


def generator(weights: Weights, image: Array) -> Node:
    levels = len(weights) // 4  # one convolution down and one up per level, of a kernel and a bias each
    x, skips = Node(image), []
    for level in range(1, levels + 1):
        x = leaky_relu(convolve(x, weights, f"down{level}", stride=2))
        skips.append(x)
    for level in range(levels, 1, -1):
        x = relu(convolve(upsample(x), weights, f"up{level}", stride=1))
        x = concatenate(x, skips[level - 2])
    return tanh(convolve(upsample(x), weights, "up1", stride=1))


def discriminator(weights: Weights, image: Node) -> Node:
    x = image
    for level in range(1, len(weights) // 2):
        x = leaky_relu(convolve(x, weights, f"conv{level}", stride=2))
    return convolve(x, weights, "patches", stride=1)


# ---- losses ----


def mean_square(x: Node, target: float) -> Node:
    difference = x.value - target
    return Node(np.mean(difference**2), (x, lambda g: g * 2 * difference / difference.size))


def mean_absolute(x: Node, target: Array, mask: Array) -> Node:
    difference = mask * (x.value - target)
    return Node(np.mean(np.abs(difference)), (x, lambda g: g * mask * np.sign(difference) / difference.size))


def discriminator_loss(weights: Weights, real: Array, fake: Array) -> Node:
    """Eq. (1) for D_n and eq. (2) for D_m, with the generators fixed."""
    real_verdict, fake_verdict = discriminator(weights, Node(real)), discriminator(weights, Node(fake))
    return mean_square(real_verdict, 1.0) + mean_square(fake_verdict, 0.0)


def l1_loss(fake_n: Node, fake_m: Node, x_m: Array, x_n: Array, mask: Array) -> Node:
    """Eq. (4). Both modalities show the same slice of the same patient, so M_n = M_m = `mask`."""
    return mean_absolute(fake_n, x_n, mask) + mean_absolute(fake_m, x_m, mask)


def generator_loss(d_m: Weights, d_n: Weights, fake_n: Node, fake_m: Node, l1: Node, l1_weight: float) -> Node:
    """Eq. (3) as the generators see it: what no generator can change is left out."""
    fooled_n = mean_square(discriminator(d_n, fake_n), 1.0)
    fooled_m = mean_square(discriminator(d_m, fake_m), 1.0)
    return fooled_n + fooled_m + l1_weight * l1


# ---- training ----


class Adam:
    """Kingma and Ba 2015, the efficient form at the end of section 2, as Keras writes it."""

    def __init__(self, rate: float, beta_1: float, beta_2: float, epsilon: float):
        self.rate, self.beta_1, self.beta_2, self.epsilon = rate, beta_1, beta_2, epsilon
        self.steps, self.first, self.second = 0, {}, {}

    def move(self, weights: dict[str, Array], gradients: Mapping[str, Array]) -> None:
        self.steps += 1
        rate = self.rate * np.sqrt(1 - self.beta_2**self.steps) / (1 - self.beta_1**self.steps)
        for name, g in gradients.items():
            self.first[name] = self.beta_1 * self.first.get(name, 0.0) + (1 - self.beta_1) * g
            self.second[name] = self.beta_2 * self.second.get(name, 0.0) + (1 - self.beta_2) * g**2
            weights[name] = weights[name] - rate * self.first[name] / (np.sqrt(self.second[name]) + self.epsilon)


class PairwiseGAN:
    """`weights`: "G_m", "G_n", "D_m", "D_n" -> "layer/kernel" or "layer/bias" -> array, replaced at every update."""

    def __init__(self, weights: dict[str, dict[str, Array]], adam: Callable[[], Adam], l1_weight, mask_background):
        self.weights, self.l1_weight, self.mask_background = weights, l1_weight, mask_background
        self.adam = {network: adam() for network in weights}

    def nodes(self, network: str) -> Weights:
        return {name: Node(value) for name, value in self.weights[network].items()}

    def update(self, network: str, weights: Weights, loss: Node) -> None:
        self.adam[network].move(self.weights[network], gradients(loss, weights))

    def train_step(self, x_m: Array, x_n: Array, tumour: Array) -> dict[str, float]:
        """Steps 3 to 9 of Algorithm 1, one after the other."""
        mask = np.where(tumour == 1, 1.0, self.mask_background)
        g_m, g_n = self.nodes("G_m"), self.nodes("G_n")
        # 3: fake images
        fake_n, fake_m = generator(g_m, x_m), generator(g_n, x_n)
        # 4 and 5: both generators, by (3)
        l1 = l1_loss(fake_n, fake_m, x_m, x_n, mask)
        loss = generator_loss(self.nodes("D_m"), self.nodes("D_n"), fake_n, fake_m, l1, self.l1_weight)
        self.update("G_m", g_m, loss)
        self.update("G_n", g_n, loss)
        # 6 and 7: D_n by (1), on the fake images of 3
        d_n = self.nodes("D_n")
        loss_n = discriminator_loss(d_n, x_n, fake_n.value)
        self.update("D_n", d_n, loss_n)
        # 8 and 9: D_m by (2)
        d_m = self.nodes("D_m")
        loss_m = discriminator_loss(d_m, x_m, fake_m.value)
        self.update("D_m", d_m, loss_m)
        losses = {"generator_loss": loss, "l1": l1, "discriminator_n_loss": loss_n, "discriminator_m_loss": loss_m}
        return {name: float(node.value) for name, node in losses.items()}
