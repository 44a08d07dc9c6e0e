"""A cohort's volumes to prepared slices: TFRecord shards and manifest.json.

    prepared/
        manifest.json          settings, origin, partitions, and per visit: hashes of its sources, geometry, slices
        shards/NAME.tfrecord   the slices of one visit, so that a subset is a list of shards

Restartable: each finished visit is journalled; a second run reads the sources' hashes and redoes what changed.
"""

import hashlib
import json
import shlex
import threading
from collections import Counter
from concurrent.futures import as_completed
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Strict
from tqdm import tqdm

from kerasgan.data import records, slices
from kerasgan.data.cohort import Cohort, Visit
from kerasgan.data.settings import SliceSettings, SplitSettings
from kerasgan.data.splits import SUBSETS, check_disjoint, partition_patients, stratify
from kerasgan.data.volumes import Volume, files_of, labels_of, read_volumes, split_source
from kerasgan.errors import UserError
from kerasgan.files import remaining, sha256_of, write_text
from kerasgan.settings import Section, differences, flat, read_json, validate
from kerasgan.threads import thread_pool

FORMAT = 2


class PreparedVisit(Section):
    """What the manifest knows of a visit."""

    name: str
    patient: str
    visit: str
    labels: dict[str, str]
    fingerprint: str  # of the settings and of every source file's content
    sources: dict[str, str]  # modality or "segmentation" -> file
    ranges: dict[str, Annotated[tuple[float, float], Strict(False)]]  # modality -> intensities mapped to -1 and 1
    shape: Annotated[tuple[int, int, int], Strict(False)]  # of the stored volumes
    affine: list[list[float]]
    orientation: str
    # (view, index, tumour pixels) in the shard's order; of a patch the view is, for example, "axial-top-left"
    slices: list[Annotated[tuple[str, int, int], Strict(False)]]
    size: int  # of the shard in bytes

    @property
    def synthetic(self) -> set[str]:
        """The modalities that `translate --fill-missing` made, from the label it leaves: "t2 from flair by RUN"."""
        return {note.split()[0] for note in self.labels.get("synthetic", "").split(";") if note.strip()}


class Manifest(Section):
    """A prepared data set."""

    format: int
    origin: str  # which data this is, as every result names it
    slicing: SliceSettings
    splitting: SplitSettings
    stratified_by: str | None
    partitions: list[dict[str, list[str]]]
    visits: list[PreparedVisit]


@dataclass(frozen=True)
class Prepared:
    """A prepared folder and its manifest."""

    folder: Path
    manifest: Manifest

    def shard(self, visit: PreparedVisit) -> Path:
        return _shard(self.folder, visit.name)

    @property
    def hash(self) -> str:
        """Identifies the data set and its split: the hash of the manifest."""
        return sha256_of(self.folder / "manifest.json")

    def visits(self, subset: str, partition: int, modalities: tuple[str, ...]) -> list[PreparedVisit]:
        """A subset's visits that have slices of all of the modalities; none is a `UserError`.

        Synthetic volumes may be trained on; what is validated or tested on is real.
        """
        if not 1 <= partition <= len(self.manifest.partitions):
            raise UserError(
                f"{self.folder} has partitions 1 to {len(self.manifest.partitions)}, got {partition}; prepare it "
                "with a larger split.partitions"
            )
        patients = set(self.manifest.partitions[partition - 1][subset])
        found = [
            visit
            for visit in self.manifest.visits
            if visit.patient in patients
            and visit.slices
            and all(modality in visit.ranges for modality in modalities)
            and (subset == "train" or not visit.synthetic.intersection(modalities))
        ]
        if not found:
            has = Counter(modality for visit in self.manifest.visits for modality in visit.ranges)
            raise UserError(
                f"{self.folder}: no {subset} patient of partition {partition} has slices of all of "
                f"{', '.join(modalities)}; visits per modality: {dict(sorted(has.items()))}"
            )
        return found


def open_prepared(
    folder: Path, slicing: SliceSettings | None = None, splitting: SplitSettings | None = None, model: str = "MODEL"
) -> Prepared:
    """Open a prepared folder; with settings, refuse one that was prepared with others.

    `model` is whose settings these are, for the command that errors advise.
    """
    path, command = folder / "manifest.json", f"kerasgan data prepare COHORT.csv --model {model} --out"
    if not folder.is_dir():
        raise UserError(f"there is no folder {folder}; make it by `{command} {folder}`")
    if not path.is_file():
        unfinished = (folder / "journal.jsonl").exists()
        advice = "its preparation did not finish, repeat" if unfinished else "expected a folder made by"
        raise UserError(f"{folder} has no manifest.json; {advice} `{command} {folder if unfinished else 'FOLDER'}`")
    manifest = _read_manifest(path)
    _check_settings(folder, "data", manifest.slicing, slicing, command)
    _check_settings(folder, "split", manifest.splitting, splitting, command)
    for partition in manifest.partitions:
        check_disjoint(partition, str(path))
    broken = [visit.name for visit in manifest.visits if not _is_whole(folder, visit)]
    if broken:
        raise UserError(
            f"{folder}: the shard of {broken[0]} is missing or cut short ({len(broken)} in all); repeat `{command} "
            f"{folder}`"
        )
    return Prepared(folder, manifest)


def _check_settings(folder: Path, section: str, own: Section, configured: Section | None, command: str) -> None:
    if configured is not None and (other := differences(own, configured)):
        before, after = flat(own), flat(configured)
        changed = [key for key in {**before, **after} if before.get(key) != after.get(key)]
        values = {key: json.dumps(before.get(key), separators=(",", ":")) for key in changed}
        flags = " ".join(f"--set {shlex.quote(f'{section}.{key}={value}')}" for key, value in values.items())
        raise UserError(
            f"{folder} was prepared with other settings ({'; '.join(other)} as configured); use what it was prepared "
            f"with, {flags}, or prepare the cohort into another folder, `{command} OTHER`"
        )


def prepare(
    cohort: Cohort,
    out: Path,
    slicing: SliceSettings,
    splitting: SplitSettings,
    *,
    force: bool = False,
    workers: int | None = None,
    quiet: bool = False,
) -> Prepared:
    """Prepare every visit of a cohort under `out`; what is there and unchanged is kept.

    Reads and resamples in `workers` threads (default: one per core; decompression and NumPy release the interpreter
    lock). A folder prepared with other slice settings is refused unless `force`.
    """
    if not cohort.visits:
        raise UserError("the cohort has no visits; index a folder with images first")
    classes, stratified_by = stratify(cohort, splitting.stratify)
    partitions = partition_patients(classes, splitting)
    _refuse_foreign(out, slicing, force)
    (out / "shards").mkdir(parents=True, exist_ok=True)
    journal = _Journal(out)
    with thread_pool(workers) as pool:
        futures = [pool.submit(_prepare_visit, visit, out, slicing, journal) for visit in cohort.visits]
        bar = tqdm(as_completed(futures), total=len(futures), desc="prepare", unit="visit", disable=quiet)
        done = {visit.name: visit for visit in (future.result() for future in bar)}
    manifest = Manifest(
        format=FORMAT,
        origin=cohort.origin,
        slicing=slicing,
        splitting=splitting,
        stratified_by=stratified_by,
        partitions=partitions,
        visits=[done[visit.name] for visit in cohort.visits],
    )
    write_text(out / "manifest.json", manifest.model_dump_json(indent=1))
    journal.path.unlink(missing_ok=True)
    _remove_orphans(out, manifest)
    return Prepared(out, manifest)


class _Journal:
    """The visits that are done, by name, and a file of them for a run that is interrupted.

    The manifest speaks for the shards beside it, so it makes way for the journal before the first shard changes.
    """

    def __init__(self, out: Path):
        self.path, self.manifest = out / "journal.jsonl", out / "manifest.json"
        self.lock = threading.Lock()
        visits: list[PreparedVisit] = []
        if self.manifest.is_file():
            with suppress(UserError):  # of a manifest that cannot be used, which gets this far with `force` only
                visits += _read_manifest(self.manifest).visits
        if self.path.is_file():
            for line in self.path.read_text(encoding="utf-8").splitlines():
                with suppress(ValueError):  # the line that a kill cut short
                    visits.append(PreparedVisit.model_validate_json(line))
        self.done = {visit.name: visit for visit in visits}

    def open(self) -> None:
        """To be called before a shard is written."""
        with self.lock:
            if not self.path.exists():
                write_text(self.path, "".join(visit.model_dump_json() + "\n" for visit in self.done.values()))
            self.manifest.unlink(missing_ok=True)

    def add(self, visit: PreparedVisit) -> None:
        """To be called when a shard is whole."""
        with self.lock, self.path.open("a", encoding="utf-8") as log:
            log.write(visit.model_dump_json() + "\n")


def prepare_slices(
    volumes: dict[str, Volume], segmentation: np.ndarray | None, settings: SliceSettings
) -> tuple[list[records.Slice], dict[str, tuple[float, float]]]:
    """The chosen slices of one visit's volumes, or the patches of each, and the intensity range of each modality."""
    first = next(iter(volumes.values()))
    if segmentation is None:
        segmentation = np.zeros(first.data.shape, np.uint8)
    ranges = {name: slices.intensity_range(volume.data, settings.percentiles) for name, volume in volumes.items()}
    spacing = np.linalg.norm(first.affine[:3, :3], axis=0)
    pieces = []
    for volume in volumes.values():
        slices.refuse_other_views(volume.source, settings)
    for view in settings.views:
        chosen = slices.select(segmentation, view, settings)
        if not chosen:
            continue
        size = settings.frame or settings.size
        frame = slices.Frame.of(first.data.shape, tuple(spacing), view, size, settings.aspect)
        images = {
            name: frame.fit(slices.normalise(slices.stack(volume.data, view)[chosen], *ranges[name]))
            for name, volume in volumes.items()
        }
        labels = frame.fit_labels(slices.stack(segmentation, view)[chosen])
        pieces += [
            records.Slice(
                f"{view}-{corner}" if corner else view,
                index,
                {name: images[name][i][place] for name in images},
                labels[i][place],
            )
            for i, index in enumerate(chosen)
            for corner, place in slices.corners(settings).items()
        ]
    return pieces, ranges


def _prepare_visit(visit: Visit, out: Path, settings: SliceSettings, journal: _Journal) -> PreparedVisit:
    if not visit.images:
        raise UserError(f"{visit.name} has no image; leave the visit out of the cohort, or add one")
    if visit.segmentation is None and settings.selection != "range":
        raise UserError(
            f"{visit.name} has no segmentation; slices are selected by tumour (data.selection: {settings.selection}), "
            "so add the segmentation to the cohort, or set data.selection=range"
        )
    sources = dict(visit.images) | ({"segmentation": visit.segmentation} if visit.segmentation else {})
    known = {"patient": visit.patient, "visit": visit.visit, "labels": dict(visit.labels), "sources": sources}
    fingerprint = _fingerprint(sources, settings)
    before = journal.done.get(visit.name)
    if before and before.fingerprint == fingerprint and _is_whole(out, before):
        return before.model_copy(update=known)  # ids, labels and paths may have changed, the images have not
    volumes = read_volumes(sources)
    mask = volumes.pop("segmentation", None)
    try:
        pieces, ranges = prepare_slices(volumes, labels_of(mask) if mask else None, settings)
    except UserError as error:
        raise UserError(f"{visit.name}: {error}") from None
    journal.open()
    shard = _shard(out, visit.name)
    records.write_shard(shard, pieces)
    geometry = next(iter(volumes.values())).geometry
    prepared = PreparedVisit(
        name=visit.name,
        **known,
        fingerprint=fingerprint,
        ranges=ranges,
        shape=tuple(int(n) for n in geometry.shape),
        affine=[[float(x) for x in row] for row in geometry.affine],
        orientation=geometry.orientation,
        slices=[(piece.view, piece.index, int(np.count_nonzero(piece.segmentation))) for piece in pieces],
        size=shard.stat().st_size,
    )
    journal.add(prepared)
    return prepared


def _is_whole(folder: Path, visit: PreparedVisit) -> bool:
    shard = _shard(folder, visit.name)
    return shard.is_file() and shard.stat().st_size == visit.size


def _fingerprint(sources: dict[str, str], settings: SliceSettings) -> str:
    digest = hashlib.sha256(f"{FORMAT} {settings.model_dump_json()}".encode())
    for name, source in sorted(sources.items()):
        _, channel = split_source(source)
        for path in files_of(source):
            try:
                digest.update(f"{name} {channel} {sha256_of(path)}".encode())
            except OSError as error:
                raise UserError(f"{path}: {error.strerror}; index the cohort again") from None
    return digest.hexdigest()


def _refuse_foreign(out: Path, slicing: SliceSettings, force: bool) -> None:
    if out.exists() and not out.is_dir():
        raise UserError(f"{out} is a file; give --out a folder")
    manifest = out / "manifest.json"
    if manifest.is_file():
        if not force and (other := differences(_read_manifest(manifest).slicing, slicing)):
            raise UserError(
                f"{out} was prepared with other settings ({'; '.join(other)}); give another --out, or --force to "
                "prepare it anew"
            )
    elif out.is_dir() and any(entry.name not in ("shards", "journal.jsonl") for entry in remaining(out)):
        raise UserError(f"{out} holds other files; give --out a new folder")


def _read_manifest(path: Path) -> Manifest:
    advice = "prepare the cohort again, with --force"
    content = read_json(path, advice)
    if (found := content.get("format")) != FORMAT:
        raise UserError(f"{path}: expected a manifest of format {FORMAT}, got {found}; {advice}")
    return validate(Manifest, content, str(path))


def _remove_orphans(out: Path, manifest: Manifest) -> None:
    """Shards of visits that have left the cohort, and what a kill left half written."""
    kept = {_shard(out, visit.name) for visit in manifest.visits}
    for path in (out / "shards").iterdir():
        if path not in kept:
            path.unlink()


def _shard(folder: Path, name: str) -> Path:
    return folder / "shards" / f"{name}.tfrecord"


def describe(prepared: Prepared, partition: int = 1, modalities: tuple[str, ...] = ()) -> str:
    """One paragraph for the user: which data, how it is split, and what of it has all of the `modalities`."""
    manifest = prepared.manifest
    by = f"by patient and {manifest.stratified_by}" if manifest.stratified_by else "by patient, not stratified"
    if manifest.splitting.scheme == "folds":
        by += f", fold {partition} of {manifest.splitting.partitions}"
    parts, pieces = [], "patches" if len(slices.corners(manifest.slicing)) > 1 else "slices"
    for subset in SUBSETS:
        if not manifest.partitions[partition - 1][subset]:  # a study may validate on its test patients
            parts.append(f"{subset} none")
            continue
        visits = prepared.visits(subset, partition, modalities)
        count = sum(len(visit.slices) for visit in visits)
        parts.append(f"{subset} {len({visit.patient for visit in visits})} patients / {count} {pieces}")
    total = len({visit.patient for visit in manifest.visits})
    having = f" with {' and '.join(modalities)}" if modalities else ""
    return f"{manifest.origin}: {total} patients; split {by}; used{having}: {', '.join(parts)}"
