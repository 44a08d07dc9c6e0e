"""The generator and the discriminator of Ge 2020, II-B2 and Figure 3.

At 128x128 the generator has 1,542,337 parameters and the discriminator 2,762,689.
"""

from collections.abc import Sequence

from keras import Input, Model, layers

from kerasgan.gan.layers import UpConv2D

KERNEL = 4  # stated, II-B2: 4x4 filters everywhere
SLOPE = 0.2  # assumed: pix2pix's LeakyReLU; the paper gives no slope
# Assumed: the paper does not say how kernels start. With Keras's default, Glorot uniform, many generators are black
# after 50 steps and stay so, since most of a slice is background, where tanh has no slope left, and no normalisation
# is stated: 4 of 8 against 0 of 8 with He's numbers (T2 and T1e, 64x64, batch 16, four seeds).
INITIALIZER = "he_uniform"
# Stated, Figure 3. No normalisation layer is stated, so there is none.
GENERATOR_FILTERS = (32, 64, 128, 256)
DISCRIMINATOR_FILTERS = (64, 128, 256, 512)


def generator(name: str, size: int, filters: Sequence[int] = GENERATOR_FILTERS) -> Model:
    """A U-Net from one modality to another: (n, size, size, 1) to the same shape, both in [-1, 1].

    `size` must be a multiple of 2 to the number of `filters`.
    """
    image = Input((size, size, 1), name="image")

    # ---- down: 4x4 convolutions of stride 2, LeakyReLU ----
    x, skips = image, []
    for level, count in enumerate(filters, 1):
        x = layers.Conv2D(count, KERNEL, 2, "same", kernel_initializer=INITIALIZER, name=f"down{level}")(x)
        x = layers.LeakyReLU(SLOPE, name=f"down{level}_lrelu")(x)
        skips.append(x)

    # ---- up: nearest x2, 4x4 convolution of stride 1, ReLU, concatenation with the level's skip ----
    for level in range(len(filters) - 1, 0, -1):
        x = UpConv2D(filters[level - 1], KERNEL, kernel_initializer=INITIALIZER, name=f"up{level + 1}")(x)
        x = layers.ReLU(name=f"up{level + 1}_relu")(x)
        x = layers.Concatenate(name=f"skip{level}")([x, skips[level - 1]])

    # ---- output: float32 also under mixed precision, whose 8 bits would show in the image ----
    x = UpConv2D(1, KERNEL, kernel_initializer=INITIALIZER, dtype="float32", name="up1")(x)
    return Model(image, layers.Activation("tanh", dtype="float32", name="tanh")(x), name=name)


def discriminator(name: str, size: int, filters: Sequence[int] = DISCRIMINATOR_FILTERS) -> Model:
    """A Markov (patch) discriminator: (n, size, size, 1) to float32 (n, size/16, size/16, 1), without activation."""
    x = image = Input((size, size, 1), name="image")
    for level, count in enumerate(filters, 1):
        x = layers.Conv2D(count, KERNEL, 2, "same", kernel_initializer=INITIALIZER, name=f"conv{level}")(x)
        x = layers.LeakyReLU(SLOPE, name=f"conv{level}_lrelu")(x)
    x = layers.Conv2D(1, KERNEL, padding="same", kernel_initializer=INITIALIZER, name="patches")(x)
    return Model(image, layers.Activation("linear", dtype="float32", name="verdict")(x), name=name)
