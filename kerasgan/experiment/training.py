"""`train`: from settings and prepared data to a finished run folder."""

import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import click

from kerasgan.data.prepare import Prepared, open_prepared
from kerasgan.errors import UserError
from kerasgan.experiment import devices
from kerasgan.experiment.features import extract_features
from kerasgan.experiment.parallel import train_at_once
from kerasgan.experiment.preparation import digest, is_simulated, made_once, prepared_folder, simulated
from kerasgan.experiment.runs import Run, open_run, refuse_other_data
from kerasgan.experiment.tasks import TASKS, Data, Stage, Task
from kerasgan.gan import checkpoint
from kerasgan.gan.model import AdversarialModel
from kerasgan.gan.training import Stopped, fit
from kerasgan.papers import ENSEMBLES, card, settings_of
from kerasgan.papers.featuregan.segmentation import UnetTask
from kerasgan.papers.featuregan.store import FeatureStore, open_features
from kerasgan.report.page import write_page
from kerasgan.settings import Section, differences, dump


def train(
    model: str,
    *,
    data: str | Path | None = None,
    config: str | Path | None = None,
    overrides: Sequence[str] = (),
    profile: str | None = None,
    run_dir: str | Path | None = None,
    resume: bool = False,
    dry_run: bool = False,
    quiet: bool = False,
    jobs: int = 1,
    **target: Any,
) -> Path:
    """Train `model` and return the folder of its run, or of the group of runs.

    Args:
        model: a name of `kerasgan.papers.MODELS`, or of `ENSEMBLES`, whose members make a group.
        data: a prepared folder, or one of features, as the model's card says; None: the simulated cohort of the
            settings (or the features of a U-Net that has learnt it), which the output names.
        config, profile, overrides: see `papers.settings_of`.
        run_dir: default runs/MODEL/NAME.
        resume: go on with the run in `run_dir`, whose settings and data are used; overrides may only lengthen it.
        dry_run: check and print everything, train nothing.
        quiet: no progress bars, no output.
        jobs: how many runs of a group are trained at once, a process each.
        target: what is trained. pairwise: `pair`, two modalities by any of their names, or ("all",): every pair that
            the cohort has, one after another into one group, of which finished runs are kept and begun ones resumed.
            classifier: `stage1`, the folder of an enlarged set; without one, the baseline. dcgan, wgan: `sequence`, a
            modality, "concat" or "all" (the rows of the paper's table, into one group), and `size` in pixels.
            aggrgan and its kin (dcgan1, dcgan2, wgandiv, lsgan, infogan): `category`, a tumour or a modality, or "all"
            (each that the data has, into one group). unet: nothing. acgan: `width`, channels of the hidden layers, or
            "all" for those of `sweep.widths`. feature-classifier: `synthetic`, the folder of synthetic features, and
            `count`, how many of them are added; without, the baseline.
    """
    card(model)  # an unknown name
    names = ENSEMBLES.get(model, (model,))
    chosen = TASKS[names[0]].target(**target)
    options = {"data": data, "config": config, "overrides": overrides, "profile": profile, "quiet": quiet}
    if "all" in chosen.values() or model in ENSEMBLES:
        return _train_group(model, chosen, run_dir, resume, dry_run, jobs, options)
    before = None
    if resume:
        if run_dir is None:
            given = settings_of(model, config, profile or "full", overrides)
            run_dir = _default(model, TASKS[model].settled(chosen, given), given)
            _refuse_missing(run_dir)
        before = _run_to_resume(Path(run_dir), model, chosen)
        chosen = before.target
        if before.finished and not any((before.folder / "checkpoints").rglob("*.npz")):
            raise UserError(f"{run_dir} is finished and its checkpoints were removed; begin a new run elsewhere")
    settings = _settings(before, model, config, profile, overrides)
    chosen = TASKS[model].settled(chosen, settings)
    folder = Path(run_dir) if run_dir else _default(model, chosen, settings)
    if dry_run and data is None and before is None and not _is_simulated(model, settings):
        if not quiet:
            click.echo(dump(settings, card(model).decided_by), nl=False)
            click.echo(f"would simulate {settings.phantom.patients} patients and train {TASKS[model].title(chosen)}")
        return folder
    prepared = _data(before, data, model, settings) if data or before else None
    if before is None and not dry_run and (folder / "run.json").is_file():
        raise UserError(f"{folder} holds a run; resume it (--resume), or choose another folder (--run-dir)")
    prepared = prepared or _simulated(model, settings, quiet)
    with _interruptible(folder):
        return _train_one(model, chosen, folder, before, settings, prepared, dry_run, quiet)


@contextmanager
def _interruptible(folder: Path) -> Iterator[None]:
    """Ctrl-C between steps, or a second one, as `Stopped`, if there is a run in `folder` that --resume goes on with.

    `Stopped` says which folder that is.
    """
    try:
        yield
    except Stopped as stopped:
        stopped.folder = folder
        raise
    except KeyboardInterrupt:
        if next(folder.rglob("run.json"), None) is None:
            raise
        stopped = Stopped(signal.SIGINT, None)
        stopped.folder = folder
        raise stopped from None


def _default(model: str, target: dict[str, Any], settings: Section) -> Path:
    return Path("runs") / model / TASKS[model].run_name(target, settings)


def _refuse_missing(folder: Path) -> None:
    """The folder that a run would have by default says nothing of one that was begun with other words."""
    others = sorted(str(path.parent) for path in folder.parent.glob("*/run.json"))
    if not folder.is_dir() and others:
        raise UserError(f"there is no run in {folder}; give --run-dir with one of {', '.join(others)}")


def _train_group(
    model: str,
    target: dict[str, Any],
    run_dir: str | Path | None,
    resume: bool,
    dry_run: bool,
    jobs: int,
    options: dict[str, Any],
) -> Path:
    """The members of a group, one after another or several at once; what would stop any is found before the first.

    On resume, members that have not begun take configuration and data from those that have.
    """
    task, quiet = TASKS[ENSEMBLES.get(model, (model,))[0]], options["quiet"]
    settings = settings_of(model, options["config"], options["profile"] or "full", options["overrides"])
    name = "all" if "all" in target.values() else task.run_name(target, settings)
    group = Path(run_dir or Path("runs") / model / name)
    first = next(iter(sorted(group.rglob("run.json"))), None)
    if first and not resume:
        raise UserError(f"{group} holds runs; go on with the group by --resume, or give another --run-dir")
    if first:
        begun = open_run(first.parent, finished=False)
        if options["config"] is None and options["profile"] is None:
            options = options | {"config": begun.folder / "config.yaml"}
            settings = settings_of(model, options["config"], "full", options["overrides"])
        options = options | {"data": options["data"] or begun.data}
    target = task.settled(target, settings)
    if options["data"] is None and dry_run and not _is_simulated(model, settings):
        click.echo(f"would simulate {settings.phantom.patients} patients and train {task.title(target)}")
        return group
    given = options["data"]
    prepared = _data(None, given, model, settings) if given else _simulated(model, settings, quiet)
    options = options | {"data": prepared.folder}
    members = _members(model, target, settings, prepared, group)
    for number, (name, member, folder) in enumerate(members, 1):
        if dry_run and not quiet:
            click.echo(f"{number} of {len(members)}: {TASKS[name].title(member)}", err=True)
        more = {"resume": (folder / "run.json").is_file(), "dry_run": True, "quiet": quiet or not dry_run}
        train(name, run_dir=folder, **options | more, **member)
    if dry_run:
        return group
    todo = [
        (f"{number} of {len(members)}: {TASKS[name].title(member)}", name, member, folder)
        for number, (name, member, folder) in enumerate(members, 1)
        if not is_done(folder, name, options, prepared)
    ]
    with _interruptible(group):
        if jobs > 1:
            train_at_once(jobs, [_process(each, options) for each in todo], quiet)
            return group
        for title, name, member, folder in todo:
            if not quiet:
                click.echo(title, err=True)
            train(name, run_dir=folder, resume=(folder / "run.json").is_file(), **options, **member)
    return group


def _members(
    model: str, target: dict[str, Any], settings: Section, prepared: Data, group: Path
) -> list[tuple[str, dict[str, Any], Path]]:
    """Model, target and folder of each run of a group."""
    names = ENSEMBLES.get(model, (model,))
    each = "all" in target.values()
    members = TASKS[names[0]].members(target, settings, prepared) if each else [target]
    folders = [group / TASKS[names[0]].run_name(member, settings) if each else group for member in members]
    return [
        (name, member, folder / name if model in ENSEMBLES else folder)
        for member, folder in zip(members, folders, strict=True)
        for name in names
    ]


def _process(each: tuple[str, str, dict[str, Any], Path], options: dict[str, Any]) -> tuple[str, Path, dict[str, Any]]:
    """A run of a group as `train_at_once` takes it."""
    title, name, member, folder = each
    own = {"model": name, "run_dir": folder, "resume": (folder / "run.json").is_file(), **options, **member}
    return title, folder.with_suffix(".log"), {key: value for key, value in own.items() if key != "quiet"}


def is_done(folder: Path, model: str, options: Mapping[str, Any], prepared: Data) -> bool:
    """Whether a folder holds a finished run on this data, and one of as many epochs as are asked for.

    `options` holds config, profile and overrides. A run of another configuration or on other data is a `UserError`.
    """
    if not (folder / "run.json").is_file():
        return False
    run = open_run(folder, finished=False)
    refuse_other_data(run, prepared)
    asked = _settings(run, model, options["config"], options["profile"], options["overrides"])
    return run.finished and not _differences(model, run.settings, asked)


def _differences(model: str, old: Section, new: Section, ignore: Sequence[str] = ()) -> list[str]:
    """In which of the settings that decide a run of this model two configurations differ."""
    decides = card(model).decided_by
    return [each for each in differences(old, new, ignore) if each.split(".")[0] in decides]


def _train_one(
    model: str,
    target: dict[str, Any],
    folder: Path,
    before: Run | None,
    settings: Section,
    prepared: Data,
    dry_run: bool,
    quiet: bool,
) -> Path:
    say = (lambda text: None) if quiet else (lambda text: click.echo(text, err=True))
    # Before anything else of TensorFlow: several workers' collective operations are set up at its start.
    strategy = devices.strategy_for(getattr(settings, card(model).section).strategy)
    task = TASKS[model](settings, prepared, target)
    say(f"data: {task.describe()}")
    replicas, chief = strategy.num_replicas_in_sync, devices.is_chief(task.training.strategy)
    steps = [stage.steps_per_epoch(replicas) for stage in task.stages]
    if not all(steps):
        raise UserError(
            "an epoch has no step: there are fewer examples than a batch, which replicas share out; lower "
            f"{card(model).section}.batch_size"
        )
    if dry_run:
        if not quiet:
            click.echo(dump(settings, card(model).decided_by), nl=False)
        lengths = [f"{stage.epochs} epochs of {own} steps" for stage, own in zip(task.stages, steps, strict=True)]
        say(f"would train {TASKS[model].title(target)} into {folder}: {' and '.join(lengths)}")
        return folder
    run = Run(folder, model, target, str(prepared.folder.resolve()), prepared.hash, prepared.manifest.origin)
    with devices.numerics(task.training):
        for number, stage in enumerate(task.stages):
            with strategy.scope():
                network = stage.build(folder / "checkpoints")
            if chief and not number:  # what cannot be built leaves no run behind, which the next try would stumble over
                run.write(settings, devices.environment(task.training))
            _fit_stage(task, stage, network, folder, replicas, before is not None, chief, quiet, say)
        if chief:
            say("measuring and drawing what was trained")
            table = task.finish(folder)
    if chief:
        stages = {stage.name: stage.epochs for stage in task.stages}
        own = dump(settings, card(model).decided_by)
        write_page(folder, TASKS[model].title(target), run.origin, task.panels, task.pictures, stages, own)
        run.mark_finished()
        say(table)
    return folder


def _fit_stage(
    task: Task,
    stage: Stage,
    network: AdversarialModel,
    folder: Path,
    replicas: int,
    resume: bool,
    chief: bool,
    quiet: bool,
    say: Callable[[str], None],
) -> None:
    own = folder / "checkpoints" / stage.name
    number = stage.name.removeprefix("stage").lstrip("0")  # of "stage1", of "0008"
    title = f"stage {number}" if number else ""
    begun = checkpoint.newest(own) if resume else None
    if begun:
        position = checkpoint.position_of(begun)
        where = f"{title}: " if title else ""
        say(f"{where}going on after {position.epoch} of {stage.epochs} epochs and {position.step} steps")
    try:
        fit(
            network,
            lambda position: stage.batches(position, replicas),
            steps_per_epoch=stage.steps_per_epoch(replicas),
            epochs=stage.epochs,
            folder=own,
            checkpoint_every=task.training.checkpoint_every,
            resume=begun is not None,
            monitor=stage.monitor,
            callbacks=stage.callbacks(folder, quiet, replicas) if chief else (),
            chief=chief,
        )
    except Stopped as stopped:
        raise Stopped(stopped.signal_number, stopped.position, title) from None


def _run_to_resume(folder: Path, model: str, target: dict[str, Any]) -> Run:
    """The run in a folder; what the command says of the target must be what it was begun with."""
    run = open_run(folder, finished=False)
    if run.model != model or any(value is not None and run.target.get(name) != value for name, value in target.items()):
        raise UserError(
            f"{folder} is a run of {TASKS[run.model].title(run.target)}, not of {TASKS[model].title(target)}"
        )
    return run


def _settings(
    before: Run | None, model: str, config: str | Path | None, profile: str | None, overrides: Sequence[str]
) -> Section:
    """The settings of a new run, or those of the run that is resumed.

    The latter may differ in the number of epochs alone: it says nothing about the state that training begins with.
    """
    if before is None:
        return settings_of(model, config, profile or "full", overrides)
    own = before.folder / "config.yaml"
    asked = settings_of(model, config or (own if profile is None else None), profile or "full", overrides)
    if other := _differences(model, before.settings, asked, ignore=(f"{card(model).section}.epochs",)):
        raise UserError(
            f"{before.folder} was begun with another configuration ({'; '.join(other)}); resume it with its own by "
            "leaving out --config, --profile and --set, or begin a new one in another folder"
        )
    return asked


def _data(before: Run | None, data: str | Path | None, model: str, settings: Section) -> Data:
    """The folder that was given, or that of the run that is resumed."""
    folder = Path(data or before.data)
    if card(model).data == "features":
        opened = open_features(folder)
    else:
        opened = open_prepared(folder, settings.data, settings.split, model)
    if before is not None:
        refuse_other_data(before, opened)
    return opened


def _is_simulated(model: str, settings: Section) -> bool:
    """Whether what `_simulated` makes is there."""
    if card(model).data == "features":
        return (_simulated_features(settings)[1] / "manifest.json").is_file()
    return is_simulated(settings)


def _simulated(model: str, settings: Section, quiet: bool) -> Data:
    """The simulated cohort of some settings; for a model of features, those of a U-Net that has learnt it, cached."""
    if card(model).data == "slices":
        return simulated(settings, quiet)
    if not _is_simulated(model, settings):
        UnetTask.settled({}, settings)
    prepared = simulated(settings, quiet)
    run, features = _simulated_features(settings)
    # The workers of one training make its run together.
    with made_once(run, quiet) if settings.unet.strategy != "multiworker" else nullcontext():
        return _extracted(run, features, settings, prepared, quiet)


def _extracted(run: Path, features: Path, settings: Section, prepared: Prepared, quiet: bool) -> FeatureStore:
    """Features of the simulated cohort by a U-Net that has learnt it."""
    before = open_run(run, finished=False) if (run / "run.json").is_file() else None
    if before is None or not before.finished:
        if not quiet:
            click.echo(f"training the U-Net whose features are learnt into {run}, once", err=True)
        try:
            _train_one("unet", {}, run, before, settings, prepared, False, quiet)
        except Stopped as stopped:  # the run that --resume would go on with has not begun
            what = "the U-Net whose features are learnt"
            raise Stopped(stopped.signal_number, stopped.position, what, resumable=False) from None
    return extract_features(run, features, quiet=quiet)


def _simulated_features(settings: Section) -> tuple[Path, Path]:
    """Where the U-Net of the simulated cohort and its features are kept."""
    run = prepared_folder(settings) / f"unet-{digest(settings.study, settings.unet)}"
    return run, run / f"features-{digest(settings.features)}"
