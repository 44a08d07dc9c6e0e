"""The whole state of a training run in one file, written aside and renamed.

An .npz of plain arrays (read without pickle): every variable by name, and the position (epoch, step). Restoring is
strict: a variable that is missing, left over or of another shape is an error, so a resumed run never begins with fresh
optimizer moments unnoticed.
"""

import json
import os
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from kerasgan.errors import UserError
from kerasgan.files import written_aside

POSITION = "//position"  # its name in the file, which no variable has


@dataclass(frozen=True)
class Position:
    """Where training stands: `step` steps into epoch `epoch` (both from 0), and the best score so far."""

    epoch: int = 0
    step: int = 0
    best: float | None = None


def values(state: Mapping[str, keras.Variable]) -> dict[str, np.ndarray]:
    """Copies of the variables' values, read from this process's own replicas.

    Reading a running mean as a whole would be an operation of all workers, and only the chief saves.
    """
    return {name: _local_value(variable.value) for name, variable in state.items()}


def _local_value(variable: tf.Variable) -> np.ndarray:
    replicas = [np.array(each) for each in getattr(variable, "values", [variable])]
    summed = variable.synchronization == tf.VariableSynchronization.ON_READ  # running means; others are all equal
    return np.sum(replicas, axis=0, dtype=replicas[0].dtype) if summed else replicas[0]


def save(path: Path, state: Mapping[str, keras.Variable], position: Position) -> None:
    """Write the state; a file named `path` is always whole."""
    arrays = values(state)
    with written_aside(path) as aside, aside.open("wb") as file:
        np.savez(file, **arrays, **{POSITION: np.array(json.dumps(asdict(position)))})
        file.flush()
        os.fsync(file.fileno())  # a rename alone may survive a crash that the content does not


def read(path: Path) -> tuple[dict[str, np.ndarray], Position]:
    """The values in a checkpoint, by name, and its position."""
    with _opened(path) as saved:
        arrays = dict(saved)
        position = json.loads(str(arrays.pop(POSITION)))
    return arrays, Position(**position)


def position_of(path: Path) -> Position:
    """The position of a checkpoint, without reading its variables."""
    with _opened(path) as saved:
        return Position(**json.loads(str(saved[POSITION])))


@contextmanager
def _opened(path: Path) -> Iterator[Mapping[str, np.ndarray]]:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as saved:
            yield saved
    except FileNotFoundError:
        raise UserError(
            f"{path} does not exist; the run was stopped before its first checkpoint, start it anew"
        ) from None
    except (OSError, ValueError, KeyError, zipfile.BadZipFile, EOFError) as error:
        raise UserError(f"{path} is not a readable checkpoint ({error}); remove it, or start the run anew") from None


def newest(folder: Path) -> Path | None:
    """The checkpoint to resume from: latest.npz, or the one before if a kill came while it was written."""
    return next((path for name in ("latest", "previous") if (path := folder / f"{name}.npz").is_file()), None)


def restore(path: Path, state: Mapping[str, keras.Variable]) -> Position:
    """Assign every variable from `path`; returns the position."""
    saved, position = read(path)
    if unmatched := set(state) ^ set(saved):
        raise UserError(
            f"{path} is a checkpoint of another model: {sorted(unmatched)[0]!r} and {len(unmatched) - 1} more "
            "variables are on one side only; resume with the configuration that the run began with"
        )
    for name, variable in state.items():
        if saved[name].shape != tuple(variable.shape):
            raise UserError(
                f"{path}: {name} has shape {saved[name].shape}, the model's is {tuple(variable.shape)}; resume with "
                "the configuration that the run began with"
            )
    for name, variable in state.items():
        variable.assign(saved[name])
    return position


def restore_network(network: keras.Model, path: Path, group: str) -> None:
    """Give a network the variables that a checkpoint has of one: "PLAYER/NUMBER", see `AdversarialModel.state`.

    All of them: `set_weights` would leave out the random numbers' state of dropout layers.
    """
    saved, _ = read(path)
    own = {f"{group}/{i:03}": variable for i, variable in enumerate(network.variables)}
    if own.keys() != {name for name in saved if name.startswith(f"{group}/")}:
        raise UserError(f"{path} is a checkpoint of another network than {group}; train the run anew")
    for name, variable in own.items():
        variable.assign(saved[name])
