"""The one exception that reaches a user as a sentence instead of a traceback."""

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """Input that cannot be used: says what was expected, what came, in which file, and what to do.

    The command line prints the message and exits with code 2.
    """


def nearest(name: str, valid: Iterable[str]) -> str:
    """A hint that ends an error about an unknown `name`: the closest of the `valid` names, and all of them."""
    valid = list(valid)
    close = difflib.get_close_matches(name, valid, n=1, cutoff=0.4)
    hint = f"did you mean {close[0]!r}? " if close else ""
    return f"{hint}valid: {', '.join(valid)}"
