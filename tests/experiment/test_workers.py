import json
import os
import socket
import subprocess
import sys

import numpy as np
import pytest
from conftest import SMALL, narrow

from kerasgan import experiment
from kerasgan.errors import UserError
from kerasgan.experiment.devices import is_chief, strategy_for

# Each worker keeps its final weights besides what the package writes, so that both can be compared.
WORKER = """
import sys
from kerasgan import experiment
from kerasgan.gan import checkpoint
from kerasgan.papers.pairwise import networks
from kerasgan.papers.pairwise.training import PairwiseTask
import numpy as np
data, out, *overrides = sys.argv[1:]
networks.generator.__defaults__, networks.discriminator.__defaults__ = ((4, 8, 16, 32),), ((8, 16, 32, 64),)
built = []
build = PairwiseTask.build
PairwiseTask.build = lambda self, checkpoints: built.append(build(self, checkpoints)) or built[0]
experiment.train("pairwise", pair=("t1", "t1e"), data=data, run_dir="run", overrides=overrides, quiet=True)
np.savez(out, **checkpoint.values(built[0].state()))
"""


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


@pytest.mark.slow
def test_two_workers_end_with_equal_weights_and_the_chief_alone_writes(prepared_folder, tmp_path):
    workers = [f"127.0.0.1:{port}" for port in free_ports(2)]
    overrides = [
        *SMALL,
        "training.epochs=2",
        "training.strategy=multiworker",
        "training.validate_every=1",
        "training.keep=best",
    ]
    processes = []
    for index in range(2):
        folder = tmp_path / f"worker{index}"
        folder.mkdir()
        cluster = {"cluster": {"worker": workers}, "task": {"type": "worker", "index": index}}
        environment = os.environ | {"TF_CONFIG": json.dumps(cluster), "CUDA_VISIBLE_DEVICES": ""}
        words = [sys.executable, "-c", WORKER, str(prepared_folder), str(folder / "weights.npz"), *overrides]
        process = subprocess.Popen(words, cwd=folder, env=environment, stderr=subprocess.PIPE, text=True)
        processes.append(process)
    errors = [process.communicate(timeout=600)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], "\n".join(errors)

    chief, other = (np.load(tmp_path / f"worker{index}" / "weights.npz") for index in range(2))
    trained = [name for name in chief.files if "optimizer" not in name and not name.startswith("model")]
    assert trained
    for name in trained:
        np.testing.assert_array_equal(chief[name], other[name], err_msg=name)
    assert (tmp_path / "worker0" / "run" / "generators" / "t1_to_t1e.keras").is_file()
    assert not (tmp_path / "worker1" / "run").exists()

    # The same run in one process: 36 slices in batches of 4, whose mean gradients the workers share out.
    with narrow():
        single = experiment.train(
            "pairwise",
            pair=("t1", "t1e"),
            data=prepared_folder,
            run_dir=tmp_path / "single",
            overrides=[*SMALL, "training.epochs=2"],
            quiet=True,
        )
    with (
        np.load(single / "checkpoints" / "latest.npz") as expected,
        np.load(tmp_path / "worker0" / "run" / "checkpoints" / "latest.npz") as found,
    ):
        for name in (name for name in trained if name.startswith("generators/0")):
            # Rounding differs, and Adam turns that of a gradient near zero into a step of any sign.
            difference = np.abs(found[name] - expected[name])
            assert difference.max() < 5e-3, f"{name}: {difference.max()}"
            assert difference.mean() < 5e-5, f"{name}: {difference.mean()}"


def test_multiworker_without_a_cluster_says_what_is_missing(monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    with pytest.raises(UserError, match="expects TF_CONFIG"):
        strategy_for("multiworker")


WORKERS = {"worker": ["127.0.0.1:1", "127.0.0.1:2"]}
WITH_CHIEF = {"chief": ["127.0.0.1:3"]} | WORKERS


@pytest.mark.parametrize(
    ("strategy", "cluster", "task", "chief"),
    [
        ("multiworker", WORKERS, ("worker", 0), True),
        ("multiworker", WORKERS, ("worker", 1), False),
        ("multiworker", WITH_CHIEF, ("chief", 0), True),
        ("multiworker", WITH_CHIEF, ("worker", 0), False),
        ("none", WORKERS, ("worker", 1), True),
        ("mirrored", WORKERS, ("worker", 1), True),
    ],
)
def test_who_is_chief(monkeypatch, strategy, cluster, task, chief):
    config = {"cluster": cluster, "task": {"type": task[0], "index": task[1]}}
    monkeypatch.setenv("TF_CONFIG", json.dumps(config))
    assert is_chief(strategy) is chief


def test_a_tf_config_that_is_not_asked_for_is_not_read(monkeypatch):
    monkeypatch.setenv("TF_CONFIG", "{")
    assert is_chief("none")
    with pytest.raises(UserError, match="expects TF_CONFIG"):
        strategy_for("multiworker")
