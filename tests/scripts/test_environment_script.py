"""scripts/environment: what it refuses, and when it installs. No test installs anything."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# Stands in for an interpreter: says its version, passes or fails the check of it, and makes a `.venv` that writes down
# what it is asked to install.
PYTHON = """#!/bin/sh
case "$1" in
    --version) echo "Python {version}" ;;
    -c) exit {refused} ;;
    -m) mkdir -p .venv/bin && cp stand-in .venv/bin/python && cp stand-in .venv/bin/pip ;;
esac
"""
INSTALLED = """#!/bin/sh
[ "$1" = --version ] && echo "Python 3.14.0"
[ "$1" = --version ] || echo "$@" >> installed.log
exit {code}
"""


@pytest.fixture
def checkout(tmp_path):
    (tmp_path / "scripts").mkdir()
    shutil.copy(ROOT / "scripts" / "environment", tmp_path / "scripts")
    for name in ("setup.cfg", "pyproject.toml"):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (1, 1))
    return tmp_path


def interpreter(folder, version="3.12.1", refused=0, code=0):
    """A pretended interpreter, whose `.venv` ends every installation with `code`."""
    for name, text in (("chosen", PYTHON.format(version=version, refused=refused)), ("stand-in", INSTALLED)):
        (folder / name).write_text(text.replace("{code}", str(code)))
        (folder / name).chmod(0o755)
    return {"PYTHON": str(folder / "chosen")}


def environment(folder, *extra, **variables):
    command = [folder / "scripts" / "environment", *extra]
    return subprocess.run(command, env=os.environ | variables, capture_output=True, text=True, check=False)


def installations(folder):
    log = folder / "installed.log"
    return log.read_text().splitlines() if log.exists() else []


def test_an_old_python_is_refused_in_one_sentence(checkout):
    done = environment(checkout, **interpreter(checkout, version="3.9.18", refused=1))
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "needs Python 3.11 or newer" in done.stderr
    assert "is Python 3.9.18" in done.stderr
    assert not (checkout / ".venv").exists()


def test_a_python_that_is_not_there_is_named(checkout):
    done = environment(checkout, PYTHON="python3.99")
    assert done.returncode == 2
    assert "python3.99 is not there" in done.stderr


def test_it_installs_once_until_the_requirements_change(checkout):
    for extra in ((), (), ("test",), ("test",)):
        assert environment(checkout, *extra, **interpreter(checkout)).returncode == 0
    assert installations(checkout) == ["-m pip install --editable .", "-m pip install --editable .[test]"]
    os.utime(checkout / "setup.cfg", (2**31, 2**31))
    environment(checkout, "test")
    assert len(installations(checkout)) == 3


def test_a_half_made_environment_is_made_whole(checkout):
    (checkout / ".venv" / "bin").mkdir(parents=True)
    (checkout / ".venv" / "bin" / "python").touch(mode=0o755)  # what `python -m venv` leaves where ensurepip is missing
    assert environment(checkout, **interpreter(checkout)).returncode == 0
    assert installations(checkout) == ["-m pip install --editable ."]


def test_a_failed_installation_says_which_pythons_tensorflow_has(checkout):
    done = environment(checkout, **interpreter(checkout, code=1))
    assert done.returncode == 2
    assert "it comes for Python 3.11 to 3.13, and .venv has Python 3.14.0" in done.stderr
    assert not (checkout / ".venv" / "installed").exists()
