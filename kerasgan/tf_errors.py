"""TensorFlow's own errors where files are written and read, as what the rest of Python knows."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import tensorflow as tf


@contextmanager
def as_os_error(path: Path) -> Iterator[None]:
    """A full disk or a folder that may not be written, met by TensorFlow while it writes `path`, as an OSError."""
    try:
        yield
    except tf.errors.OpError as error:
        reason = (error.message or type(error).__name__).splitlines()[0]
        raise OSError(None, reason, str(path)) from error
