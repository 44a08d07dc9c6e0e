"""Files that are whole or not there: written aside in the same folder, then renamed."""

import glob
import hashlib
import os
import re
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
    for stale in path.parent.glob(f".*.{glob.escape(path.name)}"):
        if _is_left_over(stale):
            remove(stale)
    aside = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        yield aside
        os.replace(aside, path)
    finally:
        remove(aside)


def remaining(folder: Path) -> list[Path]:
    """What is in a folder but for what killed writers left."""
    return [entry for entry in folder.iterdir() if not _is_left_over(entry)]


def remove(path: Path) -> None:
    """Remove a file or a folder, if it is there."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _is_left_over(path: Path) -> bool:
    """Whether a path was being written by a process that is no more."""
    match = re.match(r"\.(\d+)\.", path.name)
    if not match or int(match[1]) == os.getpid():
        return False
    try:
        os.kill(int(match[1]), 0)
    except ProcessLookupError:
        return True
    except (PermissionError, OverflowError):
        return False
    return False


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 text file aside and rename it."""
    with written_aside(path) as aside:
        aside.write_text(text, encoding="utf-8")


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
