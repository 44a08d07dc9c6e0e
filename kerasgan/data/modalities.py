"""MR sequences by name: four canonical names and every spelling of them that the known data sets use.

The one table of aliases. BraTS to 2021 writes ``_t1 _t1ce _t2 _flair _seg`` (2013 to 2015 ``MR_T1c`` and ``OT``), BraTS
2023 and later ``-t1n -t1c -t2w -t2f -seg``, the Medical Segmentation Decathlon ``FLAIR, T1w, t1gd, T2w``, the TCIA
release of Bakas et al. 2017 ``_t1Gd`` and ``_GlistrBoost``. Case, spaces and punctuation do not count.
"""

import re
from collections.abc import Mapping

from kerasgan.errors import UserError, nearest

MODALITIES: tuple[str, ...] = ("t1", "t1e", "t2", "flair")

DISPLAY: Mapping[str, str] = {"t1": "T1", "t1e": "T1e", "t2": "T2", "flair": "FLAIR"}

# Lower case without punctuation, as `squeezed` leaves a name. Words before the sequence are here too (`post_T1`,
# BIDS' `ce-gadolinium_T1w`): without them an enhanced image would pass for a plain T1.
ALIASES: Mapping[str, tuple[str, ...]] = {
    "t1": ("t1", "t1w", "t1n", "t1pre", "t1native", "pret1"),
    "t1e": (
        *("t1e", "t1c", "t1ce", "t1gd", "t1gad", "t1post", "t1wce", "t1wgd", "t1wpost", "t1contrast"),
        *("postt1", "cet1", "gdt1", "postt1w", "cet1w", "gdt1w", "cegadoliniumt1w"),
    ),
    "t2": ("t2", "t2w"),
    "flair": ("flair", "t2f", "t2flair", "t2wflair", "flairt2"),
}

SEGMENTATION = "segmentation"
# Not `mask` alone: `brain_mask` is common too.
SEGMENTATION_NAMES: tuple[str, ...] = (
    *("segmentation", "seg", "segm", "ot", "tumormask", "tumourmask"),
    *("glistrboost", "glistrboostmanuallycorrected"),
)

_KINDS = {alias: name for name, aliases in ALIASES.items() for alias in aliases} | dict.fromkeys(
    SEGMENTATION_NAMES, SEGMENTATION
)
_MOST_WORDS = 3  # "ce-gadolinium_T1w" is the longest alias


def canonical(name: str) -> str:
    """The canonical name of a modality: ``canonical("T1Gd") == "t1e"``; UserError with the nearest name if unknown."""
    kind = kind_of(name)
    if kind is None or kind == SEGMENTATION:
        raise UserError(
            f"unknown modality {name!r}: {nearest(name.lower(), MODALITIES)} (aliases such as t1ce, T1Gd, t2w, t2f too)"
        )
    return kind


def kind_of(name: str) -> str | None:
    """What the whole of `name` says: a canonical modality, ``"segmentation"``, or None."""
    return _KINDS.get(squeezed(name))


def kind_of_file(stem: str) -> str | None:
    """What the end of a file's name (without ``.nii.gz``) says: a canonical modality, ``"segmentation"``, or None.

    The last words decide, longest alias first: ``a_t2_flair`` is FLAIR. A number at the end is passed over, as in
    ``VSD.Brain.XX.O.MR_T1c.54513`` of BraTS 2013.
    """
    words = re.findall(r"[a-z0-9]+", stem.lower())
    while words and words[-1].isdigit():
        words.pop()
    ends = ("".join(words[-count:]) for count in range(_MOST_WORDS, 0, -1))
    return next((_KINDS[end] for end in ends if end in _KINDS), None)


def squeezed(name: str) -> str:
    """Letters and digits alone, in lower case."""
    return "".join(re.findall(r"[a-z0-9]+", name.lower()))
