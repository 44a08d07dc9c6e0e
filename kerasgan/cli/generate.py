"""kerasgan generate: images from noise."""

import click

from kerasgan.cli import options


@click.command(short_help="Make images from noise.")
@click.argument("run", type=options.RUN)
@click.option("--out", required=True, type=click.Path(file_okay=False), help="A new folder for the images.")
@click.option("--count", type=click.IntRange(min=1), default=500, show_default=True, help="Images to make.")
@click.option("--seed", type=options.SEED, default=1, show_default=True, help="Same seed, same images.")
@click.option("--class", "category", help="Of a model that is told the class (pggan), such as abnormal.")
@options.image_format
@options.quiet
def generate(run, out, count, seed, category, kind, bits, quiet) -> None:
    """Make images with the generator of the finished run RUN, of any model that makes them from noise.

    images.json beside them says which run, seed and training data they come from.

    \b
    Example:
        kerasgan generate runs/wgan/t1-128 --count 500 --seed 3 --out synthetic/
        kerasgan generate runs/wgan/t1-128 --count 100 --out slices/ --format nifti
        kerasgan generate runs/pggan/t1-256 --class abnormal --count 500 --out abnormal/
    """
    from kerasgan import experiment

    more = {"category": category, "kind": kind, "bits": bits, "quiet": quiet}
    click.echo(experiment.generate(run, out, count=count, seed=seed, **more))
