"""A cohort: who was scanned when, with which files and labels, as a CSV that indexers make and people can write.

    # origin: BraTS folders in training
    patient,visit,t1,t1e,t2,flair,segmentation,grade
    BraTS-GLI-00000,000,images/a-t1n.nii.gz,images/a-t1c.nii.gz,,images/a-t2f.nii.gz,images/a-seg.nii.gz,HGG

One line per visit. Only `patient` and one modality are needed; headers may use any alias (``T1Gd``), an empty cell is a
missing file or an unknown label, and paths are relative to the CSV's folder. Every further column is a label.
"""

import csv
import difflib
import io
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

from kerasgan.data.modalities import ALIASES, MODALITIES, SEGMENTATION, kind_of, squeezed
from kerasgan.data.volumes import files_of, is_planar, split_source, volume_stem
from kerasgan.errors import UserError, nearest
from kerasgan.files import write_text

# Of headers in lower case without punctuation. A label table may go by a challenge's ids, which a cohort may hold as
# labels: BraTS21ID, BraTS_2020_subject_ID, TCGA_TCIA_subject_ID.
_PATIENT = r"(patient|case|subject)(id)?"
_TABLE_ID = rf"{_PATIENT}|(brats|tcga)\w*id"
_VISIT = r"visit|session|timepoint"
_EXPECTED = ("patient", "visit", SEGMENTATION, "seg", *(name for names in ALIASES.values() for name in names))
_MISSPELT = 0.8  # similarity (difflib) from which a header counts as a misspelt one: t1x, flare, patiant


@dataclass(frozen=True)
class Visit:
    """One patient at one time.

    `visit` is "" where a patient has only one; `images` maps canonical modalities to sources (``/a/t1.nii.gz`` or
    ``/a/all.nii.gz#2``); `labels` lacks what is unknown. UserError if an id cannot be part of a file name.
    """

    patient: str
    visit: str = ""
    images: Mapping[str, str] = field(default_factory=dict)
    segmentation: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.patient:
            raise UserError("a visit has no patient id: give it one")
        for what, value in (("patient", self.patient), ("visit", self.visit)):
            if re.search(r'[/\\:*?"<>|\x00-\x1f]', value) or value.startswith(".") or value != value.strip():
                raise UserError(
                    f"the {what} id {value!r} cannot be part of a file name: rename it without path separators, "
                    'any of :*?"<>|, a dot in front or blanks around it'
                )

    @property
    def name(self) -> str:
        """``patient`` or ``patient_visit``: a file stem."""
        return f"{self.patient}_{self.visit}" if self.visit else self.patient


@dataclass(frozen=True)
class Cohort:
    """Visits, and in `origin` the words for what data that is, which reports quote."""

    visits: tuple[Visit, ...]
    origin: str

    @property
    def label_columns(self) -> tuple[str, ...]:
        """Names of the labels that any visit has, in the order of their appearance."""
        return tuple(dict.fromkeys(column for visit in self.visits for column in visit.labels))


class _Table(NamedTuple):
    """A CSV or TSV as read: leading comments, and per row its line in the file and its cells by header."""

    path: Path
    comments: list[str]
    header: list[str]
    rows: list[tuple[int, dict[str, str]]]


def read_cohort(path: str | Path, must_exist: bool = True) -> Cohort:
    """The cohort of a CSV; UserError with the line for what cannot be used, files that do not exist included.

    With `must_exist` False such files are let through, for a check to report them all.
    """
    table = _read_table(Path(path))
    columns = _columns(table)
    visits: dict[str, Visit] = {}
    lines: dict[str, int] = {}
    for line, row in table.rows:
        visit = _visit(row, columns, table.path, line, must_exist)
        if visit.name in visits:
            raise UserError(f"{path}, line {line}: {visit.name} stands in line {lines[visit.name]} already, delete one")
        visits[visit.name], lines[visit.name] = visit, line
    origins = [text.partition(":")[2].strip() for text in table.comments if text.lower().startswith("origin:")]
    return Cohort(tuple(visits.values()), origins[0] if origins else f"cohort file {table.path.name}")


def write_cohort(cohort: Cohort, path: str | Path) -> None:
    """The cohort as CSV; paths of files below the CSV's folder are written relative to it."""
    path = Path(path)
    folder = Path(os.path.abspath(path.parent))
    text = io.StringIO()
    text.write(f"# origin: {' '.join(cohort.origin.split())}\n")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["patient", "visit", *MODALITIES, SEGMENTATION, *cohort.label_columns])
    for visit in cohort.visits:
        sources = [*(visit.images.get(name, "") for name in MODALITIES), visit.segmentation or ""]
        labels = [visit.labels.get(name, "") for name in cohort.label_columns]
        writer.writerow([visit.patient, visit.visit, *(_relative(source, folder) for source in sources), *labels])
    write_text(path, text.getvalue())


def merge_labels(cohort: Cohort, table: str | Path, columns: Sequence[str]) -> Cohort:
    """The cohort with label `columns` of a CSV or TSV, whose rows are found by patient (all visits share them).

    Ids stand in a column such as patient, case, subject, BraTS21ID or BraTS_2020_subject_ID (of several, the one that
    fits most), else in the first. An id is the patient's or a visit's (``BraTS-GLI-00000-000``), with underscores for
    dashes or the other way round (``TCGA_CS_4941``); where all are bare numbers, as in the RSNA-ASNR-MICCAI 2021 table,
    they are the numbers at the end of the patients' ids.
    """
    source = _read_table(Path(table))
    for column in columns:
        _check_label_column(column, source, cohort)
    candidates = [name for name in source.header if re.fullmatch(_TABLE_ID, squeezed(name))] or source.header[:1]
    by_column = {name: _labels_by_visit(cohort, source, name, columns) for name in candidates}
    key = max(candidates, key=lambda name: sum(map(bool, by_column[name].values())))
    found = by_column[key]
    missing = list(dict.fromkeys(visit.patient for visit in cohort.visits if not found[visit.name]))
    if missing:
        raise UserError(
            f"{table} has no row for {len(missing)} of {len({visit.patient for visit in cohort.visits})} patients, the "
            f"first is {missing[0]} (ids are read from column {key!r}): add rows, or leave these patients out"
        )
    for visit in cohort.visits:
        if any(labels != found[visit.name][0] for labels in found[visit.name]):
            raise UserError(f"{table} has rows with different labels for {visit.name}: keep one of them")
    visits = (replace(visit, labels={**visit.labels, **found[visit.name][0]}) for visit in cohort.visits)
    return replace(cohort, visits=tuple(visits))


# ---- tables ---------------------------------------------------------------------------------------------------------


def _read_table(path: Path) -> _Table:
    try:
        lines = io.StringIO(path.read_text(encoding="utf-8-sig")).readlines()
    except FileNotFoundError:
        raise UserError(f"no such file: {path}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read {path} as a UTF-8 table: {error}") from error
    start = next((i for i, line in enumerate(lines) if line.strip() and not line.startswith("#")), len(lines))
    comments = [line.strip("# \n") for line in lines[:start]]
    delimiter = max(",;\t", key=lines[start].count) if start < len(lines) else ","
    reader = csv.reader(lines[start:], delimiter=delimiter, strict=True)
    try:
        numbered = [(start + reader.line_num, [cell.strip() for cell in cells]) for cells in reader]
    except csv.Error as error:
        raise UserError(f"{path}, line {start + reader.line_num}: no valid CSV ({error})") from error
    numbered = [(line, cells) for line, cells in numbered if any(cells)]
    if len(numbered) < 2:
        raise UserError(f"{path} is empty: expected a header line and at least one line below it")
    header = _checked_header(numbered[0][1], path)
    return _Table(path, comments, header, [(line, _row(cells, header, path, line)) for line, cells in numbered[1:]])


def _checked_header(header: list[str], path: Path) -> list[str]:
    for number, name in enumerate(header, 1):
        if not name:
            raise UserError(
                f"{path}: column {number} has no name, name or delete it (pandas: to_csv(..., index=False))"
            )
        if name in header[: number - 1]:
            raise UserError(f"{path}: two columns are called {name!r}, rename one")
    return header


def _row(cells: list[str], header: list[str], path: Path, line: int) -> dict[str, str]:
    if len(cells) != len(header):
        raise UserError(
            f"{path}, line {line}: {len(cells)} cells for {len(header)} columns, leave cells empty rather than out and "
            "quote those that hold commas"
        )
    return dict(zip(header, cells, strict=True))


def _column_kind(header: str) -> str:
    """What a cohort's column holds: patient, visit, a modality, segmentation or label."""
    for kind, pattern in (("patient", _PATIENT), ("visit", _VISIT)):
        if re.fullmatch(pattern, squeezed(header)):
            return kind
    return kind_of(header) or "label"


# ---- reading --------------------------------------------------------------------------------------------------------


def _columns(table: _Table) -> dict[str, str]:
    """Header to kind; UserError for two of a kind, for what is missing, and for a misspelt header."""
    columns: dict[str, str] = {}
    for name in table.header:
        kind = _column_kind(name)
        if kind == "label":
            _refuse_misspelt(name, table.path)
            _refuse_images(name, (row[name] for _, row in table.rows), table.path)
        elif other := next((header for header in columns if columns[header] == kind), None):
            raise UserError(f"{table.path}: columns {other!r} and {name!r} both mean {kind}, delete one")
        columns[name] = kind
    if "patient" not in columns.values():
        raise UserError(f"{table.path} has no patient column: expected 'patient' among {', '.join(table.header)}")
    if not set(MODALITIES) & set(columns.values()):
        raise UserError(f"{table.path} has no modality column: expected at least one of {', '.join(MODALITIES)}")
    return columns


def _refuse_misspelt(column: str, path: Path) -> None:
    if close := difflib.get_close_matches(squeezed(column), _EXPECTED, 1, _MISSPELT):
        raise UserError(f"{path}: is column {column!r} a misspelt {close[0]!r}? A label needs a name less like it")


def _refuse_images(column: str, values: Iterable[str], path: Path) -> None:
    image = next((value for value in values if volume_stem(value.split("#")[0]) or is_planar(value)), None)
    if image:
        hint = nearest(column.lower(), (*MODALITIES, SEGMENTATION))
        raise UserError(f"{path}: column {column!r} holds images ({image}) but names no modality: {hint}")


def _visit(row: dict[str, str], columns: dict[str, str], path: Path, line: int, must_exist: bool) -> Visit:
    cells = {kind: row[name] for name, kind in columns.items() if kind != "label" and row[name]}
    labels = {name: row[name] for name, kind in columns.items() if kind == "label" and row[name]}
    try:
        kinds = [kind for kind in (*MODALITIES, SEGMENTATION) if kind in cells]
        sources = {kind: _absolute(cells[kind], path.parent, must_exist) for kind in kinds}
        segmentation = sources.pop(SEGMENTATION, None)
        return Visit(cells.get("patient", ""), cells.get("visit", ""), sources, segmentation, labels)
    except UserError as error:
        raise UserError(f"{path}, line {line}: {error}") from error


def _absolute(source: str, folder: Path, must_exist: bool) -> str:
    """A cell's source with an absolute path; with `must_exist`, UserError if there is no such file."""
    file, channel = split_source(source)
    absolute = os.path.abspath(folder / file)
    if must_exist and not all(map(os.path.isfile, files_of(absolute))):
        raise UserError(f"no such file: {source} (relative paths start at the CSV's folder)")
    return absolute if channel is None else f"{absolute}#{channel}"


def _relative(source: str, folder: Path) -> str:
    path = Path(os.path.abspath(source)) if source else None
    return path.relative_to(folder).as_posix() if path and path.is_relative_to(folder) else source


# ---- labels ---------------------------------------------------------------------------------------------------------


def _check_label_column(column: str, table: _Table, cohort: Cohort) -> None:
    if column not in table.header:
        raise UserError(f"{table.path} has no column {column!r}: {nearest(column, table.header)}")
    if column in cohort.label_columns or _column_kind(column) != "label":
        raise UserError(f"column {column!r} of {table.path} would replace one that the cohort has: rename it")
    _refuse_misspelt(column, table.path)


def _labels_by_visit(
    cohort: Cohort, table: _Table, key: str, columns: Sequence[str]
) -> dict[str, list[dict[str, str]]]:
    """Per visit (by name) the labels of every row whose id, in column `key`, is its own."""
    rows: dict[str, list[dict[str, str]]] = {}
    numbers = _numbers(cohort) if all(row[key].isdecimal() for _, row in table.rows) else {}
    for _, row in table.rows:
        name = numbers.get(int(row[key]), row[key]) if numbers else row[key]
        rows.setdefault(_dashed(name), []).append({column: row[column] for column in columns if row[column]})
    return {
        visit.name: rows.get(_dashed(visit.patient)) or rows.get(_dashed(visit.name), []) for visit in cohort.visits
    }


def _dashed(name: str) -> str:
    return name.replace("_", "-")


def _numbers(cohort: Cohort) -> dict[int, str]:
    """Patients by the number at the end of their id; empty unless it tells all of them apart."""
    patients = {visit.patient for visit in cohort.visits}
    ends = {patient: re.search(r"[0-9]+$", patient) for patient in patients}
    numbers = {int(end[0]): patient for patient, end in ends.items() if end}
    return numbers if len(numbers) == len(patients) else {}
