"""The U-Net of TensorLayer's u-net-brain-tumor, which Mehra et al. fine-tune and take features from (section 3.1).

With 4 input channels it has 34,513,921 numbers to train, with 1 channel 34,512,193. Nothing is normalised or dropped.
"""

from functools import partial
from typing import Literal

from keras import Input, Model, initializers, layers

from kerasgan.errors import UserError, nearest

FILTERS = (64, 128, 256, 512, 1024)  # of the five levels
KERNEL = 3
DIVISOR = 2 ** (len(FILTERS) - 1)  # four poolings
SPREAD = 0.02  # standard deviation of the first kernels
LOGITS = "uconv1"  # the last layer with weights

# A block's output is that of its second convolution, after ReLU; "decoder2" is "the 3rd deconv block" of section 4.1.4.
BLOCKS = {f"encoder{level}": f"conv{level}_2" for level in range(1, 6)} | {
    f"decoder{level}": f"uconv{level}_2" for level in range(4, 0, -1)
}


def unet(
    size: tuple[int, int],
    channels: int,
    filters: tuple[int, int, int, int, int] = FILTERS,
    kernels: Literal["truncated_normal", "he_normal"] = "truncated_normal",
) -> Model:
    """Images (n, height, width, channels) to the probability of tumour (n, height, width, 1) in [0, 1], float32.

    The output is the sigmoid, as in TensorLayer, since Dice losses take probabilities; the logits, float32 too, are
    the output of the layer `LOGITS`. Layers bear TensorLayer's names.

    Args:
        size: height and width in pixels, each a multiple of 16.
        channels: 4, in the order flair, t1, t1ce, t2, or 1.
        filters: of the five levels, from the image's down; other than the published ones for small trials.
        kernels: their first numbers: of deviation SPREAD, with which it is hard to begin from nothing, or He et al.'s
            (2015, eq. 10), which keep the scale of what passes a ReLU.

    Raises:
        UserError: another size, another number of channels.
    """
    if any(side < DIVISOR or side % DIVISOR for side in size):
        raise UserError(
            f"the U-Net takes images whose height and width are multiples of {DIVISOR} pixels, not "
            f"{size[0]}x{size[1]}: it halves them four times; prepare the slices in another size, such as 240x240"
        )
    if channels not in (1, 4):
        raise UserError(f"the U-Net takes images of 1 channel or of 4 (flair, t1, t1ce, t2), not of {channels}")
    first = initializers.HeNormal if kernels == "he_normal" else partial(initializers.TruncatedNormal, stddev=SPREAD)
    x = image = Input((*size, channels), name="image")
    skips = []
    for level, count in enumerate(filters, 1):
        if level > 1:
            x = layers.MaxPooling2D(2, name=f"pool{level - 1}")(x)
        x = _convolved(x, count, f"conv{level}", first)
        skips.append(x)
    for level in range(len(filters) - 1, 0, -1):
        count = filters[level - 1]
        up = layers.Conv2DTranspose(count, KERNEL, 2, "same", kernel_initializer=first(), name=f"deconv{level}")(x)
        x = layers.Concatenate(name=f"concat{level}")([up, skips[level - 1]])
        x = _convolved(x, count, f"uconv{level}", first)
    # Float32 also under mixed precision, for the losses' sums over a whole slice.
    x = layers.Conv2D(1, 1, kernel_initializer=first(), dtype="float32", name=LOGITS)(x)
    return Model(image, layers.Activation("sigmoid", dtype="float32", name="probability")(x), name="unet")


def filters_of(network: Model) -> tuple[int, ...]:
    """The filters of a U-Net's five levels."""
    return tuple(network.get_layer(f"conv{level}_1").filters for level in range(1, len(FILTERS) + 1))


def features(network: Model, block: str) -> Model:
    """The part of a U-Net from the image to the output of a block, with shared weights.

    At 240x240 "encoder1" to "encoder5" give 240x240x64, 120x120x128, 60x60x256, 30x30x512, 15x15x1024, and "decoder4"
    to "decoder1" 30x30x512, 60x60x256, 120x120x128, 240x240x64; none is negative. Under mixed precision they come in
    the compute type. A name that is not in `BLOCKS` is a UserError.
    """
    if block not in BLOCKS:
        raise UserError(f"the U-Net has no block {block!r}; {nearest(block, BLOCKS)}")
    return Model(network.input, network.get_layer(BLOCKS[block]).output, name=block)


def _convolved(x, count: int, name: str, first):
    """Two convolutions with ReLU."""
    for number in (1, 2):
        x = layers.Conv2D(
            count, KERNEL, padding="same", activation="relu", kernel_initializer=first(), name=f"{name}_{number}"
        )(x)
    return x
