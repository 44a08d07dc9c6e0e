from itertools import islice

import numpy as np
import pytest
import tensorflow as tf

from kerasgan.data.augmentation import flip_and_shift
from kerasgan.data.pipeline import count_slices, slices_of, steps_per_epoch, training_batches
from kerasgan.data.prepare import open_prepared

EXAMPLES = tf.data.Dataset.range(10).map(lambda i: {"x": i})


def order(count=9, **options):
    batches = training_batches(EXAMPLES, 10, 4, options.pop("seed", 1), **options)
    return [batch["x"].numpy().tolist() for batch in islice(batches, count)]


def test_each_epoch_has_every_example_once_in_another_order():
    batches = order()
    epochs = [[x for batch in batches[i : i + 3] for x in batch] for i in (0, 3, 6)]
    assert all(sorted(epoch) == list(range(10)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 3


@pytest.mark.parametrize(("first_epoch", "skip"), [(0, 0), (0, 2), (1, 0), (2, 1)])
def test_a_stream_that_begins_later_is_the_rest_of_the_stream(first_epoch, skip):
    assert order(3, first_epoch=first_epoch, skip=skip) == order(12)[3 * first_epoch + skip :][:3]


def test_the_order_depends_on_the_seed():
    assert order(seed=2) != order(seed=1)
    assert order(seed=2)[:3] != order(seed=1)[3:6], "epoch 1 of one seed is not epoch 2 of another"


def test_drop_remainder():
    assert {len(batch) for batch in order(8, drop_remainder=True)} == {4}
    assert steps_per_epoch(10, 4, True) == 2
    assert steps_per_epoch(10, 4, False) == 3


def test_augmentation_seeds_are_distinct_and_repeat_with_the_stream():
    def augment(example, seed):
        return {"x": seed}

    def seeds(**options):
        batches = training_batches(EXAMPLES, 10, 5, 1, augment=augment, **options)
        return [tuple(row) for batch in islice(batches, 4) for row in batch["x"].numpy().tolist()]

    assert len(set(seeds())) == 20
    assert seeds(first_epoch=1)[:10] == seeds()[10:]


def test_slices_of_a_prepared_folder(prepared_folder):
    prepared = open_prepared(prepared_folder)
    visits = prepared.visits("train", 1, ("t1", "t1e"))
    examples = list(slices_of(prepared, visits, ("t1", "t1e")))
    assert len(examples) == count_slices(visits) == 6 * len(visits)
    assert examples[0]["t1"].shape == (32, 32, 1) and examples[0]["t1"].dtype == tf.uint16
    assert examples[0]["segmentation"].dtype == tf.uint8 and int(tf.reduce_max(examples[0]["segmentation"])) == 4
    listed = [(view, index) for visit in visits for view, index, _ in visit.slices]
    assert [(e["view"].numpy().decode(), int(e["index"])) for e in examples] == listed


IMAGE = tf.reshape(tf.range(1, 401), (20, 20, 1))


def augmented(seed, flip=False, shift=0.0):
    return flip_and_shift(IMAGE, tf.constant([seed, 0], tf.int64), flip, shift, tf.constant([0], tf.int32))[
        ..., 0
    ].numpy()


def test_flips_are_left_right_and_half_of_the_time():
    original = IMAGE.numpy()[..., 0]
    flipped = [np.array_equal(augmented(seed, flip=True), original[:, ::-1]) for seed in range(200)]
    kept = [np.array_equal(augmented(seed, flip=True), original) for seed in range(200)]
    assert all(f != k for f, k in zip(flipped, kept, strict=True))
    assert 70 < sum(flipped) < 130


def test_shifts_reach_ten_percent_in_both_directions_and_no_further():
    original = IMAGE.numpy()[..., 0]
    offsets = set()
    for seed in range(300):
        moved = augmented(seed, shift=0.1)
        row, column = np.argwhere(moved == original[10, 10])[0] - 10
        offsets.add((int(row), int(column)))
        rebuilt = np.zeros_like(original)
        source = original[max(0, -row) : 20 - max(0, row), max(0, -column) : 20 - max(0, column)]
        rebuilt[max(0, row) : 20 + min(0, row), max(0, column) : 20 + min(0, column)] = source
        np.testing.assert_array_equal(moved, rebuilt)
    assert offsets == {(r, c) for r in range(-2, 3) for c in range(-2, 3)}


def test_all_channels_move_together():
    both = tf.concat([IMAGE, IMAGE + 1000], axis=-1)
    moved = flip_and_shift(both, tf.constant([3, 4], tf.int64), True, 0.1, tf.constant([0, 1000], tf.int32)).numpy()
    np.testing.assert_array_equal(moved[..., 1], moved[..., 0] + 1000)
