"""report.html of a run: one file, pictures inside, readable without a network."""

import base64
import csv
import html
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from kerasgan.files import write_text
from kerasgan.report.figures import curves

_STYLE = """body{font:15px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem;color:#222}
img{max-width:100%} pre{background:#f4f4f4;padding:1rem;overflow-x:auto;font-size:13px} h2{margin-top:2rem}"""


def read_history(path: Path) -> dict[str, np.ndarray]:
    """The columns of a history.csv; empty cells are NaN."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return {name: np.array([float(row[name] or "nan") for row in rows]) for name in (rows[0] if rows else {})}


def write_page(
    folder: Path, title: str, origin: str, panels: Mapping[str, Sequence[str]], pictures: Mapping[str, str]
) -> Path:
    """Write `folder`/report.html from the run's table, curves, pictures, settings and environment.

    `panels` maps the title of a panel of curves to the columns of history.csv that it shows, `pictures` the title of a
    picture to its file.
    """
    curves(folder / "curves.png", read_history(folder / "history.csv"), panels)
    samples = sorted((folder / "samples").glob("*.png"))
    parts = [
        f"<h1>{html.escape(title)}</h1><p>Trained and measured on: {html.escape(origin)}</p>",
        "<h2>Quality</h2>" + _text(folder / "quality.md"),
        "<h2>Training</h2>" + _picture(folder / "curves.png"),
        *(f"<h2>{html.escape(name)}</h2>{_picture(folder / file)}" for name, file in pictures.items()),
        *(f"<h2>Samples, {path.stem.replace('_', ' ')}</h2>{_picture(path)}" for path in samples[-1:]),
        "<h2>Settings</h2>" + _text(folder / "config.yaml"),
        "<h2>Environment</h2>" + _text(folder / "environment.json"),
    ]
    page = (
        f"<!doctype html><meta charset=utf-8><title>{html.escape(title)}</title><style>{_STYLE}</style>{''.join(parts)}"
    )
    write_text(folder / "report.html", page)
    return folder / "report.html"


def _text(path: Path) -> str:
    return f"<pre>{html.escape(path.read_text(encoding='utf-8'))}</pre>"


def _picture(path: Path) -> str:
    content = base64.b64encode(path.read_bytes()).decode()
    return f'<img alt="{html.escape(path.stem)}" src="data:image/png;base64,{content}">'
