"""kerasgan turing: people judge which images are real."""

import click

from kerasgan.cli import options

POSITIVE = click.IntRange(min=1)


@click.group(invoke_without_command=True, short_help="People judge which images are real.")
@click.option("--real", type=options.IMAGES, help="A prepared folder, or one of images.")
@click.option("--synthetic", type=options.IMAGES, help="A folder of images, or a finished run.")
@click.option(
    "--out", type=click.Path(file_okay=False), help="The results folder; that of an earlier test is gone on with."
)
@click.option("--sequence", help="Of a prepared folder: t1, t1e, t2, flair, or concat for all; default all.")
@click.option(
    "--subset",
    type=click.Choice(["train", "validation", "test", "all"]),
    help="Of a prepared folder; default all.",
)
@click.option("--where", metavar="LABEL=VALUE", help="Of a prepared folder: the patients with such a label.")
@click.option("--size", type=POSITIVE, help="Shrink larger images to so many pixels.")
@click.option("--count", type=POSITIVE, help="Real images, and as many synthetic ones; default 50.")
@click.option("--seed", type=options.SEED, help="Of the choice and of a run's noise; default 1.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8765, show_default=True, help="Of 127.0.0.1; 0: any that is free."
)
@click.option("--open/--no-open", "open_browser", default=False, show_default=True, help="Show the page in a browser.")
@click.pass_context
def turing(context, out, **chosen) -> None:
    """Serve a Visual Turing Test (Han et al. 2018) on this machine: real or synthetic, one image at a time.

    Raters give their names, may take a break and go on under the same name, also after a restart; several may work at
    once. Real images are drawn in equal shares of the sequences. All answers are in the folder of --out, which alone
    suffices to go on with its test.

    \b
    Example:
        kerasgan turing --real prepared/ --sequence t1e --synthetic runs/dcgan/t1e --out results/
        kerasgan turing --real prepared/ --sequence concat --synthetic images/ --size 64 --out results/ --open
        kerasgan turing --out results/
        kerasgan turing report results/
    """
    if context.invoked_subcommand:
        if out or any(value is not None for name, value in chosen.items() if name not in ("port", "open_browser")):
            raise click.UsageError("the options are of a test; expected `kerasgan turing report RESULTS`")
        return
    if out is None:
        raise click.UsageError("Missing option '--out'.")
    from kerasgan import experiment

    experiment.turing(out, **chosen)


@turing.command(short_help="What raters said.")
@click.argument("results", type=click.Path(file_okay=False))
def report(results) -> None:
    """Print what raters said in the test of the folder RESULTS, beside Table 1 of Han et al. 2018.

    \b
    Example:
        kerasgan turing report results/
    """
    from kerasgan import experiment

    click.echo(experiment.turing_report(results).markdown())
