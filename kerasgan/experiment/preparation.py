"""Data for a run: prepared from a cohort, or simulated when the user gives none."""

import errno
import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import click
from filelock import FileLock, Timeout

from kerasgan.data import prepare as preparing
from kerasgan.data.cohort import Cohort, Visit, read_cohort
from kerasgan.data.indexers import index
from kerasgan.data.prepare import Prepared
from kerasgan.data.splits import partition_patients, stratify
from kerasgan.papers import settings_of
from kerasgan.phantom import choose_labels, simulate_cohort
from kerasgan.settings import Section


def cache_folder() -> Path:
    """Where simulated cohorts are kept between runs: $KERASGAN_CACHE, else the user's cache folder."""
    if own := os.environ.get("KERASGAN_CACHE"):
        return Path(own)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kerasgan"


def prepare(
    cohort: str | Path,
    out: str | Path,
    *,
    model: str = "pairwise",
    config: str | Path | None = None,
    profile: str = "full",
    overrides: Sequence[str] = (),
    force: bool = False,
    workers: int | None = None,
    quiet: bool = False,
) -> Prepared:
    """Prepare a cohort CSV into the folder `out` with the data settings of `model`."""
    settings = settings_of(model, config, profile, overrides)
    return preparing.prepare(
        read_cohort(Path(cohort)), Path(out), settings.data, settings.split, force=force, workers=workers, quiet=quiet
    )


def is_simulated(settings: Section) -> bool:
    """Whether the phantom cohort of some settings lies prepared in the cache folder."""
    return (prepared_folder(settings) / "manifest.json").is_file()


def simulated(settings: Section, quiet: bool = False) -> Prepared:
    """The embedded phantom cohort of some settings, simulated and prepared in the cache folder unless it is there."""
    if not (_phantom_folder(settings) / "cohort" / "phantom.json").is_file():
        _refuse_unsplittable(settings)
    with made_once(_phantom_folder(settings), quiet):
        return _simulated(settings, quiet)


@contextmanager
def made_once(folder: Path, quiet: bool) -> Iterator[None]:
    """While this process makes a folder of the cache, others that want it wait, and then find it made."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(f"{folder}.lock")  # the system's: it ends with the process, however that does
    try:
        lock.acquire(blocking=False)
    except Timeout:
        if not quiet:
            click.echo(f"waiting for another command, which is making {folder}", err=True)
        lock.acquire()
    except OSError as error:
        if error.errno not in (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP):
            raise  # else a file system without locks, on which the second command would fail, as it says, and repeat
    try:
        yield
    finally:
        lock.release()


def _simulated(settings: Section, quiet: bool) -> Prepared:
    wanted, folder = settings.phantom, _phantom_folder(settings)
    if not quiet and not (folder / "cohort" / "phantom.json").is_file():
        click.echo(f"simulating {wanted.patients} patients into {folder}, once", err=True)
    simulate_cohort(
        folder / "cohort",
        patients=wanted.patients,
        seed=wanted.seed,
        grid=wanted.grid,
        idh_fraction=wanted.idh_fraction,
        strength=wanted.strength,
        tumours=wanted.tumours,
        head=wanted.head,
        quiet=quiet,
    )
    cohort = index(folder / "cohort", "phantom")
    prepared = preparing.prepare(cohort, prepared_folder(settings), settings.data, settings.split, quiet=quiet)
    if not quiet:
        click.echo(f"simulated data: --data {prepared.folder}", err=True)
    return prepared


def _refuse_unsplittable(settings: Section) -> None:
    """Found out before the simulation: whether so many patients with such labels can be split."""
    wanted = settings.phantom
    rows = choose_labels(wanted.patients, wanted.seed, wanted.idh_fraction, wanted.tumours, wanted.head)
    visits = (Visit(row["patient"], labels={name: row[name] for name in row if row[name]}) for row in rows)
    classes, _ = stratify(Cohort(tuple(visits), "simulated"), settings.split.stratify)
    partition_patients(classes, settings.split)


def _phantom_folder(settings: Section) -> Path:
    """Of a simulated cohort, which may be prepared in several ways."""
    wanted = settings.phantom
    return cache_folder() / f"phantom-{wanted.patients}-grid{wanted.grid}-{digest(wanted)}"


def prepared_folder(settings: Section) -> Path:
    """Of the simulated cohort of some settings."""
    return _phantom_folder(settings) / f"prepared-{digest(settings.data, settings.split)}"


def digest(*parts: Section) -> str:
    """Short for some sections of settings, in names of folders."""
    return hashlib.sha256("".join(part.model_dump_json() for part in parts).encode()).hexdigest()[:8]
