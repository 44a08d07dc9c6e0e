"""DAEF: the distance between real and synthetic images by the features of an autoencoder (Ge 2020, III-E2, Table 6)."""

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from keras import Input, Model, layers

from kerasgan.data import pipeline, records
from kerasgan.data.prepare import Prepared, PreparedVisit
from kerasgan.files import remove, write_text, written_aside
from kerasgan.gan import checkpoint
from kerasgan.gan.callbacks import History, Progress
from kerasgan.gan.checkpoint import Position
from kerasgan.gan.supervised import SupervisedModel
from kerasgan.gan.training import fit
from kerasgan.networks import read_network
from kerasgan.papers.pairwise.cases import training_visits
from kerasgan.papers.pairwise.settings import AutoencoderSettings, PairwiseSettings
from kerasgan.settings import read_json

KERNEL = 3  # stated, III-E2
# Assumed, as for the generators: from Glorot's numbers the images ended up black at 1e-3 and at 1e-4, and stayed so.
INITIALIZER = "he_uniform"
BATCH = 16  # of slices whose features are computed at once
BACKGROUND = -1.0


def autoencoder(size: int, channels: int, settings: AutoencoderSettings) -> Model:
    """Encoder and decoder: (n, size, size, channels) to the same, in [-1, 1]; the modalities are the channels.

    Convolutions with ReLU (assumed; the paper names no activation), the decoder their mirror image of transposed
    convolutions, its last one with tanh, the range of the images. The encoder's last map is the layer "code".
    """
    last = len(settings.filters) - 1
    common = {"padding": "same", "kernel_initializer": INITIALIZER}
    x = image = Input((size, size, channels), name="image")
    for i, (count, stride) in enumerate(zip(settings.filters, settings.strides, strict=True)):
        name = "code" if i == last else f"conv{i + 1}"
        x = layers.Conv2D(count, KERNEL, stride, activation="relu", name=name, **common)(x)
    for i in range(last, 0, -1):
        count, stride = settings.filters[i - 1], settings.strides[i]
        x = layers.Conv2DTranspose(count, KERNEL, stride, activation="relu", name=f"deconv{i + 1}", **common)(x)
    # Float32 also under mixed precision.
    x = layers.Conv2DTranspose(channels, KERNEL, settings.strides[0], dtype="float32", name="deconv1", **common)(x)
    return Model(image, layers.Activation("tanh", dtype="float32", name="tanh")(x), name="autoencoder")


def encoder_of(network: Model) -> Model:
    """The part of an autoencoder up to its code: (n, size, size, channels) to features (n, filters of the last layer).

    The features are the code's maximum over the image. The paper says "the last convolutional layer in the decoder",
    whose map cannot have the 512 channels that it gives; the encoder's last one has.
    """
    pooled = layers.GlobalMaxPooling2D(dtype="float32", name="features")(network.get_layer("code").output)
    return Model(network.input, pooled, name="encoder")


def train_autoencoder(
    settings: PairwiseSettings, prepared: Prepared, modalities: Sequence[str], folder: Path, quiet: bool = False
) -> Model:
    """The encoder, trained on the real training slices of `settings.study` into `folder`, or read from there.

    Leaves folder/encoder.keras, made_from.json, history.csv and checkpoints/, from which an interrupted training goes
    on; what another configuration or other data have left there is trained anew. Call it under the precision wanted
    (`experiment.devices.numerics`).
    """
    path, own = folder / "encoder.keras", settings.autoencoder
    _forget_another(folder, settings, prepared, modalities)
    if path.is_file():
        return read_network(path, "remove the file, and it is trained anew")
    visits = training_visits(prepared, settings, modalities)
    steps = pipeline.steps_per_epoch(pipeline.count_slices(visits), own.batch_size, drop_remainder=False)
    keras.utils.set_random_seed(own.seed)
    network = autoencoder(settings.data.size, len(modalities), own)
    model = SupervisedModel(network, squared_error)
    model.compile({"network": keras.optimizers.Adam(own.learning_rate)}, own.jit)
    bar = [] if quiet else [Progress(own.epochs, steps, {"loss": "loss"}, "autoencoder")]
    fit(
        model,
        partial(_batches, own, prepared, visits, modalities),
        steps_per_epoch=steps,
        epochs=own.epochs,
        folder=folder / "checkpoints",
        checkpoint_every=own.checkpoint_every,
        resume=checkpoint.newest(folder / "checkpoints") is not None,
        callbacks=[History(folder / "history.csv", ["loss"]), *bar],
    )
    encoder = encoder_of(network)
    with written_aside(path) as aside:
        encoder.save(aside)
    return encoder


def _batches(
    settings: AutoencoderSettings,
    prepared: Prepared,
    visits: Sequence[PreparedVisit],
    modalities: Sequence[str],
    position: Position,
) -> tf.data.Dataset:
    """Batches of `image` (b, size, size, modalities) in [-1, 1] from a position on."""
    return pipeline.training_batches(
        pipeline.slices_of(prepared, visits, modalities),
        pipeline.count_slices(visits),
        settings.batch_size,
        settings.seed,
        first_epoch=position.epoch,
        skip=position.step,
        finish=lambda batch: {"image": tf.concat([records.to_signed(batch[name]) for name in modalities], axis=-1)},
    )


def _forget_another(folder: Path, settings: PairwiseSettings, prepared: Prepared, modalities: Sequence[str]) -> None:
    """Remove an autoencoder of other settings, data or modalities; note those of this one."""
    made_from = {
        "autoencoder": settings.autoencoder.model_dump(mode="json"),
        "study": settings.study.model_dump(mode="json"),
        "data": prepared.hash,
        "modalities": list(modalities),
    }
    note = folder / "made_from.json"
    if note.is_file() and read_json(note, "remove the file, and the encoder is trained anew") == made_from:
        return
    for name in ("encoder.keras", "checkpoints", "history.csv"):
        remove(folder / name)
    write_text(note, json.dumps(made_from, indent=1))


def squared_error(network: Model, batch: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """The mean squared difference between images and what the autoencoder makes of them (assumed)."""
    return {"loss": tf.reduce_mean(tf.square(network(batch["image"], training=True) - batch["image"]))}


def features(encoder: Model, images: np.ndarray) -> np.ndarray:
    """Features (n, f) of slices (n, size, size, modalities) in [-1, 1], batch by batch in one traced graph."""
    signature = tf.TensorSpec(encoder.input_shape, tf.float32)
    # The concrete function: TensorFlow warns of many traced functions from one line, and each encoder needs its own.
    call = tf.function(lambda batch: encoder(batch, training=False)).get_concrete_function(signature)
    pieces = [images[i : i + BATCH].astype(np.float32) for i in range(0, len(images), BATCH)]
    return np.concatenate([call(tf.constant(piece)).numpy() for piece in pieces])


def tumour_only(images: np.ndarray, tumour: np.ndarray) -> np.ndarray:
    """Images (n, size, size, modalities) with background everywhere but in the tumour (n, size, size), bool.

    Assumed: Table 6's "tumor region" is seen by the same autoencoder, with all else black.
    """
    return np.where(tumour[..., None], images, np.float32(BACKGROUND))


def daef(real: np.ndarray, fake: np.ndarray) -> float:
    """The Euclidean distance between the centroids of two sets of features (n, f) and (m, f); smaller is nearer."""
    return float(np.linalg.norm(real.mean(axis=0, dtype=np.float64) - fake.mean(axis=0, dtype=np.float64)))
