"""Options that several commands share."""

import sys
from collections.abc import Callable, Sequence
from functools import reduce
from pathlib import Path
from typing import NoReturn

import click

from kerasgan.errors import UserError

Decorator = Callable[[Callable], Callable]


def compose(*decorators: Decorator) -> Decorator:
    """Several decorators as one, in the order in which they would stand above a function."""
    return lambda function: reduce(lambda inner, decorate: decorate(inner), reversed(decorators), function)


def end_by_signal(number: int, sentence: str) -> NoReturn:
    """Say a sentence and end as a process that a signal has ended: by convention 143 for SIGTERM, 130 for Ctrl-C."""
    click.echo(f"\n{sentence}", err=True)  # below the progress bar
    sys.exit(128 + number)


class Several(click.Command):
    """Lets an option that may be repeated take its values in a row: `--case a b` for `--case a --case b`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        flags = {flag for param in self.params if getattr(param, "multiple", False) for flag in param.opts}
        spread: list[str] = []
        current = None  # the repeatable option whose values are being read
        for word in args:
            if word.startswith("-"):
                current = word if word in flags else None
                first = True
            elif current and not first:
                spread.append(current)
            if current and word != current:
                first = False
            spread.append(word)
        return super().parse_args(ctx, spread)


class Folder(click.Path):
    """A folder that must be there; a wrong one is found out before TensorFlow is loaded, which takes seconds.

    `advice` ends the sentence about one that is not; {} in it stands for the folder.
    """

    def __init__(self, advice: str):
        super().__init__(file_okay=False, path_type=Path)
        self.advice = advice

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        if not Path(value).exists():
            raise UserError(f"there is no folder {value}; {self.advice.format(value)}")
        return super().convert(value, param, ctx)


PREPARED = Folder("make it by `kerasgan data prepare COHORT.csv --model MODEL --out {}`")
FEATURES = Folder("make it by `kerasgan features extract RUN --block BLOCK --out {}`")
RUN = Folder("expected that of a run, such as runs/pairwise/t1-t1e, made by `kerasgan train`")
IMAGES = Folder("expected a prepared folder, a finished run, or a folder of images")

quiet = click.option("--quiet", is_flag=True, help="No progress bars, results only.")

image_format = compose(
    click.option(
        "--format",
        "kind",
        type=click.Choice(["png", "npz", "nifti"]),
        default="png",
        show_default=True,
        help="png: grey pictures; npz: float32 arrays in [-1, 1]; nifti: a slice each, float32 in [-1, 1].",
    ),
    click.option(
        "--bits",
        type=click.Choice(["8", "16"]),
        callback=lambda ctx, param, value: int(value),
        default="8",
        show_default=True,
        help="Of a PNG's grey levels.",
    ),
)

SEED = click.IntRange(0, 2**32 - 1)

data = click.option("--data", type=PREPARED, help="A prepared folder; without it, simulated heads.")
config = click.option("--config", type=click.Path(dir_okay=False), help="A YAML of your own instead of the paper's.")
overrides = click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="Change one setting, e.g. data.size=64; may be repeated.",
)

configuration = compose(
    config,
    overrides,
    click.option(
        "--profile",
        metavar="full|smoke|NAME",
        help="full: the paper's numbers (default); smoke: minutes, to see that all works; another of the YAML's.",
    ),
)

_run = compose(
    configuration,
    click.option("--run-dir", type=click.Path(file_okay=False), help="Where the run is kept; default runs/MODEL/NAME."),
    click.option(
        "--resume",
        is_flag=True,
        help="Go on with the run in the run folder, with its own settings; more of its epochs by --set lengthen it.",
    ),
    click.option("--seed", type=SEED, help="Of the weights and of the order of the data."),
    click.option(
        "--precision", type=click.Choice(["float32", "mixed_bfloat16"]), help="Numbers the networks compute with."
    ),
    click.option("--jit/--no-jit", default=None, help="Compile with XLA."),
    click.option(
        "--strategy",
        type=click.Choice(["none", "mirrored", "multiworker"]),
        help="tf.distribute: all devices of a machine, or several machines.",
    ),
    click.option("--dry-run", is_flag=True, help="Check everything, print the resolved settings, train nothing."),
    quiet,
)

training = compose(data, _run)

training_on_features = compose(
    click.option(
        "--features",
        "data",
        type=FEATURES,
        help="Made by `kerasgan features extract`; without it, those of a U-Net trained on simulated heads.",
    ),
    _run,
)


def with_flags(section: str, overrides: Sequence[str], **flags: object) -> list[str]:
    """Overrides and the flags that are short for `--set SECTION.FLAG=VALUE`; flags not given are None."""
    return [
        *overrides,
        *(f"{section}.{name}={str(value).lower()}" for name, value in flags.items() if value is not None),
    ]
