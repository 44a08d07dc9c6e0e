"""Batches of features for training, read from disk as they are needed."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import tensorflow as tf

from kerasgan.errors import UserError
from kerasgan.papers.featuregan.store import FeatureStore

READERS = 2  # batches read at the same time
AHEAD = 2  # batches that wait for the training step


class Readable(Protocol):
    """Features on disk."""

    folder: Path
    shape: tuple[int, int, int]
    dtype: str

    def read(self, indices: Sequence[int] | np.ndarray) -> np.ndarray: ...


@dataclass(frozen=True)
class Joined:
    """Two stores of features as one; indices from `first.count` on are those of `second`."""

    first: FeatureStore
    second: FeatureStore

    @property
    def folder(self) -> Path:
        return self.first.folder

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.first.shape

    @property
    def dtype(self) -> str:
        return self.first.dtype

    def read(self, indices: Sequence[int] | np.ndarray) -> np.ndarray:
        """As `FeatureStore.read`."""
        indices = np.asarray(indices)
        found = np.empty((len(indices), *self.shape), self.dtype)
        own = indices < self.first.count
        found[own] = self.first.read(indices[own])
        found[~own] = self.second.read(indices[~own] - self.first.count)
        return found


def batches_of(
    store: Readable,
    indices: np.ndarray,
    batch_size: int,
    seed: int,
    *,
    first_epoch: int = 0,
    skip: int = 0,
    drop_remainder: bool = False,
) -> tf.data.Dataset:
    """An endless stream of training batches from epoch `first_epoch` on, less its first `skip`, read from disk.

    A batch has `features`, float32 (n, height, width, channels) as stored, and `index`, int64 (n,). Every epoch takes
    each of the `indices` once, in an order that (seed, epoch) alone decides; batches that are skipped are not read.
    At most `READERS` + `AHEAD` batches and the one being taken are in memory. No index is a UserError.
    """
    _refuse_none(store, indices)
    chosen = np.asarray(indices, np.int64)

    def epoch(number: tf.Tensor) -> tf.data.Dataset:
        # `Dataset.shuffle` would also depend on TensorFlow's global seed.
        order = tf.random.experimental.stateless_shuffle(chosen, tf.stack([tf.cast(seed, tf.int64), number]))
        return tf.data.Dataset.from_tensor_slices(order).batch(batch_size, drop_remainder=drop_remainder)

    # The first, endless, level has one element at a time so that epochs do not mix.
    order = tf.data.Dataset.counter(first_epoch, dtype=tf.int64).flat_map(epoch).skip(skip)
    return _with_features(store, order)


def batches_in_order(store: Readable, indices: np.ndarray, batch_size: int) -> tf.data.Dataset:
    """The features of some slices once and in the order given: batches as those of `batches_of`."""
    _refuse_none(store, indices)
    return _with_features(store, tf.data.Dataset.from_tensor_slices(np.asarray(indices, np.int64)).batch(batch_size))


def _with_features(store: Readable, order: tf.data.Dataset) -> tf.data.Dataset:
    def read(indices: tf.Tensor) -> dict[str, tf.Tensor]:
        # Python once per batch, outside of its lock while the disk is read: three times faster than TensorFlow's
        # FixedLengthRecordDataset, which is opened anew for every record.
        stored = tf.numpy_function(store.read, [indices], store.dtype)
        stored.set_shape((indices.shape[0], *store.shape))
        return {"features": tf.cast(stored, tf.float32), "index": indices}

    return order.map(read, num_parallel_calls=READERS, deterministic=True).prefetch(AHEAD)


def _refuse_none(store: Readable, indices: np.ndarray) -> None:
    if not len(indices):
        raise UserError(f"{store.folder}: none of its slices was chosen to be read")
