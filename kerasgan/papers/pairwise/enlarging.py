"""Enlarged training sets: fake patients, and missing modalities made (Ge 2020, II-B1, III-A2, Figure 6).

    enlarged/
        manifest.json          what was made from which visit by which generator, and from which data
        shards/NAME.tfrecord   the slices of one fake or completed patient, in the format of prepared slices

Case a: S2, a fake patient for each real one and each but one of the modalities. Fake patient j has every modality made
from the j-th other one, so all directions are used and no real slice is in a fake patient; label and tumour are the
source patient's. With 99 patients and four modalities: 297 fake patients, 1782 slices per modality. Case b: S5, the
same from the complete patients of S3, and S4, the modalities made that the other patients lack.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Strict

from kerasgan.data import pipeline, records
from kerasgan.data.prepare import Prepared, PreparedVisit
from kerasgan.data.settings import SliceSettings
from kerasgan.errors import UserError
from kerasgan.files import sha256_of
from kerasgan.papers.pairwise.cases import has, modalities_of, removed_scans
from kerasgan.papers.pairwise.settings import PairwiseSettings
from kerasgan.papers.pairwise.synthesis import source_for
from kerasgan.settings import Section, read_json, validate

FORMAT = 1
Translate = Callable[[np.ndarray], np.ndarray]
Direction = tuple[str, str]  # source and target modality


class SyntheticVisit(Section):
    """A fake patient (S2, S5), or a real one whose missing modalities were made (S4)."""

    name: str
    patient: str  # the real one behind it
    source: str  # the visit
    subset: Literal["S2", "S4", "S5"]
    labels: dict[str, str]
    made: dict[str, str]  # synthetic modality -> from which real one; every other modality is real
    slices: list[Annotated[tuple[str, int, int], Strict(False)]]  # (view, index, tumour pixels)
    size: int  # of the shard in bytes


class Generator(Section):
    """Where the images of one direction come from."""

    run: str  # its folder's name
    sha256: str  # of the .keras file


class EnlargedManifest(Section):
    """What an enlarged set is made of."""

    format: int
    kind: Literal["enlarged"]
    origin: str
    case: Literal["a", "b"]
    partition: int
    data: str  # hash of the prepared set's manifest
    slicing: SliceSettings
    modalities: list[str]
    removed: dict[str, str]  # patient -> the scan that case b took away
    generators: dict[str, Generator]  # "t1_to_t1e" -> ...
    visits: list[SyntheticVisit]


@dataclass(frozen=True)
class Enlarged:
    """The folder of an enlarged set and its manifest."""

    folder: Path
    manifest: EnlargedManifest

    def shard(self, visit: SyntheticVisit) -> Path:
        return self.folder / "shards" / f"{visit.name}.tfrecord"

    @property
    def hash(self) -> str:
        """Identifies what was made: the hash of the manifest."""
        return sha256_of(self.folder / "manifest.json")

    def describe(self) -> str:
        """One line: how many patients and slices per set."""
        patients = Counter(visit.subset for visit in self.manifest.visits)
        slices = Counter(visit.subset for visit in self.manifest.visits for _ in visit.slices)
        parts = [f"{name} {patients[name]} patients / {slices[name]} slices" for name in sorted(patients)]
        return f"case {self.manifest.case} of {self.manifest.origin}: {', '.join(parts)} per modality"


@dataclass(frozen=True)
class Plan:
    """A synthetic patient to be made: from which visit, and per modality from which real one."""

    name: str
    visit: PreparedVisit
    subset: str
    made: Mapping[str, str]  # target -> source


def plan(prepared: Prepared, settings: PairwiseSettings) -> list[Plan]:
    """The synthetic patients of a case, in the order of the manifest's visits."""
    names, removed = modalities_of(prepared, settings), removed_scans(prepared, settings)
    fakes, completed = ("S2", None) if settings.study.case == "a" else ("S5", "S4")
    found = []
    for visit in prepared.visits("train", settings.study.partition, ()):
        there = has(visit, removed)
        missing = [name for name in names if name not in there]
        if not missing:
            found += [
                Plan(f"{visit.name}~{j + 1}", visit, fakes, {name: _others(names, name)[j] for name in names})
                for j in range(len(names) - 1)
            ]
        elif completed and len(missing) < len(names):
            made = {name: source_for(name, there.intersection(names), settings.synthesis) for name in missing}
            found.append(Plan(f"{visit.name}~completed", visit, completed, made))
    if not found:
        raise UserError(
            f"{prepared.folder}: no training patient of partition {settings.study.partition} has all of "
            f"{', '.join(names)}, so none can be enlarged"
        )
    return found


def _others(names: tuple[str, ...], name: str) -> list[str]:
    return [other for other in names if other != name]


def directions(plans: list[Plan]) -> list[Direction]:
    """The directions that some plans need."""
    return sorted({(source, target) for each in plans for target, source in each.made.items()})


def enlarge(
    prepared: Prepared,
    plans: list[Plan],
    translate: Mapping[Direction, Translate],
    modalities: tuple[str, ...],
    folder: Path,
) -> Iterator[SyntheticVisit]:
    """Write the shard of one synthetic patient after the other below `folder`."""
    (folder / "shards").mkdir(parents=True)
    for each in plans:
        needed = sorted({*each.made.values(), *(name for name in modalities if name not in each.made)})
        arrays = pipeline.arrays_of(prepared, [each.visit], needed)
        images = {
            name: translate[each.made[name], name](arrays[each.made[name]]) if name in each.made else arrays[name]
            for name in modalities
        }
        pieces = [
            records.Slice(
                view,
                index,
                {name: np.clip((image[i] + 1) / 2, 0, 1) for name, image in images.items()},
                arrays["tumour"][i].astype(np.uint8),
            )
            for i, (view, index, _) in enumerate(each.visit.slices)
        ]
        path = folder / "shards" / f"{each.name}.tfrecord"
        records.write_shard(path, pieces)
        yield SyntheticVisit(
            name=each.name,
            patient=each.visit.patient,
            source=each.visit.name,
            subset=each.subset,
            labels=each.visit.labels,
            made=dict(each.made),
            slices=each.visit.slices,
            size=path.stat().st_size,
        )


def open_enlarged(folder: Path) -> Enlarged:
    """Open an enlarged set; one that is damaged, or a folder of another kind, is a `UserError`."""
    path = folder / "manifest.json"
    if not path.is_file():
        raise UserError(f"{folder} has no manifest.json; expected an enlarged set, made by `kerasgan enlarge`")
    content = read_json(path, "make it again by `kerasgan enlarge`")
    if content.get("kind") != "enlarged":
        raise UserError(f"{folder} is no enlarged set, expected one made by `kerasgan enlarge`")
    if content.get("format") != FORMAT:
        raise UserError(f"{path}: expected format {FORMAT}; make it again by `kerasgan enlarge`")
    found = Enlarged(folder, validate(EnlargedManifest, content, str(path)))
    for visit in found.manifest.visits:
        if not found.shard(visit).is_file() or found.shard(visit).stat().st_size != visit.size:
            raise UserError(
                f"{folder}: the shard of {visit.name} is missing or cut short; make it by `kerasgan enlarge`"
            )
    return found
