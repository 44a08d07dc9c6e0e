"""The multi-stream classifier of Ge 2020, II-D1 and Figure 5.

With four modalities of 128x128 and the published settings it has 6,134,914 parameters.
"""

from collections.abc import Sequence

from keras import Input, KerasTensor, Model, layers

from kerasgan.gan.normalisation import FusedBatchNormalization
from kerasgan.papers.pairwise.fusion import AttentionFusion, Bilinear
from kerasgan.papers.pairwise.settings import StreamSettings

KERNEL = 3  # stated, II-D1: 3x3 filters in each layer
CLASSES = 2  # stated, II-D1: wild-type 0, mutation 1


def classifier(modalities: Sequence[str], size: int, settings: StreamSettings) -> Model:
    """One stream of convolutions per modality, fused by attention, then bilinear features and dense layers.

    Takes {modality: (n, size, size, 1) in [-1, 1]}. Returns {"logits": (n, 2), "attention": (n, M)}, both float32;
    softmax of the logits gives the probabilities of wild-type and mutation, and attention has a column per modality,
    in the order of `modalities`.
    """
    images = {name: Input((size, size, 1), name=name) for name in modalities}
    # A convolution for each stream: on processors a step with grouped convolutions of all streams, which TensorFlow
    # leaves to XLA there, takes 28 times as long, and one with dense ones of all streams' channels 3.4 times.
    maps = [stream(name, image, settings) for name, image in images.items()]
    fused, attention = AttentionFusion(name="attention")(maps)
    x = Bilinear(settings.signed_sqrt, name="bilinear")(fused)
    for level, count in enumerate(settings.dense, 1):
        x = layers.Dense(count, activation="relu", name=f"dense{level}")(x)
    logits = layers.Dense(CLASSES, dtype="float32", name="logits")(x)
    return Model(images, {"logits": logits, "attention": attention}, name="classifier")


def stream(name: str, image: KerasTensor, settings: StreamSettings) -> KerasTensor:
    """The feature map of one modality: 3x3 convolution, batch normalisation, ReLU for each of `settings.filters`.

    Convolutions have no bias (assumed): batch normalisation would subtract it, and adds one of its own.
    """
    x = image
    for level, count in enumerate(settings.filters, 1):
        halve = level in settings.downsample_after
        strides = 2 if halve and settings.downsample == "stride" else 1
        x = layers.Conv2D(count, KERNEL, strides, padding="same", use_bias=False, name=f"{name}_conv{level}")(x)
        x = FusedBatchNormalization(settings.momentum, name=f"{name}_norm{level}")(x)
        if halve and settings.downsample == "pool":
            # Before ReLU, which then has a quarter of the pixels; the maximum of the positive parts is the same.
            x = layers.MaxPooling2D(name=f"{name}_pool{level}")(x)
        x = layers.ReLU(name=f"{name}_relu{level}")(x)
    return x
