"""kerasgan reproduce: a paper's tables."""

import signal
import sys
from pathlib import Path

import click

from kerasgan.cli import options


@click.group()
def reproduce() -> None:
    """Train what a paper's tables need, and print them with ours beside the published.

    \b
    Example:
        kerasgan reproduce pairwise --data prepared/ --runs 5
    """


@reproduce.command(cls=options.Several, short_help="Tables 2 to 6 of Ge et al. 2020.")
@click.option("--data", type=click.Path(file_okay=False), help="A prepared folder; without it, simulated heads.")
@click.option(
    "--runs", type=click.IntRange(min=1), help="How many of the splits; default all, which are the paper's 5."
)
@click.option("--case", "cases", type=click.Choice(["a", "b"]), multiple=True, help="Default both, as --case a b.")
@click.option(
    "--seeds", type=click.IntRange(min=1), default=1, show_default=True, help="Classifiers per method and run."
)
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Default runs/pairwise/study.")
@click.option("--config", type=click.Path(dir_okay=False), help="A YAML of your own instead of configs/pairwise.yaml.")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Change one setting; may be repeated.")
@click.option(
    "--profile",
    type=click.Choice(["full", "medium", "smoke"]),
    default="full",
    show_default=True,
    help="full: the paper's numbers, for weeks of a GPU; smoke: minutes on a processor; medium: hours.",
)
@click.option("--keep-checkpoints", is_flag=True, help="Also of finished runs, hundreds of megabytes each.")
@click.option("--dry-run", is_flag=True, help="Say what is done and what would be.")
@options.quiet
def pairwise(data, runs, cases, seeds, out, config, overrides, profile, keep_checkpoints, dry_run, quiet) -> None:
    """Ge et al. 2020: six GANs per run, enlarged sets, classifiers, baselines; Tables 2 to 6 and Figure 7.

    What is done is not done again, and what was interrupted goes on: repeat the command.

    \b
    Example:
        kerasgan reproduce pairwise --profile smoke
        kerasgan reproduce pairwise --data prepared/ --runs 5 --case a
    """
    from kerasgan import experiment
    from kerasgan.gan.training import Stopped

    try:
        folder = experiment.reproduce(
            data=data,
            runs=runs,
            cases=cases or ("a", "b"),
            seeds=seeds,
            out=out,
            config=config,
            overrides=overrides,
            profile=profile,
            keep_checkpoints=keep_checkpoints,
            dry_run=dry_run,
            quiet=quiet,
        )
    except Stopped as stopped:
        click.echo(f"\n{stopped}; the same command goes on", err=True)  # below the progress bar
        sys.exit(128 + signal.Signals(stopped.signal_number))
    if not dry_run:
        click.echo(folder)
