"""Generators and critics of Mukherjee 2022: Radford's DCGAN with kernels of 4 x 4 and LeakyReLU in every layer.

At 128x128 a generator has 3,606,977 numbers to train, the discriminator 2,795,937, WGAN-div's critic 2,794,976 and that
of InfoGAN 3,846,317.
"""

from collections.abc import Callable

from keras import Input, Model, layers

from kerasgan.gan.layers import UpConv2D
from kerasgan.gan.normalisation import FusedBatchNormalization
from kerasgan.gan.radford import START, kernels, levels_of
from kerasgan.gan.transposed import StridedConv2D, TransposedConv2D
from kerasgan.papers.aggrgan.settings import NetworkSettings

KERNEL = 4  # stated: "the filter size is 4 * 4 in both"
UP_LAYERS: dict[str, Callable[..., layers.Layer]] = {"upsampled": UpConv2D, "transposed": TransposedConv2D}


def generator(size: int, settings: NetworkSettings, up: str, first: layers.Layer | None = None) -> Model:
    """Noise (n, latent) to images (n, size, size, 1) in [-1, 1], float32.

    `up`: "upsampled" (up-sampling, then convolution: DCGAN-1) or "transposed" (transposed convolution: DCGAN-2);
    `first`: a layer that the noise passes before all.
    """
    filters, up_layer = levels_of(size, settings.filters), UP_LAYERS[up]
    noise = Input((settings.latent,), name="noise")
    x = noise if first is None else first(noise)
    x = layers.Dense(START * START * filters[0], use_bias=False, kernel_initializer=kernels(), name="project")(x)
    x = layers.Reshape((START, START, filters[0]), name="map4")(x)
    x = _leaky(_normalised(x, settings, "map4"), settings, "map4")
    for level, count in enumerate(filters[1:], 1):
        name = f"map{START << level}"
        x = up_layer(count, KERNEL, use_bias=False, kernel_initializer=kernels(), name=f"{name}_up")(x)
        x = _leaky(_normalised(x, settings, name), settings, name)
    # Float32 also under mixed precision, whose 8 bits would show in the image.
    x = up_layer(1, KERNEL, activation="tanh", kernel_initializer=kernels(), dtype="float32", name=f"map{size}_up")(x)
    return Model(noise, x, name="generator")


def discriminator(size: int, settings: NetworkSettings) -> Model:
    """Images (n, size, size, 1) to float32 logits (n, 1), whose sigmoid stands in the loss."""
    image = Input((size, size, 1), name="image")
    return Model(image, _verdict(_trunk(image, size, settings)), name="critic")


def recogniser(size: int, settings: NetworkSettings, codes: int, hidden: int) -> Model:
    """`discriminator` that also tells an image's codes: logits (n, 1) and (n, codes), float32 (Chen et al. 2016)."""
    image = Input((size, size, 1), name="image")
    maps = _trunk(image, size, settings)
    x = layers.Dense(hidden, use_bias=False, kernel_initializer=kernels(), name="codes_hidden")(maps)
    x = layers.BatchNormalization(momentum=settings.momentum, epsilon=settings.epsilon, name="codes_norm")(x)
    x = _leaky(x, settings, "codes")
    told = layers.Dense(codes, kernel_initializer=kernels(), dtype="float32", name="codes")(x)
    return Model(image, [_verdict(maps), told], name="critic")


def smooth_critic(size: int, settings: NetworkSettings) -> Model:
    """The critic of WGAN-div: images (n, size, size, 1) to float32 numbers (n, 1).

    Without batch normalisation, which would mix images whose gradients the penalty takes one by one, and dropout.
    """
    filters = levels_of(size, settings.filters)[::-1]
    x = image = Input((size, size, 1), name="image")
    for level, count in enumerate(filters, 1):
        name = f"map{size >> level}"
        x = StridedConv2D(count, KERNEL, kernel_initializer=kernels(), name=f"{name}_down")(x)
        x = _leaky(x, settings, name)
    # Without bias: a Wasserstein loss is blind to it.
    return Model(image, _verdict(layers.Flatten(name="flat")(x), use_bias=False), name="critic")


def _verdict(maps, use_bias: bool = True):
    """The last, fully connected layer; float32 also under mixed precision, since losses take differences."""
    return layers.Dense(1, use_bias=use_bias, kernel_initializer=kernels(), dtype="float32", name="verdict")(maps)


def _trunk(image, size: int, settings: NetworkSettings):
    """Strided convolutions with LeakyReLU and dropout, flattened."""
    x = image
    for level, count in enumerate(levels_of(size, settings.filters)[::-1], 1):
        first = level == 1  # not normalised: Radford et al. 2016, section 3
        name = f"map{size >> level}"
        x = StridedConv2D(count, KERNEL, use_bias=first, kernel_initializer=kernels(), name=f"{name}_down")(x)
        x = _leaky(x if first else _normalised(x, settings, name), settings, name)
        x = layers.Dropout(settings.dropout, name=f"{name}_dropout")(x)
    return layers.Flatten(name="flat")(x)


def _normalised(x, settings: NetworkSettings, name: str):
    return FusedBatchNormalization(settings.momentum, settings.epsilon, name=f"{name}_norm")(x)


def _leaky(x, settings: NetworkSettings, name: str):
    return layers.LeakyReLU(settings.slope, name=f"{name}_leaky")(x)
