"""kerasgan translate: volumes through a trained generator."""

from pathlib import Path

import click

from kerasgan.cli import options
from kerasgan.errors import UserError


@click.command(short_help="Translate volumes to another modality.")
@click.argument("run", type=options.RUN)
@click.argument("source_path", metavar="INPUT")  # a path, or FILE.nii.gz#2 for a channel of a 4-D file
@click.option("--from", "source", help="The modality of INPUT.")
@click.option("--to", "target", help="The modality to make.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="The NIfTI file to write, or a folder.")
@click.option("--fill-missing", is_flag=True, help="INPUT is a cohort CSV: make its empty cells; RUN is a group.")
@click.option(
    "--view",
    type=click.Choice(["axial", "coronal", "sagittal", "mean"]),
    default="axial",
    show_default=True,
    help="Along which slices; mean: of all that the run was trained on.",
)
@click.option("--force", is_flag=True, help="Overwrite files that exist.")
@options.quiet
def translate(run, source_path, source, target, out, fill_missing, view, force, quiet) -> None:
    """Translate a NIfTI volume, every patient of a folder, or the missing cells of a cohort CSV.

    \b
    Example:
        kerasgan translate runs/pairwise/t1-t1e --from t1 --to t1e PATIENT_t1.nii.gz --out t1e.nii.gz
        kerasgan translate runs/pairwise/t1-t1e --from t1 --to t1e BraTS2021/ --out synthetic/
        kerasgan translate runs/pairwise/all cohort.csv --fill-missing --out completed/
    """
    if fill_missing and (source or target):
        raise UserError("--fill-missing chooses modalities itself; leave out --from and --to")
    if not fill_missing and not (source and target):
        raise UserError("give --from and --to, or --fill-missing with a cohort CSV")
    if source_path.endswith(".csv") and not fill_missing:
        raise UserError(f"{source_path} is a cohort CSV; make its missing cells by --fill-missing, or give an image")
    if out.is_dir() and not (fill_missing or Path(source_path).is_dir()):
        raise UserError(f"{out} is a folder; for one volume, give --out a file name ending in .nii.gz")
    from kerasgan import experiment

    if fill_missing:
        click.echo(experiment.fill_missing(run, source_path, out, view=view, force=force, quiet=quiet))
        return
    work = experiment.translate_folder if Path(source_path).is_dir() else experiment.translate
    work(run, source_path, out, source=source, target=target, view=view, force=force, quiet=quiet)
    click.echo(out)
