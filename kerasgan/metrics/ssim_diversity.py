"""Diversity within a set of images: the mean similarity of random pairs (Odena et al. 2017); low is diverse."""

from collections.abc import Callable, Sequence

import numpy as np

BATCH = 64  # of pairs that are compared at once

Similarity = Callable[[np.ndarray, np.ndarray], np.ndarray]  # (b, h, w) twice to (b,)


def random_pairs(groups: Sequence[str], count: int, seed: int) -> np.ndarray:
    """`count` different pairs of images of different groups, int (count, 2), drawn by `seed`; all pairs if fewer.

    Neighbouring slices of a patient are alike, which says nothing on the diversity of the set, so no pair is of one
    patient. With one group alone the result is empty, (0, 2).
    """
    codes = np.unique(groups, return_inverse=True)[1]
    possible = (len(codes) ** 2 - int(np.square(np.bincount(codes)).sum())) // 2
    rng = np.random.default_rng(seed)
    if possible <= 2 * count:
        rows, columns = np.triu_indices(len(codes), 1)
        pairs = np.stack([rows, columns], axis=1)[codes[rows] != codes[columns]]
        return pairs[np.sort(rng.permutation(len(pairs))[:count])]
    found: dict[tuple[int, int], None] = {}
    while len(found) < count:
        for a, b in np.sort(rng.integers(0, len(codes), (count, 2)), axis=1):
            if codes[a] != codes[b]:
                found.setdefault((int(a), int(b)))
    return np.array(list(found)[:count])


def pair_similarities(images: np.ndarray, pairs: np.ndarray, similarity: Similarity) -> np.ndarray:
    """The similarity of each pair, float64 (p,), of images (n, h, w) and pairs int (p, 2)."""
    batches = [pairs[start : start + BATCH] for start in range(0, len(pairs), BATCH)]
    return np.concatenate([np.empty(0), *(similarity(images[own[:, 0]], images[own[:, 1]]) for own in batches)])
