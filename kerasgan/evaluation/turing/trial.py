"""A Visual Turing Test on disk: which images, which of them are real, and the order in which a rater sees them.

RESULTS/
    trial.json            settings, and of each image its random id, the truth, where it comes from, its hash
    images.npy            the pixels, uint8 (n, height, width), in the order of trial.json
    answers/RATER.jsonl   see `answers`

The truth stays in this folder: a browser gets random ids, and pixels of one size and depth for real and synthetic.
"""

import hashlib
import json
import secrets
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from kerasgan.data.imagesets import ImageSet
from kerasgan.errors import UserError
from kerasgan.files import remaining, written_aside

TRIAL, IMAGES, ANSWERS = "trial.json", "images.npy", "answers"


@dataclass(frozen=True)
class Item:
    """One image of a test."""

    id: str  # random, all that a browser learns of it
    real: bool
    sequence: str  # "" where it is not known
    name: str
    sha256: str  # of its pixels


@dataclass(frozen=True)
class Trial:
    """A test, as its folder has it."""

    folder: Path
    key: str  # random and secret; raters' orders follow from it, and answers name it to tell those of another test
    seed: int  # of the choice of images
    real: str  # which data the real images come from
    synthetic: str
    items: tuple[Item, ...]
    pixels: np.ndarray  # uint8 (n, height, width), black 0, white 255
    made_from: dict[str, Any] = field(default_factory=dict)  # what the caller can say of the sources

    @cached_property
    def number(self) -> dict[str, int]:
        """Id -> position in `items` and `pixels`."""
        return {item.id: position for position, item in enumerate(self.items)}

    def order(self, rater: str) -> list[str]:
        """The ids in the order in which this rater sees them: random, the same for the same test and name.

        Without the key nobody can reckon it: real images come first in `items`.
        """
        own = int.from_bytes(hashlib.sha256(f"{self.key} {rater}".encode()).digest(), "big")
        return [self.items[i].id for i in np.random.default_rng(own).permutation(len(self.items))]


def create_trial(
    folder: Path,
    real: ImageSet,
    synthetic: ImageSet,
    count: int,
    seed: int,
    made_from: Mapping[str, Any] | None = None,
) -> Trial:
    """Draw `count` images of either kind, in equal shares of its sequences, and keep them in a new folder.

    `made_from` is kept beside them, for who has to know where answers belong.

    If the folder has this very test already, with the same images, count and seed, it is opened. With another test, or
    anything else in it, it is a `UserError`, and so are too few images, sets of different sizes, and an image in both.
    """
    _check(real, synthetic)
    chosen = [balanced(images, count, seed) for images in (real, synthetic)]
    pixels = np.concatenate([_to_uint8(own.images) for own in chosen])
    items = [
        Item(secrets.token_hex(8), truth, sequence, name, "")
        for truth, own in zip((True, False), chosen, strict=True)
        for sequence, name in zip(own.sequences, own.names, strict=True)
    ]
    items = tuple(Item(**asdict(item) | {"sha256": _hash(image)}) for item, image in zip(items, pixels, strict=True))
    twice = {item.sha256 for item in items if item.real} & {item.sha256 for item in items if not item.real}
    if twice:
        names = ", ".join(item.name for item in items if item.sha256 == min(twice))
        raise UserError(
            f"{real.origin} and {synthetic.origin} share an image ({names}), which is then neither real nor synthetic; "
            "give other folders"
        )
    trial = Trial(
        folder, secrets.token_hex(8), seed, real.origin, synthetic.origin, items, pixels, dict(made_from or {})
    )
    if folder.is_dir() and remaining(folder):
        return _same(open_trial(folder), trial)
    with written_aside(folder.absolute()) as aside:
        _write(trial, aside)
    return trial


def open_trial(folder: Path) -> Trial:
    """The test in a results folder; what is no such folder, or damaged, is a `UserError`."""
    path = folder / TRIAL
    if not path.is_file():
        raise UserError(
            f"{folder} holds no Visual Turing Test (no {TRIAL}); give the --out folder of a "
            "`kerasgan turing`, or a new one"
        )
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
        items = tuple(Item(**item) for item in known.pop("items"))
        pixels = np.load(folder / IMAGES, allow_pickle=False)
        trial = Trial(folder, items=items, pixels=pixels, **known)
        whole = [_hash(image) for image in pixels] == [item.sha256 for item in items]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{folder}: {TRIAL} or {IMAGES} is damaged ({error}); start again in a new folder") from None
    if not whole:
        raise UserError(f"{folder}: {IMAGES} has other images than {TRIAL} names; start again in a new folder")
    return trial


def balanced(images: ImageSet, count: int, seed: int) -> ImageSet:
    """`count` of the images, drawn in equal shares of their sequences, and in each from as many patients as can be.

    Of shares that do not come out even, the seed gives some sequences one image more. Equal shares are Han's (2018,
    3.3); the spread over patients is ours, since neighbouring slices of one patient give each other away as real.
    """
    draw = np.random.default_rng(seed)
    sequences = sorted(set(images.sequences))
    shares = np.full(len(sequences), count // len(sequences))
    shares[draw.permutation(len(sequences))[: count % len(sequences)]] += 1
    chosen: list[int] = []
    for sequence, share in zip(sequences, shares, strict=True):
        own = [i for i, name in enumerate(images.sequences) if name == sequence]
        if len(own) < share:
            what = f" of {sequence}" if sequence else ""
            raise UserError(
                f"{images.origin} has {len(own)} images{what}, {share} are needed; give a smaller --count, or "
                "add images"
            )
        chosen += _spread(draw.permutation(own).tolist(), images.groups)[:share]
    return images.take(chosen)


def _spread(indices: Sequence[int], groups: Sequence[str]) -> list[int]:
    """The first index of each group, then the second of each, and so on."""
    before: Counter[str] = Counter()
    ranks = []
    for index in indices:
        ranks.append(before[groups[index]])
        before[groups[index]] += 1
    return [index for _, index in sorted(zip(ranks, indices, strict=True), key=lambda pair: pair[0])]


def _check(real: ImageSet, synthetic: ImageSet) -> None:
    sizes = ["x".join(map(str, own.images.shape[1:])) for own in (real, synthetic)]
    if sizes[0] != sizes[1]:
        raise UserError(
            f"the real images have {sizes[0]} pixels, the synthetic ones {sizes[1]}, which would tell them apart; give "
            "--size to shrink the larger ones"
        )
    known = [sorted(set(own.sequences) - {""}) for own in (real, synthetic)]
    if all(known) and known[0] != known[1]:
        raise UserError(
            f"the real images are of {', '.join(known[0])}, the synthetic ones of {', '.join(known[1])}, which would "
            "tell them apart; give --sequence"
        )


def _to_uint8(images: np.ndarray) -> np.ndarray:
    """[-1, 1] as 0 to 255: the depth of most synthetic images, so that real ones cannot be told by finer steps."""
    return np.rint((np.clip(images, -1, 1) + 1) * 127.5).astype(np.uint8)


def _hash(image: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(image).tobytes()).hexdigest()


def _same(there: Trial, wanted: Trial) -> Trial:
    """The test that is there, if it is the one that is wanted."""
    found = {
        "seed": (there.seed, wanted.seed),
        "number of images": (len(there.items), len(wanted.items)),
        "size": tuple("x".join(map(str, own.pixels.shape[1:])) for own in (there, wanted)),
    }
    for what, (has, wants) in found.items():
        if has != wants:
            raise UserError(
                f"{there.folder} holds another test, of {what} {has} instead of {wants}; give --out a new folder, or "
                "go on with that test by --out alone"
            )
    one, two = ([(item.real, item.sha256) for item in own.items] for own in (there, wanted))
    if one != two:
        raise UserError(
            f"{there.folder} holds a test of other images (of {there.real} and {there.synthetic}); give --out a new "
            "folder, or go on with that test by --out alone"
        )
    return there


def _write(trial: Trial, folder: Path) -> None:
    (folder / ANSWERS).mkdir(parents=True)
    np.save(folder / IMAGES, trial.pixels)
    content = {"key": trial.key, "seed": trial.seed, "real": trial.real, "synthetic": trial.synthetic}
    content["made_from"] = trial.made_from
    content["items"] = [asdict(item) for item in trial.items]
    (folder / TRIAL).write_text(json.dumps(content, indent=1), encoding="utf-8")
