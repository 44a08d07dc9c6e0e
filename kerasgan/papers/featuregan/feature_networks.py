"""Generator and discriminator of features: the AC-GAN of Mehra et al., sections 3.2 and 4.2.2.

Each has three hidden layers of one width and an output layer. For the published features of 15x15x1024 the maps grow
1 -> 3 -> 7 -> 15 and shrink back; at width 512 the generator has 9,498,624 numbers to train, the discriminator
9,441,283; at 256 3,570,176 and 3,540,995; at 64 672,128 and 664,067.

What the paper leaves open follows the public AC-GAN that it began from (gitlimlab/ACGAN-PyTorch): first numbers, batch
normalisation in every hidden layer but the discriminator's first, dropout after each of the discriminator's. There the
class takes the place of the first numbers of the noise; here it stands beside the noise, as the paper says.
"""

from collections.abc import Sequence

from keras import Input, Model, layers, ops

from kerasgan.errors import UserError
from kerasgan.gan.normalisation import FusedBatchNormalization
from kerasgan.gan.patches import PatchedConv2D, PatchedConv2DTranspose
from kerasgan.gan.radford import kernels

HIDDEN = 3  # stated, 3.2: "from 5 to 3"
CLASSES = 2  # stated: LGG and HGG
STRIDE = 2


def generator(shape: Sequence[int], *, width: int, latent: int, slope: float, momentum: float, epsilon: float) -> Model:
    """G(c, z): noise (n, latent) and classes (n,), integers 0 or 1, to standardised features (n, *shape), float32.

    A dense layer makes the smallest map, transposed convolutions double it (`ladder`); the last one is linear, since
    standardised features have no bounds. Call it with [noise, label].

    Args:
        shape: height, width and channels of the block's features, such as (15, 15, 1024).
        width: channels of the hidden layers, the paper's ngf.
        latent: numbers of noise.
        slope: of LeakyReLU.
        momentum, epsilon: of batch normalisation.

    Raises:
        UserError: a shape that no block has.
    """
    sizes = _sizes(shape)
    noise, label = Input((latent,), name="noise"), Input((), dtype="int32", name="label")
    x = layers.Concatenate(name="condition")([noise, ops.one_hot(label, CLASSES)])
    (height, breadth), *larger = sizes
    x = layers.Dense(height * breadth * width, use_bias=False, kernel_initializer=kernels(), name="hidden1")(x)
    x = layers.Reshape((height, breadth, width), name="hidden1_map")(x)
    for level, size in enumerate(larger, 2):
        x = FusedBatchNormalization(momentum, epsilon, name=f"hidden{level - 1}_norm")(x)
        x = layers.LeakyReLU(slope, name=f"hidden{level - 1}_leaky")(x)
        last = level > HIDDEN
        x = PatchedConv2DTranspose(
            shape[-1] if last else width,
            [kernel_of(side) for side in size],
            use_bias=last,
            kernel_initializer=kernels(),
            name="features_up" if last else f"hidden{level}",
        )(x)
    # The largest layer stays in the compute type under mixed precision; what comes out is float32 like real features.
    return Model([noise, label], layers.Activation("linear", dtype="float32", name="features")(x), name="generator")


def discriminator(
    shape: Sequence[int], *, width: int, slope: float, dropout: float, momentum: float, epsilon: float
) -> Model:
    """P(S|X), P(C|X) = D(X): standardised features (n, *shape) to the logits of source (n, 1) and of class (n, 2).

    The generator's mirror: three convolutions of stride 2 with its kernels. Logits are float32 also under mixed
    precision; the sigmoid of the first is the probability of a real feature, the softmax of the others that of the
    classes.

    Args:
        shape: height, width and channels of the block's features.
        width: channels of the hidden layers, the paper's ndf.
        slope: of LeakyReLU.
        dropout: share of numbers dropped after each hidden layer.
        momentum, epsilon: of batch normalisation.

    Raises:
        UserError: a shape that no block has.
    """
    sizes = _sizes(shape)
    x = feature = Input(tuple(shape), name="feature")
    for level, size in enumerate(sizes[:0:-1], 1):
        first = level == 1  # not normalised, as in the public code and in Radford et al. 2016, section 3
        x = PatchedConv2D(
            width,
            [kernel_of(side) for side in size],
            use_bias=first,
            kernel_initializer=kernels(),
            name=f"hidden{level}",
        )(x)
        x = x if first else FusedBatchNormalization(momentum, epsilon, name=f"hidden{level}_norm")(x)
        x = layers.LeakyReLU(slope, name=f"hidden{level}_leaky")(x)
        x = layers.Dropout(dropout, name=f"hidden{level}_dropout")(x)
    x = layers.Flatten(name="flat")(x)
    source = layers.Dense(1, kernel_initializer=kernels(), dtype="float32", name="source")(x)
    classes = layers.Dense(CLASSES, kernel_initializer=kernels(), dtype="float32", name="class")(x)
    return Model(feature, [source, classes], name="critic")


def ladder(side: int) -> tuple[int, ...]:
    """The pixels of a side's four maps, from the dense layer's to the feature's: (1, 3, 7, 15) of 15.

    Convolutions of stride 2 without padding, of kernel k, halve L pixels to (L - k) / 2 + 1, and the transposed ones
    with the same kernel make exactly L of them again. k (`kernel_of`) is 3 where L is odd and 4 where it is even, so
    that the division leaves no rest and every pixel is seen: 15 <- 7, 30 <- 14, 120 <- 59; 1 and 2 pixels are taken
    whole, so that a small map stays at 1: (1, 1, 3, 8) of 8, (1, 1, 1, 4) of 4.
    """
    sizes = [side]
    for _ in range(HIDDEN):
        sizes.append((sizes[-1] - kernel_of(sizes[-1])) // STRIDE + 1)
    return tuple(sizes[::-1])


def kernel_of(side: int) -> int:
    """The kernel between a map of `side` pixels and the next smaller one: 3 or 4, at most the map."""
    return min(side, 4 - side % 2)


def _sizes(shape: Sequence[int]) -> list[tuple[int, int]]:
    """Height and width of the four maps, from the smallest on."""
    if len(shape) != 3 or any(not isinstance(n, int) or n < 1 for n in shape):
        raise UserError(
            f"features have a height, a width and channels, each at least 1, such as 15x15x1024, not "
            f"{'x'.join(str(n) for n in shape)}; extract them anew from a block of the U-Net"
        )
    return list(zip(ladder(shape[0]), ladder(shape[1]), strict=True))
