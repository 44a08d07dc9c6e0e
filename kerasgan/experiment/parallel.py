"""Several trainings at once, a process each: for small networks, of which one does not fill a machine.

Each process runs `main` with the arguments of `train` as JSON.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tqdm import tqdm

from kerasgan.errors import UserError
from kerasgan.gan.training import Stopped
from kerasgan.threads import usable_cores

POLL = 0.2  # seconds between two looks at the processes
PROGRAM = "import sys; from kerasgan.experiment.parallel import main; main(sys.argv[1])"


def train_at_once(jobs: int, trainings: Sequence[tuple[str, Path, Mapping[str, Any]]], quiet: bool) -> None:
    """Run trainings, `jobs` at a time: of each a title, a file for what it prints, and the arguments of `train`.

    Each gets its share of the cores. SIGINT and SIGTERM are passed on, so that all save their state, and become
    `Stopped` when all have ended; so do they if this process is killed. Raises UserError, with what it printed last, of
    the first that failed, after the others have ended.
    """
    waiting, running, failed, signals = list(trainings), [], [], []
    share = str(max(1, usable_cores() // jobs))
    # Threads of one operation: without it, each process would take all cores.
    environment = os.environ | {"TF_NUM_INTRAOP_THREADS": share, "OMP_NUM_THREADS": share}
    with tqdm(total=len(waiting), desc="training", unit="model", disable=quiet) as bar, _passing_on(running, signals):
        while waiting or running:
            if signals or failed:
                waiting.clear()
            while waiting and len(running) < jobs:
                title, log, arguments = waiting.pop(0)
                running.append((title, log, _start(log, arguments, environment)))
            time.sleep(POLL)
            for each in [each for each in running if each[2].poll() is not None]:
                running.remove(each)
                each[2].stdin.close()
                bar.update()
                if each[2].returncode and not signals:
                    failed.append(f"{each[0]}: {_last_line(each[1])} (all it printed: {each[1]})")
                    tqdm.write(failed[-1] if running else "", file=sys.stderr)  # others may go on for days
    if signals:
        raise Stopped(signals[0], None)
    if failed:
        raise UserError(failed[0])


def _start(log: Path, arguments: Mapping[str, Any], environment: Mapping[str, str]) -> subprocess.Popen:
    log.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-c", PROGRAM, json.dumps(arguments, default=str)]
    with log.open("w", encoding="utf-8") as file:
        # In a session of its own Ctrl-C does not reach it beside what is passed on: a second one means "at once". Its
        # standard input is a pipe that this process alone holds open, see `_end_with_parent`.
        return subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=file,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,
        )


@contextmanager
def _passing_on(running: list, signals: list[int]):
    """Pass signals on to the processes, noting them, and wait for the processes whatever happens."""

    def forward(number, frame):
        signals.append(number)
        for *_, process in running:
            process.send_signal(number)

    heard = (signal.SIGTERM, signal.SIGINT) if threading.current_thread() is threading.main_thread() else ()
    before = {number: signal.signal(number, forward) for number in heard}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for *_, process in running:
            process.wait()
            process.stdin.close()


def _last_line(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1] if lines else "ended without a word"


def _end_with_parent() -> None:
    """Ask this process to stop and save its state when its parent is no more, however that ended."""

    def wait() -> None:
        os.read(sys.stdin.fileno(), 1)  # nothing is ever written: the end of the pipe is that of the parent
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, daemon=True).start()


def main(arguments: str) -> None:
    """One training; its ways to end as of the command line."""
    from kerasgan.experiment.training import train

    _end_with_parent()
    try:
        train(**json.loads(arguments), quiet=True)
    except UserError as error:
        sys.exit(f"{error}")
    except Stopped as stopped:
        print(stopped)
        sys.exit(128 + signal.Signals(stopped.signal_number))
