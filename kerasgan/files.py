"""Files that are whole or not there: written aside in the same folder, then renamed."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def written_aside(path: Path) -> Iterator[Path]:
    """A path to write a file or folder to, which becomes `path` when the block succeeds and vanishes when it fails.

    It keeps the suffixes of `path`, by which writers choose their format.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        yield aside
        os.replace(aside, path)
    finally:
        if aside.is_dir():
            shutil.rmtree(aside)
        aside.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 text file aside and rename it."""
    with written_aside(path) as aside:
        aside.write_text(text, encoding="utf-8")
