"""A run of PGGAN: killed, stopped and resumed; what it leaves, draws and measures."""

import json
import os
import shutil
import signal

import keras
import numpy as np
import pytest
from pggan_stages import learnt, maker, without
from PIL import Image

from kerasgan import experiment
from kerasgan.data import imagesets
from kerasgan.gan import sampling
from kerasgan.gan.training import Stopped
from kerasgan.metrics.sliced_wasserstein import sliced_wasserstein_by_level
from kerasgan.papers import settings_of
from kerasgan.papers.pggan import training
from kerasgan.papers.pggan.progressive import ProgressiveGAN
from kerasgan.papers.pggan.training import SHOWN, GrowthStage, PgganTask
from kerasgan.report.mosaics import GAP, caption_of
from kerasgan.report.page import read_history


@pytest.fixture
def make(patches_folder, pggan_overrides):
    return maker(patches_folder, pggan_overrides)


class Killed(Exception):
    """Stands for a SIGKILL: nothing is saved on the way out."""


class At(keras.callbacks.Callback):
    """Acts after a step (from 1) of an epoch (from 1)."""

    def __init__(self, epoch, step, act):
        super().__init__()
        self.when, self.act = (epoch, step), act

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch, self.done = epoch + 1, 0

    def on_train_batch_end(self, batch, logs=None):
        self.done += 1
        if (self.epoch, self.done) == self.when:
            self.act()


def state(run, stage):
    with np.load(run / "checkpoints" / stage / "latest.npz") as file:
        return {key: file[key] for key in file}


def killed():
    raise Killed


def test_a_killed_and_stopped_run_ends_with_the_same_bits_in_one_graph_per_stage(
    pggan_run, patches_folder, pggan_overrides, tmp_path, monkeypatch, deterministic
):
    acts = {
        8: At(2, 1, killed),  # the state after its first epoch is there
        16: At(2, 1, lambda: os.kill(os.getpid(), signal.SIGTERM)),  # alpha 2/3
    }
    callbacks, generator_step = GrowthStage.callbacks, ProgressiveGAN.generator_step
    traced = []

    def with_act(self, *given):
        act = acts.pop(self.resolution, None)
        return [*callbacks(self, *given), *([act] if act else [])]

    def counted(self, *given):
        traced.append(self.generator.output_shape[1])
        return generator_step(self, *given)

    monkeypatch.setattr(GrowthStage, "callbacks", with_act)
    monkeypatch.setattr(ProgressiveGAN, "generator_step", counted)

    def run(**more):
        return experiment.train("pggan", run_dir=tmp_path / "run", quiet=True, **more)

    with pytest.raises(Killed):
        run(data=patches_folder, overrides=pggan_overrides)
    with pytest.raises(Stopped, match="stopped in epoch 2 after step 1"):
        run(resume=True)
    names = [f"generator/0/{i:03}" for i in range(100)]
    fades = [value for name, value in state(tmp_path / "run", "0016").items() if name in names and value.shape == ()]
    assert fades == [pytest.approx(2 / 3)]
    found = run(resume=True)
    assert traced == [4, 8, 8, 16, 16], "once whenever a stage is begun or gone on with, whatever alpha"
    for stage in ("0004", "0008", "0016"):
        one, two = state(found, stage), state(pggan_run, stage)
        assert one.keys() == two.keys()
        assert all(one[name].tobytes() == two[name].tobytes() for name in one)
        made = [keras.saving.load_model(run / "stages" / f"{stage}.keras") for run in (found, pggan_run)]
        for each, other in zip(*(network.get_weights() for network in made), strict=True):
            np.testing.assert_array_equal(each, other)
    for name in ("history.csv", "metrics.json", "growth.png", "figure3.png", "samples/epoch_0007.png"):
        assert (found / name).read_bytes() == (pggan_run / name).read_bytes(), name


def test_what_a_run_leaves(pggan_run):
    found = {str(path.relative_to(pggan_run)) for path in pggan_run.rglob("*") if path.is_file()}
    stages = ("0004", "0008", "0016")
    assert found == {
        "config.yaml",
        "run.json",
        "environment.json",
        "history.csv",
        "metrics.json",
        "quality.md",
        "curves.png",
        "figure3.png",
        "growth.png",
        "training.gif",
        "report.html",
        "generators/generator.keras",
        *(f"samples/epoch_{epoch:04}.png" for epoch in range(1, 8)),
        *(f"checkpoints/{stage}/latest.npz" for stage in stages),
        *(f"stages/{stage}.keras" for stage in stages),
    }
    history = read_history(pggan_run / "history.csv")
    assert history["epoch"].tolist() == [1, 2, 3, 4, 5, 6, 7]
    # Means of an epoch's two steps: fades of no, 2 and 3 steps.
    assert history["alpha"].tolist() == pytest.approx([1, 1, 0.25, 1, 1 / 6, 5 / 6, 1], abs=1e-5)
    assert np.isfinite(history["kernel_distance"]).all()
    metrics = json.loads((pggan_run / "metrics.json").read_text())
    assert metrics["data"].endswith("T1 of training patients, 3 wildtype (48 images) and 3 mutant (48 images)")
    assert metrics["measures"]["spread"] == pytest.approx(history["spread"][-1], rel=1e-5)
    assert metrics["sliced_wasserstein"].keys() == {"16 px, synthetic", "16 px, training images"}
    assert "sliced Wasserstein distance, 16 px, synthetic" in (pggan_run / "quality.md").read_text()
    with Image.open(pggan_run / "training.gif") as animation:
        assert animation.n_frames == 7
    caption = "PGGAN after 14 generator steps of 4 images; "
    assert caption_of(pggan_run / "samples" / "epoch_0007.png").startswith(caption)
    assert caption_of(pggan_run / "training.gif").endswith("; 7 frames, from epoch 0001 to epoch 0007")
    assert caption in (pggan_run / "report.html").read_text()


@pytest.fixture
def sheets(monkeypatch):
    """What pictures are made of, by their names."""
    kept = {}
    monkeypatch.setattr(training, "image_sheet", lambda path, *given: kept.update({path.name: given}))
    return kept


def test_pictures_name_classes_resolutions_and_steps(make, tmp_path, pggan_run, sheets, monkeypatch):
    task = make()
    shutil.copytree(pggan_run / "checkpoints", tmp_path / "checkpoints")
    shutil.copytree(pggan_run / "samples", tmp_path / "samples")
    task.finish(tmp_path)
    images, rows, columns, title = sheets["growth.png"]
    assert images.shape == (8, 3, 16, 16), "a line per noise and class, a column per stage"
    assert (tuple(rows), tuple(columns)) == (("wildtype", "mutant"), ("4x4", "8x8", "16x16"))
    np.testing.assert_array_equal(images[:4, :2], images[4:, :2])
    assert (images[:4, 2] != images[4:, 2]).any()
    said = f"PGGAN after 14 generator steps of 4 images; {task.describe()}; "
    assert title.startswith(said) and title.endswith("; classes are told from 16x16 pixels on")
    images, rows, columns, title = sheets["figure3.png"]
    assert images.shape == (8, 8, 16, 16), "16 synthetic and 16 real ones of each class"
    assert (rows, columns) == (["wildtype", "mutant"], ["synthetic", "real, of test patients"])
    assert title == f"{said}classes are told from 16x16 pixels on"
    visits = imagesets.visits_with(task.prepared, "t1", "test", 1)
    for row, value in ((0, "wildtype"), (4, "mutant")):
        own = imagesets.of_visits(task.prepared, [v for v in visits if v.labels["idh"] == value], "t1").images
        for image in images[row : row + 4, 4:].reshape(-1, 16, 16):
            assert (own == image).all(axis=(1, 2)).any()
    monkeypatch.setattr(training, "SHOWN", 128)
    task._draw_classes(tmp_path / "figure3.png", lambda noise, labels: np.zeros((len(noise), 16, 16)), "title")
    assert sheets["figure3.png"][1] == ["wildtype, the 32 real ones repeated", "mutant, the 32 real ones repeated"]


def test_each_stage_delivers_its_average_at_alpha_1(pggan_run):
    noise, label = np.random.default_rng(2).uniform(-1, 1, (4, 6)).astype("float32"), np.array([0, 1, 0, 1])
    for stage, told in (("0004", False), ("0008", False), ("0016", True)):
        network = keras.saving.load_model(pggan_run / "stages" / f"{stage}.keras", safe_mode=True)
        assert [each.name for each in network.inputs] == (["noise", "label"] if told else ["noise"])
        assert not [layer.name for layer in network.layers if layer.name.startswith("fade")]
        saved = state(pggan_run, stage)
        averaged = [value.tobytes() for name, value in saved.items() if name.startswith("averaged/0/")]
        current = [value.tobytes() for name, value in saved.items() if name.startswith("generator/0/")]
        weights = [value.tobytes() for value in network.get_weights()]
        assert set(weights) <= set(averaged) and not set(weights) <= set(current)
        # What is left out is the smaller image's layer, kernel and bias, and alpha.
        assert len(averaged) - len(weights) == (0 if stage == "0004" else 3)
    delivered = keras.saving.load_model(pggan_run / "generators" / "generator.keras", safe_mode=True)
    np.testing.assert_array_equal(delivered([noise, label]), network([noise, label]))
    np.testing.assert_array_equal(delivered([noise, label])[0], delivered([noise[:1], label[:1]])[0])
    assert not np.allclose(delivered([noise, label]), delivered([noise, 1 - label]))


def test_without_an_average_the_generator_is_delivered(make, tmp_path):
    stage = make("pggan.average=0.0").stages[0]
    gan = learnt(stage, tmp_path, steps=1)
    for one, two in zip(stage.delivered(tmp_path).get_weights(), gan.generator.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)


def lines(path, resolution=16, columns=8):
    """The images of a picture (rows, columns, side, side)."""
    with Image.open(path) as picture:
        levels = np.asarray(picture)
    side = resolution + GAP
    levels = np.pad(levels, ((0, GAP), (0, GAP)))
    return levels.reshape(-1, side, columns, side).transpose(0, 2, 1, 3)[..., :resolution, :resolution]


def test_samples_are_of_the_same_noise_at_every_epoch_each_class_in_its_lines(make, tmp_path, pggan_run):
    seen = []

    def sample(noise, labels=None):
        seen.append((noise, labels))
        shade = np.linspace(-0.9, -0.1, len(noise)) if labels is None else labels - 0.5
        side = 8 if labels is None else 16
        return np.tile(shade[:, None, None], (1, side, side)).astype("float32")

    task = make()
    for stage, epoch in ((task.stages[1], 1), (task.stages[2], 1), (task.stages[2], 3)):
        stage.draw_samples(tmp_path, sample, epoch)
    assert sorted(path.name for path in (tmp_path / "samples").iterdir()) == [
        "epoch_0003.png",
        "epoch_0005.png",
        "epoch_0007.png",
    ]
    assert all(np.array_equal(noise, seen[0][0]) for noise, _ in seen)
    noise, labels = seen[-1]
    assert len(noise) == SHOWN and labels.tolist() == 16 * [0] + 16 * [1]
    np.testing.assert_array_equal(noise[:16], noise[16:])
    assert np.abs(noise).max() <= 1 and len(np.unique(noise[:16], axis=0)) == 16
    drawn = lines(tmp_path / "samples" / "epoch_0007.png")
    assert np.unique(drawn[:2]).tolist() == [64] and np.unique(drawn[2:]).tolist() == [191]
    # Of the run: at 8x8 no class is told, so that noise alone decides; every pixel there is shown as 2x2.
    small, large = (lines(pggan_run / "samples" / f"epoch_000{epoch}.png") for epoch in (4, 7))
    np.testing.assert_array_equal(small[:2], small[2:])
    np.testing.assert_array_equal(small[..., ::2, ::2], small[..., 1::2, 1::2])
    assert (large[:2] != large[2:]).any()
    at_8 = caption_of(tmp_path / "samples" / "epoch_0003.png")
    assert at_8.startswith("PGGAN after 6 generator steps of 4 images; ")
    assert "; of 8x8 pixels; " in at_8 and "upper half as wildtype, in the lower as mutant" in at_8


def test_distances_by_pyramid_level(cohort_csv, pggan_overrides, tmp_path):
    overrides = [*pggan_overrides, "data.size=32", "data.frame=32", "pggan.steps=8"]
    prepared = experiment.prepare(cohort_csv, tmp_path / "prepared", model="pggan", overrides=overrides, quiet=True)
    task = PgganTask(settings_of("pggan", overrides=overrides), prepared, {})
    fake = np.random.default_rng(1).uniform(-1.5, 1.5, (len(task.real), 32, 32)).astype("float32")
    given = []
    found = task._distances(lambda noise, labels: given.append((noise, labels)) or fake)
    expected = sliced_wasserstein_by_level(task.real.images, np.clip(fake, -1, 1), seed=1)
    assert {name: value for name, value in found.items() if name.endswith("synthetic")} == {
        f"{pixels} px, synthetic": pytest.approx(float(value)) for pixels, value in expected.items()
    }
    assert set(expected) == {32, 16} and len(found) == 4
    ((noise, labels),) = given
    assert (np.bincount(labels) == len(task.real) // 2).all() and len(noise) == len(task.real)
    # The distance grows as images get fewer: the three sets are of one size also where few are learnt from.
    task.images, compared = 3, []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "kerasgan.papers.pggan.training.sliced_wasserstein_by_level",
            lambda real, other, seed: compared.append((len(real), len(other))) or {},
        )
        task._distances(lambda noise, labels: fake[: len(noise)])
    assert compared == [(3, 3), (3, 3)]


def test_a_network_without_classes_leaves_everything_too(make, tmp_path, sheets):
    """Also where no test patient is of a class that the figure would show."""
    task = make("network.class_from=null", change=without("mutant", "test"))
    for stage in task.stages:
        learnt(stage, tmp_path / "checkpoints")
        stage.draw_samples(tmp_path, sampling.sampler(stage.gan.averaged), 1)
    assert "kernel distance" in task.finish(tmp_path)
    network = keras.saving.load_model(tmp_path / "generators" / "generator.keras", safe_mode=True)
    assert len(network.inputs) == 1
    images, rows, _, title = sheets["figure3.png"]
    assert images.shape == (4, 8, 16, 16) and rows == ["wildtype"], "of one class"
    assert title.endswith("; no class is told")
