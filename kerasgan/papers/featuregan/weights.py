"""The numbers that a U-Net begins with, from a file: a checkpoint of TensorLayer, or a network saved by Keras."""

from pathlib import Path
from typing import Literal

import keras

from kerasgan.errors import UserError
from kerasgan.networks import read_network
from kerasgan.papers.featuregan.tensorlayer import from_keras, read_checkpoint, to_keras
from kerasgan.papers.featuregan.unet import filters_of


def load_weights(network: keras.Model, path: Path, first_channels: Literal["keep", "mean", "repeat"]) -> None:
    """Give a network of `unet` the weights in a file, .npz or .keras; see `tensorlayer.to_keras`.

    UserError for a file that is neither, is damaged, or holds the weights of another network.
    """
    arrays = read_checkpoint(path, filters_of(network)) if path.suffix == ".npz" else from_keras(open_unet(path))
    try:
        to_keras(arrays, network, first_channels)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None


def open_unet(path: Path) -> keras.Model:
    """The U-Net in a .keras file; anything else is a `UserError`."""
    expected = "expected a U-Net as `kerasgan train unet` and `kerasgan convert tensorlayer` write it (.keras, .npz)"
    network = read_network(path, expected)
    if network.name != "unet":
        raise UserError(f"{path} holds another network, {network.name}; {expected}")
    return network
