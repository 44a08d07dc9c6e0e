"""`train`: from settings and prepared data to a finished run folder."""

from collections.abc import Sequence
from pathlib import Path

import click

from kerasgan.data.modalities import MODALITIES, canonical
from kerasgan.data.prepare import Prepared, describe, open_prepared
from kerasgan.errors import UserError
from kerasgan.experiment import devices
from kerasgan.experiment.preparation import is_simulated, simulated
from kerasgan.experiment.runs import Run, manifest_hash, open_run
from kerasgan.gan import checkpoint
from kerasgan.gan.training import fit
from kerasgan.papers import settings_of
from kerasgan.papers.pairwise.training import PairwiseTask
from kerasgan.report.page import write_page
from kerasgan.settings import Section, differences, dump

TASKS = {"pairwise": PairwiseTask}
ALL_PAIRS = tuple((m, n) for i, m in enumerate(MODALITIES) for n in MODALITIES[i + 1 :])
# What a resumed run may change: how long it trains says nothing about the state it begins with.
MAY_CHANGE = ("training.epochs",)


def train(
    model: str,
    *,
    pair: Sequence[str],
    data: str | Path | None = None,
    config: str | Path | None = None,
    overrides: Sequence[str] = (),
    profile: str | None = None,
    run_dir: str | Path | None = None,
    resume: bool = False,
    dry_run: bool = False,
    quiet: bool = False,
) -> Path:
    """Train `model` and return the run's folder.

    Args:
        model: a name of `kerasgan.papers.MODELS`.
        pair: two modalities by any of their names; or ("all",): the six pairs one after another into one group, of
            which finished runs are kept and begun ones resumed.
        data: a prepared folder; None: the simulated cohort of the settings, which the output names.
        config, profile, overrides: see `papers.settings_of`.
        run_dir: default runs/MODEL/PAIR.
        resume: go on with the run in `run_dir`, whose settings and data are used; overrides may only lengthen it.
        dry_run: check and print everything, train nothing.
        quiet: no progress bars, no output.
    """
    options = {"data": data, "config": config, "overrides": overrides, "profile": profile, "quiet": quiet}
    if [name.lower() for name in pair] == ["all"]:
        return _train_group(model, Path(run_dir or Path("runs") / model / "all"), resume, dry_run, options)
    names = _pair(pair)
    folder = Path(run_dir or Path("runs") / model / "-".join(names))
    before = _run_to_resume(folder, model, names) if resume else None
    settings = _settings(before, model, config, profile, overrides)
    if dry_run and data is None and before is None and not is_simulated(settings):
        if not quiet:
            click.echo(dump(settings), nl=False)
            click.echo(f"would simulate {settings.phantom.patients} patients and train {model} {'-'.join(names)}")
        return folder
    prepared = _data(before, data, settings) if data or before else None
    if before is None and not dry_run and (folder / "run.json").is_file():
        raise UserError(f"{folder} holds a run; resume it (--resume), or choose another folder (--run-dir)")
    prepared = prepared or simulated(settings, quiet)
    return _train_one(model, names, folder, before, settings, prepared, dry_run, quiet)


def _train_group(model: str, group: Path, resume: bool, dry_run: bool, options: dict) -> Path:
    """The six pairs one after another; what would stop any of them is found before the first is trained.

    On resume, pairs that have not begun take configuration and data from those that have.
    """
    begun = {pair: group / "-".join(pair) for pair in ALL_PAIRS if (group / "-".join(pair) / "run.json").is_file()}
    if begun and not resume:
        raise UserError(f"{group} holds runs; go on with the group by --resume, or give another --run-dir")
    if begun:
        first = open_run(next(iter(begun.values())), finished=False)
        if options["config"] is None and options["profile"] is None:
            options = options | {"config": first.folder / "config.yaml"}
        options = options | {"data": options["data"] or first.data}
    for only_checked in (True,) if dry_run else (True, False):
        for number, pair in enumerate(ALL_PAIRS, 1):
            quiet = options["quiet"] or (only_checked and not dry_run)
            if not quiet:
                click.echo(f"pair {number} of {len(ALL_PAIRS)}: {'-'.join(pair)}", err=True)
            more = {"resume": pair in begun, "dry_run": only_checked, "quiet": quiet}
            if not only_checked and pair in begun and _is_done(begun[pair], model, options):
                continue
            train(model, pair=pair, run_dir=group / "-".join(pair), **options | more)
    return group


def _is_done(folder: Path, model: str, options: dict) -> bool:
    """Whether a run has finished, and as many epochs as are asked for."""
    run = open_run(folder, finished=False)
    asked = _settings(run, model, options["config"], options["profile"], options["overrides"])
    return run.finished and run.settings == asked


def _train_one(
    model: str,
    names: tuple[str, str],
    folder: Path,
    before: Run | None,
    settings: Section,
    prepared: Prepared,
    dry_run: bool,
    quiet: bool,
) -> Path:
    say = (lambda text: None) if quiet else (lambda text: click.echo(text, err=True))
    say(f"data: {describe(prepared, settings.training.partition, names)}")
    strategy = devices.strategy_for(settings.training.strategy)
    replicas, chief = strategy.num_replicas_in_sync, devices.is_chief(settings.training.strategy)
    task = TASKS[model](settings, prepared, names)
    if dry_run:
        if not quiet:
            click.echo(dump(settings), nl=False)
        say(f"would train {model} {'-'.join(names)} into {folder}: {task.steps_per_epoch(replicas)} steps an epoch")
        return folder
    run = Run(
        folder,
        model,
        {"pair": list(names)},
        str(prepared.folder.resolve()),
        manifest_hash(prepared.folder),
        prepared.manifest.origin,
    )
    if chief:
        run.write(settings, devices.environment(settings.training))
    begun = checkpoint.newest(folder / "checkpoints") if before is not None else None
    if begun:
        position = checkpoint.position_of(begun)
        say(f"going on after {position.epoch} of {settings.training.epochs} epochs and {position.step} steps")
    with devices.numerics(settings.training):
        with strategy.scope():
            network = task.build()
        fit(
            network,
            lambda position: task.batches(position, replicas),
            steps_per_epoch=task.steps_per_epoch(replicas),
            epochs=settings.training.epochs,
            folder=folder / "checkpoints",
            checkpoint_every=settings.training.checkpoint_every,
            resume=begun is not None,
            monitor=task.monitor,
            callbacks=task.callbacks(folder, quiet, replicas) if chief else (),
            chief=chief,
        )
        if chief:
            table = task.finish(folder)
    if chief:
        write_page(folder, f"{model} {' and '.join(names)}", run.origin, task.panels)
        run.mark_finished()
        say(table)
    return folder


def _pair(pair: Sequence[str]) -> tuple[str, str]:
    if len(pair) != 2:
        raise UserError(f"--pair expects two modalities, or all; got {' '.join(pair) or 'nothing'}")
    m, n = (canonical(name) for name in pair)
    if m == n:
        raise UserError(f"--pair expects two different modalities; {pair[0]} and {pair[1]} are both {m}")
    return m, n


def _run_to_resume(folder: Path, model: str, names: tuple[str, str]) -> Run:
    run = open_run(folder, finished=False)
    if (run.model, run.target) != (model, {"pair": list(names)}):
        raise UserError(
            f"{folder} is a run of {run.model} {'-'.join(run.target['pair'])}, not of {model} {'-'.join(names)}"
        )
    return run


def _settings(
    before: Run | None, model: str, config: str | Path | None, profile: str | None, overrides: Sequence[str]
) -> Section:
    """The settings of a new run, or those of the run that is resumed, which may differ in `MAY_CHANGE` alone."""
    if before is None:
        return settings_of(model, config, profile or "full", overrides)
    own = before.folder / "config.yaml"
    asked = settings_of(model, config or (own if profile is None else None), profile or "full", overrides)
    if other := differences(before.settings, asked, ignore=MAY_CHANGE):
        raise UserError(
            f"{before.folder} was begun with another configuration ({'; '.join(other)}); resume it with its own, or "
            "begin a new run with another --run-dir"
        )
    return asked


def _data(before: Run | None, data: str | Path | None, settings: Section) -> Prepared:
    """The prepared folder that was given, or that of the run that is resumed."""
    prepared = open_prepared(Path(data or before.data), settings.data, settings.split)
    if before is not None and manifest_hash(prepared.folder) != before.data_hash:
        raise UserError(
            f"{prepared.folder} is not the data that {before.folder} was begun on ({before.data}), or it has changed "
            "since; a run goes on with the data that it began with, or begin a new run with another --run-dir"
        )
    return prepared
