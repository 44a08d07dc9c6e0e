"""Precision, XLA, tf.distribute and determinism, and the record of what a run ran on."""

import json
import os
import platform
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.metadata import version
from pathlib import Path

import keras
import tensorflow as tf

from kerasgan.errors import UserError
from kerasgan.gan.settings import TrainingSettings
from kerasgan.threads import usable_cores

PACKAGES = ("kerasgan", "tensorflow", "keras", "numpy", "scipy", "scikit-image", "nibabel")


@cache  # one per process: the collective operations of two strategies get into each other's way
def strategy_for(name: str) -> tf.distribute.Strategy:
    """The tf.distribute strategy of `training.strategy`; multiworker reads TF_CONFIG as TensorFlow does."""
    if name == "none":
        return tf.distribute.get_strategy()
    if name == "mirrored":
        devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
        return tf.distribute.MirroredStrategy([device.name for device in devices])
    try:
        config = json.loads(os.environ["TF_CONFIG"])
        cluster, _, _ = config["cluster"]["worker"], config["task"]["type"], int(config["task"]["index"])
    except (KeyError, ValueError, TypeError):
        raise UserError(
            "--strategy multiworker expects TF_CONFIG with {'cluster': {'worker': [...]}, 'task': {...}} in the "
            "environment of every worker; it is missing or not readable"
        ) from None
    if not cluster:
        raise UserError("TF_CONFIG lists no worker; --strategy multiworker expects at least one")
    return tf.distribute.MultiWorkerMirroredStrategy()


def is_chief(strategy: str) -> bool:
    """Whether this process writes the run's folder: with multiworker the cluster's chief, or its worker 0."""
    if strategy != "multiworker":
        return True
    config = json.loads(os.environ["TF_CONFIG"])
    kind = "chief" if "chief" in config["cluster"] else "worker"
    return (config["task"]["type"], int(config["task"]["index"])) == (kind, 0)


@contextmanager
def numerics(settings: TrainingSettings) -> Iterator[None]:
    """Keras's precision policy while a model is built and trained, and TensorFlow's determinism if it is asked for."""
    before = keras.config.dtype_policy()
    if settings.deterministic:
        tf.config.experimental.enable_op_determinism()
    keras.config.set_dtype_policy(settings.precision)
    # Fusing a convolution with LeakyReLU fails on training graphs (TensorFlow 2.21 prints "remapper failed" and goes on
    # unfused); without the attempt the step takes as long, and the message is gone.
    tf.config.optimizer.set_experimental_options({"remapping": False})
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
        tf.config.optimizer.set_experimental_options({"remapping": True})


def environment(settings: TrainingSettings) -> dict[str, object]:
    """Versions, devices and numerics of this process: what environment.json holds."""
    return {
        "python": platform.python_version(),
        "packages": {name: version(name) for name in PACKAGES},
        "processor": f"{platform.machine()}, {usable_cores()} cores",
        "devices": [device.device_type for device in tf.config.list_logical_devices()],
        "seed": settings.seed,
        "precision": settings.precision,
        "jit": settings.jit,
        "strategy": settings.strategy,
        "git_commit": _commit(),
    }


def _commit() -> str | None:
    """The commit of the checkout that the package runs from; None for an installed wheel."""
    folder = Path(__file__).parents[2]
    if not (folder / ".git").exists():
        return None
    try:
        asked = subprocess.run(["git", "-C", folder, "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    except OSError:  # no git on this machine
        return None
    return asked.stdout.strip() or None
