"""The study of Ge 2020, III: which runs it needs, and Tables 2 to 6 from what they measured, ours beside the printed.

A result is traced by its run's folder. Standard deviations are over runs with n - 1, as the paper's are.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from kerasgan.metrics.paired_tests import mcnemar, paired_permutation
from kerasgan.papers.pairwise import published
from kerasgan.papers.pairwise.published import MEASURES, METHODS, UNMASKED
from kerasgan.papers.pairwise.settings import EvaluationSettings
from kerasgan.report.tables import Table

FOREST = "radiomics forest, on S1"
EXTRA = ("balanced_accuracy", "auc")  # ours, beside the paper's measures
SIMILARITY = ("psnr", "psnr_tumour", "daef", "daef_tumour")


@dataclass(frozen=True)
class Trial:
    """One classifier's test result in one run of the study."""

    method: str
    run: int  # the partition, from 1
    seed: int
    folder: str  # where it can be looked up
    measures: Mapping[str, float]  # fractions, on test patients after the vote
    patients: Mapping[str, bool]  # test patient -> judged rightly


def mean_and_std(values: Sequence[float]) -> str:
    """ "88.82 (6.37)"; of a single run the deviation is unknown."""
    known = [value for value in values if np.isfinite(value)]
    if not known:
        return "–"
    spread = f"{np.std(known, ddof=1):.2f}" if len(known) > 1 else "–"
    return f"{np.mean(known):.2f} ({spread})"


def per_run(trials: Sequence[Trial], method: str, measure: str) -> dict[int, float]:
    """Run -> a method's measure in per cent, the mean over its seeds."""
    found: dict[int, list[float]] = {}
    for trial in trials:
        if trial.method == method:
            found.setdefault(trial.run, []).append(100 * trial.measures[measure])
    return {run: float(np.mean(values)) for run, values in sorted(found.items())}


def table_2(trials: Sequence[Trial], methods: Sequence[str]) -> Table:
    """Table 2: the proposed method in both cases; ours beside it, with AUC, balanced accuracy and the baselines."""
    names = [*methods, *sorted({trial.method for trial in trials if trial.method == FOREST})]
    rows = []
    for name in names:
        ours = [mean_and_std(list(per_run(trials, name, measure).values())) for measure in (*MEASURES, *EXTRA)]
        printed = published.MEANS.get(name)
        theirs = [f"{printed[m][0]:.2f} ({printed[m][1]:.2f})" if printed else "–" for m in MEASURES]
        rows.append(
            [name, *(cell for pair in zip(ours, theirs, strict=False) for cell in pair), *ours[len(MEASURES) :]]
        )
    rows.append(["always the larger class", *_majority(trials)])
    header = ["method", *(f"{m} %{who}" for m in ("acc.", "sen.", "spe.") for who in ("", ", Ge 2020"))]
    header += ["bal. acc. %", "AUC %"]
    return Table("table2", "Table 2: test patients, mean (std) over runs", header, rows, [_other_methods()])


def _majority(trials: Sequence[Trial]) -> list[str]:
    rates = {trial.run: 100 * trial.measures["majority_rate"] for trial in trials}
    return [mean_and_std(list(rates.values())), "67.65", *["–"] * 4, "50.00", "50.00"]


def _other_methods() -> str:
    """Table 7 as a sentence."""
    found = [
        f"{name} {accuracy:.2f} ({mutation}/{wild_type})"
        for name, (mutation, wild_type, accuracy) in published.TABLE_7.items()
    ]
    return f"Others' accuracy in % (patients with mutation/wild-type), Table 7 of Ge 2020: {', '.join(found)}."


def runs_table(trials: Sequence[Trial], case: str, settings: EvaluationSettings) -> Table:
    """Table 3 (case a) or 4 (case b): run by run, the proposed method / the baseline; ours, then the printed."""
    proposed, baseline = METHODS[case]
    printed, means = {
        "a": (published.TABLE_3, published.TABLE_3_MEANS),
        "b": (published.TABLE_4, published.TABLE_4_MEANS),
    }[case]
    ours = {m: (per_run(trials, proposed, m), per_run(trials, baseline, m)) for m in MEASURES}
    numbers = sorted(ours["accuracy"][0])
    rows = []
    for run in range(1, max([5, *numbers]) + 1):
        own = [f"{a[run]:.2f}/{b[run]:.2f}" if run in a and run in b else "–" for a, b in ours.values()]
        theirs = [
            f"{printed[proposed][m][run - 1]:.2f}/{printed[baseline][m][run - 1]:.2f}" if run <= 5 else "–"
            for m in MEASURES
        ]
        rows.append([str(run), *own, *theirs])
    rows.append(
        [
            "mean (std)",
            *("/".join(mean_and_std(list(each.values())) for each in both) for both in ours.values()),
            *("/".join(f"{means[n][m][0]:.2f} ({means[n][m][1]:.2f})" for n in (proposed, baseline)) for m in MEASURES),
        ]
    )
    number = {"a": "3", "b": "4"}[case]
    header = [
        "run",
        *(f"{m} %" for m in ("acc.", "sen.", "spe.")),
        *(f"{m} %, Ge 2020" for m in ("acc.", "sen.", "spe.")),
    ]
    title = f"Table {number}: {proposed} / {baseline}, test patients"
    return Table(f"table{number}", title, header, rows, [paired_test(trials, proposed, baseline, settings)])


def paired_test(trials: Sequence[Trial], proposed: str, baseline: str, settings: EvaluationSettings) -> str:
    """McNemar's test and a permutation test over patients of the difference in accuracy, as a sentence.

    McNemar counts decisions, of which a patient tested in several runs has several; the permutation test swaps the two
    methods in all decisions of a patient at once, so that these need not be independent.
    """
    decided: dict[tuple, dict[str, bool]] = {}
    for trial in trials:
        if trial.method in (proposed, baseline):
            for patient, right in trial.patients.items():
                decided.setdefault((patient, trial.run, trial.seed), {})[trial.method] = right
    pairs = {key: both for key, both in decided.items() if len(both) == 2}
    if not pairs:
        return ""
    a, b = (np.array([both[method] for both in pairs.values()], bool) for method in (proposed, baseline))
    only_a, only_b, p = mcnemar(a, b)
    by_patient: dict[str, float] = {}
    for (patient, *_), both in pairs.items():
        by_patient[patient] = by_patient.get(patient, 0.0) + float(both[proposed]) - float(both[baseline])
    difference = np.array([value for _, value in sorted(by_patient.items())])
    chance = paired_permutation(difference, settings.permutations, settings.seed)
    repeated = "" if len(a) == len(difference) else " (too small: some patients are judged more than once)"
    return (
        f"{proposed} against {baseline}: {len(a)} paired decisions, {only_a} right by {proposed} alone, {only_b} by "
        f"{baseline} alone, McNemar p = {p:.3g}{repeated}; accuracy {100 * difference.sum() / len(a):+.1f} points over "
        f"{len(difference)} patients, permutation test p = {chance:.3g}"
    )


def table_5(trials: Sequence[Trial]) -> Table:
    """Table 5: the classifier with and without mask enhancement of its input."""
    rows = []
    for mask, method in (("with mask", "Prop-A"), ("without mask", UNMASKED)):
        ours = [mean_and_std(list(per_run(trials, method, measure).values())) for measure in MEASURES]
        theirs = [f"{mean:.2f} ({std:.2f})" for mean, std in published.TABLE_5[mask].values()]
        rows.append([mask, *(cell for pair in zip(ours, theirs, strict=True) for cell in pair)])
    header = ["classifier's input", *(f"{m} %{who}" for m in ("acc.", "sen.", "spe.") for who in ("", ", Ge 2020"))]
    return Table("table5", "Table 5: mask enhancement, test patients, mean (std) over runs", header, rows)


def table_6(similarity: Mapping[str, Sequence[Mapping[str, Mapping[str, float]]]]) -> Table:
    """Table 6: PSNR and DAEF of GANs trained with and without the mask.

    `similarity` maps "with mask" and "without mask" to a mapping per run: "S2" (fake training patients against their
    real images) to each of `SIMILARITY`, "test" (test patients) to the PSNR ones.
    """
    rows = []
    for mask, runs in similarity.items():
        for subset, what in (("S2", "fake training patients"), ("test", "test patients")):
            cells = [mean_and_std([run[subset].get(name, np.nan) for run in runs]) for name in SIMILARITY]
            rows.append([f"{mask}, {what}", *cells])
        rows.append([f"{mask}, Ge 2020", *(f"{m:.2f} ({s:.2f})" for m, s in published.TABLE_6[mask].values())])
    header = ["GAN's loss", "PSNR whole, dB", "PSNR tumour, dB", "DAEF whole", "DAEF tumour"]
    notes = ["DAEF depends on the autoencoder, which is ours: compare rows of one source, not ours with the printed."]
    return Table("table6", "Table 6: likeness of real and synthetic images, mean (std) over runs", header, rows, notes)
