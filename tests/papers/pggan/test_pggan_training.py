"""The PGGAN's stages on the tiny cohort, from one to the next, and what stops them beforehand."""

import gc
import weakref

import numpy as np
import pytest
from pggan_stages import learnt, maker, without

from kerasgan.data import imagesets
from kerasgan.errors import UserError
from kerasgan.experiment.devices import strategy_for
from kerasgan.gan import checkpoint
from kerasgan.gan.checkpoint import Position
from kerasgan.papers import settings_of
from kerasgan.papers.pggan.progressive import LOSSES


@pytest.fixture
def make(patches_folder, pggan_overrides):
    return maker(patches_folder, pggan_overrides)


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
