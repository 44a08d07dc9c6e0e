"""From shards to batches: cached, shuffled, augmented and prefetched, and in an order that only the seed decides."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import tensorflow as tf

from kerasgan.data import records
from kerasgan.data.settings import SliceSettings

Example = dict[str, tf.Tensor]


class Visit(Protocol):
    """A visit of a data set on disk, real or synthetic."""

    slices: list[tuple[str, int, int]]  # (view, index, tumour pixels)


class Manifest(Protocol):
    """What all data sets on disk say of themselves."""

    slicing: SliceSettings


class Store(Protocol):
    """A data set on disk with one shard per visit: `prepare.Prepared`, or a paper's synthetic one."""

    manifest: Manifest

    def shard(self, visit: Visit) -> Path: ...


def count_slices(visits: Sequence[Visit]) -> int:
    """How many slices these visits have."""
    return sum(len(visit.slices) for visit in visits)


def slices_of(store: Store, visits: Sequence[Visit], modalities: Sequence[str]) -> tf.data.Dataset:
    """The slices of some visits in their order, as stored: see `records.parse`."""
    size = store.manifest.slicing.size
    shards = [str(store.shard(visit)) for visit in visits]
    return tf.data.TFRecordDataset(shards).map(
        lambda record: records.parse(record, size, modalities), num_parallel_calls=tf.data.AUTOTUNE
    )


def arrays_of(store: Store, visits: Sequence[Visit], modalities: Sequence[str]) -> dict[str, np.ndarray]:
    """The slices of some visits in memory: float32 (n, size, size) in [-1, 1] per modality, `tumour` bool."""
    if not visits:
        size = store.manifest.slicing.size
        empty = np.zeros((0, size, size), np.float32)
        return {name: empty for name in modalities} | {"tumour": empty > 0}
    everything = next(iter(slices_of(store, visits, modalities).batch(count_slices(visits))))
    images = {name: records.to_signed(everything[name]).numpy()[..., 0] for name in modalities}
    return images | {"tumour": everything["segmentation"].numpy()[..., 0] > 0}


def training_batches(
    examples: tf.data.Dataset,
    count: int,
    batch_size: int,
    seed: int,
    *,
    first_epoch: int = 0,
    skip: int = 0,
    drop_remainder: bool = False,
    augment: Callable[[Example, tf.Tensor], Example] | None = None,
    finish: Callable[[Example], Example] = lambda example: example,
) -> tf.data.Dataset:
    """An endless stream of batches from epoch `first_epoch` on, less its first `skip` batches.

    The order within an epoch, and each example's augmentation seed, are functions of (seed, epoch) and of TensorFlow's
    global seed, which each run sets to its own, so a resumed run sees what the uninterrupted one would have seen.
    `count` is the number of `examples`, all of which are kept in memory as they come in; `augment(example, seed)` is
    applied per example, `finish` per batch.
    """
    cached = examples.cache()

    def epoch(number: tf.Tensor) -> tf.data.Dataset:
        # Mixing in the epoch keeps the orders of (seed 1, epoch 2) and (seed 2, epoch 1) apart.
        mixed = tf.random.stateless_uniform([3], tf.stack([tf.cast(seed, tf.int64), number]), 0, 2**31 - 1, tf.int32)
        order = tf.cast(mixed, tf.int64)
        shuffled = cached.shuffle(count, seed=order[0], reshuffle_each_iteration=False)
        if augment is not None:
            shuffled = shuffled.enumerate().map(
                lambda index, example: augment(example, tf.stack([order[1] + index, order[2]])),
                num_parallel_calls=tf.data.AUTOTUNE,
            )
        return shuffled.batch(batch_size, drop_remainder=drop_remainder)

    # The first, endless, level has one element at a time so that epochs do not mix.
    batches = tf.data.Dataset.counter(first_epoch, dtype=tf.int64).flat_map(epoch).skip(skip)
    return batches.map(finish, num_parallel_calls=tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)


def steps_per_epoch(count: int, batch_size: int, drop_remainder: bool) -> int:
    """Batches in one epoch of `training_batches`."""
    return count // batch_size if drop_remainder else -(-count // batch_size)
