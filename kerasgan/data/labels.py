"""The class of a patient, from the label column of the cohort's CSV."""

from typing import Protocol

from kerasgan.errors import UserError


class Labelled(Protocol):
    """A visit of a data set."""

    name: str
    labels: dict[str, str]


class Classes(Protocol):
    """Settings that name two classes."""

    label: str  # the column
    positive: str  # its value for class 1
    negative: str  # its value for class 0


def class_of(visit: Labelled, classes: Classes, section: str) -> int:
    """1 for the positive class, 0 for the negative; any other value, or none, is a `UserError`.

    `section` is that of the settings `classes`, for the advice.
    """
    value = visit.labels.get(classes.label)
    if value not in (classes.positive, classes.negative):
        found = f"{value!r}" if value else "no value"
        raise UserError(
            f"{visit.name} has {found} in the label column {classes.label!r}; expected {classes.positive!r} or "
            f"{classes.negative!r}: mend the cohort's CSV, or --set {section}.label, {section}.positive, "
            f"{section}.negative"
        )
    return int(value == classes.positive)
