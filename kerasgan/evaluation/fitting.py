"""Small networks on arrays in memory: `fit` in an order that the seed decides, and application in batches."""

from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf
from tqdm import tqdm

BATCH = 32  # of images that a network is applied to at once


class _Bar(keras.callbacks.Callback):
    def __init__(self, epochs: int, name: str, quiet: bool):
        super().__init__()
        self.bar = tqdm(total=epochs, desc=name, unit="epoch", disable=quiet, leave=False)

    def on_epoch_end(self, epoch, logs=None):
        self.bar.set_postfix({"loss": f"{logs['loss']:.4f}"}, refresh=False)
        self.bar.update()

    def on_train_end(self, logs=None):
        self.bar.close()


def fit(
    network: keras.Model,
    inputs: np.ndarray,
    targets: np.ndarray,
    *,
    epochs: int,
    batch_size: int,
    seed: int,
    name: str,
    quiet: bool,
) -> list[float]:
    """Train a compiled network on n inputs and targets, shuffled anew each epoch; returns the loss of each epoch."""
    dataset = tf.data.Dataset.from_tensor_slices((inputs, targets))
    dataset = dataset.shuffle(len(inputs), seed=seed).batch(batch_size).prefetch(1)
    bar = _Bar(epochs, name, quiet)
    return network.fit(dataset, epochs=epochs, shuffle=False, verbose=0, callbacks=[bar]).history["loss"]


def in_batches(function: Callable[[tf.Tensor], tf.Tensor], images: np.ndarray, quiet: bool = True) -> np.ndarray:
    """What a function of a batch (b, h, w) makes of images (n, h, w), in one traced graph."""
    signature = tf.TensorSpec((None, *images.shape[1:]), tf.float32)
    # The concrete function: TensorFlow warns of many traced functions from one line, and each network needs its own.
    call = tf.function(function).get_concrete_function(signature)
    starts = tqdm(range(0, len(images), BATCH), desc="features", unit="batch", disable=quiet, leave=False)
    pieces = (images[start : start + BATCH].astype(np.float32) for start in starts)
    return np.concatenate([call(tf.constant(piece)).numpy() for piece in pieces])
