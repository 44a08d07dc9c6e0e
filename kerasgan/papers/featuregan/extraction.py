"""From the U-Net's blocks to a `FeatureStore`: section 4.1.4."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Literal

import keras
import numpy as np

from kerasgan.errors import UserError
from kerasgan.papers.featuregan.store import Extraction, FeatureSlice, FeatureStore
from kerasgan.papers.featuregan.store_writing import per_shard, write
from kerasgan.papers.featuregan.unet import features

Batches = Callable[[int], Iterable[np.ndarray]]


def extract(
    network: keras.Model,
    block: str,
    batches: Batches,
    folder: Path,
    *,
    slices: Sequence[FeatureSlice],
    batch_size: int,
    dtype: Literal["float16", "float32"],
    data: str,
    origin: str,
    progress: Callable[[int], object] = lambda count: None,
) -> FeatureStore:
    """Write a block's output for every slice below `folder`; what an earlier run left there whole is kept.

    At any time one batch of images, its features, and one slice's conversions are in memory.

    Args:
        network: the U-Net, `unet.unet`.
        block: a name in `unet.BLOCKS`.
        batches: `batches(first)` gives the images of the slices from number `first` on, a multiple of `batch_size`,
            as float32 (batch_size, height, width, channels) each; the last batch may be smaller.
        folder: a new one, or that of the same extraction, interrupted, finished or damaged.
        slices: whose images these are, in their order.
        batch_size: slices that the network takes at once.
        dtype: of the file; float16 rounds to 11 bits and holds no more than 65504.
        data: hash of the data set.
        origin: which data this is, in words.
        progress: see `store_writing.write`.

    Raises:
        UserError: no slice; another block; images that do not match `slices` or the network, or are not finite; and
            as `store_writing.write`.
    """
    if not slices:
        raise UserError("there is no slice to take features of; prepare a data set that has slices")
    part = features(network, block)
    shape = tuple(part.output_shape[1:])
    wanted = Extraction(
        origin=origin,
        data=data,
        weights=weights_hash(network),
        block=block,
        shape=shape,
        dtype=dtype,
        batch_size=batch_size,
        per_shard=per_shard(shape, dtype, batch_size),
        slices=list(slices),
    )

    def rows_from(first: int) -> Iterator[np.ndarray]:
        stream = iter(batches(first))
        for start in range(first, len(slices), batch_size):
            yield from _rows(part, next(stream, None), slices[start : start + batch_size])
        if next(stream, None) is not None:
            raise UserError(
                f"there are more images than the {len(slices)} slices; prepare the data again, it has changed"
            )

    return write(wanted, rows_from, folder, progress)


def _rows(part: keras.Model, images: np.ndarray | None, pieces: Sequence[FeatureSlice]) -> Iterator[np.ndarray]:
    """The features of each slice of a batch, float32 (height, width, channels)."""
    expected = (len(pieces), *part.input_shape[1:])
    if images is None or images.shape != expected:
        came = "the images ended" if images is None else f"an array {images.shape} came"
        raise UserError(
            f"slice {pieces[0].name}: expected images of shape {expected}, {came}; prepare the data again, as the "
            "U-Net's settings say"
        )
    # A rectifier makes 0 of NaN, so the features would not show it.
    for piece, image in zip(pieces, images, strict=True):
        if not np.isfinite(image).all():
            raise UserError(f"slice {piece.name}: the image has values that are not finite; prepare the data again")
    yield from part.predict_on_batch(images)


def weights_hash(network: keras.Model) -> str:
    """Identifies a network: sha256 of the names, shapes and values of its weights."""
    digest = hashlib.sha256()
    for weight in network.weights:
        digest.update(f"{weight.path} {tuple(weight.shape)} ".encode())
        digest.update(np.ascontiguousarray(keras.ops.convert_to_numpy(weight)))
    return digest.hexdigest()
