"""Networks of keras.applications, and the ways to their weights: ImageNet's, a file's, or random ones by name."""

from pathlib import Path
from typing import Any

import keras
from keras import Model

from kerasgan.errors import UserError
from kerasgan.files import sha256_of

URL = "https://storage.googleapis.com/tensorflow/keras-applications/"
IMAGENET, RANDOM = "imagenet", "random"  # in place of a file


def load_application(
    name: str, address: str, weights: str, seed: int, instead: str, **options: Any
) -> tuple[Model, str]:
    """A network and what a result says of its weights.

    Args:
        name: in keras.applications.
        address: of its ImageNet weights with these options, below `URL`.
        weights: `imagenet`, which Keras downloads once and checks; a local file in the layout of keras.applications; or
            `random`, for tests and trials, which nothing else is ever replaced by.
        seed: of random weights; with others nothing is drawn by it.
        instead: ends the error about a failed download: how to give a file.
        options: of the network.

    Raises:
        UserError: the ImageNet weights cannot be had; the file is missing or does not fit.
    """
    make = getattr(keras.applications, name)
    if weights == RANDOM:
        keras.utils.set_random_seed(seed)
        return make(weights=None, **options), f"random weights, seed {seed}"
    wanted = f"{Path(address).name} from {URL}{address}"
    if weights == IMAGENET:
        try:
            return make(weights="imagenet", **options), "ImageNet weights of keras.applications"
        except Exception as error:  # Keras raises Exception itself for a failed download
            raise UserError(
                f"the ImageNet weights of {name} cannot be had ({_reason(error)}); get {wanted} and {instead}"
            ) from None
    path = Path(weights)
    if not path.is_file():
        raise UserError(f"there is no file {path}; expected {name} weights as in {wanted}, `imagenet` or `random`")
    network = make(weights=None, **options)
    try:
        network.load_weights(path)
    except (ValueError, OSError, KeyError) as error:
        top = "with" if options.get("include_top", True) else "without"
        raise UserError(f"{path} does not fit {name} {top} its top ({_reason(error)}); expected {wanted}") from None
    return network, described(path)


def described(path: Path) -> str:
    """What a result says of a file: its name and the first 16 digits of its sha256."""
    return f"{path.name}, sha256 {sha256_of(path)[:16]}"


def _reason(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
