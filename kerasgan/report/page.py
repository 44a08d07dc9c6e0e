"""report.html of a run: one file, pictures inside, readable without a network."""

import base64
import csv
import html
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from markdown_it import MarkdownIt

from kerasgan.files import write_text
from kerasgan.report.figures import curves
from kerasgan.report.mosaics import caption_of

_STYLE = """body{font:15px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem;color:#222}
img{max-width:100%} figure{margin:0} figcaption{font-size:13px}
pre{background:#f4f4f4;padding:1rem;overflow-x:auto;font-size:13px} h2{margin-top:2rem}
table{border-collapse:collapse} th,td{border-bottom:1px solid #ddd;padding:.2rem .8rem;text-align:left}"""


def read_history(path: Path) -> dict[str, np.ndarray]:
    """The columns of a history.csv; empty cells are NaN."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return {name: np.array([float(row[name] or "nan") for row in rows]) for name in (rows[0] if rows else {})}


def write_page(
    folder: Path,
    title: str,
    origin: str,
    panels: Mapping[str, Sequence[str]],
    pictures: Mapping[str, str],
    stages: Mapping[str, int],
    settings: str,
) -> Path:
    """Write `folder`/report.html from the run's table, curves, pictures, settings and environment.

    Args:
        folder: of the run.
        title: what was trained.
        origin: the data.
        panels: title of a panel of curves -> the columns of history.csv that it shows.
        pictures: title of a picture -> its file.
        stages: name of each stage of the training -> its epochs.
        settings: those that decided the run, as YAML; config.yaml has those of the paper's other models too.
    """
    curves(folder / "curves.png", read_history(folder / "history.csv"), panels, f"{title}; {origin}", stages)
    samples = sorted((folder / "samples").glob("*.png"))
    parts = [
        f"<h1>{html.escape(title)}</h1><p>Trained and measured on: {html.escape(origin)}</p>",
        "<h2>Quality</h2>" + _formatted(folder / "quality.md"),
        "<h2>Training</h2>" + _picture(folder / "curves.png"),
        *(f"<h2>{html.escape(name)}</h2>{_picture(folder / file)}" for name, file in pictures.items()),
        *(f"<h2>Samples after epoch {int(path.stem[6:])}</h2>{_picture(path)}" for path in samples[-1:]),
        f"<h2>Settings</h2>{_verbatim(settings)}",
        "<h2>Environment</h2>" + _verbatim((folder / "environment.json").read_text(encoding="utf-8")),
    ]
    page = (
        f"<!doctype html><meta charset=utf-8><title>{html.escape(title)}</title><style>{_STYLE}</style>{''.join(parts)}"
    )
    write_text(folder / "report.html", page)
    return folder / "report.html"


def _formatted(path: Path) -> str:
    """Markdown, whose HTML is shown as it stands and not obeyed."""
    return MarkdownIt("js-default").render(path.read_text(encoding="utf-8"))


def _verbatim(text: str) -> str:
    return f"<pre>{html.escape(text)}</pre>"


def _picture(path: Path) -> str:
    """With its caption below, where the picture has none in itself."""
    content = base64.b64encode(path.read_bytes()).decode()
    kind, caption = path.suffix[1:], html.escape(caption_of(path))
    below = f"<figcaption>{caption}</figcaption>" if caption else ""
    return f'<figure><img alt="{html.escape(path.stem)}" src="data:image/{kind};base64,{content}">{below}</figure>'
