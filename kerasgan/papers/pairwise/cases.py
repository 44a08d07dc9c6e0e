"""Which real scans a case trains on (Ge 2020, III-A2, Figure 6): S1 all of them, S3 what is left of them."""

from collections.abc import Collection

import numpy as np

from kerasgan.data.modalities import MODALITIES
from kerasgan.data.prepare import Prepared, PreparedVisit
from kerasgan.errors import UserError
from kerasgan.papers.pairwise.settings import PairwiseSettings

CASES = {"a": ("S1", "S2"), "b": ("S3", "S4", "S5")}  # the sets whose union a case trains on


def modalities_of(prepared: Prepared, settings: PairwiseSettings) -> tuple[str, ...]:
    """The modalities of `classifier.modalities` that a cohort has, in canonical order; fewer than two is an error."""
    there = {modality for visit in prepared.manifest.visits for modality in visit.ranges}
    wanted = settings.classifier.modalities
    found = tuple(name for name in MODALITIES if name in wanted and name in there)
    if len(found) < 2:
        raise UserError(
            f"{prepared.folder} has {', '.join(sorted(there)) or 'no modality'}; at least two of classifier.modalities "
            f"({', '.join(wanted)}) are needed"
        )
    return found


def removed_scans(prepared: Prepared, settings: PairwiseSettings) -> dict[str, str]:
    """Patient -> the modality that case b takes from them; case a takes nothing.

    Of the training patients that have every modality, a share `study.removed` loses each modality, no patient two:
    of 99 patients 6 per modality, 24 in all. Drawn by the split's seed and the partition, so that GANs, enlarged set
    and classifiers of a run agree.
    """
    if settings.study.case == "a":
        return {}
    names = modalities_of(prepared, settings)
    patients = sorted({visit.patient for visit in prepared.visits("train", settings.study.partition, names)})
    each = min(round(settings.study.removed * len(patients)), len(patients) // len(names))
    if not each:
        raise UserError(
            f"case b removes {settings.study.removed:.0%} of the scans of each modality, which is none of "
            f"{len(patients)} training patients with all modalities; raise study.removed, add patients, or use case a"
        )
    random = np.random.default_rng([settings.split.seed, settings.study.partition])
    drawn = random.permutation(len(patients))[: each * len(names)]
    return {patients[index]: names[number // each] for number, index in enumerate(drawn)}


def has(visit: PreparedVisit, removed: dict[str, str]) -> set[str]:
    """The modalities of a visit that are left."""
    return set(visit.ranges) - {removed.get(visit.patient)}


def training_visits(prepared: Prepared, settings: PairwiseSettings, wanted: Collection[str]) -> list[PreparedVisit]:
    """The training visits whose scans of all `wanted` modalities are left: of S1 in case a, of S3 in case b."""
    removed = removed_scans(prepared, settings)
    visits = prepared.visits("train", settings.study.partition, tuple(wanted))
    found = [visit for visit in visits if has(visit, removed) >= set(wanted)]
    if not found:
        raise UserError(
            f"{prepared.folder}: no training patient of partition {settings.study.partition} has all of "
            f"{', '.join(wanted)} in case {settings.study.case}"
        )
    return found
