"""kerasgan enlarge: synthetic patients for a training set."""

from pathlib import Path

import click

from kerasgan.cli import options


@click.command(short_help="Make synthetic training patients (Ge et al. 2020).")
@click.option(
    "--runs",
    type=options.RUN,
    required=True,
    help="The group of `kerasgan train pairwise --pair all`.",
)
@click.option("--data", type=options.PREPARED, help="The prepared folder; default that of the runs.")
@click.option(
    "--case", type=click.Choice(["a", "b"]), help="a: fake patients; b: missing scans too. Default the runs'."
)
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), required=True, help="The folder to write.")
@click.option("--force", is_flag=True, help="Replace an enlarged set that exists.")
@options.quiet
def enlarge(runs, data, case, out, force, quiet) -> None:
    """Make the synthetic training patients of Ge et al. 2020 with trained pairwise GANs.

    \b
    Example:
        kerasgan enlarge --runs runs/pairwise/all --data prepared/ --case a --out enlarged/
    """
    from kerasgan import experiment

    click.echo(experiment.enlarge(runs, out, data=data, case=case, force=force, quiet=quiet).describe())
