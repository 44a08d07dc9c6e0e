"""kerasgan data: index, check, prepare."""

import shlex
from pathlib import Path

import click
from tqdm import tqdm

from kerasgan.cli import options
from kerasgan.errors import UserError
from kerasgan.papers import card, settings_of


@click.group()
def data() -> None:
    """From files on disk to prepared slices: index, check, prepare.

    \b
    Example:
        kerasgan data index BraTS2021/ --out cohort.csv
        kerasgan data check cohort.csv --model pggan
        kerasgan data prepare cohort.csv --model pggan --out prepared/
    """


_model = click.option(
    "--model", default="pairwise", show_default=True, help="Whose settings: a name that `kerasgan models` lists."
)


@data.command(short_help="List the patients of a folder in a cohort CSV.")
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
@options.quiet
def index(folder, out, layout, labels, columns, force, quiet) -> None:
    """List the patients of FOLDER in a cohort CSV, which you may also write or edit by hand.

    Says what it has found, and which files it has not used.

    \b
    Example:
        kerasgan data index BraTS2021/ --out cohort.csv --labels idh.csv --label-column idh
    """
    from kerasgan.data.indexers import index_to_csv
    from kerasgan.data.overview import overview

    if bool(labels) != bool(columns):
        raise UserError("--labels and --label-column go together: the table, and which of its columns to take")
    cohort = index_to_csv(folder, out, layout, labels, columns, force)
    for line in () if quiet else overview(cohort, folder):
        click.echo(line, err=True)
    click.echo(
        f"{out}: {len(cohort.visits)} visits of {len({v.patient for v in cohort.visits})} patients; {cohort.origin}"
    )


@data.command(short_help="Find what would fail in `prepare`.")
@click.argument("cohort", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@_model
@options.configuration
@options.quiet
def check(cohort, model, config, overrides, profile, quiet) -> None:
    """Read every file of a cohort CSV and report what would fail in `prepare`; exit code 2 if anything would.

    Labels and modalities that the training of the model looks for are reported too.

    \b
    Example:
        kerasgan data check cohort.csv --model unet
        kerasgan data check cohort.csv --set data.min_gap=8
    """
    from kerasgan.data.check import check_cohort, check_needs
    from kerasgan.data.cohort import read_cohort

    settings, visits = settings_of(model, config, profile or "full", overrides), read_cohort(cohort, must_exist=False)
    with tqdm(total=len(visits.visits), desc="check", unit="visit", disable=quiet) as bar:
        findings = check_cohort(visits, settings.data, settings.split, progress=lambda name: bar.update())
    for section in card(model).decided_by:
        wanted = getattr(settings, section).model_dump()
        findings += check_needs(visits, section, wanted) if "label" in wanted else []
    for finding in findings:
        click.echo(f"{finding.severity:5}  {finding.visit}: {finding.message}")
    given = [("--config", config), *(("--set", override) for override in overrides), ("--profile", profile)]
    words = ["kerasgan", "data", "prepare", str(cohort), "--model", model, "--out", "prepared/"]
    command = shlex.join([*words, *(word for option in given if option[1] for word in option)])
    errors = sum(finding.severity == "error" for finding in findings)
    if errors:
        raise UserError(
            f"{errors} of these would stop `{command}`; mend the files, take them out of {cohort}, or check for "
            "another --model or with other --set"
        )
    click.echo(f"{cohort}: nothing would fail; go on with `{command}`")


@data.command(short_help="Cut volumes into slices, split by patient.")
@click.argument("cohort", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), required=True, help="The prepared folder.")
@_model
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
        kerasgan data prepare cohort.csv --model pggan --out prepared/
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
