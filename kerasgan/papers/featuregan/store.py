"""Features of a block of the U-Net on disk, for training that never holds them in memory.

    features/
        manifest.json     which network, block and data; every slice; every shard; mean and deviation per channel
        shards/00000.npy  the features of consecutive slices, (n, height, width, channels), which NumPy opens too

Mehra et al. ran out of memory at 120x120x128 for 5110 slices (section 4.1.4), 18.8 GB in float16. Restartable: each
finished shard is journalled, and a second run makes those that are missing.
"""

import hashlib
import io
import itertools
import json
import math
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal, Self

import keras
import numpy as np
import tensorflow as tf
from pydantic import Strict

from kerasgan.errors import UserError, nearest
from kerasgan.files import remaining, write_text, written_aside
from kerasgan.papers.featuregan.unet import features
from kerasgan.settings import Section, differences, validate

FORMAT = 1
SHARD_BYTES = 2**27  # of a shard about: what a kill costs
HALF_MAX = 65504  # the largest float16
READERS = 2  # batches read at the same time
AHEAD = 2  # batches that wait for the training step

Batches = Callable[[int], Iterable[np.ndarray]]


class FeatureSlice(Section):
    """Whose features these are."""

    name: str
    patient: str
    label: str  # the class, such as HGG
    subset: str


class Moments(Section):
    """Of some values per channel: their number, mean, and sum of squared deviations from it."""

    values: int
    mean: list[float]
    squares: list[float]

    def merged(self, other: Self) -> Self:
        """The moments of both sets of values (Chan, Golub, LeVeque 1979)."""
        total = self.values + other.values
        mean, shift = np.array(self.mean), np.subtract(other.mean, self.mean)
        squares = np.add(self.squares, other.squares) + shift**2 * (self.values * other.values / total)
        return Moments(values=total, mean=(mean + shift * (other.values / total)).tolist(), squares=squares.tolist())

    @property
    def deviation(self) -> list[float]:
        """The standard deviation, that of a population."""
        return np.sqrt(np.array(self.squares) / self.values).tolist()


class ChannelStatistics(Section):
    """Mean and standard deviation of each channel over a subset's slices and pixels; a dead channel's are 0."""

    mean: list[float]
    deviation: list[float]


class Shard(Section):
    """A file of features."""

    file: str
    count: int  # slices
    size: int  # bytes
    sha256: str
    moments: dict[str, Moments]  # by subset


class Extraction(Section):
    """What decides every byte of the features."""

    origin: str  # which data this is, as every result names it
    data: str  # hash of the data set
    weights: str  # hash of the U-Net, `weights_hash`
    block: str
    shape: Annotated[tuple[int, int, int], Strict(False)]  # height, width, channels
    dtype: Literal["float16", "float32"]
    batch_size: int  # convolutions round differently in another
    per_shard: int  # slices
    slices: list[FeatureSlice]


class FeatureManifest(Section):
    """Features on disk."""

    format: int
    kind: Literal["features"]
    extraction: Extraction
    channels: dict[str, ChannelStatistics]  # by subset
    shards: list[Shard]


@dataclass(frozen=True)
class FeatureStore:
    """A folder of features and its manifest; a slice's index is its position in `extraction.slices`."""

    folder: Path
    manifest: FeatureManifest

    @property
    def extraction(self) -> Extraction:
        return self.manifest.extraction

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width, channels."""
        return self.extraction.shape

    @property
    def count(self) -> int:
        """Slices."""
        return len(self.extraction.slices)

    @cached_property
    def hash(self) -> str:
        """Identifies the features: the hash of the manifest, which holds those of the shards."""
        return hashlib.sha256((self.folder / "manifest.json").read_bytes()).hexdigest()

    def indices(self, subset: str | None = None, label: str | None = None) -> np.ndarray:
        """The slices, int64 and ascending, of a subset and of a class; names that no slice has are a UserError."""
        chosen = np.ones(self.count, bool)
        for key, name in (("subset", subset), ("label", label)):
            if name is not None:
                names = [getattr(piece, key) for piece in self.extraction.slices]
                if name not in names:
                    raise UserError(f"{self.folder} has no slice of {key} {name!r}; {nearest(name, sorted({*names}))}")
                chosen &= np.array(names) == name
        return np.flatnonzero(chosen)

    def read(self, indices: Sequence[int] | np.ndarray) -> np.ndarray:
        """The features of some slices, (n, height, width, channels) as stored; a file that is cut is a UserError."""
        found = np.empty((len(indices), *self.shape), self.extraction.dtype)
        for row, index in zip(found, indices, strict=True):
            number, place = divmod(int(index), self.extraction.per_shard)
            shard = self.manifest.shards[number]
            path = _shard(self.folder, shard.file)
            # Reads, not a memory map: mapped pages count as the process's memory, and a file that was cut kills it.
            with path.open("rb") as file:
                file.seek(shard.size - (shard.count - place) * row.nbytes)
                if file.readinto(row) != row.nbytes:
                    raise UserError(f"{path} is cut short; extract the features again into {self.folder}")
        return found

    def verify(self) -> None:
        """Read every shard and compare its hash; the first that differs is a UserError."""
        for shard in self.manifest.shards:
            path = _shard(self.folder, shard.file)
            with path.open("rb") as file:
                if hashlib.file_digest(file, "sha256").hexdigest() != shard.sha256:
                    raise UserError(
                        f"{path} is damaged: its content is not what was written; remove it and extract the features "
                        f"again into {self.folder}, which makes only what is missing"
                    )


def weights_hash(network: keras.Model) -> str:
    """Identifies a network: sha256 of the names, shapes and values of its weights."""
    digest = hashlib.sha256()
    for weight in network.weights:
        digest.update(f"{weight.path} {tuple(weight.shape)} ".encode())
        digest.update(np.ascontiguousarray(keras.ops.convert_to_numpy(weight)))
    return digest.hexdigest()


# ---- writing ----


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
        progress: called with the number of slices that were written, or found written, since the last call.

    Raises:
        UserError: no slice; another block; a folder of other files or of another extraction; images that do not
            match `slices` or the network; images or features that are not finite or that float16 does not hold.
    """
    if not slices:
        raise UserError("there is no slice to take features of; prepare a data set that has slices")
    part = features(network, block)
    height, width, channels = part.output_shape[1:]
    slice_bytes = height * width * channels * np.dtype(dtype).itemsize
    wanted = Extraction(
        origin=origin,
        data=data,
        weights=weights_hash(network),
        block=block,
        shape=(height, width, channels),
        dtype=dtype,
        batch_size=batch_size,
        per_shard=max(1, SHARD_BYTES // (slice_bytes * batch_size)) * batch_size,
        slices=list(slices),
    )
    journal = _Journal(folder, wanted)
    if not journal.finished:
        journal.open()
        _write_missing(part, batches, journal, progress)
        journal.close()
    else:
        progress(len(slices))
    return open_features(folder)


def _write_missing(part: keras.Model, batches: Batches, journal: "_Journal", progress: Callable[[int], object]) -> None:
    """Write the shards that are not there, with one stream of images as long as they are consecutive."""
    wanted, stream, at = journal.wanted, iter(()), -1
    for number, start in enumerate(range(0, len(wanted.slices), wanted.per_shard)):
        name, chunk = f"{number:05}.npy", wanted.slices[start : start + wanted.per_shard]
        if name in journal.done:
            progress(len(chunk))
            continue
        if at != start:
            stream = iter(batches(start))
        parts = (chunk[i : i + wanted.batch_size] for i in range(0, len(chunk), wanted.batch_size))
        rows = itertools.chain.from_iterable(_rows(part, stream, pieces, progress) for pieces in parts)
        shard = _write_shard(_shard(journal.folder, name), rows, len(chunk), wanted)
        at = start + len(chunk)
        if at == len(wanted.slices) and next(stream, None) is not None:
            raise UserError(f"there are more images than the {at} slices; prepare the data again, it has changed")
        journal.add(shard)


def _rows(
    part: keras.Model, stream: Iterator[np.ndarray], pieces: list[FeatureSlice], progress: Callable[[int], object]
) -> Iterator[tuple[FeatureSlice, np.ndarray]]:
    """Each slice of the next batch and its features, float32 (height, width, channels)."""
    images = next(stream, None)
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
    yield from zip(pieces, part.predict_on_batch(images), strict=True)
    progress(len(pieces))


def _write_shard(
    path: Path, rows: Iterator[tuple[FeatureSlice, np.ndarray]], count: int, extraction: Extraction
) -> Shard:
    """Write a shard aside, as its slices come, and rename it."""
    digest, moments = hashlib.sha256(), {}
    with written_aside(path) as aside, aside.open("wb") as file:
        header = _npy_header((count, *extraction.shape), extraction.dtype)
        file.write(header)
        digest.update(header)
        for piece, values in rows:
            kept, own = _kept(values, extraction, piece.name)
            file.write(kept)
            digest.update(kept)
            moments[piece.subset] = moments[piece.subset].merged(own) if piece.subset in moments else own
        file.flush()
        os.fsync(file.fileno())  # the journal must not name what a crash of the machine would lose
        size = file.tell()
    return Shard(file=path.name, count=count, size=size, sha256=digest.hexdigest(), moments=moments)


def _kept(values: np.ndarray, extraction: Extraction, name: str) -> tuple[np.ndarray, Moments]:
    """A slice's features as they are stored, and their moments."""
    with tf.device("CPU"):  # TensorFlow converts half precision twenty times faster than NumPy
        kept = tf.cast(values, extraction.dtype)
        exact = tf.cast(kept, tf.float32).numpy().reshape(-1, extraction.shape[-1]).astype(np.float64)
    mean = exact.mean(axis=0)
    if not np.isfinite(mean).all():
        largest = float(np.abs(values).max())
        if math.isfinite(largest) and largest > HALF_MAX:
            raise UserError(
                f"slice {name}: the features of {extraction.block} reach {largest:.6g}, float16 holds no more than "
                f"{HALF_MAX}; extract them as float32 into another folder"
            )
        raise UserError(
            f"slice {name}: the features of {extraction.block} are not finite; check the U-Net's weights and the image"
        )
    exact -= mean
    squares = np.einsum("pc,pc->c", exact, exact)
    return kept.numpy(), Moments(values=len(exact), mean=mean.tolist(), squares=squares.tolist())


def _npy_header(shape: tuple[int, ...], dtype: str) -> bytes:
    header = io.BytesIO()
    described = {"descr": np.dtype(dtype).newbyteorder("<").str, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(header, described)
    return header.getvalue()


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
        self.done = {shard.file: shard for shard in found if _is_whole(folder, shard)}
        shards = -(-len(wanted.slices) // wanted.per_shard)
        self.finished = self.manifest.is_file() and len(self.done) == shards

    def _begun(self) -> list[Shard]:
        """The shards of an earlier run of the same extraction; a folder of anything else is a UserError."""
        shards = []
        if self.manifest.is_file():
            before = _read_manifest(self.manifest)
        elif self.path.is_file():
            first, _, lines = self.path.read_text(encoding="utf-8").partition("\n")
            before = _parsed(first, self.path)
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
        channels = {name: ChannelStatistics(mean=own.mean, deviation=own.deviation) for name, own in merged.items()}
        write_text(self.manifest, self._as_manifest(shards, channels).model_dump_json())
        self.path.unlink()

    def _as_manifest(self, shards: list[Shard], channels: dict[str, ChannelStatistics]) -> FeatureManifest:
        return FeatureManifest(format=FORMAT, kind="features", extraction=self.wanted, channels=channels, shards=shards)


# ---- reading ----


def open_features(folder: Path) -> FeatureStore:
    """Open a folder of features; one that is unfinished or damaged, or another folder, is a UserError.

    The size and the header of every shard are checked; `FeatureStore.verify` reads their contents too.
    """
    path = folder / "manifest.json"
    if not path.is_file():
        advice = (
            "their extraction did not finish; run it again, it goes on where it stopped"
            if (folder / "journal.jsonl").is_file()
            else "expected a folder made by `kerasgan features extract RUN --block BLOCK --out FOLDER`"
        )
        raise UserError(f"{folder} has no manifest.json of features; {advice}")
    manifest = _read_manifest(path)
    if sum(shard.count for shard in manifest.shards) != len(manifest.extraction.slices):
        raise UserError(f"{path} does not name the shards of all slices; extract the features into another folder")
    for shard in manifest.shards:
        _check_shard(folder, shard, manifest.extraction)
    return FeatureStore(folder, manifest)


def batches_of(
    store: FeatureStore,
    indices: np.ndarray,
    batch_size: int,
    seed: int,
    *,
    first_epoch: int = 0,
    skip: int = 0,
    drop_remainder: bool = False,
) -> tf.data.Dataset:
    """An endless stream of training batches from epoch `first_epoch` on, less its first `skip`, read from disk.

    A batch has `features`, float32 (n, height, width, channels) as stored, and `index`, int64 (n,). Every epoch takes
    each of the `indices` once, in an order that (seed, epoch) alone decides; batches that are skipped are not read.
    At most `READERS` + `AHEAD` batches and the one being taken are in memory. No index is a UserError.
    """
    _refuse_none(store, indices)
    chosen = np.asarray(indices, np.int64)

    def epoch(number: tf.Tensor) -> tf.data.Dataset:
        # `Dataset.shuffle` would also depend on TensorFlow's global seed.
        order = tf.random.experimental.stateless_shuffle(chosen, tf.stack([tf.cast(seed, tf.int64), number]))
        return tf.data.Dataset.from_tensor_slices(order).batch(batch_size, drop_remainder=drop_remainder)

    # The first, endless, level has one element at a time so that epochs do not mix.
    order = tf.data.Dataset.counter(first_epoch, dtype=tf.int64).flat_map(epoch).skip(skip)
    return _with_features(store, order)


def batches_in_order(store: FeatureStore, indices: np.ndarray, batch_size: int) -> tf.data.Dataset:
    """The features of some slices once and in the order given: batches as those of `batches_of`."""
    _refuse_none(store, indices)
    return _with_features(store, tf.data.Dataset.from_tensor_slices(np.asarray(indices, np.int64)).batch(batch_size))


def _with_features(store: FeatureStore, order: tf.data.Dataset) -> tf.data.Dataset:
    def read(indices: tf.Tensor) -> dict[str, tf.Tensor]:
        # Python once per batch, outside of its lock while the disk is read: three times faster than TensorFlow's
        # FixedLengthRecordDataset, which is opened anew for every record.
        stored = tf.numpy_function(store.read, [indices], store.extraction.dtype)
        stored.set_shape((indices.shape[0], *store.shape))
        return {"features": tf.cast(stored, tf.float32), "index": indices}

    return order.map(read, num_parallel_calls=READERS, deterministic=True).prefetch(AHEAD)


def _refuse_none(store: FeatureStore, indices: np.ndarray) -> None:
    if not len(indices):
        raise UserError(f"{store.folder}: none of its slices was chosen to be read")


def _read_manifest(path: Path) -> FeatureManifest:
    try:
        return _parsed(path.read_text(encoding="utf-8"), path)
    except UnicodeDecodeError:
        raise UserError(f"{path}: not readable as UTF-8; extract the features into another folder") from None


def _parsed(text: str, path: Path) -> FeatureManifest:
    try:
        content = json.loads(text)
    except ValueError as error:
        raise UserError(f"{path}: not readable as JSON ({error}); extract the features into another folder") from None
    if not isinstance(content, dict) or content.get("kind") != "features":
        raise UserError(f"{path} is no manifest of features; expected a folder made by `kerasgan features extract`")
    if content.get("format") != FORMAT:
        raise UserError(f"{path}: expected format {FORMAT}; extract the features into another folder")
    return validate(FeatureManifest, content, str(path))


def _check_shard(folder: Path, shard: Shard, extraction: Extraction) -> None:
    path, advice = _shard(folder, shard.file), f"extract the features again into {folder}, only this shard is made"
    if not path.is_file():
        raise UserError(f"{path} is missing; {advice}")
    if (size := path.stat().st_size) != shard.size:
        raise UserError(f"{path} has {size} bytes, expected {shard.size}; {advice}")
    header = _npy_header((shard.count, *extraction.shape), extraction.dtype)
    with path.open("rb") as file:
        if file.read(len(header)) != header:
            raise UserError(f"{path} is damaged: its header is not that of the manifest; remove it and {advice}")


def _is_whole(folder: Path, shard: Shard) -> bool:
    path = _shard(folder, shard.file)
    return path.is_file() and path.stat().st_size == shard.size


def _shard(folder: Path, file: str) -> Path:
    return folder / "shards" / file
