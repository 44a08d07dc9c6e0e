"""`scripts/benchmark [--quick] [--out FILE] [NAME ...]`: every benchmark, or those named, as one Markdown table."""

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from kerasgan.startup import load_tensorflow

load_tensorflow()  # before the modules below import it

import tensorflow as tf  # noqa: E402

from benchmarks import (  # noqa: E402
    acgan,
    classifier,
    feeding,
    machine,
    noise,
    prepare,
    progressive,
    step,
    style,
    translate,
    unet,
)
from benchmarks.timing import Row  # noqa: E402
from kerasgan.files import write_text  # noqa: E402
from kerasgan.report.tables import markdown  # noqa: E402

BENCHMARKS = {
    "step": step.rows,
    "classifier": classifier.rows,
    "dcgan": partial(noise.rows, "dcgan"),
    "wgan": partial(noise.rows, "wgan"),
    "pggan": progressive.rows,
    "unet": unet.rows,
    "acgan": acgan.rows,
    "feeding": feeding.rows,
    "prepare": prepare.rows,
    "translate": translate.rows,
    "style": style.rows,
}
HEADER = ("benchmark", "what", "measured", "kerasgan against this: median (quartiles) of the rounds", "expected")


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="scripts/benchmark", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which of {', '.join(BENCHMARKS)}; all by default")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the table to this file too")
    parser.add_argument("--quick", action="store_true", help="seconds instead of minutes; the numbers mean nothing")
    given = parser.parse_args(arguments)
    if unknown := set(given.names) - set(BENCHMARKS):
        parser.error(f"no benchmark {', '.join(sorted(unknown))}; there are {', '.join(BENCHMARKS)}")
    names = [name for name in BENCHMARKS if name in (given.names or BENCHMARKS)]
    head = machine.describe() + (f"; {', '.join(names)} alone" if len(names) < len(BENCHMARKS) else "")
    head += "; --quick, so the numbers mean nothing" if given.quick else ""
    table = []
    for name in names:
        table += [cells(name, row) for row in run(name, given.quick)]
        if given.out:  # what has been measured is not lost with what comes after
            write_text(given.out, f"{head}\n\n{markdown(HEADER, table)}\n")
    print(f"{head}\n\n{markdown(HEADER, table)}")


def run(name: str, quick: bool) -> list[Row]:
    """The rows of a benchmark, announced on standard error."""
    print(f"{name} ...", file=sys.stderr, flush=True)
    return BENCHMARKS[name](quick)


def cells(name: str, row: Row) -> tuple[str, ...]:
    """A row as text, one cell for each of `HEADER`."""
    return name, row.what, f"{row.value:.4g} {row.unit}", str(row.ratio or ""), row.expected


if __name__ == "__main__":
    tf.config.set_visible_devices([], "GPU")
    main()
