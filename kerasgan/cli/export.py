"""kerasgan export: SavedModels for TensorFlow Serving."""

from pathlib import Path

import click

from kerasgan.cli import options


@click.command(short_help="Export a run, or a group, for TensorFlow Serving.")
@click.argument("run", type=options.RUN)
@click.option(
    "--out",
    "--to",
    "to",
    type=click.Path(file_okay=False, path_type=Path),
    default="saved_models",
    show_default=True,
    help="The folder to write, which the server is given.",
)
@click.option("--stage", type=int, help="Pixels of a stage of a growing model (pggan), such as 64; default the last.")
@click.option(
    "--warmup/--no-warmup", default=None, help="Warm-up requests; default: if kerasgan[serving] is installed."
)
def export(run, to, stage, warmup) -> None:
    """Export what a run has to serve, or of a group of runs, as the next version of a SavedModel.

    Writes models.config, and a README with the commands to serve it, too.

    \b
    Example:
        kerasgan export runs/pairwise/t1-t1e --out saved_models/
        kerasgan export runs/wgan/t1-128 --out saved_models/
        kerasgan export runs/pggan/t1-256 --stage 128
    """
    from kerasgan import experiment

    for version in experiment.export(run, to, stage=stage, warmup=warmup):
        hint = warmup is None and not (version / "assets.extra").is_dir()
        click.echo(f"{version}{' (without warm-up requests: pip install kerasgan[serving])' if hint else ''}")
