"""What raters said, on disk: answers/RATER.jsonl, one line per act, appended and synced before it is acknowledged.

    {"n": 4, "act": "answer", "image": ID, "answer": "real", "rater": "Anna", "trial": KEY, "time": ..., "token": ...}

`act` is answer, undo (of the last answer that stands) or finish; `n` counts the acts before it. Nothing is held in
memory and nothing is rewritten, so a killed server loses no answer. Two windows of one rater, or two servers on one
folder, may append the same `n`: the first line counts, the other one is told so by its `token`. A line that a power
failure cut off was never acknowledged and does not count.
"""

import json
import os
import secrets
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from kerasgan.errors import UserError
from kerasgan.evaluation.turing.trial import ANSWERS, Trial

REAL, SYNTHETIC = "real", "synthetic"
LONGEST = 40  # letters of a rater's name


@dataclass(frozen=True)
class Session:
    """How far a rater has come."""

    rater: str
    order: tuple[str, ...]  # ids of the images
    answers: tuple[str, ...] = ()  # real or synthetic, of the first images of `order`
    acts: int = 0
    finished: bool = False

    @property
    def current(self) -> str | None:
        """The image to be judged now; None if all have been."""
        return self.order[len(self.answers)] if len(self.answers) < len(self.order) else None

    @property
    def last(self) -> str | None:
        """The image whose answer may be taken back."""
        return self.order[len(self.answers) - 1] if self.answers and not self.finished else None

    def after(self, act: str, image: str | None, answer: str | None) -> "Session | None":
        """The session after an act; None if the act does not fit: another window was quicker."""
        known = replace(self, acts=self.acts + 1)
        if act == "answer" and image == self.current and image is not None and answer in (REAL, SYNTHETIC):
            return replace(known, answers=(*self.answers, answer))
        if act == "undo" and image == self.last and image is not None:
            return replace(known, answers=self.answers[:-1])
        if act == "finish" and self.current is None and not self.finished:
            return replace(known, finished=True)
        return None


def checked_name(rater: str) -> str:
    """A rater's name in normal form; a `UserError` unless it is letters, digits, spaces, and . _ - ' after one."""
    name = " ".join(unicodedata.normalize("NFC", rater).split())
    plain = all(unicodedata.category(letter)[0] in "LMN" or letter in " ._-'" for letter in name)
    if not name or len(_key(name)) > LONGEST or not plain or unicodedata.category(name[0])[0] not in "LN":
        raise UserError(
            f"{rater[:LONGEST]!r} is no rater's name; expected 1 to {LONGEST} letters (ß counts as ss), digits, spaces "
            "or . _ - ', the first a letter or digit"
        )
    return name


def session_of(trial: Trial, rater: str) -> Session:
    """How far a rater has come; capitals do not count in the name."""
    return _replayed(trial, checked_name(rater))[0]


def record(
    trial: Trial, rater: str, act: str, image: str | None = None, answer: str | None = None
) -> tuple[Session, bool]:
    """Append an act: answer (of the image that is current), undo (of the last image's answer), or finish.

    Returns how far the rater has come, and whether the act counts. It does not if it does not fit, because another
    window of the same rater was quicker.
    """
    name = checked_name(rater)
    before, _ = _replayed(trial, name)
    if before.after(act, image, answer) is None:
        return before, False
    token = secrets.token_hex(8)
    line = {"n": before.acts, "act": act, "image": image, "answer": answer, "rater": name, "trial": trial.key}
    _append(_path(trial, name), line | {"time": datetime.now(UTC).isoformat(timespec="milliseconds"), "token": token})
    after, tokens = _replayed(trial, name)
    return after, tokens[before.acts] == token


def sessions(trial: Trial) -> list[Session]:
    """Of all raters who have answered, by name."""
    found = []
    for path in sorted((trial.folder / ANSWERS).glob("*.jsonl")):
        name = unicodedata.normalize("NFC", path.stem)
        if _key(name) != name:
            raise UserError(f"{path} is not how a rater's file is named, {_key(name)}.jsonl; remove or rename it")
        found.append(_replayed(trial, name)[0])
    return [session for session in found if session.answers]


def _key(name: str) -> str:
    """A name as its file has it, the same whatever its capitals; it may be longer than the name."""
    return unicodedata.normalize("NFC", name.casefold())


def _path(trial: Trial, name: str) -> Path:
    return trial.folder / ANSWERS / f"{_key(name)}.jsonl"


def _append(path: Path, line: dict[str, object]) -> None:
    path.parent.mkdir(exist_ok=True)
    with path.open("a+b") as file:
        if file.tell():
            file.seek(-1, os.SEEK_END)
            cut_off = file.read(1) != b"\n"
        else:
            cut_off = False
        file.write((b"\n" if cut_off else b"") + json.dumps(line, ensure_ascii=False).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())


def _replayed(trial: Trial, name: str) -> tuple[Session, list[str]]:
    """The session that a rater's file amounts to, and the tokens of the acts that count."""
    path = _path(trial, name)
    session, tokens = Session(name, tuple(trial.order(_key(name)))), []
    for number, line in _lines(path):
        if line["n"] < session.acts:
            continue  # another window had been quicker
        if line["trial"] != trial.key:
            raise UserError(f"{path} has answers to another test than {trial.folder}; remove the file")
        after = session.after(line["act"], line["image"], line["answer"]) if line["n"] == session.acts else None
        if after is None:
            raise UserError(
                f"{path}, line {number}: the acts before it are missing or changed; restore or remove the file"
            )
        session = replace(after, rater=line["rater"])
        tokens.append(line["token"])
    return session, tokens


FIELDS = {"n", "act", "image", "answer", "rater", "trial", "token"}


def _lines(path: Path) -> Iterator[tuple[int, dict]]:
    """Line numbers and acts. What is no JSON was cut off; if it was more than that, the next act's `n` tells."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}); restore or remove it") from None
    for number, line in enumerate(text.split("\n"), 1):
        try:
            found = json.loads(line)
        except ValueError:
            continue
        if not isinstance(found, dict) or not found.keys() >= FIELDS or not isinstance(found["n"], int):
            raise UserError(f"{path}, line {number}: no act of a rater; restore or remove the file")
        yield number, found
