"""A run of the AC-GAN on stored features, and its generator and discriminator at work."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
from handmade import SHAPE, pieces, settings, store

from kerasgan import experiment
from kerasgan.errors import UserError
from kerasgan.experiment.features import makers_of
from kerasgan.experiment.runs import open_run
from kerasgan.gan.checkpoint import Position
from kerasgan.papers.featuregan import generation
from kerasgan.papers.featuregan.generation import (
    BATCH,
    CRITIC,
    GENERATOR,
    AcganTask,
    Makers,
    class_accuracy_table,
    shown_maps,
)
from kerasgan.papers.featuregan.standardisation import Standard
from kerasgan.report.page import read_history

LEARNING = (
    "acgan.batch_size=16",
    "acgan.epochs=45",
    "acgan.validate_every=15",
    "acgan.sample_every=45",
    "acgan.checkpoint_every=45",
    "acgan.samples=200",
)


@pytest.fixture(scope="module")
def separable(tmp_path_factory):
    """Not to be written to."""
    return store(tmp_path_factory.mktemp("separable") / "features", pieces(train=96))


@pytest.fixture(scope="module")
def acgan_run(separable, featuregan_overrides, tmp_path_factory):
    """A finished run on `separable`. Not to be written to."""
    more = {"data": separable.folder, "overrides": [*featuregan_overrides, *LEARNING], "quiet": True}
    return experiment.train("acgan", width="16", run_dir=tmp_path_factory.mktemp("acgan") / "width-16", **more)


@pytest.fixture
def task(separable, featuregan_overrides):
    return AcganTask(settings(featuregan_overrides), separable, {"width": 4})


@pytest.fixture(scope="module")
def makers(acgan_run, separable):
    """Those of the finished run, whose settings rectify."""
    return makers_of(open_run(acgan_run), separable)


def all_of(makers, count, seed):
    return [np.concatenate(each) for each in zip(*makers.judged(count, seed), strict=True)]


# ---- what it learns ----


def test_the_class_head_agrees_beyond_chance_after_training(acgan_run):
    metrics = json.loads((acgan_run / "metrics.json").read_text())
    assert metrics["width"] == 16 and metrics["samples"] == 200 and metrics["data"] == "by hand"
    assert metrics["class_accuracy"] > 0.9
    assert set(metrics["by_class"]) == {"LGG", "HGG"} and min(metrics["by_class"].values()) > 0.8
    assert np.mean(list(metrics["by_class"].values())) == pytest.approx(metrics["class_accuracy"])


def test_the_condition_changes_the_feature_as_the_class_does(makers):
    noise = np.random.default_rng(1).standard_normal((BATCH, 6), np.float32)
    low, high = (makers.features(noise, np.full(BATCH, label)) for label in (0, 1))
    assert low.shape == (BATCH, *SHAPE)
    contrast = [each[..., :3].mean((1, 2, 3)) - each[..., 3:].mean((1, 2, 3)) for each in (low, high)]
    assert (contrast[0] < 0).mean() > 0.8 and (contrast[1] > 0).mean() > 0.8
    assert abs(high.mean() - 1.5) < 0.5, "in the units of the features, not standardised"
    np.testing.assert_array_equal(makers.classes(high) == 1, contrast[1] > 0)


def test_history_has_the_curves_of_figure_11(acgan_run):
    history = read_history(acgan_run / "history.csv")
    assert set(history) == {
        "epoch",
        "generator_loss",
        "critic_loss",
        *(f"class_accuracy_{which}" for which in ("real", "fake", "generated")),
    }
    measured = np.flatnonzero(np.isfinite(history["class_accuracy_generated"])) + 1
    np.testing.assert_array_equal(measured, [15, 30, 45])
    assert history["class_accuracy_real"][-1] > 0.8 > history["class_accuracy_real"][0]


def test_a_run_folder_holds_what_is_needed(acgan_run):
    found = {str(path.relative_to(acgan_run)) for path in acgan_run.rglob("*") if path.is_file()}
    assert {str(GENERATOR), str(CRITIC)} <= found
    assert {"figure9.png", "figure10.png", "samples/epoch_0045.png", "report.html", "quality.md"} <= found
    assert "Mehra et al., of 4800" in (acgan_run / "quality.md").read_text()


def test_pictures_of_maps_name_class_width_and_steps(task, makers, tmp_path, monkeypatch):
    shown = {}
    monkeypatch.setattr(generation, "feature_maps", lambda path, *given: shown.update({path.name: given}))
    task.draw(tmp_path / "a.png", makers, 3)
    maps, title = shown["a.png"]
    assert list(maps) == ["synthetic LGG", "synthetic HGG"] and len(maps["synthetic HGG"]) == SHAPE[-1]
    steps = f"{3 * task.steps_per_epoch()} steps of {task.training.batch_size} features"
    assert title.startswith(f"The first {SHAPE[-1]} maps of a feature of each class; ")
    assert title.endswith(f"; AC-GAN of width {task.width} after {steps}")


def test_published_accuracy_stands_beside_that_of_its_width():
    runs = [
        {"width": width, "samples": 10, "class_accuracy": 0.5, "by_class": {"LGG": 0.25, "HGG": 0.75}}
        for width in (64, 256, 512)
    ]
    study = SimpleNamespace(classes=("LGG", "HGG"))
    table = class_accuracy_table(runs, study)
    assert table.header[3:5] == ["of HGG", "of LGG"]
    assert [row[3:] for row in table.rows] == [["0.750", "0.250", known] for known in ("0.76", "–", "0.823")]


# ---- batches ----


def test_batches_are_standardised_training_features_with_their_class(task, separable):
    batches = list(task.batches(Position()).take(task.steps_per_epoch()))
    features, labels = (np.concatenate([batch[name] for batch in batches]) for name in ("feature", "label"))
    assert len(features) == 96 and labels.sum() == 48
    np.testing.assert_allclose(features.mean((0, 1, 2)), 0, atol=1e-5)
    np.testing.assert_allclose(features.std((0, 1, 2)), 1, atol=1e-5)
    contrast = features[..., :3].mean((1, 2, 3)) - features[..., 3:].mean((1, 2, 3))
    np.testing.assert_array_equal(contrast > 0, labels == 1)


def test_features_of_a_study_with_other_names(separable, featuregan_overrides):
    swapped = settings(featuregan_overrides, "study.negative=HGG", "study.positive=LGG")
    labels = AcganTask(swapped, separable, {"width": 4}).labels
    assert [labels[i] for i in range(4)] == [1, 0, 1, 0]
    assert set(labels[separable.indices("test")]) == {-1}, "held-out classes are not looked at"
    with pytest.raises(UserError, match=r"p0-0 axial 0 is of class 'LGG', expected 'G2' or 'G3'"):
        AcganTask(settings(featuregan_overrides, "study.negative=G2", "study.positive=G3"), separable, {"width": 4})


def test_one_class_is_not_enough(featuregan_overrides, tmp_path):
    one = store(tmp_path / "one", pieces(16, classes=("HGG", "HGG")))
    with pytest.raises(UserError, match="has no train feature of class LGG; both classes are needed"):
        AcganTask(settings(featuregan_overrides), one, {"width": 4})


@pytest.mark.parametrize("width", ["wide", "0", "-4", 0])
def test_a_width_is_a_number_of_channels(width):
    with pytest.raises(UserError, match="--width expects a number of channels, such as 64, 256 or 512, or all"):
        AcganTask.target(width)


def test_without_a_width_it_is_the_studys(separable, featuregan_overrides):
    words = {"data": separable.folder, "overrides": featuregan_overrides, "dry_run": True, "quiet": True}
    assert experiment.train("acgan", **words).parts == ("runs", "acgan", "width-6")


def test_every_width_of_the_paper(separable, featuregan_overrides, tmp_path, capsys):
    words = {"data": separable.folder, "overrides": featuregan_overrides, "run_dir": tmp_path / "all"}
    experiment.train("acgan", width="all", dry_run=True, **words)
    shown = capsys.readouterr().err
    assert "1 of 2: AC-GAN of width 4" in shown and "2 of 2: AC-GAN of width 6" in shown
    assert "features of encoder4, 4x4x6: 48 LGG and 48 HGG" in shown


# ---- resuming ----


@pytest.mark.parametrize("change", [{"block": "encoder3"}, {"weights": "another U-Net"}, {"data": "other slices"}])
def test_a_run_does_not_go_on_with_other_features(change, acgan_run, featuregan_overrides, tmp_path):
    other = store(tmp_path / "other", pieces(train=96), **change)
    words = {"data": other.folder, "run_dir": acgan_run, "resume": True, "quiet": True}
    with pytest.raises(UserError, match=r"is not the data that .* was begun on"):
        experiment.train("acgan", width="16", **words)


def test_a_prepared_folder_is_no_features(graded_folder, featuregan_overrides, tmp_path):
    words = {"overrides": featuregan_overrides, "run_dir": tmp_path / "run", "quiet": True}
    with pytest.raises(UserError, match=r"is no manifest of features; expected a folder made by `kerasgan features"):
        experiment.train("acgan", width="4", data=graded_folder, **words)


def test_features_are_no_prepared_folder(separable, featuregan_overrides, tmp_path):
    words = {"overrides": featuregan_overrides, "run_dir": tmp_path / "run", "quiet": True}
    with pytest.raises(UserError, match=r"manifest\.json"):
        experiment.train("unet", data=separable.folder, **words)


# ---- generator and discriminator at work ----


def test_same_seed_same_features_and_the_first_ones_of_more(makers):
    few, more, other = all_of(makers, 21, 5), all_of(makers, 40, 5), all_of(makers, 21, 6)
    assert few[0].shape == (21, *SHAPE)
    for one, two in zip(few, more, strict=True):
        np.testing.assert_array_equal(one, two[:21])
    assert not np.array_equal(few[0], other[0])
    np.testing.assert_array_equal(few[1], np.arange(21) % 2)


def test_a_feature_does_not_depend_on_its_batch(makers):
    noise, label = np.random.default_rng(2).standard_normal((BATCH, 6), np.float32), np.arange(BATCH) % 2
    whole = makers.features(noise, label)
    np.testing.assert_array_equal(
        np.concatenate([makers.features(noise[i : i + 1], label[i : i + 1]) for i in (0, 1)]), whole[:2]
    )
    np.testing.assert_array_equal(makers.classes(whole)[:3], makers.classes(whole[:3]))


def test_judged_says_whether_the_class_is_told(makers):
    features, label, right = all_of(makers, 32, 7)
    told = np.concatenate([makers.classes(features[at : at + BATCH]) for at in (0, 16)])
    np.testing.assert_array_equal(right, told == label)


@pytest.mark.parametrize("rectify", [True, False])
def test_rectified_features_are_never_negative(rectify, separable, featuregan_overrides):
    own = settings(featuregan_overrides, f"acgan.rectify={str(rectify).lower()}")
    task = AcganTask(own, separable, {"width": 4})
    generator, critic = task.networks()
    generator.set_weights([20 * weight for weight in generator.get_weights()])  # far from the mean
    features, _, _ = all_of(Makers(generator, critic, task.standard, own.acgan), 16, 0)
    assert (features.min() >= 0) == rectify and features.max() > 0


def test_maps_of_channels_that_never_differ_are_left_out():
    features = np.zeros((3, 4, 4, 7), np.float32)
    features[0], features[1], features[2] = 1, 5, 99
    standard = Standard(mean=[3.0] * 7, deviation=[2.0] * 5 + [0.0, 2.0])
    maps = shown_maps(features, standard)
    assert maps.shape == (3, 6, 4, 4)
    assert (maps[0] == -0.5).all() and (maps[1] == 0.5).all(), "one deviation below and above the mean"
    assert (maps[2] == 1).all(), "cut at two deviations"
