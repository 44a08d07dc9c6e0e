"""Tables as text."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass


def markdown(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table whose columns are aligned, so that it also reads well in a terminal."""
    cells = [[str(cell) for cell in row] for row in [header, *rows]]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in cells
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


NO_INTERVAL = "Where the interval is –, whoever is drawn anew gives the same number: too few to draw, no certainty."


def between(low: float, high: float, decimals: int) -> str:
    """An interval; "–" for one without width, see NO_INTERVAL."""
    return f"{low:.{decimals}f} to {high:.{decimals}f}" if low < high else "–"


@dataclass(frozen=True)
class Table:
    """A table with its title and its notes."""

    name: str  # of its file
    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = ()

    def markdown(self) -> str:
        """Under its title, as a section."""
        notes = "".join(f"\n{note}" for note in self.notes)
        return f"## {self.title}\n\n{markdown(self.header, self.rows)}\n{notes}\n"

    def csv(self, origin: str) -> str:
        """With a first line of comment that names the title and the data that ours were measured on."""
        text = io.StringIO()
        text.write(f"# {self.title}; ours on: {origin}\n")
        csv.writer(text, lineterminator="\n").writerows([self.header, *self.rows])
        return text.getvalue()
