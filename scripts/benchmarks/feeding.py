"""What tf.data costs a training step: the pairwise step fed from shards against the same on one batch in memory."""

import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from benchmarks import phantoms
from benchmarks.timing import Row, in_turns
from kerasgan.data.prepare import prepare
from kerasgan.experiment.devices import numerics
from kerasgan.gan.checkpoint import Position
from kerasgan.papers import settings_of
from kerasgan.papers.pairwise.training import PairwiseTask

PATIENTS, GRID = 14, 64  # 8 patients to train on with 6 slices each: whole batches of 16


def rows(quick: bool) -> list[Row]:
    """How much longer a step takes when it is fed, and what a batch costs by itself."""
    steps, rounds = (1, 1) if quick else (4, 15)
    with tempfile.TemporaryDirectory() as folder:
        task = pairwise_task(Path(folder), quick)
        with numerics(task.settings.training):
            model = task.build()
            model.make_train_function()
            fed = iter(task.batches(Position()))
            constant = iter(tf.data.Dataset.from_tensors(next(fed)).repeat())
            calls = {"fed": _steps(model, fed, steps), "constant": _steps(model, constant, steps)}
            seconds = in_turns(calls, rounds)
            batch = _processor_seconds(task.batches(Position()), 20 if quick else 200)
    extra = float(np.median(seconds["fed"] / seconds["constant"])) - 1
    return [
        Row("longer step, fed by tf.data, than on one batch in memory", 100 * extra, "%", expected="less than 3"),
        Row("tf.data alone, processor time", 1e3 * batch, "ms/batch"),
    ]


def pairwise_task(folder: Path, quick: bool) -> PairwiseTask:
    """A training run on simulated patients prepared in `folder`."""
    # The phantom's voxels are large here, and its tumours a few slices thick.
    overrides = ["data.min_gap=1", "split.stratify=null"]
    overrides += ["data.size=16", "training.batch_size=2"] if quick else []
    settings = settings_of("pairwise", overrides=overrides)
    cohort = phantoms.cohort(folder / "cohort", PATIENTS, GRID)
    prepared = prepare(cohort, folder / "prepared", settings.data, settings.split, quiet=True)
    return PairwiseTask(settings, prepared, {"pair": ["t1", "t1e"]})


def _steps(model: keras.Model, batches: Iterator, count: int) -> Callable[[], None]:
    def steps() -> None:
        for _ in range(count):
            logs = model.train_function(batches)  # what `fit` calls
        logs["l1"].numpy()

    return steps


def _processor_seconds(batches: tf.data.Dataset, count: int) -> float:
    """Seconds of one core that a batch takes, in the second and further epochs, which come from memory."""
    iterator = iter(batches)
    for _ in range(count):
        next(iterator)
    begun = time.process_time()
    for _ in range(count):
        next(iterator)
    return (time.process_time() - begun) / count
