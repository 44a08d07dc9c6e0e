"""How any model of the package is trained: the settings that are not one paper's own."""

from typing import Annotated, Literal

from pydantic import Field

from kerasgan.settings import Section

Count = Annotated[int, Field(ge=1)]


class TrainingSettings(Section):
    """Seed, device and bookkeeping of a training run."""

    batch_size: Count
    seed: Annotated[int, Field(ge=0)]
    precision: Literal["float32", "mixed_bfloat16"]
    jit: bool  # XLA
    strategy: Literal["none", "mirrored", "multiworker"]  # tf.distribute
    deterministic: bool  # bit-equal repetition on GPUs too
    checkpoint_every: Count  # epochs
