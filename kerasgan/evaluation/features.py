"""Feature spaces in which sets of images are compared, by name.

    inception         InceptionV3 of keras.applications with its ImageNet weights, which Keras downloads once
    inception:FILE    the same network with the weights in a local file
    FILE.keras        an encoder: a Keras model from images (n, size, size, 1) in [-1, 1] to features (n, f)
    pixels            the pixels themselves
    pixels:SIZE       the pixels of the images shrunk to SIZE x SIZE by means of blocks

Keras's Inception weights are not those of the TensorFlow graph of 2015 from which the FID and KID of papers are made,
and the resizing differs (Parmar et al. 2022): numbers compare among themselves, not to those in papers.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from kerasgan.data.imagesets import shrunk
from kerasgan.errors import UserError, nearest
from kerasgan.evaluation.fitting import in_batches

INCEPTION_SIZE = 299  # pixels
INCEPTION_FILE = "inception_v3_weights_tf_dim_ordering_tf_kernels_notop.h5"
INCEPTION_URL = f"https://storage.googleapis.com/tensorflow/keras-applications/inception_v3/{INCEPTION_FILE}"
NAMES = ("inception", "inception:FILE", "FILE.keras", "pixels", "pixels:SIZE")


@dataclass(frozen=True)
class Backbone:
    """A feature space with what a result says of it."""

    name: str  # with its weights
    preprocessing: str
    apply: Callable[[np.ndarray, bool], np.ndarray]  # images (n, h, w) in [-1, 1], and quiet, to features (n, f)

    def features(self, images: np.ndarray, quiet: bool = True) -> np.ndarray:
        """Features (n, f) of images (n, h, w) in [-1, 1]; one that is not finite is a `UserError`."""
        found = self.apply(images, quiet)
        if not np.isfinite(found).all():
            raise UserError(f"{self.name} gives features that are not finite; expected numbers: check its weights")
        return found


def backbone(name: str) -> Backbone:
    """The feature space of a name; one that is unknown or whose file cannot be had is a `UserError`."""
    kind, _, detail = name.partition(":")
    if kind == "inception":
        return _inception(Path(detail) if detail else None)
    if kind == "pixels":
        return _pixels(detail)
    if name.endswith(".keras"):
        return _encoder(Path(name))
    raise UserError(f"there is no backbone {name!r}; {nearest(name, NAMES)}")


def _inception(path: Path | None) -> Backbone:
    if path is not None and not path.is_file():
        raise UserError(f"there is no file {path}; expected InceptionV3 weights: {INCEPTION_FILE} from {INCEPTION_URL}")
    shape = (INCEPTION_SIZE, INCEPTION_SIZE, 3)
    try:
        network = keras.applications.InceptionV3(
            include_top=False, weights="imagenet" if path is None else str(path), input_shape=shape, pooling="avg"
        )
    except Exception as error:  # Keras raises Exception itself for a failed download
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        if path is None:
            raise UserError(
                f"the ImageNet weights of InceptionV3 cannot be had ({reason}); get {INCEPTION_FILE} from "
                f"{INCEPTION_URL} and give --backbone inception:FILE, or an encoder of `kerasgan evaluate encoder`"
            ) from None
        raise UserError(
            f"{path} does not fit InceptionV3 without its top ({reason}); expected {INCEPTION_FILE} from "
            f"{INCEPTION_URL}"
        ) from None

    def apply(batch: tf.Tensor) -> tf.Tensor:
        resized = tf.image.resize(batch[..., None], shape[:2], "bilinear", antialias=True)
        return network(tf.repeat(resized, 3, axis=-1), training=False)  # preprocess_input's range is [-1, 1] too

    weights = "ImageNet weights of keras.applications" if path is None else _described(path)
    return Backbone(
        f"Keras InceptionV3, average pool, 2048 features; {weights}",
        "resized to 299x299 bilinearly (anti-aliased), grey in three channels, [-1, 1], not rounded to 8 bits",
        lambda images, quiet: in_batches(apply, images, quiet),
    )


def _encoder(path: Path) -> Backbone:
    if not path.is_file():
        raise UserError(f"there is no file {path}; expected an encoder as `kerasgan evaluate encoder` makes it")
    try:
        network = keras.saving.load_model(path, compile=False, safe_mode=True)
    except (ValueError, TypeError, OSError, KeyError) as error:
        raise UserError(f"{path} is not a Keras model ({str(error).splitlines()[0]}); make the encoder anew") from None
    expected, features = network.input_shape, network.output_shape
    if not (isinstance(expected, tuple) and len(expected) == 4 and expected[-1] == 1 and len(features) == 2):
        raise UserError(
            f"{path} maps {expected} to {features}; expected an encoder from (n, size, size, 1) to (n, features)"
        )

    def apply(images: np.ndarray, quiet: bool) -> np.ndarray:
        if any(wanted not in (None, own) for wanted, own in zip(expected[1:3], images.shape[1:], strict=True)):
            wanted, own = ("x".join(map(str, shape)) for shape in (expected[1:3], images.shape[1:]))
            raise UserError(f"{path} takes images of {wanted} pixels, these have {own}; give --size {expected[1]}")
        return in_batches(lambda batch: network(batch[..., None], training=False), images, quiet)

    return Backbone(f"encoder, {features[1]} features; {_described(path)}", "as they are, [-1, 1]", apply)


def _pixels(size: str) -> Backbone:
    if not size:
        return Backbone("pixels", "as they are, [-1, 1]", lambda images, _: images.reshape(len(images), -1))
    if not size.isdecimal() or int(size) < 1:
        raise UserError(f"pixels:{size} is no backbone; expected a size in pixels, for example pixels:32")
    return Backbone(
        "pixels",
        f"shrunk to {size}x{size} by means of blocks, [-1, 1]",
        lambda images, _: shrunk(images, int(size)).reshape(len(images), -1),
    )


def _described(path: Path) -> str:
    with path.open("rb") as file:
        return f"{path.name}, sha256 {hashlib.file_digest(file, 'sha256').hexdigest()[:16]}"
