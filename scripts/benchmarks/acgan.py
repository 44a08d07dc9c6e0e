"""The AC-GAN's training step on features: kerasgan, PyTorch; and what reading the features from disk costs it."""

import os
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import tensorflow as tf

from benchmarks.timing import Row, in_turns
from benchmarks.ways import OURS, PRECISIONS, Batch, Step, compared, graph_step, tensors, torch_layouts
from kerasgan.experiment.devices import numerics
from kerasgan.gan.checkpoint import Position
from kerasgan.papers import settings_of
from kerasgan.papers.featuregan.acgan import ACGAN
from kerasgan.papers.featuregan.generation import AcganTask
from kerasgan.papers.featuregan.reading import AHEAD, READERS
from kerasgan.papers.featuregan.settings import FeatureganSettings
from kerasgan.papers.featuregan.store import Extraction, FeatureSlice, FeatureStore, shard_path
from kerasgan.papers.featuregan.store_writing import per_shard, write

ROUNDS = 12
# Where features come from: (block, shape, type on disk, width, features, steps in a turn, rounds).
STORES = (
    ("encoder5", (15, 15, 1024), "float32", 512, 512, 24, 8),
    ("decoder2", (120, 120, 128), "float16", 512, 320, 6, 3),
)
QUICK_STORES = (("encoder5", (4, 4, 6), "float32", 8, 64, 2, 1),)


def rows(quick: bool) -> list[Row]:
    """Features in a second for each way and precision, then how much longer the step takes that is fed from disk."""
    table = [row for precision in PRECISIONS for row in _rows(precision, quick)]
    return table + [
        _fed(precision, *store) for store in (QUICK_STORES if quick else STORES) for precision in PRECISIONS
    ]


def _rows(precision: str, quick: bool) -> list[Row]:
    _, shape, _, width, *_ = (QUICK_STORES if quick else STORES)[0]
    settings = settings_of("acgan", overrides=[f"acgan.precision={precision}"])
    batch = random_batch(shape, settings.acgan.batch_size)
    with numerics(settings.acgan):  # the options with which kerasgan trains
        steps = {OURS: graph_step(our_model(shape, width, settings).train_step, tensors(batch))}
        seconds = in_turns(steps | torch_steps(width, settings, batch), 1 if quick else ROUNDS)
    about = f"{_named(shape)}, width {width}, {PRECISIONS[precision]}"
    return compared(seconds, settings.acgan.batch_size, "features/s", about)


def random_batch(shape: tuple[int, int, int], batch_size: int) -> Batch:
    """A batch of noise as `ACGAN` takes it."""
    feature = np.random.default_rng(1).standard_normal((batch_size, *shape), np.float32)
    return {"feature": feature, "label": np.arange(batch_size, dtype=np.int32) % 2}


def our_model(shape: tuple[int, int, int], width: int, settings: FeatureganSettings) -> ACGAN:
    """The compiled model as `kerasgan train` builds it."""
    task = AcganTask.__new__(AcganTask)  # `__init__` would look for data
    task.settings, task.width, task.prepared = settings, width, SimpleNamespace(shape=shape)
    return task.build()


def torch_steps(width: int, settings: FeatureganSettings, batch: Batch) -> dict[str, Step]:
    """A training step of PyTorch per layout; none without the extra `bench`."""
    if not (layouts := torch_layouts()):
        return {}
    from benchmarks.pytorch_acgan import Training

    shape = batch["feature"].shape[1:]
    trainings = {what: Training(shape, width, settings.acgan, layout) for what, layout in layouts.items()}
    return {what: partial(training.train_step, *training.prepare(batch)) for what, training in trainings.items()}


# ---- from disk ----


def _fed(
    precision: str, block: str, shape: tuple[int, int, int], dtype: str, width: int, count: int, steps: int, rounds: int
) -> Row:
    """How much longer the step takes whose features are read from disk than on one batch in memory."""
    settings = settings_of("acgan", overrides=[f"acgan.precision={precision}"])
    with tempfile.TemporaryDirectory() as folder, numerics(settings.acgan):
        task = AcganTask(settings, feature_store(Path(folder), block, shape, dtype, count), {"width": width})
        model = task.build()
        model.make_train_function()
        calls = feeding_calls(task, model, steps)
        seconds = in_turns(calls, rounds)
    longer = float(np.median(seconds["fed"] / seconds["constant"])) - 1
    what = f"longer step, fed from disk, than on one batch in memory, {_named(shape)} {dtype}, width {width}"
    return Row(f"{what}, {PRECISIONS[precision]}", 100 * longer, "%", expected="less than 3")


def feeding_calls(task: AcganTask, model: ACGAN, steps: int) -> dict[str, Step]:
    """`steps` training steps on features that are read from disk in these calls, and on one batch in memory."""
    batches = iter(task.batches(Position()))
    constant = iter(tf.data.Dataset.from_tensors(next(batches)).repeat())

    def train(stream: Iterator) -> None:
        for _ in range(steps):
            logs = model.train_function(stream)  # what `fit` calls
        logs["generator_loss"].numpy()

    def fed() -> None:
        forget(task.prepared)
        for _ in range(READERS + AHEAD):  # were read in the others' turns, for nothing
            next(batches)
        train(batches)

    return {"fed": fed, "constant": lambda: train(constant)}


def feature_store(
    folder: Path, block: str, shape: tuple[int, int, int], dtype: str, count: int, seed: int = 1
) -> FeatureStore:
    """`count` features of noise on disk, of two classes in turns, none negative."""
    pieces = [
        FeatureSlice(name=f"slice {i}", patient=f"{i // 32}-{i % 2}", label=("LGG", "HGG")[i % 2], subset="train")
        for i in range(count)
    ]
    wanted = Extraction(
        origin="noise",
        data="",
        weights="",
        block=block,
        shape=shape,
        dtype=dtype,
        batch_size=10,
        per_shard=per_shard(shape, dtype, 10),
        slices=pieces,
    )

    def rows_from(first: int) -> Iterator[np.ndarray]:
        for number in range(first, count):
            yield np.abs(np.random.default_rng([seed, number]).standard_normal(shape, np.float32))

    return write(wanted, rows_from, folder / "features")


def forget(store: FeatureStore) -> None:
    """Take the features out of the system's cache, so that they are read from the disk."""
    for shard in store.manifest.shards:
        with shard_path(store.folder, shard.file).open("rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def _named(shape: tuple[int, int, int]) -> str:
    return "x".join(map(str, shape))
