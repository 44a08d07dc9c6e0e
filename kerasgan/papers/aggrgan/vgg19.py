"""VGG-19 (Simonyan & Zisserman 2014) with average pooling, for the losses of style transfer (Figure 9)."""

from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from keras import Input, Model, layers

from kerasgan.errors import UserError
from kerasgan.evaluation.applications import IMAGENET, RANDOM, URL, described, load_application

BLOCKS = ((64, 2), (128, 2), (256, 4), (512, 4), (512, 4))  # filters, convolutions
KERNEL = 3
WEIGHTS_FILE = "vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5"
ADDRESS = f"vgg19/{WEIGHTS_FILE}"  # below `applications.URL`
WEIGHTS_URL = URL + ADDRESS


@dataclass(frozen=True)
class Vgg19:
    """The network with what a result says of its weights."""

    network: Model  # images (n, h, w, 3) as in `preprocessed` of style.py to the last map
    weights: str


def load_vgg19(weights: str, seed: int) -> Vgg19:
    """VGG-19 with weights of a name.

    Args:
        weights: `imagenet`, which Keras downloads once; a local file in the layout of keras.applications, with or
            without the top; or `random`, drawn by `seed`, for tests and trials.
        seed: used by `random` alone.

    Raises:
        UserError: the ImageNet weights cannot be had; the file is missing or does not fit, the first array that
            differs being named.
    """
    network = vgg19()
    if weights == IMAGENET:
        instead = "give its path in place of imagenet"
        original, name = load_application("VGG19", ADDRESS, IMAGENET, seed, instead, include_top=False)
        arrays = original.get_weights()
    elif weights == RANDOM:
        arrays, name = _random(network, seed), f"random weights, seed {seed}"
    else:
        arrays, name = _read(Path(weights), network), described(Path(weights))
    network.set_weights(arrays)
    network.trainable = False
    return Vgg19(network, name)


def vgg19() -> Model:
    """The convolutional part, in float32, its layers named and ordered as those of `keras.applications.VGG19`."""
    x = image = Input((None, None, 3), dtype="float32", name="image")
    for block, (filters, convolutions) in enumerate(BLOCKS, 1):
        for number in range(1, convolutions + 1):
            name = f"block{block}_conv{number}"
            x = layers.Conv2D(filters, KERNEL, padding="same", activation="relu", dtype="float32", name=name)(x)
        x = layers.AveragePooling2D(2, dtype="float32", name=f"block{block}_pool")(x)  # the original's is the maximum
    return Model(image, x, name="vgg19")


def _random(network: Model, seed: int) -> list[np.ndarray]:
    """He's normal kernels, which keep the scale of what they pass on, and biases of 0."""
    rng = np.random.default_rng(seed)
    shapes = [array.shape for array in network.weights]
    return [
        rng.normal(0, np.sqrt(2 / np.prod(shape[:-1])), shape) if len(shape) > 1 else np.zeros(shape)
        for shape in shapes
    ]


def _read(path: Path, network: Model) -> list[np.ndarray]:
    """The arrays of a weights file in the network's order."""
    expected = f"expected VGG-19 weights as in {WEIGHTS_FILE} from {WEIGHTS_URL}, `imagenet` or `random`"
    if not path.is_file():
        raise UserError(f"there is no file {path}; {expected}")
    arrays = []
    try:
        with h5py.File(path) as file:
            for layer in network.layers:
                wanted = [tuple(weight.shape) for weight in layer.weights]
                found = _layer(file, layer.name) if wanted else []
                if [array.shape for array in found] != wanted:
                    raise UserError(
                        f"{path} has {layer.name} as {[array.shape for array in found]}, not {wanted}; {expected}"
                    )
                arrays += found
    except OSError as error:
        raise UserError(f"{path} is not an HDF5 file ({str(error).splitlines()[0]}); {expected}") from None
    return arrays


def _layer(file: h5py.File, name: str) -> list[np.ndarray]:
    """The arrays of one layer; none if the file has no such layer."""
    if name not in file:
        return []
    group = file[name]
    return [np.asarray(group[weight]) for weight in group.attrs.get("weight_names", ())]
