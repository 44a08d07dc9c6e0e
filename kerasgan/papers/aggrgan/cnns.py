"""The CNNs of the classification study (Table 5), and a small one of ours that a processor trains in minutes.

Each takes grey images (n, h, w, 1) in [-1, 1] and gives the probabilities (n, k) of the classes. The paper names the
networks and nothing else of them; assumed: grey in three channels, each network's own preprocessing within it, global
average pooling and one dense softmax in place of ImageNet's, and that all layers are trained.
"""

from collections.abc import Callable
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf
from keras import Input, Model, layers
from tqdm import tqdm

from kerasgan.errors import UserError, nearest
from kerasgan.evaluation.applications import load_application

WHITE = 255.0  # what keras.applications preprocesses is grey levels from 0
SMALL = "small"
SMALL_FILTERS = (16, 32, 64, 128)  # each halves the image
SMALL_LEAST = 16  # pixels


@dataclass(frozen=True)
class Application:
    """A network of keras.applications, without its top."""

    name: str  # in keras.applications
    preprocess: Callable[[keras.KerasTensor], keras.KerasTensor]  # of (n, h, w, 3), 0 to 255
    least: int  # pixels of height and width
    address: str  # of its ImageNet weights, below the `URL` of `evaluation.applications`


APPLICATIONS = {
    "inceptionresnetv2": Application(
        "InceptionResNetV2",
        keras.applications.inception_resnet_v2.preprocess_input,
        75,
        "inception_resnet_v2/inception_resnet_v2_weights_tf_dim_ordering_tf_kernels_notop.h5",
    ),
    "vgg19": Application(
        "VGG19",
        keras.applications.vgg19.preprocess_input,
        32,
        "vgg19/vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5",
    ),
    "resnet152v2": Application(
        "ResNet152V2",
        keras.applications.resnet_v2.preprocess_input,
        32,
        "resnet/resnet152v2_weights_tf_dim_ordering_tf_kernels_notop.h5",
    ),
}
NETWORKS = (*APPLICATIONS, SMALL)


@dataclass(frozen=True)
class Cnn:
    """A network with what a result says of the weights that it starts from."""

    network: Model  # (n, h, w, 1) in [-1, 1] to probabilities float32 (n, classes)
    weights: str


def load_cnn(name: str, weights: str, height: int, width: int, classes: int, seed: int) -> Cnn:
    """A network of a name, its last layer drawn by `seed`.

    Args:
        name: of `NETWORKS`.
        weights: `imagenet`, which Keras downloads once; a local file in the layout of keras.applications, without the
            top; or `random`, drawn by `seed`, for tests and trials. The small network, which has no published weights,
            is random whatever is said here.
        height, width: of the images, in pixels.
        classes: how many.

    Raises:
        UserError: the name is unknown; images are too small for the network; the ImageNet weights cannot be had; the
            file is missing or does not fit.
    """
    if name not in NETWORKS:
        raise UserError(f"there is no network {name!r}; {nearest(name, NETWORKS)}")
    least = APPLICATIONS[name].least if name in APPLICATIONS else SMALL_LEAST
    if min(height, width) < least:
        raise UserError(
            f"{name} takes images of at least {least}x{least} pixels, these have {height}x{width}; prepare the data "
            f"with data.size={least} or more, or leave the network out"
        )
    keras.utils.set_random_seed(seed)
    if name == SMALL:
        return Cnn(small_cnn(height, width, classes), f"random weights, seed {seed}")
    base, words = _base(APPLICATIONS[name], weights, height, width, seed)
    image = Input((height, width, 1), name="image")
    grey = layers.Concatenate()([(image + 1) * (WHITE / 2)] * 3)
    found = base(APPLICATIONS[name].preprocess(grey))
    return Cnn(Model(image, _probabilities(found, classes), name=name), words)


def small_cnn(height: int, width: int, classes: int) -> Model:
    """Four strided convolutions with batch normalisation, their mean, one dense softmax; 16x16 pixels or more.

    98,259 parameters with three classes, 98,388 with four, whatever the size. Of 128x128 images an epoch of 1,000
    takes seconds on one core.
    """
    x = image = Input((height, width, 1), name="image")
    for filters in SMALL_FILTERS:
        x = layers.Conv2D(filters, 3, 2, padding="same", use_bias=False, kernel_initializer="he_uniform")(x)
        x = layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))
    return Model(image, _probabilities(layers.GlobalAveragePooling2D()(x), classes), name=SMALL)


def train(
    network: Model,
    training: tuple[np.ndarray, np.ndarray],
    validation: tuple[np.ndarray, np.ndarray],
    *,
    epochs: int,
    batch_size: int,
    learning_rate: float,
    seed: int,
    title: str,
    quiet: bool,
) -> int:
    """Train by Adam on cross-entropy and keep the epoch of the lowest validation loss (assumed); returns it, from 1.

    Args:
        network: of `load_cnn`.
        training, validation: images (n, h, w) in [-1, 1] and labels int (n,).
        seed: of the order of the images, anew each epoch.
        title: of the progress bar.
    """
    network.compile(
        keras.optimizers.Adam(learning_rate), "sparse_categorical_crossentropy", metrics=["accuracy"], jit_compile=False
    )
    kept, held = (
        tf.data.Dataset.from_tensor_slices((images[..., None], labels)) for images, labels in (training, validation)
    )
    kept = kept.shuffle(len(training[1]), seed=seed).batch(batch_size).prefetch(1)
    # With as much patience as epochs it never stops early, but restores the best weights in the end.
    best = keras.callbacks.EarlyStopping("val_loss", patience=epochs, restore_best_weights=True)
    with tqdm(total=epochs, desc=title, unit="epoch", disable=quiet, leave=False) as bar:
        callbacks = [best, keras.callbacks.LambdaCallback(on_epoch_end=lambda _, logs: _show(bar, logs))]
        network.fit(
            kept, epochs=epochs, validation_data=held.batch(batch_size), shuffle=False, verbose=0, callbacks=callbacks
        )
    return best.best_epoch + 1


def _show(bar: tqdm, logs: dict[str, float]) -> None:
    bar.set_postfix({"loss": f"{logs['loss']:.4f}", "val. acc.": f"{logs['val_accuracy']:.1%}"}, refresh=False)
    bar.update()


def _probabilities(features: keras.KerasTensor, classes: int) -> keras.KerasTensor:
    return layers.Dense(classes, activation="softmax", dtype="float32", name="probabilities")(features)


def _base(application: Application, weights: str, height: int, width: int, seed: int) -> tuple[Model, str]:
    """Images (n, height, width, 3), preprocessed, to features (n, f); what its weights are."""
    options = {"include_top": False, "input_shape": (height, width, 3), "pooling": "avg"}
    instead = "give its path in place of imagenet"
    return load_application(application.name, application.address, weights, seed, instead, **options)
