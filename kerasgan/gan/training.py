"""`fit` that can be killed at any moment and goes on as if it had not been.

State is saved at the end of every n-th epoch, and by SIGTERM or Ctrl-C at the end of the step under way. Since the
order of the data is a function of (seed, epoch), and a position names epoch and step, a resumed run takes the batches
and the noise that the uninterrupted one would have taken. Its weights are then the same to rounding, and bit for bit
where TensorFlow's operations are deterministic (the setting `deterministic`).
"""

import math
import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from kerasgan.errors import UserError
from kerasgan.gan import checkpoint
from kerasgan.gan.checkpoint import Position
from kerasgan.gan.model import AdversarialModel


class Stopped(Exception):
    """Training was asked to stop, and its state is saved.

    Args:
        position: where; None if it was between steps, or at once: what was saved last is kept.
        what: of it was trained, if it is a part, such as "stage 8".
        resumable: whether --resume goes on; if not, the same command does so by itself.

    `folder`, of the run or of the group, is known to whoever trains it.
    """

    folder: Path | None = None

    def __init__(self, signal_number: int, position: Position | None, what: str = "", resumable: bool = True):
        self.signal_number, self.position, self.resumable = signal_number, position, resumable
        where = f" of {what}" if what else ""
        if position and position.step:
            where = f" in epoch {position.epoch + 1} after step {position.step}{where}"
        elif position:
            where = f" after epoch {position.epoch}{where}"
        super().__init__(f"stopped{where}; {'the state is saved' if position else 'what was saved last is kept'}")


class Diverged(UserError):
    """A loss became NaN or infinite."""


def fit(
    model: AdversarialModel,
    batches: Callable[[Position], tf.data.Dataset],
    *,
    steps_per_epoch: int,
    epochs: int,
    folder: Path,
    checkpoint_every: int,
    resume: bool,
    monitor: str | None = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    chief: bool = True,
) -> None:
    """Train up to `epochs`, from the last checkpoint in `folder` if `resume`.

    `batches(position)` is the endless stream of batches from a position on. Callbacks run before the epoch's state is
    saved and may add to its logs; the epoch with the largest `monitor` among them is kept as best.npz beside
    latest.npz. Only the `chief` of several workers writes. Raises `Stopped` on SIGTERM or Ctrl-C, `Diverged` on a NaN.
    """
    if not steps_per_epoch:
        raise UserError(
            "an epoch has no step: there are fewer examples than a batch, which replicas share out; lower the "
            "model's batch_size"
        )
    begin = checkpoint.newest(folder) or folder / "latest.npz"
    position = checkpoint.restore(begin, model.state()) if resume else Position()
    running = checkpoint.values(_running_means(model))
    with stop_requests() as requests:
        keeper = _Keeper(folder, position, running, checkpoint_every, steps_per_epoch, epochs, monitor, requests, chief)
        while keeper.position.epoch < epochs:
            # An epoch begun earlier is finished on its own: `fit` counts the steps of whole epochs.
            begun = keeper.position
            model.fit(
                batches(begun),
                initial_epoch=begun.epoch,
                epochs=begun.epoch + 1 if begun.step else epochs,
                steps_per_epoch=steps_per_epoch - begun.step,
                callbacks=[_Scalars(), *callbacks, keeper],
                verbose=0,
                shuffle=False,  # the dataset comes shuffled
            )
    if chief:
        (folder / "previous.npz").unlink(missing_ok=True)
    if requests:  # asked in the last epoch: what comes after it, another stage or run, is not begun
        raise Stopped(requests[0], keeper.position)


class _Scalars(keras.callbacks.Callback):
    """Makes the logs that later callbacks see plain numbers; replicas report arrays of shape (1,)."""

    def on_train_batch_end(self, batch, logs=None):
        logs.update({name: float(np.ravel(value)[0]) for name, value in logs.items()})

    on_epoch_end = on_train_batch_end


class _Keeper(keras.callbacks.Callback):
    """Saves the state at the end of epochs and on request, and stops at a loss that is not finite."""

    def __init__(self, folder, position, running, every, steps, epochs, monitor, requests, chief):
        super().__init__()
        self.folder, self.position, self.running = folder, position, running
        self.every, self.steps, self.epochs, self.monitor = every, steps, epochs, monitor
        self.requests, self.chief = requests, chief
        self.resumed = self.unproven = position != Position()

    def on_epoch_begin(self, epoch, logs=None):
        if self.position.step:  # Keras has reset the running means of the epoch that is being finished
            for name, variable in _running_means(self.model).items():
                variable.assign(self.running[name])

    def on_train_batch_end(self, batch, logs=None):
        step = self.position.step + 1
        self.position = Position(self.position.epoch, step, self.position.best)
        if bad := [name for name, value in logs.items() if not math.isfinite(value)]:
            self._drop_unproven()
            raise Diverged(
                f"{bad[0]} is not finite in epoch {self.position.epoch + 1}, step {step}; the last good state is kept "
                f"in {self.folder}: begin a new run with a lower learning rate, or in float32"
            )
        self.unproven = False
        if self.requests and step < self.steps:  # after the last step the epoch is ended first
            self._stop()

    def on_epoch_end(self, epoch, logs=None):
        score, best = logs.get(self.monitor), self.position.best
        improved = score is not None and (best is None or score > best)
        self.position = Position(epoch + 1, 0, score if improved else best)
        if improved:
            self._save("best")
        if self.requests and epoch + 1 < self.epochs:
            self._stop()
        if (epoch + 1) % self.every == 0 or epoch + 1 == self.epochs:
            self._save("latest")

    def _stop(self) -> None:
        self._save("latest")
        raise Stopped(self.requests[0], self.position)

    def _save(self, name: str) -> None:
        if not self.chief:
            return
        path = self.folder / f"{name}.npz"
        if name == "latest":
            # A step's losses judge the weights before its update: what is saved now is proven by the next step.
            if path.exists():
                os.replace(path, self.folder / "previous.npz")
            self.unproven = True
        checkpoint.save(path, self.model.state(), self.position)

    def _drop_unproven(self) -> None:
        """Take back a state that the very next step found to be bad."""
        previous, latest = self.folder / "previous.npz", self.folder / "latest.npz"
        if self.unproven and self.chief:
            if previous.exists():
                os.replace(previous, latest)
            elif not self.resumed:  # else it is the end of a finished run, and all there is of it
                latest.unlink(missing_ok=True)


def _running_means(model: AdversarialModel) -> Mapping[str, keras.Variable]:
    return {f"{i}": variable for i, variable in enumerate(model.metrics_variables)}


@contextmanager
def stop_requests() -> Iterator[list[int]]:
    """Collects SIGTERM and SIGINT while its block runs; a second SIGINT interrupts at once."""
    requests: list[int] = []

    def ask(number, frame):
        if requests and number == signal.SIGINT:
            raise KeyboardInterrupt
        requests.append(number)

    if threading.current_thread() is not threading.main_thread():  # signals belong to the main thread
        yield requests
        return
    before = {number: signal.signal(number, ask) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield requests
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
