"""Synthetic features on disk: those of a generator whose class the discriminator tells right (4.2.4)."""

from collections.abc import Callable, Iterator
from itertools import compress, islice
from pathlib import Path

import numpy as np

from kerasgan.errors import UserError
from kerasgan.papers.featuregan.extraction import weights_hash
from kerasgan.papers.featuregan.generation import BATCH, Makers
from kerasgan.papers.featuregan.store import Extraction, FeatureSlice, FeatureStore
from kerasgan.papers.featuregan.store_writing import per_shard, write

SUBSET = "synthetic"


def synthesise(
    makers: Makers,
    real: FeatureStore,
    folder: Path,
    *,
    count: int,
    seed: int,
    classes: tuple[str, str],
    origin: str,
    progress: Callable[[int], object] = lambda count: None,
) -> FeatureStore:
    """Generate `count` features and write those whose class is told right below `folder`.

    Generated twice, first to be judged, so that no more than a batch is in memory.

    Args:
        makers: generator and discriminator.
        real: the features they have learnt, whose block, shape and precision the synthetic ones have.
        folder: see `store_writing.write`.
        count: features that are judged; classes take turns.
        seed: the same one makes the same features.
        classes: names of class 0 and 1.
        origin: which data this is, in words.
        progress: see `store_writing.write`.

    Raises:
        UserError: no feature's class is told right; and as `store_writing.write`.
    """
    judged = [(label, right) for _, label, right in makers.judged(count, seed)]
    label, right = (np.concatenate(each) for each in zip(*judged, strict=True))
    chosen = np.flatnonzero(right)
    if not len(chosen):
        raise UserError(
            f"the discriminator tells the class of none of {count} generated features right; train the AC-GAN longer"
        )
    wanted = Extraction(
        origin=origin,
        data=real.hash,
        weights=weights_hash(makers.generator),
        block=real.extraction.block,
        shape=real.shape,
        dtype=real.dtype,
        batch_size=BATCH,
        per_shard=per_shard(real.shape, real.dtype, BATCH),
        slices=[
            FeatureSlice(name=f"synthetic_{i:06}", patient="", label=classes[label[i]], subset=SUBSET) for i in chosen
        ],
    )

    def rows_from(first: int) -> Iterator[np.ndarray]:
        made = (feature for features, _, _ in makers.judged(count, seed) for feature in features)
        return islice(compress(made, right), first, None)

    return write(wanted, rows_from, folder, progress)
