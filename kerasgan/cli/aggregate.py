"""kerasgan aggregate: the images of AGGrGAN."""

import click

from kerasgan.cli import options


@click.command(short_help="Blend and style the images of a class's three GANs.")
@click.argument("runs", type=options.RUN)
@click.option("--out", required=True, type=click.Path(file_okay=False), help="A new folder for the images.")
@click.option("--data", type=options.PREPARED, help="The prepared folder; default that of the runs.")
@click.option(
    "--count", type=click.IntRange(min=1), help="Images to make; default the runs' setting, aggregation.images."
)
@click.option(
    "--metric",
    type=click.Choice(["ssim", "psnr"]),
    default="ssim",
    show_default=True,
    help="By which the best two of three images are chosen.",
)
@click.option("--style/--no-style", default=True, show_default=True, help="Transfer the style of the real images.")
@click.option(
    "--weights",
    metavar="imagenet|random|FILE",
    help="Of VGG-19; default the runs' setting, style.weights. random has to be asked for.",
)
@click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="Change one setting of aggregation, style or measures, e.g. style.iterations=200; may be repeated.",
)
@options.image_format
@options.quiet
def aggregate(runs, out, data, count, metric, style, weights, overrides, kind, bits, quiet) -> None:
    """Blend the images of a class's three GANs by their edges, and give them the style of real ones.

    RUNS is the folder of a class that `kerasgan train aggrgan` has made (Mukherjee et al. 2022, Algorithm 1 and eqs. 12
    to 16). Beside the images: which real image each refers to (aggregate.csv), the loss curve (losses.csv), figure.png.

    \b
    Example:
        kerasgan aggregate runs/aggrgan/glioma --count 300 --out glioma/
        kerasgan aggregate runs/aggrgan/glioma --metric psnr --weights vgg19_notop.h5 --out glioma/
    """
    from kerasgan import experiment

    overrides = [*overrides, *([f"style.weights={weights}"] if weights else [])]
    more = {"kind": kind, "bits": bits, "quiet": quiet}
    click.echo(
        experiment.aggregate(runs, out, data=data, count=count, metric=metric, style=style, overrides=overrides, **more)
    )
