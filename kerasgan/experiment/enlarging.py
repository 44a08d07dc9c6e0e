"""`enlarge`: trained pairwise GANs to an enlarged training set."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from threadpoolctl import threadpool_limits
from tqdm import tqdm

from kerasgan.data.prepare import Prepared, open_prepared
from kerasgan.errors import UserError
from kerasgan.experiment.generation import load_network
from kerasgan.experiment.runs import Run, pair_runs
from kerasgan.files import remove, sha256_of, write_text, written_aside
from kerasgan.papers.pairwise import enlarging
from kerasgan.papers.pairwise.cases import modalities_of, removed_scans
from kerasgan.papers.pairwise.enlarging import Enlarged, EnlargedManifest, Generator
from kerasgan.papers.pairwise.quality import translator


def enlarge(
    group: str | Path,
    out: str | Path,
    *,
    data: str | Path | None = None,
    case: str | None = None,
    force: bool = False,
    quiet: bool = False,
) -> Enlarged:
    """Make the synthetic patients of a case (Ge 2020, Figure 6) into the new folder `out`.

    Args:
        group: the folder of a finished `--pair all`, or of runs that cover the pairs needed. Partition, case and seeds
            are those of the runs.
        out: the folder to write; one with other content is refused.
        data: the prepared folder, which must be the one that the runs were trained on; None: that one.
        case: refuse runs of the other case.
        force: replace an enlarged set in `out`.
        quiet: no progress bar.

    A GAN that has seen a validation or test patient of the split, or a scan that case b takes away, is refused.
    """
    group, out, runs = Path(group), Path(out), pair_runs(Path(group))
    first = next(iter(runs.values()))
    settings = first.settings
    _refuse_other_case(case, first)
    prepared = open_prepared(Path(data or first.data), settings.data, settings.split)
    for run in runs.values():
        _refuse_other_patients(run, prepared, first)
    _refuse_existing(out, force)
    plans, names = enlarging.plan(prepared, settings), modalities_of(prepared, settings)
    files = _generators(group, runs, enlarging.directions(plans))
    translators = {pair: translator(load_network(path)) for pair, path in files.items()}
    # BLAS's threads would compete with TensorFlow's.
    with written_aside(out) as aside, threadpool_limits(1, "blas"):
        made = enlarging.enlarge(prepared, plans, translators, names, aside)
        visits = list(tqdm(made, total=len(plans), desc="enlarge", unit="patient", disable=quiet))
        manifest = EnlargedManifest(
            format=enlarging.FORMAT,
            kind="enlarged",
            origin=prepared.manifest.origin,
            case=settings.study.case,
            partition=settings.study.partition,
            data=prepared.hash,
            slicing=prepared.manifest.slicing,
            modalities=list(names),
            removed=removed_scans(prepared, settings),
            generators={
                f"{m}_to_{n}": Generator(run=runs[frozenset((m, n))].folder.resolve().name, sha256=sha256_of(path))
                for (m, n), path in files.items()
            },
            visits=visits,
        )
        write_text(aside / "manifest.json", manifest.model_dump_json(indent=1))
        remove(out)
    return enlarging.open_enlarged(out)


def is_current(out: Path, group: Path, prepared: Prepared) -> bool:
    """Whether an enlarged set is there, whole, of this data, and made by a group's generators as they are now."""
    if not _is_enlarged(out):
        return False
    runs, manifest = pair_runs(group), enlarging.open_enlarged(out).manifest
    first = next(iter(runs.values()))
    study = first.settings.study
    return (manifest.data, manifest.case, manifest.partition) == (prepared.hash, study.case, study.partition) and all(
        frozenset(direction.split("_to_")) in runs
        and sha256_of(runs[frozenset(direction.split("_to_"))].folder / "generators" / f"{direction}.keras")
        == made.sha256
        for direction, made in manifest.generators.items()
    )


def _generators(
    group: Path, runs: Mapping[frozenset[str], Run], directions: Iterable[tuple[str, str]]
) -> dict[tuple[str, str], Path]:
    """The file of each direction's generator; a pair that has no run is a `UserError`."""
    directions = list(directions)
    if lacking := sorted({"-".join(sorted(pair)) for pair in directions if frozenset(pair) not in runs}):
        raise UserError(f"{group} has no finished run of {', '.join(lacking)}; train it with `kerasgan train pairwise`")
    return {(m, n): runs[frozenset((m, n))].folder / "generators" / f"{m}_to_{n}.keras" for m, n in directions}


def _refuse_other_case(case: str | None, run: Run) -> None:
    own = run.settings.study.case
    if case not in (None, own):
        raise UserError(
            f"{run.folder} was trained for case {own}: train the GANs of case {case} with --set study.case={case}, "
            "since in case b they must not see the scans that it takes away"
        )


def _refuse_existing(out: Path, force: bool) -> None:
    """Nothing but an enlarged set is replaced, and that if it is asked for."""
    if not out.exists() or (force and _is_enlarged(out)):
        return
    advice = "--force to replace it" if _is_enlarged(out) else "remove it if it is a damaged enlarged set"
    raise UserError(f"{out} exists; give another --out, or {advice}")


def _refuse_other_patients(run: Run, prepared: Prepared, first: Run) -> None:
    """A GAN may have seen the training patients of this split and case alone."""
    if run.data_hash != prepared.hash:
        raise UserError(
            f"{run.folder} was trained on {run.data}, whose split is not that of {prepared.folder}: it may have seen "
            "validation or test patients; train it on this data"
        )
    removed = [removed_scans(prepared, each.settings) for each in (run, first)]
    if run.settings.study != first.settings.study or removed[0] != removed[1]:
        raise UserError(
            f"{run.folder} and {first.folder} were trained for different sets (study: {run.settings.study} and "
            f"{first.settings.study}); a GAN of another partition has seen validation or test patients of this one"
        )


def _is_enlarged(folder: Path) -> bool:
    try:
        enlarging.open_enlarged(folder)
    except UserError:
        return False
    return True
