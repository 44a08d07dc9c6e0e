"""Which images a case of the CNN study trains with and tests, and how they are varied."""

from dataclasses import replace

import numpy as np
import pytest

from kerasgan.errors import UserError
from kerasgan.papers.aggrgan import classification
from kerasgan.papers.aggrgan.classification import CaseSettings, Labelled, cases, divided, joined
from kerasgan.papers.aggrgan.published import CASES

PATIENTS = CaseSettings(split="patient", test=0.2, validation=0.2, augmented=4, shift=0.1, zoom=0.1)
SLICES = replace(PATIENTS, split="slice")
CLASSES = ("glioma", "meningioma", "pituitary")


def labelled(labels, groups, first=0, classes=CLASSES):
    """Images of 4x4 pixels, each of its own number: `first`, first + 1, ... thousandths above -1."""
    numbers = first + np.arange(len(labels))
    images = np.broadcast_to(numbers[:, None, None] / 1000 - 1, (len(labels), 4, 4)).astype(np.float32)
    return Labelled(images, np.array(labels), tuple(groups), classes)


def numbers_of(part):
    return np.rint((part.images[:, 0, 0] + 1) * 1000).astype(int).tolist()


def patients(prefix, each, slices, first):
    """`each` patients of each class with `slices` images each."""
    labels = np.repeat(np.arange(3), each * slices)
    return labelled(labels, [f"{prefix}{i // slices}" for i in range(len(labels))], first)


LEARNT = patients("learnt", 10, 4, first=0)  # 40 images of each class
TEST = patients("test", 3, 4, first=200)  # 12 of each
# 10 of each, one styled by an image of each patient that was learnt from
GENERATED = labelled(np.repeat(np.arange(3), 10), [f"learnt{i}" for i in range(30)], first=300)


def parts(case):
    return case.train, case.validation, case.test


# ---- cases ----


@pytest.mark.parametrize("seed", range(5))
def test_no_patient_is_on_two_sides(seed):
    for name, case in cases(LEARNT, TEST, GENERATED, PATIENTS, seed).items():
        train, validation, test = (set(part.groups) for part in parts(case))
        assert not train & validation
        if name != "Case-1":  # which tests what was generated after its training images
            assert not test & (train | validation)


@pytest.mark.parametrize("seed", range(5))
def test_patients_of_many_classes_stay_together(seed):
    """As in BraTS, where the classes are sequences: uneven numbers of slices, all of each patient's classes."""
    rng = np.random.default_rng(seed)
    labels = np.concatenate([np.arange(3).repeat(count) for count in rng.integers(1, 9, 40)])
    groups = np.cumsum(np.diff(labels, prepend=0) < 0)
    whole = labelled(labels, [f"p{group}" for group in groups])
    rest, apart = divided(whole, 0.2, "patient", rng)
    assert not set(rest.groups) & set(apart.groups)
    assert sorted(numbers_of(rest) + numbers_of(apart)) == numbers_of(whole)
    np.testing.assert_allclose(apart.counts() / whole.counts(), 0.2, atol=0.03)


def test_counts_by_patient():
    found = cases(LEARNT, TEST, GENERATED, PATIENTS, seed=1)
    assert tuple(found) == CASES
    counts = {name: [part.counts().tolist() for part in parts(case)] for name, case in found.items()}
    # 52 real images per class in patients of 4: 0.2 x 52 = 10.4, nearer to 12 than to 8
    assert counts["Case-1"] == [[40] * 3, [12] * 3, [10] * 3]
    assert counts["Case-3 (a)"] == [[32] * 3, [8] * 3, [12] * 3]
    # with their generated image patients have 5: 0.2 x 50 = 10
    assert counts["Case-3 (b)"] == [[40] * 3, [10] * 3, [12] * 3]
    train, validation, test = np.array(counts["Case-3 (c)"])
    assert (train + validation == 40 + 3 * 4).all() and (test == 12).all()
    assert (np.abs(validation - 0.2 * 52) <= 4).all()
    assert (np.sum(counts["Case-2"], axis=0) == 40 + 12 + 10).all()
    assert (np.abs(np.array(counts["Case-2"][2]) - 0.2 * 62) <= 2.5).all()


def test_counts_by_slice():
    learnt = labelled(np.repeat(np.arange(3), [24, 15, 20]), ["one"] * 59)
    test = labelled(np.repeat(np.arange(3), [6, 5, 5]), ["one"] * 16, first=100)
    found = cases(learnt, test, GENERATED, SLICES, seed=1)
    counts = {name: [part.counts().tolist() for part in parts(case)] for name, case in found.items()}
    assert counts == {
        "Case-1": [[16] * 3, [4] * 3, [10] * 3],  # 20 of each class at most, of which 20 % are 4
        "Case-2": [[19] * 3, [5] * 3, [6] * 3],  # of 30 together 6; of the other 24 4.8
        "Case-3 (a)": [[13] * 3, [3] * 3, [4] * 3],  # of 20 real ones 4; of the other 16 3.2
        "Case-3 (b)": [[21] * 3, [5] * 3, [4] * 3],  # 16 + 10, of which 5.2
        "Case-3 (c)": [[22] * 3, [6] * 3, [4] * 3],  # 16 + 3 x 4, of which 5.6
    }


@pytest.mark.parametrize("settings", [PATIENTS, SLICES])
def test_each_case_has_the_images_that_it_names(settings):
    found = cases(LEARNT, TEST, GENERATED, settings, seed=3)
    sets = {name: [set(numbers_of(part)) for part in parts(case)] for name, case in found.items()}
    real, generated = {*numbers_of(LEARNT), *numbers_of(TEST)}, set(numbers_of(GENERATED))
    for name, (train, validation, test) in sets.items():
        if name != "Case-3 (c)":  # whose transforms have numbers of others
            assert not train & validation and not (train | validation) & test
    assert sets["Case-1"][0] | sets["Case-1"][1] == real and sets["Case-1"][2] == generated
    assert set.union(*sets["Case-2"]) == real | generated
    assert sets["Case-2"][2] & real and sets["Case-2"][2] & generated
    a, b, c = (sets[name] for name in CASES[2:])
    assert a[2] == b[2] == c[2]
    assert a[0] | a[1] | a[2] == real
    assert b[0] | b[1] == a[0] | a[1] | generated
    assert c[0] | c[1] >= a[0] | a[1] and not (c[0] | c[1]) & generated
    assert (a[2] == set(numbers_of(TEST))) == (settings is PATIENTS)


def test_generated_images_follow_their_reference_in_case_2():
    case = cases(LEARNT, TEST, GENERATED, PATIENTS, seed=1, names=["Case-2"])["Case-2"]
    side = {group: k for k, part in enumerate(parts(case)) for group in part.groups}
    reference = dict(zip(numbers_of(GENERATED), GENERATED.groups, strict=True))
    for k, part in enumerate(parts(case)):
        for number in set(numbers_of(part)) & set(reference):
            assert side[reference[number]] == k


def test_classes_are_cut_down_to_the_smallest():
    whole = labelled([0] * 9 + [1] * 4 + [2] * 6, ["p"] * 19)
    first, other = (classification.balanced(whole, "real", np.random.default_rng(seed)) for seed in (1, 2))
    assert first.counts().tolist() == other.counts().tolist() == [4, 4, 4]
    assert numbers_of(first) != numbers_of(other)
    assert numbers_of(first) == sorted(set(numbers_of(first)))
    assert set(numbers_of(first)) >= {9, 10, 11, 12}
    assert [whole.labels[number] for number in numbers_of(first)] == first.labels.tolist()


@pytest.mark.parametrize("settings", [PATIENTS, SLICES])
def test_the_seed_alone_decides_a_case(settings):
    whole = cases(LEARNT, TEST, GENERATED, settings, seed=1)
    for name in CASES:
        alone = cases(LEARNT, TEST, GENERATED, settings, seed=1, names=[name])[name]
        for own, expected in zip(parts(alone), parts(whole[name]), strict=True):
            np.testing.assert_array_equal(own.images, expected.images)
            assert own.groups == expected.groups
    other = cases(LEARNT, TEST, GENERATED, settings, seed=2)
    assert numbers_of(other["Case-2"].test) != numbers_of(whole["Case-2"].test)


def test_a_patient_larger_than_the_share_is_set_apart_rather_than_nobody():
    two = labelled([0, 0, 0, 1, 1, 1] * 2, ["p"] * 6 + ["q"] * 6, classes=CLASSES[:2])
    rest, apart = divided(two, 0.2, "patient", np.random.default_rng(0))
    assert rest.counts().tolist() == apart.counts().tolist() == [3, 3]


def test_a_class_without_images_is_named():
    with pytest.raises(UserError, match="real test images: none is of class 'meningioma'"):
        cases(LEARNT, TEST.take(np.flatnonzero(TEST.labels != 1)), GENERATED, PATIENTS, seed=1)
    with pytest.raises(UserError, match="generated: none is of class 'pituitary'"):
        cases(LEARNT, TEST, GENERATED.take(np.flatnonzero(GENERATED.labels < 2)), SLICES, seed=1)


def test_a_class_that_a_part_lacks_is_named_with_its_case():
    """The only patient of class 1 whom GANs learnt from cannot be in training and in validation."""
    of_one = (LEARNT.labels != 1) | (np.array(LEARNT.groups) == "learnt10")
    match = r"Case-3 \(a\): the train part has no image of class 'meningioma'; add patients of it, or try another seed"
    with pytest.raises(UserError, match=match):
        cases(LEARNT.take(np.flatnonzero(of_one)), TEST, GENERATED, PATIENTS, seed=1, names=["Case-3 (a)"])


def test_leaks_are_refused_by_patient_only():
    with pytest.raises(UserError, match="patient learnt0 is among those that GANs learnt from and those of the test"):
        cases(LEARNT, replace(TEST, groups=("learnt0", *TEST.groups[1:])), GENERATED, PATIENTS, seed=1)
    leaking = replace(GENERATED, groups=("test0", *GENERATED.groups[1:]))
    with pytest.raises(UserError, match="in the style of patient test0, whom it tests"):
        cases(LEARNT, TEST, leaking, PATIENTS, seed=1)
    assert set(cases(LEARNT, TEST, leaking, PATIENTS, seed=1, names=CASES[:2])) == set(CASES[:2])
    assert set(cases(LEARNT, TEST, leaking, SLICES, seed=1)) == set(CASES)


def test_sets_of_other_classes_are_not_joined():
    with pytest.raises(ValueError, match="expected sets of the same classes"):
        joined([LEARNT, replace(TEST, classes=("a", "b", "c"))])


# ---- transforms ----


def pixel(row, column, height=5, width=7):
    image = np.full((1, height, width), -1, np.float32)
    image[0, row, column] = 1
    return image


class Drawn:
    """A generator whose draws are known."""

    def __init__(self, value):
        self.value = np.array(value)

    def integers(self, low, high, shape):
        assert ((low <= self.value) & (self.value < high)).all()
        return np.broadcast_to(self.value, shape)

    def uniform(self, low, high, count):
        return np.full(count, self.value)


def test_a_flip_exchanges_left_and_right():
    np.testing.assert_array_equal(classification.flipped(pixel(1, 2)), pixel(1, 4))


def test_a_shift_moves_by_whole_pixels_and_lets_background_in():
    # At 40 % of 5x7 a pixel may go two rows and three columns either way: corners 0 to 4 and 0 to 6.
    np.testing.assert_array_equal(classification.shifted(pixel(1, 2), 0.4, Drawn([1, 0])), pixel(2, 5))
    np.testing.assert_array_equal(classification.shifted(pixel(1, 2), 0.4, Drawn([2, 3])), pixel(1, 2))
    gone = classification.shifted(pixel(1, 2), 0.4, Drawn([4, 3]))
    np.testing.assert_array_equal(gone, np.full((1, 5, 7), -1))


def test_shifts_reach_all_offsets_within_their_bounds():
    images = np.repeat(pixel(10, 10, 21, 21), 300, axis=0)
    places = np.argwhere(classification.shifted(images, 0.1, np.random.default_rng(0)) == 1)
    assert len(places) == 300 and {tuple(place) for place in places[:, 1:]} == {
        (y, x) for y in range(8, 13) for x in range(8, 13)
    }


def test_a_zoom_enlarges_about_the_centre():
    image = classification.zoomed(pixel(2, 3), 1, Drawn(2.0))  # a pixel becomes a tent of twice its width
    tent = np.array([0, 0.5, 1, 0.5, 0])
    np.testing.assert_allclose(image[0, :, 1:6], 2 * np.outer(tent, tent) - 1)
    assert (image[0, :, [0, 6]] == -1).all()
    half = classification.zoomed(np.ones((1, 8, 8), np.float32), 1, Drawn(0.5))[0]
    np.testing.assert_array_equal(half == 1, np.pad(np.ones((4, 4), bool), 2))
    assert (half[0] == -1).all() and half.dtype == np.float32


def test_zoom_factors_are_drawn_anew_within_their_bounds():
    ramp = np.tile(np.linspace(-0.5, 0.5, 41, dtype=np.float32), (50, 41, 1))
    found = classification.zoomed(ramp, 0.1, np.random.default_rng(0))
    factors = ramp[0, 0, 25] / found[:, 20, 25]
    assert 0.9 <= factors.min() < 0.93 and 1.07 < factors.max() <= 1.1


def test_augmented_images_are_as_many_of_each_class_and_keep_their_patients():
    images = np.random.default_rng(0).uniform(-1, 1, (12, 4, 4)).astype(np.float32)
    whole = Labelled(images, np.repeat(np.arange(3), 4), tuple(f"p{i}" for i in range(12)), CLASSES)
    found = classification.augmented(whole, replace(PATIENTS, shift=0, zoom=0), np.random.default_rng(1))
    assert found.counts().tolist() == [12, 12, 12]
    for kind in range(3):  # flips, shifts by nothing, zooms by nothing
        own = found.take(np.arange(12 * kind, 12 * kind + 12))
        assert sorted(own.groups) == sorted(whole.groups)  # four of four, each once
        sources = whole.take(np.array([whole.groups.index(group) for group in own.groups]))
        assert own.labels.tolist() == sources.labels.tolist()
        expected = sources.images[:, :, ::-1] if kind == 0 else sources.images
        np.testing.assert_allclose(own.images, expected, atol=1e-6)
    more = classification.augmented(whole, replace(PATIENTS, augmented=6), np.random.default_rng(1))
    times = [more.groups[:18].count(f"p{i}") for i in range(12)]
    assert set(times) == {1, 2} and sum(times) == 18
