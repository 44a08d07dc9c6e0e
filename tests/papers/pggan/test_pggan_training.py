"""Runs of the PGGAN on the tiny cohort: its stages, from one to the next, stopped and resumed, and what they leave."""

import gc
import json
import os
import shutil
import signal
import weakref
from dataclasses import replace

import keras
import numpy as np
import pytest
from PIL import Image

from kerasgan import experiment
from kerasgan.data import imagesets
from kerasgan.data.prepare import open_prepared
from kerasgan.errors import UserError
from kerasgan.experiment.devices import strategy_for
from kerasgan.gan import checkpoint, sampling
from kerasgan.gan.checkpoint import Position
from kerasgan.gan.training import Stopped
from kerasgan.metrics.sliced_wasserstein import sliced_wasserstein_by_level
from kerasgan.papers import settings_of
from kerasgan.papers.pggan import training
from kerasgan.papers.pggan.progressive import LOSSES, ProgressiveGAN
from kerasgan.papers.pggan.training import SHOWN, GrowthStage, PgganTask
from kerasgan.report.mosaics import GAP, caption_of
from kerasgan.report.page import read_history


@pytest.fixture
def make(patches_folder, pggan_overrides):
    def task(*more, change=None):
        """A task of the tiny cohort; `change` is made to a copy of its manifest."""
        settings = settings_of("pggan", overrides=[*pggan_overrides, *more])
        prepared = open_prepared(patches_folder, settings.data)
        if change:
            prepared = replace(prepared, manifest=prepared.manifest.model_copy(deep=True))
            change(prepared.manifest)
        return PgganTask(settings, prepared, {})

    return task


def learnt(stage, folder, steps=0):
    """The model of a stage after some steps, saved as `fit` saves it."""
    gan = stage.build(folder)
    for batch in stage.batches(Position()).take(steps):
        gan.train_step(batch)
    checkpoint.save(folder / stage.name / "latest.npz", gan.state(), Position(stage.epochs))
    return gan


# ---- stages ----


@pytest.mark.parametrize(
    ("steps", "each", "epochs"),
    [(14, 2, [2, 2, 3]), (20000, 100, [66, 67, 67]), (6, 2, [1, 1, 1]), (10, 2, [1, 2, 2]), (9, 1, [3, 3, 3])],
)
def test_stages_share_the_steps_and_the_largest_get_the_rest(make, steps, each, epochs):
    stages = make(f"pggan.steps={steps}", f"pggan.steps_per_epoch={each}").stages
    assert [stage.epochs for stage in stages] == epochs
    assert sum(stage.epochs * stage.steps_per_epoch() for stage in stages) == steps
    assert [stage.earlier for stage in stages] == [0, epochs[0], epochs[0] + epochs[1]]
    assert [stage.resolution for stage in stages] == [4, 8, 16]
    assert [stage.name for stage in stages] == sorted(stage.name for stage in stages)


def test_the_published_run_has_seven_stages():
    settings = settings_of("pggan")
    assert settings.resolutions == [4, 8, 16, 32, 64, 128, 256]
    own = settings.pggan
    assert (own.steps, own.batch_size, own.learning_rate, own.flip_every) == (20000, 4, 2e-4, 3)


@pytest.mark.parametrize("fade", [0.0, 0.5, 0.9])
def test_a_stage_ends_with_alpha_1(make, tmp_path, fade):
    task = make(f"pggan.fade={fade}")
    first, second, _ = task.stages
    assert learnt(first, tmp_path).fade_steps == 0
    gan = second.build(tmp_path)
    steps = second.epochs * second.steps_per_epoch()
    assert gan.fade_steps == int(fade * steps)
    gan.step.assign(steps - 1)
    assert float(gan.set_alpha()) == 1


def test_batches_are_means_of_images_with_the_class_of_their_patient(make):
    task = make("pggan.critic_steps=2")
    stored = imagesets.of_visits(task.prepared, task.visits, "t1")
    label = {visit.patient: int(visit.labels["idh"] == "mutant") for visit in task.visits}
    for stage in task.stages:
        block = 16 // stage.resolution
        means = stored.images.reshape(-1, stage.resolution, block, stage.resolution, block).mean(axis=(2, 4))
        batch = next(iter(stage.batches(Position())))
        assert batch["image"].shape == (8, stage.resolution, stage.resolution, 1), "two critic steps of four"
        assert set(batch["class"].numpy()) == {0, 1}
        for image, found in zip(batch["image"].numpy()[..., 0], batch["class"].numpy(), strict=True):
            nearest = np.abs(means - image).max(axis=(1, 2))
            assert nearest.min() < 1e-6
            assert found in {label[stored.groups[i]] for i in np.flatnonzero(nearest < 1e-6)}


def test_a_resumed_stage_sees_the_batches_that_follow(make):
    _, stage, larger = make("pggan.batch_size=32").stages  # three batches are all images
    every = [batch["image"].numpy() for batch in stage.batches(Position()).take(7)]
    for one, two in zip(every[3:], stage.batches(Position(1, 1)).take(4), strict=True):
        np.testing.assert_array_equal(one, two["image"])
    assert not np.array_equal(every[0], every[3])
    other = next(iter(larger.batches(Position())))["image"].numpy()[..., 0]
    assert not np.allclose(imagesets.shrunk(other, 8), every[0][..., 0], atol=1e-6), "an order of its own"


# ---- bad input ----


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("network.class_from=32", "network.class_from must be at most data.size, 16"),
        ("network.class_from=12", "network.class_from must be a power of two from 4 on"),
        ("data.size=20", "data.size must be a power of two from 4 on"),
        ("pggan.steps=15", "pggan.steps must be a multiple of pggan.steps_per_epoch, 2"),
        ("dcgan.steps=3", "dcgan.steps must be a multiple of dcgan.steps_per_epoch, 2"),
        ("pggan.steps=4", "pggan.steps must make an epoch for each of 3 resolutions"),
        ("study.negative=mutant", "negative and positive must differ"),
        ("pggan.batch_size=6", "groups of 4: expected a batch_size .* not 6"),
        ("pggan.batch_size=100", "has 96 images to learn from, a step takes 100; .* lower pggan.batch_size"),
        ("study.label=grade", "in the label column 'grade'; expected 'mutant' or 'wildtype'"),
    ],
)
def test_bad_settings_are_one_sentence(make, override, message):
    with pytest.raises(UserError, match=message):
        make(override)


def without(value, subset):
    """A change of the manifest: a subset has none of the patients of a class."""

    def change(manifest):
        label = {visit.patient: visit.labels["idh"] for visit in manifest.visits}
        partition = manifest.partitions[0]
        partition[subset] = [patient for patient in partition[subset] if label[patient] != value]

    return change


@pytest.mark.parametrize(("subset", "what"), [("train", "training"), ("test", "test")])
def test_a_class_without_patients_is_found_before_the_training(make, subset, what):
    message = f"no {what} patient of class mutant, which is to be generated from 16 pixels on: .*split.stratify=idh"
    with pytest.raises(UserError, match=message):
        make(change=without("mutant", subset))
    assert make("network.class_from=null", change=without("mutant", subset)).stages


def test_a_single_test_patient_is_found_before_the_training(make):
    def change(manifest):
        manifest.partitions[0]["test"] = manifest.partitions[0]["test"][:1]

    with pytest.raises(UserError, match=r"has 1 test patient, .* expected 2 or more"):
        make("network.class_from=null", change=change)


def test_a_replicas_share_that_makes_no_groups_is_found_before_the_training(make, tmp_path):
    task = make("pggan.batch_size=12")
    with strategy_for("mirrored").scope(), pytest.raises(UserError, match="not 6"):
        task.stages[0].build(tmp_path)


# ---- from stage to stage ----


def outputs(gan, resolution, told):
    """What the three networks make of fixed noise and images, before the stage's next step."""
    gan.set_alpha()
    rng, label = np.random.default_rng(1), np.array([0, 1, 1, 0])
    noise = rng.uniform(-1, 1, (4, 6)).astype("float32")
    image = rng.uniform(-1, 1, (4, 4, 4, 1)).astype("float32")
    image = image.repeat(resolution // 4, axis=1).repeat(resolution // 4, axis=2)
    made = [network([noise, label] if told else noise).numpy() for network in (gan.generator, gan.averaged)]
    small = [each.reshape(4, 4, resolution // 4, 4, resolution // 4).mean(axis=(2, 4)) for each in made]
    return made, [*small, gan.critic([image, label] if told else image).numpy()]


def test_a_stage_goes_on_where_the_checkpoint_of_the_one_before_ends(make, tmp_path):
    task = make()
    before = None
    for stage in task.stages:
        gan = stage.build(tmp_path)
        made, found = outputs(gan, stage.resolution, told=stage.resolution == 16)
        if before:
            larger = [each.repeat(2, axis=1).repeat(2, axis=2) for each in before[0]]
            for one, two in zip([*larger, *before[1]], [*made, *found], strict=True):
                np.testing.assert_allclose(two, one, atol=1e-5)
        for batch in stage.batches(Position()).take(4 if stage.resolution < 16 else 1):
            gan.train_step(batch)
        gan.step.assign(stage.epochs * stage.steps_per_epoch())
        checkpoint.save(tmp_path / stage.name / "latest.npz", gan.state(), Position(stage.epochs))
        before = outputs(gan, stage.resolution, told=stage.resolution == 16)
        assert not np.allclose(before[1][0], before[1][1]), "the average is another network"


def test_a_stage_lets_go_of_the_one_before(make, tmp_path):
    first, second, _ = make().stages
    before = weakref.ref(learnt(first, tmp_path))
    assert before() is first.gan
    second.build(tmp_path)
    gc.collect()
    assert before() is None, "its variables would fill a GPU"


def test_a_later_conditional_stage(make, tmp_path):
    """What the conformance tests ask of the first stage: one step, its state, the seed."""
    task = make()
    for stage in task.stages[:2]:
        learnt(stage, tmp_path)
    last = task.stages[-1]
    gan, same, other = (each.build(tmp_path) for each in (last, last, make("pggan.seed=2").stages[-1]))
    new = [name for name, variable in gan.state().items() if variable.path.startswith(("map16_up/k", "from16/k"))]
    one, two, three = (checkpoint.values(each.state()) for each in (gan, same, other))
    assert len(new) == 3  # the average's, too
    assert all(np.array_equal(one[name], two[name]) and not np.array_equal(one[name], three[name]) for name in new)

    gan.step.assign(1)  # in mid-fade, where all parts count
    gan.critic.get_layer("projection").set_weights([np.full((2, 5), 0.1, "float32")])  # else no slope on its way
    before = checkpoint.values(gan.state())
    logs = gan.train_step(next(iter(last.batches(Position()))))
    assert set(logs) == set(LOSSES) and all(np.isfinite(float(value)) for value in logs.values())
    assert 0 < float(logs["alpha"]) < 1
    after, own = checkpoint.values(gan.state()), {id(v) for name in gan.players for v in gan.trainable_of(name)}
    moved = [name for name, variable in gan.state().items() if id(variable) in own]
    assert len(moved) == len(own)
    assert all(not np.array_equal(before[name], after[name]) for name in moved)

    checkpoint.save(tmp_path / "state.npz", gan.state(), Position(1, 1))
    assert checkpoint.restore(tmp_path / "state.npz", same.state()) == Position(1, 1)
    restored = checkpoint.values(same.state())
    assert all(np.array_equal(restored[name], value) for name, value in after.items())


# ---- a run, and one that is killed and stopped ----


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
