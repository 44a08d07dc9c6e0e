"""What a comparison of image sets says of them and finds, and what the sets have to be like."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from kerasgan.data.imagesets import ImageSet
from kerasgan.data.modalities import DISPLAY
from kerasgan.errors import UserError
from kerasgan.evaluation.features import Backbone
from kerasgan.files import write_text
from kerasgan.report.tables import markdown

Numbers = dict[str, dict[str, float]]  # row -> column -> value


@dataclass(frozen=True)
class Compared:
    """One of the sets that a result is about."""

    data: str
    images: int
    groups: int  # patients; a picture or a synthetic image of its own is one too
    sequences: tuple[str, ...]
    pixels: str

    @classmethod
    def of(cls, images: ImageSet) -> "Compared":
        """What is to be said of a set."""
        sequences = tuple(name for name in dict.fromkeys(images.sequences) if name)
        pixels = "x".join(map(str, images.images.shape[1:]))
        return cls(images.origin, len(images), len(set(images.groups)), sequences, pixels)

    def __str__(self) -> str:
        names = f", {', '.join(DISPLAY.get(name, name) for name in self.sequences)}" if self.sequences else ""
        return f"{self.data}: {self.images} images in {self.groups} groups{names}, {self.pixels} pixels"


@dataclass(frozen=True)
class Finding:
    """What a kind of comparison finds in its sets."""

    numbers: Numbers
    notes: tuple[str, ...] = ()  # what to mind in reading them
    details: dict[str, object] = field(default_factory=dict)  # what is too long for a table
    settings: dict[str, int] = field(default_factory=dict)  # those that the images decided


@dataclass(frozen=True)
class ImageComparison:
    """A comparison of image sets, and all that its numbers depend on."""

    kind: str
    sets: dict[str, Compared]
    backbone: str
    preprocessing: str
    seed: int
    settings: dict[str, int | None]
    numbers: Numbers
    notes: tuple[str, ...]
    details: dict[str, object]

    @classmethod
    def of(
        cls,
        kind: str,
        sets: Mapping[str, ImageSet],
        space: Backbone | None,
        seed: int,
        settings: Mapping[str, int | None],
        found: Finding,
    ) -> "ImageComparison":
        """A finding with what it depends on."""
        return cls(
            kind=kind,
            sets={name: Compared.of(own) for name, own in sets.items()},
            backbone=space.name if space else "none",
            preprocessing=space.preprocessing if space else "as they are, [-1, 1]",
            seed=seed,
            settings=settings | found.settings,
            numbers=found.numbers,
            notes=found.notes,
            details=found.details,
        )

    def markdown(self) -> str:
        """Sets, feature space, settings, the table of numbers, and what to mind in reading them."""
        about = [f"{name.capitalize()}: {own}" for name, own in self.sets.items()]
        about += [f"Backbone: {self.backbone}", f"Preprocessing: {self.preprocessing}"]
        about += [", ".join(f"{name.replace('_', ' ')} {value}" for name, value in self._settings().items())]
        columns = list(next(iter(self.numbers.values())))
        shown = [_aligned([own[column] for own in self.numbers.values()]) for column in columns]
        rows = [[name, *cells] for name, *cells in zip(self.numbers, *shown, strict=True)]
        return "\n\n".join(["\n".join(about), markdown([self.kind, *columns], rows), *self.notes])

    def _settings(self) -> dict[str, int | None]:
        return {"seed": self.seed} | self.settings

    def write(self, path: str | Path) -> None:
        """The result as JSON; a file that is there is replaced."""
        write_text(Path(path), json.dumps(asdict(self), indent=1, allow_nan=False) + "\n")


def _aligned(values: Sequence[float]) -> list[str]:
    """A column: counts as they are, else as many decimals for all as the largest needs for four digits, 3 at least."""
    if all(isinstance(value, int) for value in values):
        return [str(value) for value in values]
    largest = max((abs(value) for value in values if math.isfinite(value)), default=0)
    decimals = max(3, 3 - math.floor(math.log10(largest))) if largest else 3
    return [f"{value:.{decimals}f}" for value in values]


def check_sizes(sets: Mapping[str, ImageSet]) -> None:
    """A `UserError` if the sets have images of different sizes."""
    sizes = {name: "x".join(map(str, own.images.shape[1:])) for name, own in sets.items()}
    if len(set(sizes.values())) > 1:
        found = ", ".join(f"the {name} images have {pixels}" for name, pixels in sizes.items())
        raise UserError(f"{found} pixels; expected one size: give --size to shrink the larger ones")


def check_patients(one: ImageSet, two: ImageSet) -> None:
    """A `UserError` if two sets share a patient; pictures are groups by their own names, which say nothing."""
    shared = set.intersection(*(set(own.groups) - set(own.names) for own in (one, two)))
    if shared:
        raise UserError(
            f"{len(shared)} patients, {min(shared)} among them, are in both {one.origin} and {two.origin}; expected "
            "sets without a common patient: give other folders or subsets"
        )
