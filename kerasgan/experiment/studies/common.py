"""What all studies share: the words of the command line, the data, and steps that are not done twice."""

import gc
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypedDict, TypeVar

import click
import keras

from kerasgan.data.prepare import Prepared, open_prepared
from kerasgan.evaluation.encoder import EncoderSettings
from kerasgan.experiment.comparison import train_image_encoder
from kerasgan.experiment.devices import strategy_for
from kerasgan.experiment.preparation import is_simulated, simulated
from kerasgan.experiment.tasks import TASKS
from kerasgan.experiment.training import is_done, train
from kerasgan.files import remove, write_text
from kerasgan.papers import MODELS, card, settings_of
from kerasgan.report.tables import Table
from kerasgan.settings import Section, dump, read_json

# What is done, whether it is done already, and how to do it.
Step = tuple[str, Callable[[], bool], Callable[[], Any]]


class Words(TypedDict, total=False):
    """Words of the command line that every study takes."""

    data: str | Path | None  # a prepared folder; None: the simulated cohort of the settings
    config: str | Path | None  # see `papers.settings_of`, as the next two
    profile: str
    overrides: Sequence[str]
    out: str | Path | None  # the study's folder; None: runs/PAPER/study, or study-PROFILE
    keep_checkpoints: bool  # of finished runs; without them a run cannot be lengthened
    dry_run: bool  # check everything, say what would be done
    quiet: bool  # no progress


@dataclass(frozen=True)
class Study:
    """Where a study is kept, on which data, and with which words of the command line."""

    folder: Path
    prepared: Prepared
    settings: Section
    options: Mapping[str, Any]  # config, profile, overrides
    keep_checkpoints: bool
    quiet: bool

    def train(
        self,
        model: str,
        run: Path,
        *,
        data: Path | None = None,
        options: Mapping[str, Any] | None = None,
        **target: Any,
    ) -> None:
        """Train a run of the study, or go on with it; without its checkpoints, unless they are to be kept.

        `data` and `options` are the study's own where they are None.
        """
        more = {"data": data or self.prepared.folder, "run_dir": run, "quiet": self.quiet}
        train(model, resume=(run / "run.json").is_file(), **target, **more, **(options or self.options))
        if not self.keep_checkpoints:  # optimizer moments make up most of a run's hundreds of megabytes
            remove(run / "checkpoints")

    def check(self, model: str, run: Path, *, options: Mapping[str, Any] | None = None, **target: Any) -> None:
        """Find out before days of training what would stop a run of the study that is not done; see `train`."""
        options = options or self.options
        if not is_done(run, model, options, self.prepared):
            settings = settings_of(model, **options)
            strategy_for(getattr(settings, card(model).section).strategy)  # before anything else of TensorFlow
            TASKS[model](settings, self.prepared, TASKS[model].settled(target, settings))

    def write_tables(self, title: str, length: str, tables: Sequence[Table]) -> None:
        """tables.md and a CSV for each table, which name the data that ours were measured on."""
        origin = self.prepared.manifest.origin
        head = f"# {title}: the study\n\nOurs on: {origin}\n\n{length}\n\n"
        write_text(self.folder / "tables.md", head + "\n".join(table.markdown() for table in tables))
        for table in tables:
            write_text(self.folder / f"{table.name}.csv", table.csv(origin))

    def show_tables(self) -> None:
        """Print tables.md."""
        click.echo((self.folder / "tables.md").read_text(encoding="utf-8"))


S = TypeVar("S", bound=Study)


def folder_of(paper: str, words: Words) -> Path:
    """A study's folder."""
    profile = words.get("profile", "full")
    name = "study" if profile == "full" else f"study-{profile}"
    return Path(words.get("out") or Path("runs") / paper / name)


def begun(kind: type[S], paper: str, settings: Section, words: Words, **more: Any) -> S | None:
    """A study on its data, which is named; None if nothing but the simulation would be done (`dry_run`).

    `more` are fields of `kind` beyond those of `Study`.
    """
    folder, data, quiet = folder_of(paper, words), words.get("data"), words.get("quiet", False)
    if words.get("dry_run") and not quiet:
        click.echo(dump(settings), nl=False)
    if words.get("dry_run") and data is None and not is_simulated(settings):
        click.echo(
            f"would simulate {settings.phantom.patients} patients and run the study into {folder}; its steps depend on "
            "the data: they are listed when these are there, or of your own with --data"
        )
        return None
    model = next(name for name, card in MODELS.items() if card.config == paper)  # any: they prepare alike
    prepared = open_prepared(Path(data), settings.data, settings.split, model) if data else simulated(settings, quiet)
    options = {
        "config": words.get("config"),
        "profile": words.get("profile", "full"),
        "overrides": tuple(words.get("overrides", ())),
    }
    if not quiet:
        click.echo(f"data: {prepared.manifest.origin}", err=True)
    return kind(folder, prepared, settings, options, words.get("keep_checkpoints", False), quiet, **more)


def take(steps: Sequence[Step], dry_run: bool, quiet: bool) -> None:
    """Do what is not done yet, in order; with `dry_run`, say what that would be."""
    for position, (what, done, act) in enumerate(steps, 1):
        state = "done" if done() else ("would be done" if dry_run else "")
        if not quiet:
            click.echo(f"step {position} of {len(steps)}, {what}{': ' + state if state else ''}", err=True)
        if not state:
            act()
            # The networks and graphs of dozens of runs would fill the memory.
            keras.backend.clear_session()
            gc.collect()


def read_note(path: Path) -> dict[str, Any]:
    """What a step has left as JSON."""
    return read_json(path, "remove the file, and the same command makes it anew")


# ---- the encoder in whose features a study compares -----------------------------------------------------------------

ENCODER_IMAGES = 2000  # at most, of its training


def is_encoded(path: Path, settings: EncoderSettings, images: Mapping[str, Any], prepared: Prepared) -> bool:
    """Whether an encoder is there that has learnt these images of these data; `images` as `train_image_encoder`."""
    beside = path.with_suffix(".json")
    if not (path.is_file() and beside.is_file()):
        return False
    card, wanted = read_note(beside), {"settings": asdict(settings), "chosen": images | {"data": prepared.hash}}
    return wanted == {name: card.get(name) for name in wanted}


def encode(path: Path, settings: EncoderSettings, images: Mapping[str, Any], prepared: Prepared, quiet: bool) -> None:
    """Train that encoder."""
    own = {"seed": settings.seed, "epochs": settings.epochs}
    train_image_encoder(real=prepared.folder, out=path, quiet=quiet, **own, **images)
