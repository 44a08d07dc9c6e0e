"""What a run shows and leaves behind while it trains: a progress bar, history.csv, sample pictures."""

import csv
from collections.abc import Callable
from pathlib import Path

import keras
from tqdm import tqdm

from kerasgan.files import written_aside


class History(keras.callbacks.Callback):
    """One row per epoch in history.csv. On resume, rows of epochs that are trained again are taken out first.

    Args:
        path: the file.
        columns: names of the values written, after `epoch` (from 1); a value that an epoch lacks is an empty cell.
        earlier: epochs of the run's earlier stages, from which this one's are counted on.
    """

    def __init__(self, path: Path, columns: list[str], earlier: int = 0):
        super().__init__()
        self.path, self.columns, self.earlier = path, ["epoch", *columns], earlier
        self.first = True

    def on_epoch_begin(self, epoch, logs=None):
        if not self.first:
            return
        self.first = False
        rows, before = [], self.earlier + epoch
        if before and self.path.exists():
            with self.path.open(newline="", encoding="utf-8") as file:
                rows = [row for row in csv.DictReader(file) if row["epoch"].isdigit() and int(row["epoch"]) <= before]
        with written_aside(self.path) as aside, aside.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, self.columns, restval="", extrasaction="ignore")
            writer.writeheader()
            writer.writerows(rows)

    def on_epoch_end(self, epoch, logs=None):
        row = {"epoch": self.earlier + epoch + 1} | {name: f"{value:.6g}" for name, value in logs.items()}
        with self.path.open("a", newline="", encoding="utf-8") as file:
            csv.DictWriter(file, self.columns, restval="", extrasaction="ignore").writerow(row)


class Progress(keras.callbacks.Callback):
    """A progress bar over epochs with the epoch's step and the last values.

    Args:
        epochs: epochs of the whole run.
        steps: steps of an epoch.
        describe: name -> short name of the values shown.
        stage: its name, where a run has several.
    """

    def __init__(self, epochs: int, steps: int, describe: dict[str, str], stage: str = ""):
        super().__init__()
        self.epochs, self.steps, self.describe, self.stage = epochs, steps, describe, stage
        self.shown: dict[str, str] = {}
        self.bar: tqdm | None = None

    def on_epoch_begin(self, epoch, logs=None):
        if self.bar is None:
            self.bar = tqdm(total=self.epochs * self.steps, initial=epoch * self.steps, unit="step", smoothing=0.1)
        self.bar.set_description(f"{self.stage} epoch {epoch + 1}/{self.epochs}".strip())

    def on_train_batch_end(self, batch, logs=None):
        self.bar.update()
        if batch % 10 == 0:
            self._show(logs)

    def on_epoch_end(self, epoch, logs=None):
        self.bar.update((epoch + 1) * self.steps - self.bar.n)  # also where an epoch was finished after a resume
        self._show(logs)

    def on_train_end(self, logs=None):
        if self.bar.n >= self.bar.total:
            self.bar.close()

    def _show(self, logs):
        self.shown |= {short: f"{logs[name]:.3g}" for name, short in self.describe.items() if name in logs}
        self.bar.set_postfix(self.shown)


class Every(keras.callbacks.Callback):
    """Calls `action(epoch)` (epochs from 1) at the end of each n-th epoch and of the last one.

    What the action returns is added to the epoch's logs.
    """

    def __init__(self, n: int, epochs: int, action: Callable[[int], dict[str, float] | None]):
        super().__init__()
        self.n, self.epochs, self.action = n, epochs, action

    def on_epoch_end(self, epoch, logs=None):
        if (epoch + 1) % self.n == 0 or epoch + 1 == self.epochs:
            logs.update(self.action(epoch + 1) or {})
