"""Table 1 of Han 2018, the printed beside ours: what raters said, and what the tests say that need no rater."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kerasgan.data.imagesets import CONCAT
from kerasgan.data.modalities import DISPLAY
from kerasgan.papers.brainmr.published import TABLE_1
from kerasgan.report.tables import Table

MODELS = {"dcgan": "DCGAN", "wgan": "WGAN"}
CHANCE = "50 % is chance: the lower the accuracy, the harder the images are to tell from real ones."


@dataclass(frozen=True)
class Ratings:
    """What raters said of a row: fractions and counts of all their answers."""

    raters: int
    accuracy: float
    counts: tuple[int, int, int, int]  # real as real, real as synthetic, synthetic as real, synthetic as synthetic


@dataclass(frozen=True)
class Row:
    """One of the paper's twelve image sets, and ours."""

    model: str
    sequence: str
    size: int  # the paper's
    own_size: int  # pixels of ours
    folder: str  # of the run that the numbers are of
    measures: Mapping[str, float]  # of `comparison`, see `experiment.studies.brainmr`
    ratings: Ratings | None


def name_of(model: str, sequence: str, size: int) -> str:
    """ "T1 (DCGAN, 128x128)", as the paper names its rows."""
    return f"{DISPLAY.get(sequence, sequence.capitalize())} ({MODELS[model]}, {size}x{size})"


def rater_table(rows: Sequence[Row], notes: Sequence[str] = ()) -> Table:
    """Table 1: the physician's answers, and those of our raters where there are any."""
    header = ["images", "acc. %, Han 2018", "RR RS SR SS, Han 2018", "ours", "raters", "acc. %", "RR RS SR SS"]
    lines = []
    for row in rows:
        accuracy, *counts = TABLE_1[row.model, row.sequence, row.size]
        own = row.ratings
        lines.append(
            [
                name_of(row.model, row.sequence, row.size),
                str(accuracy),
                " ".join(map(str, counts)),
                f"{row.own_size}x{row.own_size}",
                *([str(own.raters), f"{100 * own.accuracy:.1f}", " ".join(map(str, own.counts))] if own else ["–"] * 3),
            ]
        )
    notes = [f"RS: real judged as synthetic, and so on. {CHANCE}", *notes]
    return Table("table1", "Table 1: Visual Turing Test", header, lines, notes)


# measure -> column
MEASURES = {
    "cnn": "C2ST CNN %",
    "cnn_halves": "halves of real %",
    "nearest": "1-NN %",
    "kid": "KID",
    "fid": "FID",
    "precision": "precision",
    "recall": "recall",
    "ssim": "SSIM of pairs",
    "ssim_real": "of real",
    "near": "nearer than 5 % of held-out",
}
PERCENT = ("cnn", "cnn_halves", "nearest", "near")


def measured_table(rows: Sequence[Row], notes: Sequence[str]) -> Table:
    """What replaces the physician: two-sample tests, distances and memorisation, all ours; the paper prints none."""
    lines = []
    for row in rows:
        cells = ["–" if name not in row.measures else _cell(row.measures[name], name in PERCENT) for name in MEASURES]
        lines.append([f"{name_of(row.model, row.sequence, row.size)}, ours {row.own_size}x{row.own_size}", *cells])
    return Table("measured", "Ours without raters", ["images", *MEASURES.values()], lines, notes)


def _cell(value: float, percent: bool) -> str:
    return f"{100 * value:.1f}" if percent else f"{value:.3g}"


def rows_of(sequences: Sequence[str]) -> list[tuple[str, str, int]]:
    """The paper's rows (model, sequence, size) of the sequences that a cohort has, and of their union."""
    return [row for row in TABLE_1 if row[1] in (*sequences, CONCAT)]
