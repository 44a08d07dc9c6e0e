"""Writing a `FeatureStore`: shard by shard, journalled, so that a run that is stopped goes on where it was."""

import hashlib
import math
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import tensorflow as tf

from kerasgan.errors import UserError
from kerasgan.files import remaining, write_text, written_aside
from kerasgan.papers.featuregan.standardisation import Moments, Standard
from kerasgan.papers.featuregan.store import (
    FORMAT,
    Extraction,
    FeatureManifest,
    FeatureSlice,
    FeatureStore,
    Shard,
    is_whole,
    npy_header,
    open_features,
    parsed,
    read_manifest,
    shard_path,
)
from kerasgan.settings import differences

SHARD_BYTES = 2**27  # of a shard about: what a kill costs
HALF_MAX = 65504  # the largest float16

Rows = Callable[[int], Iterator[np.ndarray]]


def per_shard(shape: tuple[int, int, int], dtype: str, batch_size: int) -> int:
    """Slices of a shard: as many whole batches as make about `SHARD_BYTES`."""
    slice_bytes = math.prod(shape) * np.dtype(dtype).itemsize
    return max(1, SHARD_BYTES // (slice_bytes * batch_size)) * batch_size


def write(
    wanted: Extraction, rows_from: Rows, folder: Path, progress: Callable[[int], object] = lambda count: None
) -> FeatureStore:
    """Write the features of every slice below `folder`; what an earlier run left there whole is kept.

    Args:
        wanted: what decides the features.
        rows_from: `rows_from(first)` gives the features of each slice from number `first` on, float32 (height, width,
            channels); `first` is a multiple of `wanted.per_shard`.
        folder: a new one, or that of the same features, interrupted, finished or damaged.
        progress: called with the number of slices that were written, or found written, since the last call.

    Raises:
        UserError: a folder of other files or of other features; features that are not finite or that float16 does
            not hold; more rows than slices.
    """
    journal = _Journal(folder, wanted)
    if not journal.finished:
        journal.open()
        _write_missing(rows_from, journal, progress)
        journal.close()
    else:
        progress(len(wanted.slices))
    return open_features(folder)


def _write_missing(rows_from: Rows, journal: "_Journal", progress: Callable[[int], object]) -> None:
    """Write the shards that are not there, with one stream of features as long as they are consecutive."""
    wanted, stream, at = journal.wanted, iter(()), -1
    for number, start in enumerate(range(0, len(wanted.slices), wanted.per_shard)):
        name, chunk = f"{number:05}.npy", wanted.slices[start : start + wanted.per_shard]
        if name in journal.done:
            progress(len(chunk))
            continue
        if at != start:
            stream = rows_from(start)
        shard = _write_shard(shard_path(journal.folder, name), chunk, stream, wanted, progress)
        at = start + len(chunk)
        if at == len(wanted.slices) and next(stream, None) is not None:
            raise UserError(f"there are more features than the {at} slices; make them anew into another folder")
        journal.add(shard)


def _write_shard(
    path: Path,
    chunk: list[FeatureSlice],
    rows: Iterator[np.ndarray],
    extraction: Extraction,
    progress: Callable[[int], object],
) -> Shard:
    """Write a shard aside, as its slices come, and rename it."""
    digest, moments = hashlib.sha256(), {}
    with written_aside(path) as aside, aside.open("wb") as file:
        header = npy_header((len(chunk), *extraction.shape), extraction.dtype)
        file.write(header)
        digest.update(header)
        for piece in chunk:
            values = next(rows, None)
            if values is None:
                raise UserError(f"the features ended before {piece.name}; make them anew into another folder")
            kept, own = _kept(values, extraction, piece.name)
            file.write(kept)
            digest.update(kept)
            moments[piece.subset] = moments[piece.subset].merged(own) if piece.subset in moments else own
            progress(1)
        file.flush()
        os.fsync(file.fileno())  # the journal must not name what a crash of the machine would lose
        size = file.tell()
    return Shard(file=path.name, count=len(chunk), size=size, sha256=digest.hexdigest(), moments=moments)


def _kept(values: np.ndarray, extraction: Extraction, name: str) -> tuple[np.ndarray, Moments]:
    """A slice's features as they are stored, and their moments."""
    with tf.device("CPU"):  # TensorFlow converts half precision twenty times faster than NumPy
        kept = tf.cast(values, extraction.dtype)
        moments = Moments.of(tf.cast(kept, tf.float32).numpy())
    if not np.isfinite(moments.mean).all():
        largest = float(np.abs(values).max())
        if math.isfinite(largest) and largest > HALF_MAX:
            raise UserError(
                f"slice {name}: the features of {extraction.block} reach {largest:.6g}, float16 holds no more than "
                f"{HALF_MAX}; extract them as float32 into another folder"
            )
        raise UserError(
            f"slice {name}: the features of {extraction.block} are not finite; check the U-Net's weights and the image"
        )
    return kept.numpy(), moments


class _Journal:
    """The shards that are whole, by file, and a file of them for a run that is interrupted.

    The manifest speaks for the shards beside it, so it makes way for the journal before one is written.
    """

    def __init__(self, folder: Path, wanted: Extraction):
        self.folder, self.wanted = folder, wanted
        self.path, self.manifest = folder / "journal.jsonl", folder / "manifest.json"
        if folder.exists() and not folder.is_dir():
            raise UserError(f"{folder} is a file; give a new folder for the features")
        found = self._begun()
        self.done = {shard.file: shard for shard in found if is_whole(folder, shard)}
        shards = -(-len(wanted.slices) // wanted.per_shard)
        self.finished = self.manifest.is_file() and len(self.done) == shards

    def _begun(self) -> list[Shard]:
        """The shards of an earlier run of the same extraction; a folder of anything else is a UserError."""
        shards = []
        if self.manifest.is_file():
            before = read_manifest(self.manifest)
        elif self.path.is_file():
            first, _, lines = self.path.read_text(encoding="utf-8").partition("\n")
            before = parsed(first, self.path)
            for line in lines.splitlines():
                with suppress(ValueError):  # the line that a kill cut short
                    shards.append(Shard.model_validate_json(line))
        elif self.folder.is_dir() and remaining(self.folder):
            raise UserError(f"{self.folder} holds other files; give a new folder for the features")
        else:
            return []
        other = differences(before.extraction, self.wanted, ignore=["slices"])
        if not other and before.extraction.slices != self.wanted.slices:
            other = ["slices: others, or in another order"]
        shards += before.shards
        if other and shards:
            raise UserError(
                f"{self.folder} holds other features ({'; '.join(other)}); give another folder, or remove this one"
            )
        return shards

    def open(self) -> None:
        """To be called before a shard is written."""
        empty = self._as_manifest(shards=[], channels={})
        lines = [empty.model_dump_json(), *(shard.model_dump_json() for shard in self.done.values())]
        self.folder.mkdir(parents=True, exist_ok=True)
        write_text(self.path, "".join(f"{line}\n" for line in lines))
        self.manifest.unlink(missing_ok=True)

    def add(self, shard: Shard) -> None:
        """To be called when a shard is whole."""
        self.done[shard.file] = shard
        with self.path.open("a", encoding="utf-8") as log:
            log.write(shard.model_dump_json() + "\n")

    def close(self) -> None:
        """To be called when all shards are whole."""
        shards = [self.done[file] for file in sorted(self.done)]
        merged: dict[str, Moments] = {}
        for subset, own in (item for shard in shards for item in shard.moments.items()):
            merged[subset] = merged[subset].merged(own) if subset in merged else own
        channels = {name: Standard.of(own) for name, own in merged.items()}
        write_text(self.manifest, self._as_manifest(shards, channels).model_dump_json())
        self.path.unlink()

    def _as_manifest(self, shards: list[Shard], channels: dict[str, Standard]) -> FeatureManifest:
        return FeatureManifest(format=FORMAT, kind="features", extraction=self.wanted, channels=channels, shards=shards)
