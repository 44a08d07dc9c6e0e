"""The U-Net's training step on slices of 240x240: kerasgan, PyTorch; and whether the augmentation keeps up with it."""

import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks import phantoms
from benchmarks.timing import Row, in_turns
from benchmarks.ways import OURS, PRECISIONS, Batch, Step, compared, graph_step, tensors, torch_layouts
from kerasgan.data.prepare import prepare
from kerasgan.experiment.devices import numerics
from kerasgan.gan.checkpoint import Position
from kerasgan.gan.supervised import SupervisedModel
from kerasgan.papers import settings_of
from kerasgan.papers.featuregan.segmentation import UnetTask
from kerasgan.papers.featuregan.settings import FeatureganSettings

ROUNDS = 6
BATCH = 4  # a step of the published 10 would take processors minutes for all rounds; a slice costs the same
PATIENTS, GRID = 6, 48
SMALL = ["data.size=32", "unet.filters=[4, 4, 6, 8, 8]"]


def rows(quick: bool) -> list[Row]:
    """Slices in a second for each way and precision, and those that tf.data augments in a second of one core."""
    table = [row for precision in PRECISIONS for row in _rows(precision, quick)]
    with tempfile.TemporaryDirectory() as folder:
        augmented = delivered(unet_task(Path(folder), quick), 20 if quick else 200)
    what = "slices read and augmented (Table 1) by tf.data, of one core's time"
    return [*table, Row(what, augmented, "slices/s", expected="10 times the step's")]


def _rows(precision: str, quick: bool) -> list[Row]:
    batch_size, rounds = (2, 1) if quick else (BATCH, ROUNDS)
    overrides = [f"unet.precision={precision}", f"unet.batch_size={batch_size}", *(SMALL if quick else [])]
    settings = settings_of("unet", overrides=overrides)
    batch = random_batch(batch_size, settings.data.size)
    with numerics(settings.unet):  # the options with which kerasgan trains
        ours = graph_step(our_model(settings).train_step, tensors(batch))
        steps = {OURS: ours} | torch_steps(settings, batch)
        seconds = in_turns(steps, rounds)
    return compared(seconds, batch_size, "slices/s", f"batch {batch_size}, {PRECISIONS[precision]}")


def random_batch(batch_size: int, size: int) -> Batch:
    """A batch of noise as `SupervisedModel` takes it; a tenth of the pixels is tumour."""
    random = np.random.default_rng(1)
    shape = (batch_size, size, size, 1)
    return {
        "image": random.standard_normal(shape, np.float32),
        "mask": (random.random(shape) < 0.1).astype("float32"),
    }


def our_model(settings: FeatureganSettings) -> SupervisedModel:
    """The compiled model as `kerasgan train` builds it."""
    task = UnetTask.__new__(UnetTask)  # `__init__` would look for data
    task.settings = settings
    return task.build()


def torch_steps(settings: FeatureganSettings, batch: Batch) -> dict[str, Step]:
    """A training step of PyTorch per layout; none without the extra `bench`."""
    if not (layouts := torch_layouts()):
        return {}
    from benchmarks.pytorch_unet import Training

    trainings = {what: Training(settings.unet, 1, layout) for what, layout in layouts.items()}
    return {what: partial(training.train_step, *training.prepare(batch)) for what, training in trainings.items()}


# ---- the augmentation ----


def unet_task(folder: Path, quick: bool) -> UnetTask:
    """A training run on simulated patients prepared in `folder`."""
    # Classed by IDH: few patients may all be of one grade.
    overrides = ["study.label=idh", "study.negative=mutant", "study.positive=wildtype", "split.stratify=idh"]
    overrides += ["split.train=0.5", "split.test=0.5", *(SMALL if quick else [])]
    settings = settings_of("unet", overrides=overrides)
    cohort = phantoms.cohort(folder / "cohort", PATIENTS, GRID)
    return UnetTask(settings, prepare(cohort, folder / "prepared", settings.data, settings.split, quiet=True), {})


def delivered(task: UnetTask, slices: int) -> float:
    """Slices that a second of one core reads from memory, augments and standardises, in the second epoch and on."""
    batch_size = task.training.batch_size
    # No more is asked for than is counted, or what is made ahead would be paid for and not counted.
    count = -(-slices // batch_size)
    batches = task.batches(Position()).take(task.steps_per_epoch() + count)
    iterator = iter(batches)
    for _ in range(task.steps_per_epoch()):
        next(iterator)
    begun = time.process_time()
    found = sum(len(batch["image"]) for batch in iterator)
    return found / (time.process_time() - begun)
