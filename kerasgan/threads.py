"""Threads for work that NumPy, SciPy and ISA-L do outside of Python's interpreter lock."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from threadpoolctl import threadpool_limits


def usable_cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def thread_pool(workers: int | None) -> Iterator[ThreadPoolExecutor]:
    """A pool of `workers` threads (default one per core) that, when its block fails, drops what has not begun.

    BLAS's own threads are switched off meanwhile: for small products they would only compete with these, ten times
    slower.
    """
    pool = ThreadPoolExecutor(workers or usable_cores())
    with threadpool_limits(1, "blas"):
        try:
            yield pool
        finally:
            pool.shutdown(cancel_futures=True)
