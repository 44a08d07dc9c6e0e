"""The training step of the four-stream classifier: kerasgan, Keras alone, PyTorch."""

from collections.abc import Sequence
from functools import partial

import keras
import numpy as np
import tensorflow as tf
from keras import Input, KerasTensor, Model, layers, ops

from benchmarks.timing import Row, in_turns
from benchmarks.ways import (
    CHANNELS_LAST,
    KERAS,
    OURS,
    PRECISIONS,
    Batch,
    Step,
    compared,
    graph_step,
    tensors,
    torch_layouts,
)
from kerasgan.experiment.devices import numerics
from kerasgan.gan.optimizers import Keras2Adagrad
from kerasgan.gan.supervised import SupervisedModel
from kerasgan.papers import settings_of
from kerasgan.papers.pairwise import streams
from kerasgan.papers.pairwise.classifier import objective
from kerasgan.papers.pairwise.settings import ClassifierSettings, StreamSettings

EXPECTED = {"fp32": {KERAS: "at least 1.2"}, "bf16": {KERAS: "at least 1.5"}}


def rows(quick: bool) -> list[Row]:
    """Slices of all modalities in a second for each way and precision."""
    return [row for precision in PRECISIONS for row in _rows(precision, quick)]


def _rows(precision: str, quick: bool) -> list[Row]:
    label = PRECISIONS[precision]
    rounds = 1 if quick else 12
    overrides = [f"classifier.precision={precision}"]
    overrides += ["data.size=16", "classifier.batch_size=2"] if quick else []
    settings = settings_of("pairwise", overrides=overrides)
    size, classifier = settings.data.size, settings.classifier
    batch = random_batch(classifier.modalities, classifier.batch_size, size)
    with numerics(classifier):  # the options with which kerasgan trains
        ours, plain = our_model(size, classifier), plain_model(size, classifier)
        steps = {
            OURS: graph_step(ours.train_step, tensors(batch)),
            KERAS: graph_step(plain.train_step, plain_data(batch, classifier)),
        }
        seconds = in_turns(steps | torch_steps(size, classifier, batch), rounds)
    return compared(seconds, classifier.batch_size, "slices/s", label, EXPECTED[label])


def random_batch(modalities: Sequence[str], batch_size: int, size: int) -> Batch:
    """A batch of noise as `SupervisedModel` takes it with the classifier's objective."""
    random = np.random.default_rng(1)
    shape = (batch_size, size, size, 1)
    images = {name: random.uniform(-1, 1, shape).astype("float32") for name in modalities}
    return images | {"label": (np.arange(batch_size) % 2).astype("int32")}


# ---- kerasgan ----


def our_model(size: int, settings: ClassifierSettings) -> SupervisedModel:
    """The classifier as stage 1 begins to train it."""
    network = streams.classifier(settings.modalities, size, settings.network)
    weights = (settings.negative_weight, settings.positive_weight)
    model = SupervisedModel(network, objective(settings.modalities, weights), ("loss", "accuracy"))
    model.compile({"network": Keras2Adagrad(settings.stage1.learning_rates[0])})
    return model


# ---- Keras alone ----


def plain_network(modalities: Sequence[str], size: int, settings: StreamSettings) -> Model:
    """`streams.classifier` of Keras's layers and operations, in the paper's order: same parameters, same logits."""
    images = {name: Input((size, size, 1), name=name) for name in modalities}
    maps = [_plain_stream(image, settings) for image in images.values()]
    scores = [layers.Dense(1, use_bias=False, kernel_initializer="zeros")(layers.Flatten()(x)) for x in maps]
    attention = layers.Softmax()(layers.Concatenate()(scores))
    fused = sum(ops.reshape(attention[:, k], (-1, 1, 1, 1)) * features for k, features in enumerate(maps))
    _, height, width, channels = fused.shape
    features = layers.Reshape((height * width, channels))(fused)
    x = layers.Flatten()(layers.Dot(axes=1)([features, features]) / (height * width))
    for count in settings.dense:
        x = layers.Dense(count, activation="relu")(x)
    return Model(images, layers.Dense(streams.CLASSES, dtype="float32")(x))


def _plain_stream(x: KerasTensor, settings: StreamSettings) -> KerasTensor:
    for level, count in enumerate(settings.filters, 1):
        x = layers.Conv2D(count, streams.KERNEL, padding="same", use_bias=False)(x)
        x = layers.BatchNormalization(momentum=settings.momentum)(x)
        x = layers.ReLU()(x)
        if level in settings.downsample_after:
            x = layers.MaxPooling2D()(x)
    return x


def plain_model(size: int, settings: ClassifierSettings) -> Model:
    """Compiled with what Keras has: its Adagrad, made to start and divide as Keras 2's did."""
    network = plain_network(settings.modalities, size, settings.network)
    rate_ = settings.stage1.learning_rates[0]
    optimizer = keras.optimizers.Adagrad(rate_, initial_accumulator_value=0.0, epsilon=1e-14)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    network.compile(optimizer, loss, metrics=["accuracy"], jit_compile=False)
    return network


def plain_data(batch: Batch, settings: ClassifierSettings) -> tuple:
    """Images, labels, and the class weights as `fit` hands them on: one for each slice."""
    images = {name: tf.constant(batch[name]) for name in settings.modalities}
    weights = np.where(batch["label"], settings.positive_weight, settings.negative_weight).astype("float32")
    return images, tf.constant(batch["label"]), tf.constant(weights)


# ---- PyTorch ----


def torch_steps(size: int, settings: ClassifierSettings, batch: Batch) -> dict[str, Step]:
    """A training step of PyTorch; none without the extra `bench`."""
    if CHANNELS_LAST not in torch_layouts():
        return {}
    from benchmarks.pytorch_classifier import Training

    training = Training(size, settings, bfloat16=settings.precision == "mixed_bfloat16")
    return {CHANNELS_LAST: partial(training.train_step, *training.prepare(batch))}
