"""Generator and critic of Han 2018, 3.2.2: Radford's, all kernels 4 x 4, half the channels, ELU in the critic.

At 128x128 3,606,977 numbers of the generator are trained and 2,795,936 of the critic; at 64x64 3,574,657 and 2,763,584.
"""

from keras import Input, Model, layers

from kerasgan.gan.normalisation import FusedBatchNormalization
from kerasgan.gan.radford import START, kernels, levels_of
from kerasgan.gan.transposed import StridedConv2D, TransposedConv2D
from kerasgan.papers.brainmr.settings import NetworkSettings

KERNEL = 4  # stated, 3.2.2


def generator(size: int, settings: NetworkSettings) -> Model:
    """Noise (n, latent) to images (n, size, size, 1), linear ("no tanh"), float32; the data lies in [-1, 1]."""
    filters = levels_of(size, settings.filters)
    noise = Input((settings.latent,), name="noise")

    # ---- 4 x 4 ----
    x = layers.Dense(START * START * filters[0], use_bias=False, kernel_initializer=kernels(), name="project")(noise)
    x = layers.Reshape((START, START, filters[0]), name="map4")(x)
    x = layers.ReLU(name="map4_relu")(_normalised(x, settings, "map4"))

    # ---- up: 4 x 4 transposed convolutions of stride 2, batch normalisation, ReLU ----
    for level, count in enumerate(filters[1:], 1):
        name = f"map{START << level}"
        x = TransposedConv2D(count, KERNEL, use_bias=False, kernel_initializer=kernels(), name=f"{name}_up")(x)
        x = layers.ReLU(name=f"{name}_relu")(_normalised(x, settings, name))

    # ---- image: float32 also under mixed precision, whose 8 bits would show in it ----
    x = TransposedConv2D(1, KERNEL, kernel_initializer=kernels(), dtype="float32", name=f"map{size}_up")(x)
    return Model(noise, x, name="generator")


def critic(size: int, settings: NetworkSettings) -> Model:
    """Images (n, size, size, 1) to float32 logits (n, 1); "critic" also where it discriminates."""
    filters = levels_of(size, settings.filters)[::-1]
    x = image = Input((size, size, 1), name="image")
    for level, count in enumerate(filters, 1):
        first = level == 1  # not normalised: Radford et al. 2016, section 3
        name = f"map{size >> level}"
        x = StridedConv2D(count, KERNEL, use_bias=first, kernel_initializer=kernels(), name=f"{name}_down")(x)
        x = layers.ELU(name=f"{name}_elu")(x if first else _normalised(x, settings, name))
    x = layers.Flatten(name="flat")(x)
    # Float32 also under mixed precision: Wasserstein losses are differences of large numbers.
    # Without bias, as Arjovsky's: a Wasserstein loss is blind to it.
    x = layers.Dense(1, use_bias=False, kernel_initializer=kernels(), dtype="float32", name="verdict")(x)
    return Model(image, x, name="critic")


def _normalised(x, settings: NetworkSettings, name: str):
    return FusedBatchNormalization(settings.momentum, settings.epsilon, name=f"{name}_norm")(x)
