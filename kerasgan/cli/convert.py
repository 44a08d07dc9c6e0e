"""kerasgan convert: weights of other packages."""

from pathlib import Path

import click


@click.group(short_help="Convert weights from and to other packages.")
def convert() -> None:
    """Weights of other packages to Keras's files, and back.

    \b
    Example:
        kerasgan convert tensorlayer u_net_flair.npz --out u_net.keras
    """


@convert.command(short_help="The U-Net that Mehra et al. 2022 take.")
@click.argument("source", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--out", required=True, type=click.Path(dir_okay=False, path_type=Path), help="The .keras (or .npz) to write."
)
@click.option("--size", type=click.IntRange(16), default=240, show_default=True, help="Pixels of the .keras's images.")
@click.option("--channels", type=click.Choice(["1", "4"]), help="Of these images; default the checkpoint's.")
@click.option(
    "--first-channels",
    type=click.Choice(["keep", "mean", "repeat"]),
    default="keep",
    show_default=True,
    help="What 1 channel is made of 4: FLAIR's kernel, the kernels' mean, or the kernels for the image repeated.",
)
@click.option("--force", is_flag=True, help="Overwrite the file if it exists.")
def tensorlayer(source, out, size, channels, first_channels, force) -> None:
    """The U-Net of u-net-brain-tumor: its checkpoint of TensorLayer 1.x (.npz) to .keras, or a .keras back to .npz.

    The checkpoint is read without running what it may hold: nothing but arrays is made of it.

    \b
    Example:
        kerasgan convert tensorlayer u_net_flair.npz --out u_net.keras --channels 1
        kerasgan convert tensorlayer runs/unet/flair/unet.keras --out u_net.npz
    """
    from kerasgan import experiment

    channels = int(channels) if channels else None
    more = {"size": size, "channels": channels, "first_channels": first_channels, "force": force}
    click.echo(experiment.convert_tensorlayer(source, out, **more))
