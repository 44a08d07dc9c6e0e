"""The classifier of features, counted by hand and trained; the linear baseline; accuracies of a class."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasgan.errors import UserError
from kerasgan.gan.supervised import SupervisedModel
from kerasgan.papers.featuregan.feature_classifier import (
    accuracies,
    classifier,
    downsampled,
    linear,
    objective,
    probability,
)


def network(shape=(4, 4, 6), filters=(4, 5), dense=8, seed=1):
    keras.utils.set_random_seed(seed)
    return classifier(shape, filters=filters, dense=dense, dropout=0.5, momentum=0.9)


def data(count=64, seed=0, shape=(4, 4, 6)):
    """Class 1 is brighter in its first channel."""
    rng, label = np.random.default_rng(seed), np.arange(count) % 2
    feature = rng.normal(size=(count, *shape)).astype("float32")
    feature[..., 0] += 2 * label[:, None, None] - 1
    return {"feature": feature, "label": label}


def test_layers_in_the_papers_order_and_counted_by_hand():
    made = network((15, 15, 1024), (32, 64), 128)
    kinds = [type(layer).__name__ for layer in made.layers]
    block = ["Conv2D", "FusedBatchNormalization", "MaxPooling2D", "ReLU"]
    assert kinds == ["InputLayer", *block, *block, "Flatten", "Dropout", "Dense", "Dropout", "Dense"]
    by_hand = 9 * 1024 * 32 + 2 * 32 + 9 * 32 * 64 + 2 * 64 + (3 * 3 * 64 + 1) * 128 + 128 + 1
    assert sum(w.numpy().size for w in made.trainable_weights) == by_hand == 387_521


@pytest.mark.parametrize("shape", [(15, 15, 8), (30, 30, 4), (120, 120, 2), (4, 4, 3), (8, 5, 3)])
def test_any_block_fits(shape):
    logits = network(shape)(np.zeros((2, *shape), "float32"))
    assert (logits.shape, logits.dtype) == ((2, 1), tf.float32)


def test_features_too_small_for_two_poolings():
    with pytest.raises(UserError, match="at least 4x4 pixels, not 4x3"):
        network((4, 3, 8))


def test_objective_by_hand():
    logits = tf.constant([[2.0], [-1.0], [0.5]])
    values = objective(lambda feature, training: logits, {"feature": None, "label": tf.constant([1, 0, 0])})
    expected = np.mean([np.log(1 + np.exp(-2)), np.log(1 + np.exp(-1)), np.log(1 + np.exp(0.5))])
    assert float(values["loss"]) == pytest.approx(expected, rel=1e-6)
    assert float(values["accuracy"]) == pytest.approx(2 / 3)


def test_it_learns_and_the_saved_one_answers_the_same(tmp_path):
    model = SupervisedModel(network(), objective, ("loss", "accuracy"))
    model.compile({"network": keras.optimizers.Adam(0.01)})
    training = tf.data.Dataset.from_tensors(data()).repeat()
    model.fit(training, steps_per_epoch=60, verbose=0, shuffle=False)
    held_out = data(seed=1)
    found = probability(model.network, held_out["feature"]).numpy()
    assert found.shape == (64,) and found.min() >= 0 and found.max() <= 1
    assert accuracies(held_out["label"], (found > 0.5).astype(int))["balanced"] > 0.85
    model.network.save(tmp_path / "classifier.keras")
    again = keras.saving.load_model(tmp_path / "classifier.keras", compile=False, safe_mode=True)
    np.testing.assert_array_equal(probability(again, held_out["feature"]), found)


def test_same_seed_gives_the_same_classifier():
    for a, b in zip(network(seed=4).get_weights(), network(seed=4).get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_mixed_precision_keeps_logits_float32():
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        made = network()
    finally:
        keras.config.set_dtype_policy(before)
    assert made.get_layer("conv1").compute_dtype == "bfloat16"
    assert made(data(2)["feature"]).dtype == tf.float32


# ---- the linear baseline ----


def test_downsampled_by_hand():
    features = np.arange(2 * 4 * 4 * 1, dtype=np.float16).reshape(2, 4, 4, 1)
    np.testing.assert_array_equal(downsampled(features, 2), [[2.5, 4.5, 10.5, 12.5], [18.5, 20.5, 26.5, 28.5]])
    np.testing.assert_array_equal(downsampled(features, 1), [[7.5], [23.5]])
    np.testing.assert_array_equal(downsampled(features, 4), features.reshape(2, 16))


def test_downsampled_blocks_differ_by_a_pixel_where_they_must():
    features = np.random.default_rng(1).normal(size=(3, 5, 7, 2)).astype("float32")
    found = downsampled(features, 2).reshape(3, 2, 2, 2)
    for i, rows in enumerate((slice(0, 2), slice(2, 5))):
        for j, columns in enumerate((slice(0, 3), slice(3, 7))):
            np.testing.assert_allclose(found[:, i, j], features[:, rows, columns].mean(axis=(1, 2)), rtol=1e-5)


@pytest.mark.parametrize("grid", [0, 5])
def test_more_blocks_than_pixels(grid):
    with pytest.raises(UserError, match=f"{grid}x{grid} blocks; expected 1 to 4 a side"):
        downsampled(np.zeros((1, 4, 6, 1)), grid)


def test_linear_baseline_finds_a_linear_rule():
    training, held_out = data(), data(seed=1)
    fitted = linear(downsampled(training["feature"], 2), training["label"], 1.0)
    values = downsampled(held_out["feature"], 2)
    assert accuracies(held_out["label"], fitted.predict(values))["balanced"] > 0.9
    np.testing.assert_array_equal(fitted.predict_proba(values)[:, 1] > 0.5, fitted.predict(values))


def test_linear_baseline_answers_the_larger_class_where_there_is_no_rule():
    rng = np.random.default_rng(3)
    truth = np.repeat([0, 1], [40, 160])
    fitted = linear(rng.normal(size=(200, 3)), truth, 1e-3)
    assert accuracies(truth, fitted.predict(rng.normal(size=(200, 3))))["class0"] == 0


def test_linear_baseline_needs_both_classes():
    with pytest.raises(UserError, match="all 3 training features are of class 1"):
        linear(np.zeros((3, 2)), np.ones(3, int), 1.0)


def test_accuracies_by_hand():
    truth, decision = np.array([0, 0, 0, 0, 1, 1]), np.array([0, 0, 0, 1, 1, 0])
    found = accuracies(truth, decision)
    assert found == {"class0": 0.75, "class1": 0.5, "total": pytest.approx(4 / 6), "balanced": 0.625}
    assert np.isnan(accuracies(np.zeros(3, int), np.zeros(3, int))["class1"])
