"""In which order features are read from disk, and how much memory that and the extraction take."""

import gc
import time
import tracemalloc
import weakref

import numpy as np
import pytest
import tensorflow as tf
from extracting import BATCH, COUNT, SLICES, given, narrow_network, write

from kerasgan.errors import UserError
from kerasgan.papers.featuregan import extraction
from kerasgan.papers.featuregan import store as stores
from kerasgan.papers.featuregan.extraction import extract
from kerasgan.papers.featuregan.reading import AHEAD, READERS, batches_in_order, batches_of


@pytest.fixture(scope="module")
def network():
    return narrow_network()


@pytest.fixture(scope="module")
def store(network, tmp_path_factory):
    """Not to be written to."""
    return write(network, tmp_path_factory.mktemp("features") / "store")


# ---- in which order it is read ----


def taken(dataset, steps):
    """The first batches: their slices, and their features."""
    found = list(dataset.take(steps).as_numpy_iterator())
    return [batch["index"].tolist() for batch in found], [batch["features"] for batch in found]


def test_batches_hold_the_features_of_their_indices(network, store):
    expected = given(network)
    for order, values in zip(*taken(batches_of(store, np.arange(COUNT), 4, 1), 6), strict=True):
        np.testing.assert_array_equal(values, expected[order])


def test_every_epoch_takes_each_chosen_slice_once_in_another_order(store):
    train = store.indices("train")
    order, _ = taken(batches_of(store, train, 3, 1), 6)
    epochs = [np.concatenate(order[:3]).tolist(), np.concatenate(order[3:]).tolist()]
    assert [sorted(epoch) for epoch in epochs] == [train.tolist()] * 2
    assert epochs[0] != epochs[1]


def test_order_is_a_function_of_the_seed_alone(store):
    everything = np.arange(COUNT)
    first, _ = taken(batches_of(store, everything, 4, 7), 9)
    tf.random.set_seed(1)
    np.random.seed(1)
    assert taken(batches_of(store, everything, 4, 7), 9)[0] == first
    assert taken(batches_of(store, everything, 4, 8), 9)[0] != first


def test_resuming_in_mid_epoch_continues_identically(store):
    everything = np.arange(COUNT)
    order, values = taken(batches_of(store, everything, 4, 3), 9)
    resumed_order, resumed = taken(batches_of(store, everything, 4, 3, first_epoch=1, skip=2), 4)
    assert resumed_order == order[5:]
    for own, uninterrupted in zip(resumed, values[5:], strict=True):
        np.testing.assert_array_equal(own, uninterrupted)


def test_batches_that_are_skipped_are_not_read(store, monkeypatch):
    order, _ = taken(batches_of(store, np.arange(COUNT), 1, 3), 3)
    asked, read = [], stores.FeatureStore.read
    monkeypatch.setattr(stores.FeatureStore, "read", lambda self, rows: asked.extend(rows) or read(self, rows))
    taken(batches_of(store, np.arange(COUNT), 1, 3, skip=2), 1)
    assert order[2][0] in asked and not {order[0][0], order[1][0]} & {*asked}


def test_remainder_is_dropped_and_shapes_are_known(store):
    dataset = batches_of(store, np.arange(COUNT), 4, 1, drop_remainder=True)
    assert [len(order) for order in taken(dataset, 5)[0]] == [4] * 5
    assert dataset.element_spec["features"].shape == (4, 4, 8, 4)


def test_batches_in_order(network, store):
    order, values = taken(batches_in_order(store, np.array([9, 0, 4, 2, 1]), 2), 9)
    assert order == [[9, 0], [4, 2], [1]]
    np.testing.assert_array_equal(np.concatenate(values), given(network)[[9, 0, 4, 2, 1]])


def test_selection_by_subset(store):
    assert store.indices("validation").tolist() == [7, 8]
    with pytest.raises(UserError, match="no slice of subset 'tests'; did you mean 'test'"):
        store.indices("tests")
    for read in (lambda: batches_of(store, np.array([]), 2, 0), lambda: batches_in_order(store, np.array([]), 2)):
        with pytest.raises(UserError, match="none of its slices was chosen"):
            read()


# ---- memory ----

SIDE, LARGE = 64, 48  # slices of 64x64x32 float32: half a megabyte, a batch one, all of them 24, in one shard


class Followed(np.ndarray):
    """An array that a set of weak references can hold."""

    def __hash__(self):
        return id(self)


class Expanding:
    """Stands for the network: its features are NumPy's, so that their memory is counted."""

    input_shape, output_shape = (None, 16, 32, 1), (None, SIDE, SIDE, 32)

    def __init__(self):
        self.living, self.most = weakref.WeakSet(), 0

    def predict_on_batch(self, images):
        values = np.full((len(images), *self.output_shape[1:]), images.flat[0]).view(Followed)
        self.living.add(values)
        self.most = max(self.most, len(self.living))
        return values


@pytest.fixture
def expanding(monkeypatch):
    part = Expanding()
    monkeypatch.setattr(extraction, "features", lambda network, block: part)
    return part


def write_large(network, folder):
    slices = [SLICES[0].model_copy(update={"name": str(i)}) for i in range(LARGE)]
    images = (np.full((BATCH, 16, 32, 1), i, np.float32) for i in range(LARGE // BATCH))
    known = {"slices": slices, "batch_size": BATCH, "dtype": "float32", "data": "", "origin": ""}
    return extract(network, "encoder1", lambda first: images, folder, **known)


def peak_of(work):
    gc.collect()
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_extraction_holds_two_batches_at_most(network, expanding, tmp_path):
    batch = BATCH * SIDE * SIDE * 32 * 4
    # A slice in float64 is a batch's bytes again.
    assert peak_of(lambda: write_large(network, tmp_path / "store")) < 5 * batch
    assert expanding.most <= 2


def test_no_more_is_read_ahead_than_said(store, monkeypatch):
    asked, read = [], stores.FeatureStore.read
    monkeypatch.setattr(stores.FeatureStore, "read", lambda self, rows: asked.append(rows) or read(self, rows))
    iterator = iter(batches_of(store, np.arange(COUNT), 1, 0))
    next(iterator)
    time.sleep(0.5)  # for all that would be read
    assert len(asked) <= READERS + AHEAD + 1
