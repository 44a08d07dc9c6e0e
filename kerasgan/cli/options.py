"""Options that several commands share."""

from collections.abc import Callable, Sequence
from functools import reduce

import click

Decorator = Callable[[Callable], Callable]


def _compose(*decorators: Decorator) -> Decorator:
    return lambda function: reduce(lambda inner, decorate: decorate(inner), reversed(decorators), function)


quiet = click.option("--quiet", is_flag=True, help="No progress bars, results only.")

configuration = _compose(
    click.option("--config", type=click.Path(dir_okay=False), help="A YAML of your own instead of the model's."),
    click.option(
        "--set",
        "overrides",
        multiple=True,
        metavar="KEY=VALUE",
        help="Change one setting, e.g. training.epochs=3; may be repeated.",
    ),
    click.option(
        "--profile",
        type=click.Choice(["full", "smoke"]),
        help="full: the paper's numbers (default); smoke: minutes, to see that all works.",
    ),
)

training = _compose(
    click.option("--data", type=click.Path(file_okay=False), help="A prepared folder; without it, simulated heads."),
    configuration,
    click.option("--run-dir", type=click.Path(file_okay=False), help="Where the run is kept; default runs/MODEL/NAME."),
    click.option(
        "--resume",
        is_flag=True,
        help="Go on with the run in the run folder, with its own settings; --set training.epochs=N may lengthen it.",
    ),
    click.option("--seed", type=click.IntRange(min=0), help="training.seed"),
    click.option("--precision", type=click.Choice(["float32", "mixed_bfloat16"]), help="training.precision"),
    click.option("--jit/--no-jit", default=None, help="training.jit: compile with XLA."),
    click.option("--strategy", type=click.Choice(["none", "mirrored", "multiworker"]), help="training.strategy"),
    click.option("--dry-run", is_flag=True, help="Check everything, print the resolved settings, train nothing."),
    quiet,
)


def with_flags(overrides: Sequence[str], **flags: object) -> list[str]:
    """Overrides and the flags that are short for `--set training.FLAG=VALUE`; flags not given are None."""
    return [
        *overrides,
        *(f"training.{name}={str(value).lower()}" for name, value in flags.items() if value is not None),
    ]
