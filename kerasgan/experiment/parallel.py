"""Several trainings at once, a process each: for small networks, of which one does not fill a machine.

    python -m kerasgan.experiment.parallel ARGUMENTS

is one of these processes; ARGUMENTS are those of `train` as JSON.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tqdm import tqdm

from kerasgan.errors import UserError
from kerasgan.threads import usable_cores

POLL = 0.2  # seconds between two looks at the processes


def train_at_once(jobs: int, trainings: Sequence[tuple[str, Path, Mapping[str, Any]]], quiet: bool) -> None:
    """Run trainings, `jobs` at a time: of each a title, a file for what it prints, and the arguments of `train`.

    Each gets its share of the cores. A signal is passed on, so that all save their state. Raises UserError, with what
    it printed last, of the first that failed, after the others have ended.
    """
    waiting, running, failed = list(trainings), [], []
    share = str(max(1, usable_cores() // jobs))
    # Threads of one operation: without it, each process would take all cores.
    environment = os.environ | {"TF_NUM_INTRAOP_THREADS": share, "OMP_NUM_THREADS": share}
    with tqdm(total=len(waiting), desc="training", unit="model", disable=quiet) as bar, _passing_on(running):
        while waiting or running:
            while waiting and len(running) < jobs:
                title, log, arguments = waiting.pop(0)
                running.append((title, log, _start(log, arguments, environment)))
            time.sleep(POLL)
            for each in [each for each in running if each[2].poll() is not None]:
                running.remove(each)
                bar.update()
                if each[2].returncode:
                    failed.append(each)
                    waiting.clear()
    for title, log, process in failed:
        if process.returncode in (128 + signal.SIGINT, 128 + signal.SIGTERM):
            sys.exit(process.returncode)
        raise UserError(f"{title}: {_last_line(log)} (all it printed: {log})")


def _start(log: Path, arguments: Mapping[str, Any], environment: Mapping[str, str]) -> subprocess.Popen:
    log.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", __name__, json.dumps(arguments, default=str)]
    with log.open("w", encoding="utf-8") as file:
        return subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT, env=environment)


@contextmanager
def _passing_on(running: list):
    """Pass SIGTERM on to the processes (Ctrl-C reaches them by itself), and wait for them whatever happens."""

    def forward(number, frame):
        for *_, process in running:
            process.send_signal(number)

    before = {number: signal.signal(number, forward) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for *_, process in running:
            process.wait()


def _last_line(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1] if lines else "ended without a word"


def main(arguments: str) -> None:
    """One training; its ways to end as of the command line."""
    from kerasgan.experiment.training import train
    from kerasgan.gan.training import Stopped

    try:
        train(**json.loads(arguments), quiet=True)
    except UserError as error:
        sys.exit(f"{error}")
    except Stopped as stopped:
        print(stopped)
        sys.exit(128 + signal.Signals(stopped.signal_number))


if __name__ == "__main__":
    main(sys.argv[1])
