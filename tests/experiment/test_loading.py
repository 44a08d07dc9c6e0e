"""Delivered generators are read with what the README says is to be imported."""

import subprocess
import sys

import pytest

from kerasgan.data.prepare import open_prepared
from kerasgan.experiment.tasks import TASKS
from kerasgan.papers import settings_of
from kerasgan.papers.pairwise.networks import generator

CODE = """
import sys
import kerasgan.experiment
import keras
for path in sys.argv[1:]:
    print(keras.saving.load_model(path, safe_mode=True).output_shape)
"""


@pytest.fixture
def generators(sagittal_folder, classes_folder, brainmr_overrides, aggrgan_overrides):
    """A generator of each model."""
    made = {"pairwise": generator("t1_to_t2", 32, (4, 8))}
    targets = {"dcgan": {"sequence": "t1", "size": 16}, "wgan": {"sequence": "t1", "size": 16}}
    for name in ("dcgan", "wgan", "dcgan1", "dcgan2", "wgandiv", "lsgan", "infogan"):
        folder, overrides = (
            (sagittal_folder, brainmr_overrides) if name in targets else (classes_folder, aggrgan_overrides)
        )
        settings = settings_of(name, overrides=overrides)
        target = targets.get(name, {"category": "mutant"})
        made[name], _ = TASKS[name](settings, open_prepared(folder, settings.data), target).networks()
    return made


def test_importing_experiment_registers_every_layer_of_generators(generators, tmp_path):
    for name, network in generators.items():
        network.save(tmp_path / f"{name}.keras")
    paths = sorted(tmp_path.glob("*.keras"))
    done = subprocess.run([sys.executable, "-c", CODE, *paths], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == len(paths) == 8
