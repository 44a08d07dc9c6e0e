"""kerasgan features: of a U-Net's blocks, and synthetic ones."""

from pathlib import Path

import click

from kerasgan.cli import options

_out = click.option(
    "--out",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="A new folder, or one that was begun: what is there and whole is kept.",
)


@click.group(short_help="Features of a U-Net, or of an AC-GAN (Mehra et al. 2022).")
def features() -> None:
    """Features on disk (Mehra et al. 2022): of a block of a U-Net, or synthetic ones of an AC-GAN.

    \b
    Example:
        kerasgan features extract runs/unet/flair --block 5 --out features/
    """


@features.command(short_help="Features of real slices, by a block of a U-Net.")
@click.argument("run", type=options.RUN)
@_out
@click.option(
    "--block", help="encoder1 to encoder5, or 1 to 5; decoder4 to decoder1; default the run's setting, features.block."
)
@click.option(
    "--dtype", type=click.Choice(["float16", "float32"]), help="On disk; default the run's setting, features.dtype."
)
@options.quiet
def extract(run, out, block, dtype, quiet) -> None:
    """Write what a block of the U-Net of the finished run RUN makes of every slice of its data.

    Streamed: never more than a batch is in memory. Can be interrupted and repeated.

    \b
    Example:
        kerasgan features extract runs/unet/flair --block 5 --out features/
        kerasgan features extract runs/unet/flair --block decoder2 --dtype float16 --out features120/
    """
    from kerasgan import experiment

    _say(experiment.extract_features(run, out, block=block, dtype=dtype, quiet=quiet))


@features.command(short_help="Synthetic features, by an AC-GAN.")
@click.argument("run", type=options.RUN)
@_out
@click.option(
    "--count",
    type=click.IntRange(min=1),
    help="Features to make, of which those told right are kept; default the run's setting, acgan.samples.",
)
@click.option("--seed", type=options.SEED, help="Same seed, same features; default the run's setting, acgan.seed.")
@options.quiet
def generate(run, out, count, seed, quiet) -> None:
    """Generate features with the finished AC-GAN RUN, and keep those whose class its discriminator tells right.

    \b
    Example:
        kerasgan features generate runs/acgan/width-512 --count 4800 --out synthetic/
    """
    from kerasgan import experiment

    _say(experiment.generate_features(run, out, count=count, seed=seed, quiet=quiet))


def _say(store) -> None:
    classes: dict[str, int] = {}
    for piece in store.extraction.slices:
        classes[piece.label] = classes.get(piece.label, 0) + 1
    counts = ", ".join(f"{number} {name}" for name, number in sorted(classes.items()))
    click.echo(f"{store.folder}: {counts}; {'x'.join(map(str, store.shape))} {store.dtype}; {store.extraction.origin}")
