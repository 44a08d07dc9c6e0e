"""Features of a block of the U-Net on disk, for training that never holds them in memory.

    features/
        manifest.json     which network, block and data; every slice; every shard; mean and deviation per channel
        shards/00000.npy  the features of consecutive slices, (n, height, width, channels), which NumPy opens too

Mehra et al. ran out of memory at 120x120x128 for 5110 slices (section 4.1.4), 18.8 GB in float16. Restartable: each
finished shard is journalled, and a second run makes those that are missing.
"""

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Strict

from kerasgan.errors import UserError, nearest
from kerasgan.files import sha256_of
from kerasgan.papers.featuregan.standardisation import Moments, Standard
from kerasgan.settings import Section, validate

FORMAT = 1


class FeatureSlice(Section):
    """Whose features these are."""

    name: str
    patient: str
    label: str  # the class, such as HGG
    subset: str


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
    channels: dict[str, Standard]  # by subset
    shards: list[Shard]

    @property
    def origin(self) -> str:
        """Which data this is, as every data set on disk says."""
        return self.extraction.origin


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
    def dtype(self) -> str:
        """float16 or float32."""
        return self.extraction.dtype

    @property
    def about(self) -> str:
        """Which features of which data these are, as results name them."""
        return f"{self.extraction.origin}; features of {self.extraction.block}, {'x'.join(map(str, self.shape))}"

    @property
    def count(self) -> int:
        """Slices."""
        return len(self.extraction.slices)

    @cached_property
    def hash(self) -> str:
        """Identifies the features: the hash of the manifest, which holds those of the shards."""
        return sha256_of(self.folder / "manifest.json")

    def indices(self, subset: str) -> np.ndarray:
        """The slices of a subset, int64 and ascending; one that has no slice is a UserError."""
        subsets = [piece.subset for piece in self.extraction.slices]
        if subset not in subsets:
            raise UserError(f"{self.folder} has no slice of subset {subset!r}; {nearest(subset, sorted({*subsets}))}")
        return np.flatnonzero(np.array(subsets) == subset)

    def read(self, indices: Sequence[int] | np.ndarray) -> np.ndarray:
        """The features of some slices, (n, height, width, channels) as stored; a file that is cut is a UserError."""
        found = np.empty((len(indices), *self.shape), self.extraction.dtype)
        for row, index in zip(found, indices, strict=True):
            number, place = divmod(int(index), self.extraction.per_shard)
            shard = self.manifest.shards[number]
            path = shard_path(self.folder, shard.file)
            # Reads, not a memory map: mapped pages count as the process's memory, and a file that was cut kills it.
            with path.open("rb") as file:
                file.seek(shard.size - (shard.count - place) * row.nbytes)
                if file.readinto(row) != row.nbytes:
                    raise UserError(f"{path} is cut short; extract the features again into {self.folder}")
        return found


def open_features(folder: Path) -> FeatureStore:
    """Open a folder of features; one that is unfinished or damaged, or another folder, is a UserError.

    The size and the header of every shard are checked. The hashes of their contents, gigabytes of them, are compared
    when the features are extracted again into the folder, which replaces a shard that differs.
    """
    path = folder / "manifest.json"
    if not folder.is_dir():
        raise UserError(
            f"there is no folder {folder}; make it by `kerasgan features extract RUN --block BLOCK --out {folder}`"
        )
    if not path.is_file():
        advice = (
            "their extraction did not finish; run it again, it goes on where it stopped"
            if (folder / "journal.jsonl").is_file()
            else "expected a folder made by `kerasgan features extract RUN --block BLOCK --out FOLDER`"
        )
        raise UserError(f"{folder} has no manifest.json of features; {advice}")
    manifest = read_manifest(path)
    if sum(shard.count for shard in manifest.shards) != len(manifest.extraction.slices):
        raise UserError(f"{path} does not name the shards of all slices; extract the features into another folder")
    for shard in manifest.shards:
        _check_shard(folder, shard, manifest.extraction)
    return FeatureStore(folder, manifest)


def npy_header(shape: tuple[int, ...], dtype: str) -> bytes:
    """The first bytes of a .npy of this shape, in C order and little-endian."""
    header = io.BytesIO()
    described = {"descr": np.dtype(dtype).newbyteorder("<").str, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(header, described)
    return header.getvalue()


def read_manifest(path: Path) -> FeatureManifest:
    """The manifest in a file; one that cannot be read, or is of another format, is a `UserError`."""
    try:
        return parsed(path.read_text(encoding="utf-8"), path)
    except UnicodeDecodeError:
        raise UserError(f"{path}: not readable as UTF-8; extract the features into another folder") from None


def parsed(text: str, path: Path) -> FeatureManifest:
    """A manifest from the text of the file `path`."""
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
    path, advice = shard_path(folder, shard.file), f"extract the features again into {folder}, only this shard is made"
    if not path.is_file():
        raise UserError(f"{path} is missing; {advice}")
    if (size := path.stat().st_size) != shard.size:
        raise UserError(f"{path} has {size} bytes, expected {shard.size}; {advice}")
    header = npy_header((shard.count, *extraction.shape), extraction.dtype)
    with path.open("rb") as file:
        if file.read(len(header)) != header:
            raise UserError(f"{path} is damaged: its header is not that of the manifest; {advice}")


def is_whole(folder: Path, shard: Shard) -> bool:
    """Whether a shard is there as it was written, by its size and its hash."""
    path = shard_path(folder, shard.file)
    return path.is_file() and path.stat().st_size == shard.size and sha256_of(path) == shard.sha256


def shard_path(folder: Path, file: str) -> Path:
    """The file of a shard."""
    return folder / "shards" / file
