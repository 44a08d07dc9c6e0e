"""What every model of the package has to do, and the five places in which it has to be."""

import importlib
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from conftest import LONG

from kerasgan.cli.train import train as train_group
from kerasgan.data.prepare import open_prepared
from kerasgan.experiment.tasks import TASKS
from kerasgan.gan import checkpoint
from kerasgan.gan.checkpoint import Position
from kerasgan.papers import MODELS, settings_of
from kerasgan.papers.featuregan.store import open_features
from kerasgan.settings import configs_folder

ROOT = Path(__file__).parents[1]
# What each model is trained on here.
TARGETS = {
    "pairwise": {"pair": ["t1", "t1e"]},
    "classifier": {"stage1": None, "stage1_hash": None},
    "dcgan": {"sequence": "t1", "size": 32},
    "wgan": {"sequence": "concat", "size": 16},
    "dcgan1": {"category": "mutant"},
    "dcgan2": {"category": "t2"},
    "wgandiv": {"category": "wildtype"},
    "lsgan": {"category": "flair"},
    "infogan": {"category": "mutant"},
    "unet": {},
    "acgan": {"width": 4},
    "feature-classifier": {"synthetic": None, "synthetic_hash": None, "count": None},
    "pggan": {},
}


@pytest.fixture(params=MODELS)
def model(request):
    return request.param


# The fixtures with a folder of what a model learns from, by configuration and `Card.data`; and with overrides that fit.
DATA = {
    ("pairwise", "slices"): "prepared_folder",
    ("brainmr", "slices"): "sagittal_folder",
    ("aggrgan", "slices"): "classes_folder",
    ("featuregan", "slices"): "graded_folder",
    ("featuregan", "features"): "features_folder",
    ("pggan", "slices"): "patches_folder",
}
OVERRIDES = {
    "pairwise": "small_overrides",
    "brainmr": "brainmr_overrides",
    "aggrgan": "aggrgan_overrides",
    "featuregan": "featuregan_overrides",
    "pggan": "pggan_overrides",
}


@pytest.fixture
def overrides(model, request):
    return request.getfixturevalue(OVERRIDES[MODELS[model].config])


@pytest.fixture
def task(model, overrides, request):
    settings, card = settings_of(model, overrides=overrides), MODELS[model]
    folder = request.getfixturevalue(DATA[card.config, card.data])
    data = open_features(folder) if card.data == "features" else open_prepared(folder, settings.data)
    return TASKS[model](settings, data, TARGETS[model])


@pytest.fixture
def stage(task):
    return task.stages[0]


def test_registries_agree():
    assert MODELS.keys() == TASKS.keys() == TARGETS.keys()
    assert {path.stem for path in configs_folder().glob("*.yaml")} == {card.config for card in MODELS.values()}


def test_files_that_the_suite_begins_with_are_there():
    assert set(LONG) <= {path.name for path in Path(__file__).parent.rglob("test_*.py")}


def test_a_run_depends_on_sections_of_its_configuration(model):
    card = MODELS[model]
    assert card.section in card.decided_by
    assert set(card.decided_by) <= set(card.settings.model_fields)


def test_the_module_cites_its_paper_and_says_what_to_expect(model):
    text = importlib.import_module(MODELS[model].module).__doc__
    for part in (MODELS[model].doi, "Command:", "Published:", "Deviations:"):
        assert part in text


def test_it_has_a_command_a_readme_row_and_tests(model):
    assert model in train_group.commands
    card = MODELS[model]
    (row,) = [line for line in (ROOT / "README.md").read_text().splitlines() if line.startswith(f"| `{model}` |")]
    for part in (card.doi, card.module.replace(".", "/"), f"configs/{card.config}.yaml", card.command):
        assert part in row
    paper = card.module.split(".")[2]
    assert list((ROOT / "tests" / "papers" / paper).glob(f"test_*{model.replace('-', '_')}*.py"))
    assert f"`{model}`" in (ROOT / "CHANGELOG.md").read_text()


def test_one_step_moves_every_weight_and_reports_finite_losses(stage, tmp_path):
    network = stage.build(tmp_path)
    before = checkpoint.values(network.state())
    logs = network.train_step(next(iter(stage.batches(Position()))))
    assert all(np.isfinite(float(value)) for value in logs.values())
    after = checkpoint.values(network.state())
    for player in network.players:
        names = [name for name in before if name.startswith(f"{player}/") and "optimizer" not in name]
        assert len(names) >= len(network.trainable_of(player)) > 0
        assert all(not np.array_equal(before[name], after[name]) for name in names), player


def test_the_seed_decides_the_weights_and_the_batches(task, model, overrides, tmp_path):
    settings = settings_of(model, overrides=[*overrides, f"{MODELS[model].section}.seed=2"])
    other = TASKS[model](settings, task.prepared, TARGETS[model])

    def numbers(each):
        state = checkpoint.values(each.stages[0].build(tmp_path).state())
        batch = tf.nest.flatten(next(iter(each.stages[0].batches(Position()))))
        return state, [value.numpy() for value in batch]

    (state, batch), (again, same), (moved, another) = numbers(task), numbers(task), numbers(other)
    assert all(np.array_equal(state[name], again[name]) for name in state)
    assert all(np.array_equal(one, two) for one, two in zip(batch, same, strict=True))
    assert any(not np.array_equal(state[name], moved[name]) for name in state)
    assert any(not np.array_equal(one, two) for one, two in zip(batch, another, strict=True))


def test_an_epoch_has_the_steps_it_announces(stage):
    steps = stage.steps_per_epoch()
    sizes = [len(tf.nest.flatten(batch)[0]) for batch in stage.batches(Position()).take(2 * steps)]
    assert sum(sizes[:steps]) == stage.count == sum(sizes[steps:])


def test_state_survives_a_checkpoint(stage, tmp_path):
    network = stage.build(tmp_path)
    network.train_step(next(iter(stage.batches(Position()))))
    checkpoint.save(tmp_path / "latest.npz", network.state(), Position(1, 2, 3.0))
    before = checkpoint.values(network.state())
    fresh = stage.build(tmp_path)
    assert checkpoint.restore(tmp_path / "latest.npz", fresh.state()) == Position(1, 2, 3.0)
    after = checkpoint.values(fresh.state())
    assert all(np.array_equal(before[name], after[name]) for name in before)
    assert any("optimizer" in name and np.any(before[name]) for name in before), "moments are part of it"
