"""Generator and critic of Karras et al. 2018, Tables 2 and 3, as they stand at one resolution, and how they grow.

A run has a stage for each resolution: 4 x 4 pixels, 8 x 8, ... Its networks are built for it and take the weights that
they share with the stage before (`grow`). What they add is faded in (Figure 2): at alpha 0 the generator's image is the
smaller generator's, enlarged, and the critic's verdict the smaller critic's of the image's 2 x 2 means.

The condition (Alam et al., 3.1: "added ... in a high-resolution phase"; how is not said) enters both at a resolution
of its own, and growth stays continuous: the generator's block of this resolution, which is being faded in, takes the
class; the critic adds a projection of the class on its last features that begins at zero (Miyato & Koyama 2018, "cGANs
with projection discriminator", eq. 3).

Layers are named after the resolution of their maps: map8_up, map8_conv, image8 (toRGB) and from8 (fromRGB), fade8.

With `base` 8192, `maximum` 512, `scale` 1, 512 numbers of noise and 2 classes told from 64 x 64 on, the generator has
6,562,817 numbers to train at 4 x 4, 22,492,418 at 64 x 64 and 23,045,186 at 256 x 256, the critic 6,560,769, 22,491,393
and 23,043,777.
"""

from dataclasses import dataclass

from keras import Input, Model, layers

from kerasgan.errors import UserError
from kerasgan.papers.pggan.layers import (
    HE,
    ClassEmbedding,
    EqualisedConv2D,
    EqualisedDense,
    Fade,
    MinibatchDeviation,
    PixelNorm,
)
from kerasgan.papers.pggan.settings import START


@dataclass(frozen=True)
class Architecture:
    """The numbers that networks of all resolutions share.

    Args:
        latent: numbers of noise.
        base, maximum, scale: see `channels`.
        slope: of LeakyReLU.
        classes: how many there are.
        class_from: the resolution from which on both players are told the class; None: never.

    Raises:
        UserError: `class_from` is no power of two from 4 on.
    """

    latent: int
    base: int
    maximum: int
    scale: float
    slope: float
    classes: int
    class_from: int | None

    def __post_init__(self):
        if self.class_from is not None:
            check_resolution(self.class_from, "the resolution from which the class is told")

    def channels(self, resolution: int) -> int:
        """Channels of the maps of `resolution` pixels: scale x min(base / (resolution / 2), maximum), at least 1.

        With 8192, 512 and 1 as in Karras et al. 2018, Table 2: 512 up to 32 x 32, then 256, 128, 64, 32, 16. The
        critic's dense features are those of 2 x 2 pixels, 512.
        """
        return max(1, round(self.scale * min(self.base / (resolution / 2), self.maximum)))

    def conditional(self, resolution: int) -> bool:
        """Whether the networks of a resolution take the class."""
        return self.class_from is not None and resolution >= self.class_from


def check_resolution(resolution: int, what: str) -> None:
    """UserError unless images of `resolution` pixels can be grown from 4 x 4 by doubling; `what` is their name."""
    if not isinstance(resolution, int) or resolution < START or resolution & (resolution - 1):
        raise UserError(f"{what} is a power of two from {START} on (4, 8, 16, ...), not {resolution!r}")


# ---- generator ----


def generator(resolution: int, own: Architecture) -> Model:
    """Noise (n, latent) to images (n, resolution, resolution, 1), linear, float32; the data lies in [-1, 1].

    From `class_from` on it takes [noise, label], classes (n,) as integers from 0. (A SavedModel cannot have an input
    named "class", a word of Python's.) Raises UserError if the resolution is no power of two from 4 on.
    """
    check_resolution(resolution, "an image's side")
    noise = Input((own.latent,), name="noise")
    label = Input((), dtype="int32", name="label") if own.conditional(resolution) else None

    # ---- 4 x 4 ----
    width = own.channels(START)
    x = PixelNorm(name="noise_norm")(noise)
    # Gain as in Karras's programme: that of the transposed convolution by which the layer was first written.
    x = EqualisedDense(START * START * width, gain=HE / START, name="map4_dense")(x)
    x = layers.Reshape((START, START, width), name="map4")(x)
    x = _activated(_told(x, label, START, own), own, "map4_dense")
    x = _convolved(x, START, own)

    # ---- up ----
    side, before = START, None
    while side < resolution:
        side, before = 2 * side, x
        x = EqualisedConv2D(own.channels(side), 3, "up", name=f"map{side}_up")(x)
        x = _activated(_told(x, label, side, own), own, f"map{side}_up")
        x = _convolved(x, side, own)

    # ---- images, in float32 also under mixed precision, and the fade ----
    image = _image(x, side)
    if before is not None:
        smaller = layers.UpSampling2D(2, dtype="float32", name=f"image{side // 2}_up")(_image(before, side // 2))
        image = Fade(dtype="float32", name=f"fade{side}")([smaller, image])
    return Model(noise if label is None else [noise, label], image, name="generator")


def settled(network: Model) -> Model:
    """The generator of a stage at alpha 1, without what it fades from: what is delivered. It shares its weights."""
    side = network.output_shape[1]
    return Model(network.input, network.get_layer(f"image{side}").output, name="generator")


def _image(x, side: int):
    """toRGB, linear."""
    return EqualisedConv2D(1, 1, gain=1.0, dtype="float32", name=f"image{side}")(x)


def _told(x, label, side: int, own: Architecture):
    """In the block of `class_from` each class adds a number of its own, zero at the start, to every channel."""
    if label is None or side != own.class_from:
        return x
    shift = ClassEmbedding(own.classes, x.shape[-1], name=f"map{side}_class")(label)
    return layers.Add(name=f"map{side}_told")([x, layers.Reshape((1, 1, x.shape[-1]), name=f"map{side}_shift")(shift)])


def _convolved(x, side: int, own: Architecture):
    x = EqualisedConv2D(own.channels(side), 3, name=f"map{side}_conv")(x)
    return _activated(x, own, f"map{side}_conv")


def _activated(x, own: Architecture, name: str):
    return PixelNorm(name=f"{name}_norm")(layers.LeakyReLU(own.slope, name=f"{name}_leaky")(x))


# ---- critic ----


def critic(resolution: int, own: Architecture) -> Model:
    """Images (n, resolution, resolution, 1) to float32 verdicts (n, 1).

    From `class_from` on it takes [image, label]. Errors as in `generator`. n is at most 4 or a multiple of 4.
    """
    check_resolution(resolution, "an image's side")
    image = Input((resolution, resolution, 1), name="image")
    x = _features(image, resolution, own)

    # ---- down ----
    side = resolution
    while side > START:
        x = _leaky(EqualisedConv2D(own.channels(side), 3, name=f"map{side}_conv")(x), own, f"map{side}_conv")
        x = EqualisedConv2D(own.channels(side // 2), 3, "down", name=f"map{side}_down")(x)
        x = _leaky(x, own, f"map{side}_down")
        if side == resolution:
            smaller = layers.AveragePooling2D(2, dtype="float32", name=f"image{side // 2}_means")(image)
            x = Fade(name=f"fade{side}")([_features(smaller, side // 2, own), x])
        side //= 2

    # ---- 4 x 4 ----
    x = MinibatchDeviation(name="map4_deviation")(x)
    x = _leaky(EqualisedConv2D(own.channels(START), 3, name="map4_conv")(x), own, "map4_conv")
    x = layers.Flatten(name="flat")(x)
    x = _leaky(EqualisedDense(own.channels(START // 2), name="features")(x), own, "features")

    # ---- verdict, in float32 also under mixed precision ----
    verdict = EqualisedDense(1, gain=1.0, dtype="float32", name="verdict")(x)
    if not own.conditional(resolution):
        return Model(image, verdict, name="critic")
    label = Input((), dtype="int32", name="label")
    width = x.shape[-1]
    # Scaled at run time as the verdict's kernel is.
    of_class = ClassEmbedding(own.classes, width, width**-0.5, dtype="float32", name="projection")(label)
    projection = layers.Dot(1, dtype="float32", name="projected")([of_class, x])
    verdict = layers.Add(dtype="float32", name="verdict_of_class")([verdict, projection])
    return Model([image, label], verdict, name="critic")


def _features(image, side: int, own: Architecture):
    """fromRGB."""
    x = EqualisedConv2D(own.channels(side), 1, name=f"from{side}")(image)
    return _leaky(x, own, f"from{side}")


def _leaky(x, own: Architecture, name: str):
    return layers.LeakyReLU(own.slope, name=f"{name}_leaky")(x)


# ---- growth ----


def grow(before: Model, after: Model) -> None:
    """Copy into `after` the weights of all layers that it shares, by name, with `before`, the network a stage smaller.

    Both are generators or both critics. What `after` alone has keeps its numbers, so that at alpha 0 it does what
    `before` did at alpha 1. Raises ValueError unless `after` is twice as large, or if a layer's shapes differ.
    """
    small, large = _side(before), _side(after)
    if large != 2 * small:
        raise ValueError(f"a network of {small} pixels grows to {2 * small}, not to {large}")
    known = {layer.name: layer for layer in before.layers}
    for layer in after.layers:
        if layer.name in known:
            layer.set_weights(known[layer.name].get_weights())


def _side(network: Model) -> int:
    return next(each.shape[1] for each in (*network.inputs, *network.outputs) if len(each.shape) == 4)
