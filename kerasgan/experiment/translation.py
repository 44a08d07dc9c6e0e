"""NIfTI in, NIfTI out: one volume, a folder of patients, or the missing cells of a cohort."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import click
import numpy as np
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from kerasgan.data.cohort import Cohort, Visit, read_cohort, write_cohort
from kerasgan.data.indexers import index
from kerasgan.data.modalities import MODALITIES, canonical
from kerasgan.data.volumes import read_volume, split_source, write_volume
from kerasgan.errors import UserError, nearest
from kerasgan.experiment.generation import load_network
from kerasgan.experiment.runs import Run, open_run, pair_runs
from kerasgan.papers.pairwise.quality import translator
from kerasgan.papers.pairwise.synthesis import slices_with_brain, source_for, translate_volume

VIEWS = ("axial", "coronal", "sagittal", "mean")


class Translator:
    """One direction of a finished pairwise run, applied to files.

    Args:
        run: the run's folder.
        source, target: modalities by any of their names.
        view: along which the volume is cut into slices; "mean": the mean over all views that the run was trained on.
    """

    def __init__(self, run: str | Path, source: str, target: str, view: str = "axial"):
        self.run: Run = open_run(run)
        self.source, self.target = canonical(source), canonical(target)
        self.settings = self.run.settings
        trained = self.settings.data.views
        if view not in (*trained, "mean"):
            raise UserError(f"{run} was trained on {', '.join(trained)} slices; {nearest(view, (*trained, 'mean'))}")
        self.views: Sequence[str] = trained if view == "mean" else (view,)
        path = self.run.folder / "generators" / f"{self.source}_to_{self.target}.keras"
        if not path.is_file():
            have = " and ".join(" to ".join(p.stem.split("_to_")) for p in sorted(path.parent.glob("*.keras")))
            raise UserError(f"{run} translates {have}, not {self.source} to {self.target}")
        self.translate = translator(load_network(path))

    def __call__(self, file: str, out: Path, quiet: bool = False) -> None:
        """Translate one volume file into `out`, with the affine and shape of `file`."""
        volume = read_volume(file)
        total = slices_with_brain(volume, self.views)
        # BLAS's threads would compete with TensorFlow's.
        title = f"{out.name}, at {self.settings.data.size}x{self.settings.data.size} pixels"
        with tqdm(total=total, unit="slice", desc=title, disable=quiet) as bar, threadpool_limits(1, "blas"):
            made = translate_volume(self.translate, volume, self.views, self.settings.data, bar.update)
        write_volume(out, made, volume.geometry, np.float32)


def translate(
    run: str | Path,
    file: str | Path,
    out: str | Path,
    *,
    source: str,
    target: str,
    view: str = "axial",
    force: bool = False,
    quiet: bool = False,
) -> Path:
    """Translate one volume; `out` must end in .nii or .nii.gz. With `force`, what is there is overwritten."""
    out = Path(out)
    if not out.name.endswith((".nii", ".nii.gz")):
        raise UserError(f"{out}: expected a file name ending in .nii or .nii.gz")
    if out.resolve() == split_source(file)[0].resolve():
        raise UserError(f"{out} is the volume to translate; give --out another name")
    if not split_source(file)[0].exists():
        raise UserError(f"there is no file {file}; expected the volume to translate")
    _refuse_existing([out], force)
    Translator(run, source, target, view)(str(file), out, quiet)
    return out


def translate_folder(
    run: str | Path,
    folder: str | Path,
    out: str | Path,
    *,
    source: str,
    target: str,
    view: str = "axial",
    force: bool = False,
    quiet: bool = False,
) -> list[Path]:
    """Translate the `source` image of every patient of a folder (any layout of `kerasgan data index`).

    Writes out/NAME/NAME_TARGET.nii.gz. With `force`, what is there is overwritten.
    """
    direction = Translator(run, source, target, view)
    visits = [visit for visit in index(Path(folder)).visits if direction.source in visit.images]
    if not visits:
        raise UserError(f"{folder}: no patient has {direction.source}")
    paths = [_path(Path(out), visit, direction.target) for visit in visits]
    _refuse_existing(paths, force)
    for visit, path in zip(visits, paths, strict=True):
        direction(visit.images[direction.source], path, quiet)
    return paths


def fill_missing(
    group: str | Path,
    cohort: str | Path,
    out: str | Path,
    *,
    view: str = "axial",
    force: bool = False,
    quiet: bool = False,
) -> Path:
    """Make every missing modality of a cohort CSV from the best-suited one (II-B1) and write out/cohort.csv.

    Modalities that no visit has and that no run makes are left out.

    Args:
        group: the folder of a finished `--pair all`, or of runs that cover the pairs needed.
        cohort: a cohort CSV with empty cells.
        out: folder for the synthetic volumes and the completed cohort.csv, whose column `synthetic` names, per visit,
            what was made from what and by which run.
        view: see `Translator`.
        force: overwrite what is there.
        quiet: no progress bars.
    """
    before, out, runs = read_cohort(Path(cohort)), Path(out), pair_runs(Path(group))
    policy = next(iter(runs.values())).settings.synthesis
    # A modality that neither the cohort nor a run has is not missing: some data sets are of three.
    known = {name for visit in before.visits for name in visit.images}.union(*runs)
    plan = [
        (visit, source_for(target, visit.images, policy), target)
        for visit in before.visits
        for target in MODALITIES
        if target in known and target not in visit.images
    ]
    if lacking := sorted({"-".join(sorted(pair)) for _, *pair in plan if frozenset(pair) not in runs}):
        train = f"`kerasgan train pairwise --pair {lacking[0].replace('-', ' ')}`"
        raise UserError(f"{group} has no finished run of {', '.join(lacking)}; train it with {train}, or --pair all")
    _refuse_existing([out / "cohort.csv", *(_path(out, visit, target) for visit, _, target in plan)], force)
    load = cache(lambda source, target: Translator(runs[frozenset((source, target))].folder, source, target, view))
    made: dict[str, Visit] = {visit.name: visit for visit in before.visits}
    for visit, source, target in plan:
        direction, path, old = load(source, target), _path(out, visit, target), made[visit.name]
        direction(visit.images[source], path, quiet)
        note = f"{target} from {source} by {direction.run.folder.resolve().name}"
        labels = dict(old.labels) | {"synthetic": "; ".join(filter(None, [old.labels.get("synthetic"), note]))}
        made[visit.name] = replace(old, images=dict(old.images) | {target: str(path.resolve())}, labels=labels)
    if not quiet:
        click.echo(f"{len(plan)} missing volumes made", err=True)
    completed = Cohort(tuple(made.values()), f"{before.origin}, missing modalities synthesised")
    write_cohort(completed, out / "cohort.csv")
    return out / "cohort.csv"


def _path(out: Path, visit: Visit, target: str) -> Path:
    return out / visit.name / f"{visit.name}_{target}.nii.gz"


def _refuse_existing(paths: Sequence[Path], force: bool) -> None:
    there = [path for path in paths if path.exists()]
    if there and not force:
        raise UserError(f"{there[0]} exists ({len(there)} in all); give another --out, or --force to overwrite")
