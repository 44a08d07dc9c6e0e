"""Data for a run: prepared from a cohort, or simulated when the user gives none."""

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

import click

from kerasgan.data import prepare as preparing
from kerasgan.data.cohort import read_cohort
from kerasgan.data.indexers import index
from kerasgan.data.prepare import Prepared
from kerasgan.experiment.configuration import settings_of
from kerasgan.phantom import simulate_cohort
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


def simulated(settings: Section, quiet: bool = False) -> Prepared:
    """The embedded phantom cohort of some settings, simulated and prepared in the cache folder unless it is there."""
    wanted = settings.phantom
    digest = hashlib.sha256(
        (wanted.model_dump_json() + settings.data.model_dump_json() + settings.split.model_dump_json()).encode()
    ).hexdigest()[:8]
    folder = cache_folder() / f"phantom-{wanted.patients}-grid{wanted.grid}-{digest}"
    if not (folder / "prepared" / "manifest.json").is_file() and not quiet:
        click.echo(f"simulating {wanted.patients} patients into {folder}, once", err=True)
    simulate_cohort(
        folder / "cohort",
        patients=wanted.patients,
        seed=wanted.seed,
        grid=wanted.grid,
        idh_fraction=wanted.idh_fraction,
        strength=wanted.strength,
        quiet=quiet,
    )
    cohort = index(folder / "cohort", "phantom")
    return preparing.prepare(cohort, folder / "prepared", settings.data, settings.split, quiet=quiet)
