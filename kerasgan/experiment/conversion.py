"""`convert`: between checkpoints of TensorLayer 1.x and Keras's files."""

from pathlib import Path
from typing import Literal

from kerasgan.errors import UserError
from kerasgan.files import written_aside
from kerasgan.papers.featuregan.tensorlayer import from_keras, read_checkpoint, to_keras, write_checkpoint
from kerasgan.papers.featuregan.unet import unet
from kerasgan.papers.featuregan.weights import open_unet

SUFFIXES = (".npz", ".keras")


def convert_tensorlayer(
    source: str | Path,
    out: str | Path,
    *,
    size: int = 240,
    channels: int | None = None,
    first_channels: Literal["keep", "mean", "repeat"] = "keep",
    force: bool = False,
) -> Path:
    """Write the U-Net in a checkpoint (.npz) as .keras, or that in a .keras as a checkpoint.

    Args:
        source: the file to read.
        out: the file to write, of the other kind.
        size: height and width in pixels of the images that the .keras takes.
        channels: of these images; None: those of the checkpoint, 4 for the published one.
        first_channels: see `tensorlayer.to_keras`.
        force: overwrite `out`.
    """
    source, out = Path(source), Path(out)
    if {source.suffix, out.suffix} != set(SUFFIXES):
        raise UserError(f"expected one file .npz and one .keras, came {source.name} and {out.name}")
    if out.exists() and not force:
        raise UserError(f"{out} exists; give another --out, or --force to overwrite it")
    if source.suffix == ".keras":
        write_checkpoint(from_keras(open_unet(source)), out)
        return out
    arrays = read_checkpoint(source)
    network = unet((size, size), channels or arrays[0].shape[2])
    to_keras(arrays, network, first_channels)
    with written_aside(out) as aside:
        network.save(aside)
    return out
