"""The ways that are compared, in which numbers they compute, and the rows of their comparison."""

import importlib.util
import sys
from collections.abc import Callable, Mapping

import numpy as np
import tensorflow as tf

from benchmarks.timing import Row, rate, times_as_fast
from kerasgan.threads import usable_cores

OURS, KERAS = "kerasgan", "Keras alone"
CHANNELS_LAST, DEFAULT_LAYOUT = "PyTorch, channels last", "PyTorch, default layout"
PRECISIONS = {"float32": "fp32", "mixed_bfloat16": "bf16"}

Batch = dict[str, np.ndarray]
Step = Callable[[], object]


def torch_layouts() -> dict[str, "torch.memory_format"]:  # noqa: F821, of an extra
    """The layouts of PyTorch's tensors by way, on all cores; none, and a word of it, without the extra `bench`."""
    if importlib.util.find_spec("torch") is None:
        print("PyTorch is left out; to compare with it: pip install 'kerasgan[bench]'", file=sys.stderr)
        return {}
    import torch  # an extra

    torch.set_num_threads(usable_cores())
    return {CHANNELS_LAST: torch.channels_last, DEFAULT_LAYOUT: torch.contiguous_format}


def graph_step(train_step: Callable, data: object) -> Step:
    """A training step on one batch of tensors as `fit` runs it, one graph; finished when it returns."""
    traced = tf.function(train_step)
    return lambda: [value.numpy() for value in traced(data).values()]


def tensors(batch: Batch) -> dict[str, tf.Tensor]:
    """A batch that is not copied again in each step."""
    return {name: tf.constant(array) for name, array in batch.items()}


def compared(
    seconds: Mapping[str, np.ndarray], work: float, unit: str, about: str, expected: Mapping[str, str] | None = None
) -> list[Row]:
    """A row for each way: `work` in a second, and how many times as fast kerasgan is.

    `about` follows the way in the row's name; `expected` has the goals that were set, by way.
    """
    return [
        Row(
            f"{way}, {about}",
            rate(work, taken),
            unit,
            None if way == OURS else times_as_fast(seconds[OURS], taken),
            (expected or {}).get(way, ""),
        )
        for way, taken in seconds.items()
    ]
