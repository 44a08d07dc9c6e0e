"""What a study does, step by step: what is done is not done again."""

import gc
from collections.abc import Callable, Sequence
from typing import Any

import click
import keras

# What is done, whether it is done already, and how to do it.
Step = tuple[str, Callable[[], bool], Callable[[], Any]]


def take(steps: Sequence[Step], dry_run: bool, quiet: bool) -> None:
    """Do what is not done yet, in order; with `dry_run`, say what that would be."""
    for position, (what, done, act) in enumerate(steps, 1):
        state = "done" if done() else ("would be done" if dry_run else "")
        if not quiet:
            click.echo(f"step {position} of {len(steps)}, {what}{': ' + state if state else ''}", err=True)
        if not state:
            act()
            # The networks and graphs of dozens of runs would fill the memory.
            keras.backend.clear_session()
            gc.collect()
