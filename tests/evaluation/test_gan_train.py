"""GAN-train, GAN-test and the reference, in pixels."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score
from sklearn.svm import SVC

from kerasgan.data.imagesets import ImageSet
from kerasgan.errors import UserError
from kerasgan.evaluation import gan_train as module
from kerasgan.evaluation.features import backbone
from kerasgan.evaluation.gan_train import MEASURES, SvmSettings, gan_train, labelled, svm_trial
from kerasgan.metrics.classification import bootstrap

SETTINGS = SvmSettings(c=1, bootstrap=200, confidence=0.95, seed=1)
PIXELS = backbone("pixels")
NAMES = ("abnormal", "normal")


def images(count, mean, seed, patients=None, size=4, origin="data"):
    """Noise around a mean; `patients` of a prefix, 4 images each, or none for generated images."""
    pixels = np.random.default_rng(seed).normal(mean, 0.3, (count, size, size)).astype(np.float32)
    names = tuple(f"{patients or 'image'} {number}" for number in range(count))
    groups = tuple(f"{patients}{number // 4}" for number in range(count)) if patients else names
    return ImageSet(pixels, names, groups, ("t1",) * count, origin)


def classes(counts=(24, 20), gap=0.2, seed=1, patients=None, **more):
    seeds = (2 * seed, 2 * seed + 1)
    prefixes = (f"{patients}a", f"{patients}n") if patients else (None, None)
    sets = [images(n, m, s, p, **more) for n, m, s, p in zip(counts, (gap, -gap), seeds, prefixes, strict=True)]
    return dict(zip(NAMES, sets, strict=True))


REAL, TEST = classes(seed=1, patients="r"), classes((16, 12), seed=2, patients="t")


def judge(generated, test=TEST, training=REAL, positive="abnormal", settings=SETTINGS):
    sets = {"gan": generated} if isinstance(generated, list) else generated
    return gan_train(sets, test, training, positive=positive, space=PIXELS, settings=settings)


@pytest.fixture(scope="module")
def result():
    return judge({"good": [classes(seed=3), classes(seed=4)], "poor": [classes(seed=5, gap=0.02)]})


def test_a_trial_by_hand():
    made, tested = classes(seed=3, gap=0.05), labelled(TEST, "abnormal", PIXELS)
    found = svm_trial(labelled(made, "abnormal", PIXELS), tested, SETTINGS)
    train = np.concatenate([made[name].images.reshape(-1, 16) for name in NAMES]).astype(float)
    test = np.concatenate([TEST[name].images.reshape(-1, 16) for name in NAMES]).astype(float)
    mean, deviation = train.mean(axis=0), train.std(axis=0)
    truth = np.repeat([1, 0], [24, 20])
    weight = np.repeat([44 / 48, 44 / 40], [24, 20])  # the classes weigh the same
    svm = SVC(C=1, kernel="linear").fit((train - mean) / deviation, truth, sample_weight=weight)
    score, truth = svm.decision_function((test - mean) / deviation), np.repeat([1, 0], [16, 12])
    tp, tn = (score[:16] > 0).sum(), (score[16:] <= 0).sum()
    sen, spe = tp / 16, tn / 12
    assert 0 < sen < 1 or 0 < spe < 1, "a trial that cannot fail shows nothing"
    assert found.measures == pytest.approx(
        {
            "sensitivity": sen,
            "specificity": spe,
            "harmonic_mean": 2 * sen * spe / (sen + spe),
            "accuracy": (tp + tn) / 28,
            "auc": roc_auc_score(truth, score),
        }
    )
    patients = [f"{k}{number}" for k, count in ((1, 4), (0, 3)) for number in np.repeat(range(count), 4)]
    expected = bootstrap(truth, score, (score > 0).astype(int), patients, 200, 0.95, 1, MEASURES)
    assert found.intervals == expected


def rows_of(result):
    """Protocol, generator, number of its set of images from 1, trial."""
    for protocol, found in (("GAN-train", result.gan_train), ("GAN-test", result.gan_test)):
        for name, trials in found.items():
            for number, trial in enumerate(trials, 1):
                yield protocol, name, number, trial
    if result.reference:
        yield "real", "", 1, result.reference


def test_every_set_of_every_generator_is_trained_on_and_tested_on(result):
    rows = [(protocol, name, number) for protocol, name, number, _ in rows_of(result)]
    sets = [("good", 1), ("good", 2), ("poor", 1)]
    assert rows == [*(("GAN-train", *own) for own in sets), *(("GAN-test", *own) for own in sets), ("real", "", 1)]
    assert (result.positive, result.negative, result.features) == ("abnormal", "normal", "pixels")
    for protocol, _, _, trial in rows_of(result):
        trained, tested = trial.training, trial.test
        assert (protocol == "GAN-train") == (trained.patients is None), "real images have patients"
        assert trained.images == {"abnormal": 24, "normal": 20}
        if protocol == "GAN-test":
            assert (tested.patients, trial.resampled) == (None, "images")
        else:
            assert tested.images == {"abnormal": 16, "normal": 12}
            assert (tested.patients, trial.resampled) == ({"abnormal": 4, "normal": 3}, "patients")
        for name, value in trial.measures.items():
            low, high = trial.intervals[name]
            assert 0 <= low <= value <= high <= 1


def test_what_tells_the_classes_apart_decides(result):
    good, poor = result.gan_train["good"][0].measures, result.gan_train["poor"][0].measures
    assert min(good["harmonic_mean"], result.reference.measures["harmonic_mean"]) > 0.85 > poor["harmonic_mean"]
    assert result.gan_test["good"][0].measures["auc"] > 0.9 > result.gan_test["poor"][0].measures["auc"]


def test_classes_that_are_swapped_are_below_chance():
    swapped = dict(zip(NAMES, reversed(classes(seed=3).values()), strict=True))
    found = judge([swapped], training=None).gan_train["gan"][0].measures
    assert found["harmonic_mean"] < 0.15 and found["auc"] < 0.15


def test_harmonic_mean_of_nothing_is_0():
    far = {"abnormal": images(8, -1, 1), "normal": images(8, 1, 2)}
    found = judge([far], test=classes((8, 8), gap=0.9, patients="t"), training=None).gan_train["gan"][0]
    assert found.measures["sensitivity"] == found.measures["specificity"] == found.measures["harmonic_mean"] == 0
    assert found.intervals["harmonic_mean"] == (0, 0)


def test_without_real_training_images_there_is_neither_gan_test_nor_reference():
    found = judge([classes(seed=3)], training=None)
    assert (found.gan_test, found.reference) == ({}, None)
    assert [protocol for protocol, *_ in rows_of(found)] == ["GAN-train"]


def test_the_other_class_may_be_positive():
    one, other = (judge([classes(seed=3, gap=0.05)], positive=name).reference.measures for name in NAMES)
    assert (one["sensitivity"], one["specificity"]) == (other["specificity"], other["sensitivity"])
    assert one["auc"] == pytest.approx(other["auc"])


def test_real_pictures_without_patients_are_resampled_as_images():
    pictures = classes((16, 12), seed=2)  # both folders have a file "image 0"
    made = [classes(seed=3, gap=0.02)]
    found = judge(made, test=pictures).gan_train["gan"][0]
    assert (found.test.patients, found.resampled) == (None, "images")
    whole = judge(made).gan_train["gan"][0]
    assert found.measures == whole.measures and found.intervals != whole.intervals


def test_c_counts_and_the_seed_decides_intervals_alone(result):
    sets = {"good": [classes(seed=3), classes(seed=4)], "poor": [classes(seed=5, gap=0.02)]}
    assert judge(sets) == result
    other = judge(sets, settings=replace(SETTINGS, seed=2))
    for (*_, one), (*_, two) in zip(rows_of(result), rows_of(other), strict=True):
        assert one.measures == two.measures
    assert other.gan_train["poor"][0].intervals != result.gan_train["poor"][0].intervals
    loose = judge(sets, settings=replace(SETTINGS, c=1e-4))
    assert loose.gan_train["poor"][0].measures != result.gan_train["poor"][0].measures


def without(sets, name):
    return {key: own for key, own in sets.items() if key != name}


SHARED = TEST | {"normal": replace(TEST["normal"], groups=REAL["normal"].groups[:12])}
BOTH = {"abnormal": TEST["abnormal"], "normal": replace(TEST["normal"], groups=TEST["abnormal"].groups[:12])}
OTHER = {"abnormal": TEST["abnormal"], "healthy": TEST["normal"]}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"generated": [without(REAL, "normal")]}, r"the images generated by gan are of 1 class \(abnormal\); .*two"),
        ({"test": without(TEST, "normal")}, r"the real test images are of 1 class \(abnormal\)"),
        ({"test": TEST | {"third": TEST["normal"]}}, "are of 3 classes"),
        ({"test": OTHER}, "the real test images of abnormal, healthy; expected the same two on all sides"),
        ({"positive": "abnorml"}, "no class 'abnorml', which is to be the positive; did you mean 'abnormal'"),
        ({"training": REAL | {"normal": REAL["normal"].take([0])}}, r"the real training images have 1 of class normal"),
        ({"test": TEST | {"normal": TEST["normal"].take([])}}, r"the real test images have 0 of class normal \(data\)"),
        ({"test": SHARED}, "3 patients, rn0 among them, are in both the real training images and the real test images"),
        (
            {"generated": [TEST]},
            "7 patients, ta0 among them, are in both the images generated by gan and the real test images",
        ),
        ({"test": BOTH}, "the real test images have ta0 in both classes, abnormal and normal; expected one class per"),
        (
            {"test": classes((16, 12), patients="t", size=8)},
            "the images generated by gan of class abnormal have 4x4 pixels, the real test images of class abnormal 8x8",
        ),
    ],
)
def test_bad_input_is_one_sentence(changes, message, monkeypatch):
    monkeypatch.setattr(module, "labelled", lambda *_: pytest.fail("checked before features are made"))
    with pytest.raises(UserError, match=message):
        judge(**({"generated": [classes(seed=3)]} | changes))
