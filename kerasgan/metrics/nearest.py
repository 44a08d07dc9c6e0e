"""Nearest neighbours by Euclidean distance, in blocks that fit into memory."""

from collections.abc import Iterator

import numpy as np

ENTRIES = 2**24  # of one block of distances: 128 MiB


def nearest(queries: np.ndarray, candidates: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The nearest candidate of each query.

    Args:
        queries, candidates: (n, f) and (m, f); m at least 1.

    Returns:
        Its index, int (n,), and its distance, float64 (n,): exactly 0 for an exact copy.
    """
    queries, candidates = np.asarray(queries, np.float64), np.asarray(candidates, np.float64)
    index = np.concatenate([block.argmin(axis=1) for block in squared_distances(queries, candidates)])
    # The blocks' distances are differences of large numbers; that of the pair itself is exact.
    return index, np.linalg.norm(queries - candidates[index], axis=1)


def kth_squared_distance(points: np.ndarray, k: int) -> np.ndarray:
    """The squared distance of each point (n, f) to its k-th nearest other point, float64 (n,); n above k."""
    found, first = [], 0
    for block in squared_distances(points, points):
        block[np.arange(len(block)), np.arange(first, first + len(block))] = np.inf
        found.append(np.partition(block, k - 1, axis=1)[:, k - 1])
        first += len(block)
    return np.concatenate(found)


def squared_distances(queries: np.ndarray, candidates: np.ndarray) -> Iterator[np.ndarray]:
    """Squared distances of all queries (n, f) to all candidates (m, f), in blocks of rows (b, m), float64.

    By |q|^2 + |c|^2 - 2 q.c, which is off by some 1e-15 of the largest squared norm.
    """
    centre = np.mean(candidates, axis=0, dtype=np.float64)
    queries, candidates = np.asarray(queries) - centre, np.asarray(candidates) - centre
    norms = np.square(candidates).sum(axis=1)
    rows = max(1, ENTRIES // len(candidates))
    for start in range(0, len(queries), rows):
        block = queries[start : start + rows]
        yield np.maximum(np.square(block).sum(axis=1)[:, None] + norms - 2 * block @ candidates.T, 0)
