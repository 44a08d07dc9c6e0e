"""Feature spaces in which sets of images are compared, by name.

    inception         InceptionV3 of keras.applications with its ImageNet weights, which Keras downloads once
    inception:FILE    the same network with the weights in a local file
    FILE.keras        an encoder: a Keras model from images (n, size, size, 1) in [-1, 1] to features (n, f)
    vgg16             VGG-16 of keras.applications with its ImageNet weights; vgg16:FILE likewise
    vgg16:random      the same network with random weights, for tests and trials; inception:random likewise
    pixels            the pixels themselves
    pixels:SIZE       the pixels of the images shrunk to SIZE x SIZE by means of blocks

Keras's Inception weights are not those of the TensorFlow graph of 2015 from which the FID and KID of papers are made,
and the resizing differs (Parmar et al. 2022): numbers compare among themselves, not to those in papers.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import Model

from kerasgan.data.imagesets import shrunk
from kerasgan.errors import UserError, nearest
from kerasgan.evaluation.applications import IMAGENET, described, load_application
from kerasgan.evaluation.fitting import in_batches
from kerasgan.networks import read_network

# Addresses of ImageNet weights below `applications.URL`
INCEPTION = "inception_v3/inception_v3_weights_tf_dim_ordering_tf_kernels_notop.h5"
CLASSES = "inception_v3/inception_v3_weights_tf_dim_ordering_tf_kernels.h5"  # with its top
VGG16 = "vgg16/vgg16_weights_tf_dim_ordering_tf_kernels.h5"
INSTEAD = "give --backbone {}:FILE, or an encoder of `kerasgan evaluate encoder`"
INCEPTION_SIZE, VGG16_SIZE = 299, 224  # pixels
WHITE = 255  # grey level
RANDOM_SEED = 1  # of all random weights, so that features compare
CLASSIFIERS = ("inception", "inception:FILE", "inception:random")
NAMES = ("inception", "inception:FILE", "vgg16", "vgg16:FILE", "vgg16:random", "FILE.keras", "pixels", "pixels:SIZE")


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
        return _inception(detail or IMAGENET)
    if kind == "vgg16":
        return vgg16(detail or IMAGENET)
    if kind == "pixels":
        return _pixels(detail)
    if name.endswith(".keras"):
        return _encoder(Path(name))
    raise UserError(f"there is no backbone {name!r}; {nearest(name, NAMES)}")


def _inception(weights: str) -> Backbone:
    options = {"include_top": False, "pooling": "avg"}
    return _of_inception("average pool, 2048 features", INCEPTION, weights, INSTEAD.format("inception"), **options)


def classifier(name: str) -> Backbone:
    """Probabilities (n, 1000) of the ImageNet classes, by name: see `CLASSIFIERS`; another name is a `UserError`."""
    kind, _, weights = name.partition(":")
    if kind != "inception":
        raise UserError(f"there is no classifier {name!r}; expected {', '.join(CLASSIFIERS)}")
    instead = "give --backbone inception:FILE"
    return _of_inception("probabilities of 1000 ImageNet classes", CLASSES, weights or IMAGENET, instead)


def _of_inception(output: str, address: str, weights: str, instead: str, **options: Any) -> Backbone:
    shape = (INCEPTION_SIZE, INCEPTION_SIZE, 3)
    network, words = load_application(
        "InceptionV3", address, weights, RANDOM_SEED, instead, input_shape=shape, **options
    )
    return Backbone(
        f"Keras InceptionV3, {output}; {words}",
        "resized to 299x299 bilinearly (anti-aliased), grey in three channels, [-1, 1], not rounded to 8 bits",
        # preprocess_input's range is [-1, 1] too
        partial(in_batches, lambda batch: network(_in_three_channels(batch, INCEPTION_SIZE), training=False)),
    )


def vgg16(weights: str = IMAGENET, size: int = VGG16_SIZE) -> Backbone:
    """The second fully connected layer of VGG-16 after its ReLU: 4096 features, which ImageNet's classes are read from.

    Args:
        weights: see `applications.load_application`; random ones are always the same.
        size: pixels that images are resized to; only random weights fit any other than ImageNet's 224.
    """
    instead = INSTEAD.format("vgg16")
    network, words = load_application("VGG16", VGG16, weights, RANDOM_SEED, instead, input_shape=(size, size, 3))
    network = Model(network.inputs, network.get_layer("fc2").output)

    def apply(batch: tf.Tensor) -> tf.Tensor:
        levels = (_in_three_channels(batch, size) + 1) * (WHITE / 2)
        return network(keras.applications.vgg16.preprocess_input(levels), training=False)

    return Backbone(
        f"Keras VGG-16, second fully connected layer, 4096 features; {words}",
        f"resized to {size}x{size} bilinearly (anti-aliased), grey in three channels of 0 to 255, not rounded, less "
        "ImageNet's means",
        partial(in_batches, apply),
    )


def _in_three_channels(batch: tf.Tensor, size: int) -> tf.Tensor:
    """Images (n, h, w) as (n, size, size, 3)."""
    return tf.repeat(tf.image.resize(batch[..., None], (size, size), "bilinear", antialias=True), 3, axis=-1)


def _encoder(path: Path) -> Backbone:
    network = read_network(path, "expected an encoder as `kerasgan evaluate encoder` makes it")
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

    return Backbone(f"encoder, {features[1]} features; {described(path)}", "as they are, [-1, 1]", apply)


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
