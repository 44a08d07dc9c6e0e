"""The classifier two-sample test on sets whose difference is known."""

import numpy as np
import pytest

from kerasgan.errors import UserError
from kerasgan.evaluation.two_sample import (
    Sample,
    calibration,
    classifier,
    nearest_neighbour_judge,
    network_judge,
    two_sample_test,
)


def patients(count, slices, seed, features=6, spread=1.0):
    """Slices of a patient lie near to one another."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(0, spread, (count, features))
    values = (centres[:, None] + rng.normal(0, 0.3, (count, slices, features))).reshape(-1, features)
    return Sample(values, np.repeat([f"p{i}" for i in range(count)], slices))


def singles(count, seed, shift=0.0, features=6):
    rng = np.random.default_rng(seed)
    return Sample(rng.normal(shift, 1, (count, features)), np.array([f"s{i}" for i in range(count)]))


def textures(count, size, smooth, seed, slices=1):
    """Noise, or noise of half the frequency, of equal mean and variance."""
    noise = np.random.default_rng(seed).normal(0, 0.3, (count, size, size)).astype(np.float32)
    if smooth:
        noise = np.sqrt(0.5).astype(np.float32) * (noise + np.roll(noise, 1, axis=2))
    return Sample(noise, np.array([f"p{i // slices}" for i in range(count)]))


def test_halves_share_no_group_and_lose_no_row():
    rng = np.random.default_rng(1)
    sample = Sample(np.arange(60), np.repeat(list("abcdefgh"), [3, 9, 12, 1, 5, 10, 10, 10]))
    for _ in range(20):
        one, two = sample.halves(rng)
        assert not set(one.groups) & set(two.groups)
        assert sorted([*one.values, *two.values]) == list(range(60))
        assert 20 <= len(one.groups) <= 40


def test_two_groups_are_one_each():
    for _ in range(5):
        one, two = Sample(np.arange(11), np.array(["a"] * 10 + ["b"])).halves(np.random.default_rng())
        assert {len(one.groups), len(two.groups)} == {10, 1}


def test_a_single_patient_cannot_be_halved():
    with pytest.raises(UserError, match="4 images are of one patient, a,"):
        Sample(np.zeros(4), np.array(["a"] * 4)).halves(np.random.default_rng(1))


def test_a_judge_sees_equal_numbers_and_no_patient_twice():
    seen = []

    def judge(train, labels, test, seed):
        seen.append((train, labels, test))
        return np.zeros(len(test), int)

    # The value of an image is its patient's number; those of synthetic images are negative.
    real = Sample(np.repeat(np.arange(1.0, 11), 6)[:, None], np.repeat(np.arange(10), 6).astype(str))
    synthetic = Sample(-np.arange(1.0, 31)[:, None], np.arange(30).astype(str))
    found = two_sample_test(judge, real, synthetic, [1, 2, 3])
    for train, labels, test in seen:
        assert not set(train[:, 0]) & set(test[:, 0])
        np.testing.assert_array_equal(labels, (train[:, 0] < 0).astype(int))
        assert labels.mean() == 0.5 and (test < 0).mean() == 0.5
    assert (found.trained, found.tested) == (15, 15)
    assert found.accuracies == (0.5, 0.5, 0.5), "always the same class"
    assert found.p_value == 1


def test_two_halves_of_real_images_give_a_half_over_seeds():
    found = calibration(nearest_neighbour_judge, patients(60, 8, seed=5), range(30))
    assert found.mean == pytest.approx(0.5, abs=3 * found.std / np.sqrt(30))
    assert found.std < 0.1
    assert np.mean(np.array(found.p_values) < 0.05) <= 0.1
    assert found.p_value > 0.2
    naive = np.mean(np.array(found.binomial_p_values) < 0.05)
    assert naive >= np.mean(np.array(found.p_values) < 0.05), "slices of a patient are no independent images"


def test_splits_by_slice_would_not_be_fair():
    """With slices of a patient in training and test 1-NN recognises the patient, not the class."""
    one, two = patients(12, 20, seed=6).halves(np.random.default_rng(1))
    by_slice = [Sample(own.values, np.arange(len(own.groups)).astype(str)) for own in (one, two)]
    assert two_sample_test(nearest_neighbour_judge, *by_slice, [1, 2]).mean > 0.9


def test_a_difference_is_found():
    found = two_sample_test(nearest_neighbour_judge, patients(40, 5, 7), singles(200, 8, shift=1.5), [1, 2, 3])
    assert found.mean > 0.85
    assert found.p_value < 1e-3
    assert found.binomial_p < found.p_value


def test_the_least_p_is_that_of_right_decisions():
    found = two_sample_test(nearest_neighbour_judge, patients(6, 10, 7), singles(60, 8, shift=50), [1, 2, 3])
    assert found.mean == 1
    assert found.least_p == found.p_value > 0.05, "three patients in the test half"
    many = two_sample_test(nearest_neighbour_judge, patients(40, 5, 7), singles(200, 8, shift=0.1), [1, 2, 3])
    assert many.least_p < 1e-3 < many.p_value


def test_the_network_finds_a_texture_that_pixels_hide():
    real, synthetic = textures(96, 16, False, 1, slices=4), textures(96, 16, True, 2)
    found = two_sample_test(network_judge(epochs=15, quiet=True), real, synthetic, [1, 2])
    assert found.mean > 0.85
    assert found.p_value < 0.01
    flat = [Sample(own.values.reshape(96, -1), own.groups) for own in (real, synthetic)]
    assert found.mean > two_sample_test(nearest_neighbour_judge, *flat, [1, 2]).mean + 0.1


def test_the_network_is_calibrated():
    found = calibration(network_judge(epochs=6, quiet=True), textures(160, 16, False, 3, slices=4), range(4))
    assert found.mean == pytest.approx(0.5, abs=0.1)
    assert found.p_value > 0.1


def test_same_seed_same_accuracies():
    samples = textures(32, 16, False, 1), textures(32, 16, True, 2)
    one, two = (two_sample_test(network_judge(12, True), *samples, [4]) for _ in range(2))
    assert one == two
    assert one.tested == 16
    flat = [Sample(own.values.reshape(32, -1), own.groups) for own in samples]
    found = two_sample_test(nearest_neighbour_judge, *flat, range(8))
    assert len(set(found.accuracies)) > 1, "another seed, another split"


@pytest.mark.parametrize(("size", "convolutions"), [(8, 1), (16, 2), (64, 4), (128, 5), (1024, 7)])
def test_the_network_fits_any_size(size, convolutions):
    network = classifier(size, size)
    assert network.output_shape == (None, 1)
    assert sum("conv" in layer.name for layer in network.layers) == convolutions
