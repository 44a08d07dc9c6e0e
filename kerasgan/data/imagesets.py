"""Sets of single-channel images, real or synthetic: what the tests and metrics that compare the two take in."""

import json
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from kerasgan.data import slices
from kerasgan.data.modalities import MODALITIES, canonical
from kerasgan.data.pipeline import arrays_of, count_slices
from kerasgan.data.prepare import Prepared, PreparedVisit
from kerasgan.data.volumes import Geometry, read_volume, write_volume
from kerasgan.errors import UserError
from kerasgan.files import write_text, written_aside

DESCRIPTION = "images.json"  # in a folder that `write_images` made
FORMATS = {"png": ".png", "npz": ".npz", "nifti": ".nii.gz"}
AT_ONCE = 16  # visits in memory: 75 MB of the published slices
_GREY = {"L": 255, "I;16": 65535, "I;16B": 65535, "I": 65535}  # Pillow's mode -> white


@dataclass(frozen=True)
class ImageSet:
    """n images of one size with what is known of each."""

    images: np.ndarray  # float32 (n, height, width) in [-1, 1], upright, -1 is background
    names: tuple[str, ...]  # of each: its file, or its visit, view and slice
    groups: tuple[str, ...]  # the patient of each real image; a synthetic one is a group of its own
    sequences: tuple[str, ...]  # canonical modality of each; "" where it is not known
    origin: str  # which data that is, as every result names it

    def __len__(self) -> int:
        return len(self.images)

    def take(self, chosen: Sequence[int] | np.ndarray) -> "ImageSet":
        """The images at these indices, in this order."""
        names, groups, sequences = (tuple(own[i] for i in chosen) for own in (self.names, self.groups, self.sequences))
        return replace(
            self, images=self.images[np.asarray(chosen, int)], names=names, groups=groups, sequences=sequences
        )

    def sample(self, count: int, seed: int) -> "ImageSet":
        """`count` of the images, drawn without replacement, in their own order; too few are a `UserError`."""
        return self.take(drawn(len(self), count, seed, self.origin))


def drawn(there: int, count: int, seed: int, origin: str) -> np.ndarray:
    """`count` of the indices below `there`, ascending, drawn by the seed; too few are a `UserError`."""
    if count > there:
        raise UserError(f"{origin}: {count} images wanted, {there} there; ask for fewer or add images")
    return np.sort(np.random.default_rng(seed).permutation(there)[:count])


def joined(sets: Sequence[ImageSet]) -> ImageSet:
    """Several sets as one, under the first one's origin."""
    whole = {name: sum((getattr(each, name) for each in sets), ()) for name in ("names", "groups", "sequences")}
    return replace(sets[0], images=np.concatenate([each.images for each in sets]), **whole)


CONCAT = "concat"  # the union of all sequences (Han 2018, 3.2.2)


def sequences_of(prepared: Prepared, sequence: str | None) -> tuple[str, ...]:
    """The modalities that a sequence stands for: itself, or, for "concat" and None, all that the cohort has."""
    if sequence is not None and sequence.lower() != CONCAT:
        return (canonical(sequence),)
    there = {name for visit in prepared.manifest.visits for name in visit.ranges}
    return tuple(name for name in MODALITIES if name in there)


def visits_with(
    prepared: Prepared, sequence: str, subset: str, partition: int, label: str | None = None, value: str = ""
) -> list[PreparedVisit]:
    """The visits of a subset ("all": of every one) that have real slices of a sequence and `value` in column `label`.

    Without a label, all of them. None is a `UserError`.
    """
    if subset == "all":
        found = [visit for visit in prepared.manifest.visits if sequence in visit.ranges and visit.slices]
    else:
        found = prepared.visits(subset, partition, (sequence,))
    found = [visit for visit in found if sequence not in visit.synthetic]
    if label is None and found:
        return found
    there = sorted({visit.labels.get(label, "") for visit in found} - {""}) if label else []
    if label and not there:
        raise UserError(
            f"{prepared.folder}: no visit has a value in the label column {label!r}, by which patients are chosen; "
            "index the cohort again with --labels, name another column, or choose none by label (of a model: "
            "study.label=null)"
        )
    chosen = [visit for visit in found if label and visit.labels.get(label) == value]
    if not chosen:
        what = f" with {label}={value} (values there: {', '.join(there)})" if label else ""
        who = "patient" if subset == "all" else f"{subset} patient"
        raise UserError(
            f"{prepared.folder}: no {who} has real slices of {sequence}{what}; choose others, or add patients"
        )
    return chosen


def of_visits(prepared: Prepared, visits: Sequence[PreparedVisit], sequence: str) -> ImageSet:
    """The slices of some visits, in their order."""
    return ImageSet(
        arrays_of(prepared, visits, (sequence,))[sequence],
        tuple(f"{visit.name} {sequence} {view} {index}" for visit in visits for view, index, _ in visit.slices),
        tuple(visit.patient for visit in visits for _ in visit.slices),
        (sequence,) * count_slices(visits),
        prepared.manifest.origin,
    )


def drawn_of_visits(
    prepared: Prepared,
    by_sequence: Mapping[str, Sequence[PreparedVisit]],
    size: int | None,
    count: int | None,
    seed: int,
) -> ImageSet:
    """What joining the sequences' `of_visits`, `ImageSet.sample` and `resized` give, without all slices in memory.

    Few visits are read at once, and what is not drawn is dropped before the next ones. A `size` or `count` of None
    leaves the images as large, or as many, as they are.
    """
    parts = [(name, own[i : i + AT_ONCE]) for name, own in by_sequence.items() for i in range(0, len(own), AT_ONCE)]
    ends = np.cumsum([count_slices(visits) for _, visits in parts])
    chosen = np.arange(ends[-1]) if count is None else drawn(int(ends[-1]), count, seed, prepared.manifest.origin)
    found = []
    for (name, visits), end, own in zip(parts, ends, np.split(chosen, np.searchsorted(chosen, ends[:-1])), strict=True):
        if len(own):
            images = of_visits(prepared, visits, name).take(own - (end - count_slices(visits)))
            found.append(images if size is None else resized(images, size))
    return joined(found)


def shrunk(images: np.ndarray, size: int) -> np.ndarray:
    """Images (n, h, w) as (n, size, size): means of square blocks, so h = w must be a multiple of `size`."""
    n, height, width = images.shape
    if height != width or height % size:
        raise UserError(f"images of {height}x{width} pixels cannot be shrunk to {size}x{size}; expected a multiple")
    block = height // size
    return images.reshape(n, size, block, size, block).mean(axis=(2, 4), dtype=np.float32)


def resized(whole: ImageSet, size: int) -> ImageSet:
    """The set with its images shrunk to `size` pixels, if they are larger."""
    return whole if whole.images.shape[1:] == (size, size) else replace(whole, images=shrunk(whole.images, size))


def read_images(folder: Path) -> ImageSet:
    """The images in a folder of PNGs, or in one that `kerasgan generate` wrote in any of its formats.

    PNGs are grey, of 8 or 16 bits, black for -1 and white for 1, all of one size; colour images whose three channels
    are equal count as grey. Sub-folders are not searched. Names that sort alike come in that order.
    """
    if not folder.is_dir():
        raise UserError(f"there is no folder {folder}; expected a folder of images")
    known = description_of(folder)
    kind = known.get("format", "png")
    paths = sorted(folder.glob(f"*{FORMATS[kind]}"))
    if not paths:
        raise UserError(
            f"{folder} holds no {FORMATS[kind]} images; expected grey PNGs, or a folder of `kerasgan generate`"
        )
    names, images = [], []
    for path in paths:
        own = _READERS[kind](path)
        if images and own.shape[1:] != images[0].shape[1:]:
            expected, got = ("x".join(map(str, each.shape[1:])) for each in (images[0], own))
            raise UserError(f"{path} has {got} pixels, {paths[0].name} {expected}; expected images of one size")
        images.append(own)
        names += [path.name] if len(own) == 1 else [f"{path.name} {i}" for i in range(len(own))]
    count = len(names)
    return ImageSet(
        np.concatenate(images),
        tuple(names),
        tuple(names),
        (known.get("sequence", ""),) * count,
        known.get("origin", f"images in {folder.name}"),
    )


def write_images(
    folder: Path, batches: Iterable[np.ndarray], kind: str, bits: int, view: str, description: dict[str, object]
) -> int:
    """Write images (n, height, width) batch by batch into a new folder; returns how many.

    png: a file each, of 8 or 16 `bits`; npz: one file of float32 `images` (n, height, width) per batch; nifti: a file
    each, float32, one slice of a volume in the `view`'s canonical orientation with voxels of 1 mm. What lies outside
    [-1, 1] (no generator of linear output stays within) is clipped; images.json, written last, says what share of the
    pixels that was, besides the `description`.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder} is not empty; give --out a new folder, since images are not mixed")
    folder.mkdir(parents=True, exist_ok=True)
    count = clipped = pixels = 0
    for batch in batches:
        clipped += int(np.count_nonzero(np.abs(batch) > 1))
        pixels += batch.size
        _write_batch(folder, np.clip(batch, -1, 1).astype(np.float32), count, kind, bits, view)
        count += len(batch)
    values = {"-1": "background", "1": "white"}
    about = {"format": kind, "bits": bits if kind == "png" else 32, "count": count, "view": view, "values": values}
    about |= {"clipped_share_of_pixels": clipped / max(pixels, 1)} | description
    write_text(folder / DESCRIPTION, json.dumps(about, indent=1) + "\n")
    return count


def _write_batch(folder: Path, batch: np.ndarray, first: int, kind: str, bits: int, view: str) -> None:
    if kind == "npz":
        with written_aside(folder / f"images_{first:06d}.npz") as aside, aside.open("wb") as file:
            np.savez(file, images=batch)
        return
    for number, image in enumerate(batch, first):
        path = folder / f"image_{number:06d}{FORMATS[kind]}"
        if kind == "nifti":
            volume = slices.unstack(image[None], view)
            write_volume(path, volume, Geometry(volume.shape, np.eye(4), "RAS"), np.float32)
            continue
        with written_aside(path) as aside, aside.open("wb") as file:
            to_png(image, bits).save(file, "PNG")


def to_png(image: np.ndarray, bits: int = 8) -> Image.Image:
    """An image (height, width) in [-1, 1] as a grey picture of 8 or 16 bits."""
    white = 2**bits - 1
    levels = np.rint((np.clip(image, -1, 1) + 1) * (white / 2)).astype(np.uint8 if bits == 8 else np.uint16)
    return Image.fromarray(levels)


def description_of(folder: Path) -> dict[str, object]:
    """What images.json says of a folder of images; nothing where there is none."""
    path = folder / DESCRIPTION
    if not path.is_file():
        return {}
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
        if known["format"] in FORMATS:
            return known
    except (ValueError, KeyError, TypeError):
        pass
    raise UserError(f"{path} is not what `kerasgan generate` writes; generate the images anew, or remove the file")


def _read_png(path: Path) -> np.ndarray:
    try:
        with Image.open(path) as picture:
            picture.load()
    except (UnidentifiedImageError, OSError) as error:
        raise UserError(f"{path} cannot be read as a picture ({error}); mend or remove it") from None
    if picture.mode in ("RGB", "RGBA", "P", "LA"):
        red, green, blue = np.moveaxis(np.asarray(picture.convert("RGB")), -1, 0)
        if not (np.array_equal(red, green) and np.array_equal(red, blue)):
            raise UserError(f"{path} is a colour picture; expected grey")
        return _signed(red, 255)
    if picture.mode not in _GREY:
        raise UserError(f"{path} has pixels of Pillow's mode {picture.mode}; expected grey of 8 or 16 bits")
    return _signed(np.asarray(picture), _GREY[picture.mode])


def _signed(levels: np.ndarray, white: int) -> np.ndarray:
    return (levels.astype(np.float32) * np.float32(2 / white) - 1)[None]


def _read_npz(path: Path) -> np.ndarray:
    try:
        with np.load(path, allow_pickle=False) as file:
            return file["images"].astype(np.float32)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise UserError(
            f"{path} is not readable ({error}); expected an array `images`, as `generate` writes it"
        ) from None


def _read_nifti(path: Path) -> np.ndarray:
    volume = read_volume(path).data.astype(np.float32)
    flat = [axis for axis, length in enumerate(volume.shape) if length == 1]
    if not flat:
        raise UserError(
            f"{path} has the shape {volume.shape}; expected one slice of a volume: generate the images anew"
        )
    return slices.stack(volume, {2: "axial", 1: "coronal", 0: "sagittal"}[flat[-1]])


_READERS = {"png": _read_png, "npz": _read_npz, "nifti": _read_nifti}
