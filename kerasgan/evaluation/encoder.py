"""A feature space of one's own images: the code of a small convolutional autoencoder, trained on real ones.

Unlike Inception's, its features come from brain MR, are few (64), so that a covariance can be had from some hundreds of
images, and need no download. Numbers compare only among those of one encoder, hence its hash in every result.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import Input, Model, layers

from kerasgan.data.imagesets import ImageSet
from kerasgan.errors import UserError
from kerasgan.evaluation.fitting import fit
from kerasgan.files import write_text, written_aside

FILTERS = (16, 32, 64)  # each halves the image
KERNEL = 3
# From Glorot's numbers a network of ReLUs that ends in tanh makes images that are mostly background black for good.
INITIALIZER = "he_uniform"
RATE = 1e-3  # of Adam


@dataclass(frozen=True)
class EncoderSettings:
    """What a user may vary."""

    features: int = 64
    epochs: int = 50
    batch_size: int = 32
    seed: int = 1


@dataclass(frozen=True)
class EncoderCard:
    """What is known of an encoder, as it lies beside it in a JSON file."""

    data: str
    images: int
    patients: int
    images_sha256: str  # of the float32 pixels in their order
    size: int  # pixels
    settings: EncoderSettings
    chosen: dict[str, Any]  # how the caller chose the images
    loss: float  # mean squared difference in the last epoch, images in [-1, 1]
    loss_of_background: float  # of an image that is black all over

    def markdown(self) -> str:
        """The card as a sentence."""
        return (
            f"Encoder of {self.size}x{self.size} images to {self.settings.features} features, trained for "
            f"{self.settings.epochs} epochs on {self.images} images of {self.patients} patients ({self.data}): mean "
            f"squared error {self.loss:.4f}, of a black image {self.loss_of_background:.4f}"
        )


def autoencoder(size: int, features: int) -> tuple[Model, Model]:
    """Autoencoder and its encoder: (n, size, size, 1) in [-1, 1] to the same, and to the linear code (n, features).

    `size` is a multiple of 8.
    """
    common = {"padding": "same", "activation": "relu", "kernel_initializer": INITIALIZER}
    small = size // 2 ** len(FILTERS)
    x = image = Input((size, size, 1), name="image")
    for count in FILTERS:
        x = layers.Conv2D(count, KERNEL, 2, **common)(x)
    code = layers.Dense(features, kernel_initializer=INITIALIZER, name="features")(layers.Flatten()(x))
    x = layers.Dense(small * small * FILTERS[-1], activation="relu", kernel_initializer=INITIALIZER)(code)
    x = layers.Reshape((small, small, FILTERS[-1]))(x)
    for count in reversed(FILTERS[:-1]):
        x = layers.Conv2DTranspose(count, KERNEL, 2, **common)(x)
    x = layers.Conv2DTranspose(1, KERNEL, 2, **common | {"activation": "tanh"})(x)
    return Model(image, x, name="autoencoder"), Model(image, code, name="encoder")


def train_encoder(
    images: ImageSet,
    path: Path,
    settings: EncoderSettings,
    quiet: bool = False,
    chosen: Mapping[str, Any] | None = None,
) -> EncoderCard:
    """Train on real images and write the encoder to `path` (.keras), its card beside it as .json.

    The card repeats `chosen`. An encoder without a card was interrupted before both were whole.
    The same images and seed give the same encoder on one machine. Images that are not square, or whose size is no
    multiple of 8, are a `UserError`.
    """
    size = _size_of(images)
    if path.suffix != ".keras":
        raise UserError(f"{path} does not end in .keras; give --out a name as encoder.keras")
    keras.utils.set_random_seed(settings.seed)
    network, encoder = autoencoder(size, settings.features)
    network.compile(keras.optimizers.Adam(RATE), "mean_squared_error")
    inputs = images.images[..., None]
    losses = fit(
        network,
        inputs,
        inputs,
        epochs=settings.epochs,
        batch_size=settings.batch_size,
        seed=settings.seed,
        name="encoder",
        quiet=quiet,
    )
    card = EncoderCard(
        data=images.origin,
        images=len(images),
        patients=len(set(images.groups)),
        images_sha256=hashlib.sha256(np.ascontiguousarray(inputs)).hexdigest(),
        size=size,
        settings=settings,
        chosen=dict(chosen or {}),
        loss=float(losses[-1]),
        loss_of_background=float(np.square(inputs + 1, dtype=np.float64).mean()),
    )
    _write(encoder, card, path)
    return card


def _write(encoder: Model, card: EncoderCard, path: Path) -> None:
    """The encoder, and its card last."""
    beside = path.with_suffix(".json")
    beside.unlink(missing_ok=True)
    with written_aside(path) as aside:
        encoder.save(aside)
    write_text(beside, json.dumps(asdict(card), indent=1, allow_nan=False) + "\n")


def _size_of(images: ImageSet) -> int:
    """Pixels of height and width, which an encoder can halve as often as it has to."""
    height, width = images.images.shape[1:]
    multiple = 2 ** len(FILTERS)
    if height != width or height % multiple:
        raise UserError(
            f"{images.origin} has images of {height}x{width} pixels; an encoder takes square ones of a multiple of "
            f"{multiple}: give --size"
        )
    return height
