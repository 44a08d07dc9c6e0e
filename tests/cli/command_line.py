"""The command line as tests call it, in their own process."""

from click.testing import CliRunner, Result

from kerasgan.cli import cli


def result(*words, code=0) -> Result:
    """What a command has printed, which must end with this exit code."""
    found = CliRunner().invoke(cli, [str(word) for word in words])
    assert found.exit_code == code, f"{found.output}\n{found.exception!r}"
    assert "Traceback" not in found.output
    return found


def run(*words, code=0) -> str:
    """All that it has printed."""
    return result(*words, code=code).output


def sentence(*words) -> str:
    """The one sentence that a command with bad input ends with; exit code 2."""
    last = run(*words, code=2).strip().splitlines()[-1]
    assert last.startswith("Error: ")
    return last
