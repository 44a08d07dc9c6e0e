"""Tables 1 to 4 of Mukherjee 2022, the printed beside ours."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kerasgan.data.modalities import DISPLAY
from kerasgan.papers.aggrgan import published
from kerasgan.papers.aggrgan.making import MEASURES
from kerasgan.papers.aggrgan.published import AGGRGAN_PSNR, AGGRGAN_SSIM, STYLED
from kerasgan.report.tables import Table

NAMES = {
    "dcgan1": published.DCGAN_1,
    "dcgan2": published.DCGAN_2,
    "wgandiv": published.WGAN,
    "lsgan": published.LSGAN,
    "infogan": published.INFOGAN,
}
AGGRGAN = {"ssim": AGGRGAN_SSIM, "psnr": AGGRGAN_PSNR}
UNSTYLED = " before style transfer"  # of AGGrGAN: ours, to tell what aggregation and what style transfer does
BASE = ("dcgan1", "dcgan2", "wgandiv")
COMPARED = ("lsgan", "infogan")
# The rows of Tables 1 and 2, and of 3 and 4.
ROWS = (
    *(NAMES[model] + suffix for model in BASE for suffix in ("", STYLED)),
    *(name + suffix for name in AGGRGAN.values() for suffix in (UNSTYLED, "")),
)
COMPARED_ROWS = (*(NAMES[model] for model in COMPARED), AGGRGAN_SSIM)
DATASETS = {"tumours": published.TUMOUR_SET, "modalities": published.BRATS}
_TABLES = {
    # Tables 3 and 4 repeat AGGrGAN's rows of Tables 1 and 2.
    "tumours": (("table1", published.TABLE_1, ROWS), ("table3", published.TABLE_1 | published.TABLE_3, COMPARED_ROWS)),
    "modalities": (
        ("table2", published.TABLE_2, ROWS),
        ("table4", published.TABLE_2 | published.TABLE_4, COMPARED_ROWS),
    ),
}


@dataclass(frozen=True)
class Score:
    """A measure over a method's images."""

    mean: float
    deviation: float


Scores = Mapping[str, Mapping[str, Mapping[str, Score]]]  # category -> method -> measure


def tables(kind: str, scores: Scores, notes: Sequence[str]) -> list[Table]:
    """The tables of a data set, "tumours" or "modalities"."""
    return [_table(name, kind, printed, rows, scores, notes) for name, printed, rows in _TABLES[kind]]


def _table(name: str, kind: str, printed: Mapping, rows: Sequence[str], scores: Scores, notes: Sequence[str]) -> Table:
    header = ["class", "method", *(cell for measure in MEASURES for cell in (measure, "ours (sd)"))]
    lines = []
    for category, methods in scores.items():
        for method in rows:
            theirs = printed.get((category, method))
            cells = [
                cell
                for i, measure in enumerate(MEASURES)
                for cell in ("–" if theirs is None else f"{theirs[i]:.2f}", _cell(methods[method][measure]))
            ]
            lines.append([DISPLAY.get(category, category.capitalize()), method, *cells])
    title = f"Table {name[-1]}: generated images beside their real references (published on: {DATASETS[kind]})"
    return Table(name, title, header, lines, notes)


def _cell(score: Score) -> str:
    return f"{score.mean:.2f} ({score.deviation:.2f})"
