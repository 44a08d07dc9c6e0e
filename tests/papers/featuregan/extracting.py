"""Features of a narrow U-Net, extracted from slices of noise."""

import numpy as np
import pytest

from kerasgan.papers.featuregan import store_writing
from kerasgan.papers.featuregan.extraction import extract
from kerasgan.papers.featuregan.store import FeatureSlice
from kerasgan.papers.featuregan.unet import features, unet

BATCH, COUNT = 2, 11  # three shards of four, of which the last has three slices and its last batch one
IMAGES = np.random.default_rng(0).standard_normal((COUNT, 16, 32, 1)).astype(np.float32)
SLICES = [
    FeatureSlice(name=f"p{i // 2}-{i}", patient=f"p{i // 2}", label="LGG" if i % 4 == 1 else "HGG", subset=subset)
    for i, subset in enumerate(["train"] * 7 + ["validation"] * 2 + ["test"] * 2)
]


def batches(first):
    assert first % BATCH == 0
    for start in range(first, COUNT, BATCH):
        yield IMAGES[start : start + BATCH]


def write(network, folder, block="decoder3", batches=batches, dtype="float32", **changed):
    """decoder3 gives 4x8x4: of four slices a shard."""
    known = {"slices": SLICES, "batch_size": BATCH, "data": "0a", "origin": "noise"} | changed
    slice_bytes = np.prod(features(network, block).output_shape[1:]) * np.dtype(dtype).itemsize
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store_writing, "SHARD_BYTES", 5 * int(slice_bytes))
        return extract(network, block, batches, folder, dtype=dtype, **known)


def given(network, block="decoder3"):
    """What the network gives, in the batches of the extraction."""
    part = features(network, block)
    return np.concatenate([part.predict_on_batch(images) for images in batches(0)])


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def narrow_network():
    """A U-Net of few filters with weights of noise."""
    network, rng = unet((16, 32), 1, (3, 5, 4, 6, 7)), np.random.default_rng(1)
    for weight in network.weights:
        weight.assign(rng.normal(0.02, 0.2, weight.shape))
    return network
