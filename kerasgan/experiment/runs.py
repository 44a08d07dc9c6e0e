"""A run's folder: everything that a number or a picture can be traced to.

runs/MODEL/NAME/
    config.yaml        the resolved settings; may be given to --config
    run.json           model, target (the pair, ...), data, state
    environment.json   versions, device, seed, precision, git commit
    history.csv  metrics.json  quality.md  samples/  checkpoints/  generators/  report.html
"""

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from kerasgan.errors import UserError
from kerasgan.files import write_text
from kerasgan.papers import card
from kerasgan.settings import Section, dump, read_yaml, validate


class DataSet(Protocol):
    """A data set on disk."""

    folder: Path
    hash: str


@dataclass(frozen=True)
class Run:
    """A run's folder and what run.json says of it."""

    folder: Path
    model: str
    target: dict[str, Any]  # what was trained: the pair, the enlarged set, ...
    data: str  # the prepared folder, or that of the features
    data_hash: str  # of its manifest
    origin: str  # which data that is
    finished: bool = False

    @property
    def settings(self) -> Section:
        return validate(card(self.model).settings, read_yaml(self.folder / "config.yaml"), f"{self.folder}/config.yaml")

    def write(self, settings: Section, environment: dict) -> None:
        """Write config.yaml, environment.json and, last, run.json."""
        write_text(self.folder / "config.yaml", dump(settings))
        write_text(self.folder / "environment.json", json.dumps(environment, indent=1))
        self._write_state()

    def mark_finished(self) -> None:
        replace(self, finished=True)._write_state()

    def _write_state(self) -> None:
        content = {name: value for name, value in asdict(self).items() if name != "folder"}
        write_text(self.folder / "run.json", json.dumps(content, indent=1))


def open_run(folder: str | Path, finished: bool = True) -> Run:
    """The run in a folder; with `finished`, refuse one whose training has not ended."""
    folder = Path(folder)
    path = folder / "run.json"
    if not folder.is_dir():
        raise UserError(f"there is no folder {folder}, so no run in it")
    if not path.is_file():
        hint = "expected the folder of a run, such as runs/pairwise/t1-t1e, made by `kerasgan train`"
        if inner := sorted(str(p.parent) for p in folder.glob("*/run.json")):
            hint = f"it is a group of runs, give one of them: {', '.join(inner)}"
        raise UserError(f"{folder} has no run.json; {hint}")
    try:
        run = Run(folder=folder, **json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise UserError(f"{path} is not readable ({error}); train the run anew") from None
    if finished and not run.finished:
        raise UserError(
            f"the training of {folder} has not ended; finish it with `kerasgan train {run.model} --resume --run-dir "
            f"{folder}` and the words that it was begun with"
        )
    return run


def refuse_other_data(run: Run, data: DataSet) -> None:
    """UserError unless a run was begun on this data."""
    if data.hash != run.data_hash:
        raise UserError(
            f"{data.folder} is not the data that {run.folder} was begun on ({run.data}), or it has changed since; "
            "a run goes on with the data that it began with, or begin a new one in another folder"
        )


def pair_runs(group: Path) -> dict[frozenset[str], Run]:
    """The finished runs in a group's folder, by their pair."""
    folders = [group] if (group / "run.json").is_file() else sorted(p.parent for p in group.glob("*/run.json"))
    if not folders:
        raise UserError(f"{group} holds no run; expected the folder of `kerasgan train pairwise --pair all`")
    runs = [open_run(folder, finished=False) for folder in folders]
    if not any(run.finished for run in runs):
        raise UserError(f"no run in {group} has finished; go on with `kerasgan train pairwise --pair all --resume`")
    by_pair: dict[frozenset[str], Run] = {}
    for run in (run for run in runs if run.finished):
        if (other := by_pair.setdefault(frozenset(run.target["pair"]), run)) is not run:
            raise UserError(f"{run.folder} and {other.folder} are runs of the same pair; leave one in {group}")
    return by_pair
