"""kerasgan data: index, check, prepare."""

from pathlib import Path

import click
from tqdm import tqdm

from kerasgan.cli import options
from kerasgan.errors import UserError
from kerasgan.papers import settings_of


@click.group()
def data() -> None:
    """From files on disk to prepared slices: index, check, prepare.

    \b
    Example:
        kerasgan data index BraTS2021/ --out cohort.csv
        kerasgan data check cohort.csv
        kerasgan data prepare cohort.csv --out prepared/
    """


@data.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), required=True, help="The cohort CSV to write.")
@click.option(
    "--layout",
    help="brats, msd, tcga, rembrandt, neonatal, lgg_slices, figshare, class_folders or phantom; default: found out.",
)
@click.option(
    "--labels",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A CSV or TSV with a patient column, to merge labels from.",
)
@click.option("--label-column", "columns", multiple=True, help="A column of --labels; may be repeated.")
@click.option("--force", is_flag=True, help="Overwrite the CSV if it exists.")
def index(folder, out, layout, labels, columns, force) -> None:
    """List the patients of FOLDER in a cohort CSV, which you may also write or edit by hand.

    \b
    Example:
        kerasgan data index BraTS2021/ --out cohort.csv --labels idh.csv --label-column idh
    """
    from kerasgan.data.indexers import index_to_csv

    if bool(labels) != bool(columns):
        raise UserError("--labels and --label-column go together: the table, and which of its columns to take")
    cohort = index_to_csv(folder, out, layout, labels, columns, force)
    click.echo(
        f"{out}: {len(cohort.visits)} visits of {len({v.patient for v in cohort.visits})} patients; {cohort.origin}"
    )


@data.command()
@click.argument("cohort", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--model", default="pairwise", show_default=True, help="Whose data settings to check for.")
@options.configuration
@options.quiet
def check(cohort, model, config, overrides, profile, quiet) -> None:
    """Read every file of a cohort CSV and report what would fail in `prepare`; exit code 2 if anything would.

    \b
    Example:
        kerasgan data check cohort.csv --set data.min_gap=8
    """
    from kerasgan.data.check import check_cohort
    from kerasgan.data.cohort import read_cohort

    settings, visits = settings_of(model, config, profile or "full", overrides), read_cohort(cohort, must_exist=False)
    with tqdm(total=len(visits.visits), desc="check", unit="visit", disable=quiet) as bar:
        findings = check_cohort(visits, settings.data, settings.split, progress=lambda name: bar.update())
    for finding in findings:
        click.echo(f"{finding.severity:5}  {finding.visit}: {finding.message}")
    errors = sum(finding.severity == "error" for finding in findings)
    if errors:
        raise UserError(
            f"{errors} of these would stop `kerasgan data prepare`; mend the files or take them out of {cohort}"
        )
    click.echo(f"{cohort}: nothing would fail")


@data.command()
@click.argument("cohort", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), required=True, help="The prepared folder.")
@click.option("--model", default="pairwise", show_default=True, help="Whose data settings to prepare with.")
@click.option("--force", is_flag=True, help="Prepare anew a folder that was prepared with other settings.")
@click.option("--workers", type=click.IntRange(min=1), help="Threads; default one per core.")
@options.configuration
@options.quiet
def prepare(cohort, out, model, force, workers, config, overrides, profile, quiet) -> None:
    """Cut the volumes of a cohort CSV into slices: TFRecord shards, and a split by patient.

    Can be interrupted and repeated: what is done and unchanged is kept.

    \b
    Example:
        kerasgan data prepare cohort.csv --out prepared/ --set data.min_gap=8
    """
    from kerasgan import experiment
    from kerasgan.data.prepare import describe

    prepared = experiment.prepare(
        cohort,
        out,
        model=model,
        config=config,
        profile=profile or "full",
        overrides=overrides,
        force=force,
        workers=workers,
        quiet=quiet,
    )
    click.echo(describe(prepared))
