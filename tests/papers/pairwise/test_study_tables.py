"""The tables of the study: the published numbers are those of the paper, and ours are computed as stated."""

import numpy as np
import pytest

from kerasgan.metrics.classification import MEASURES
from kerasgan.papers import settings_of
from kerasgan.papers.pairwise import diagnosis, published, study
from kerasgan.papers.pairwise.classifier import ClassifierTask
from kerasgan.papers.pairwise.study import Trial


def trial(method, run, accuracy, seed=0, right=None, **measures):
    values = {"accuracy": accuracy, "sensitivity": 0.5, "specificity": 0.75, "balanced_accuracy": 0.625, "auc": 0.7}
    return Trial(method, run, seed, f"run{run}/{method}", values | {"majority_rate": 0.6} | measures, right or {})


@pytest.mark.parametrize(
    ("runs", "means"), [(published.TABLE_3, published.TABLE_3_MEANS), (published.TABLE_4, published.TABLE_4_MEANS)]
)
def test_the_printed_means_and_deviations_follow_from_the_printed_runs(runs, means):
    """With n - 1; the paper truncates, and prints Bas-2's fifth accuracy as 82.25 where 28 of 34 are 82.35."""
    for method, measures in runs.items():
        for name, values in measures.items():
            mean, std = means[method][name]
            assert np.mean(values) == pytest.approx(mean, abs=0.03), (method, name)
            assert np.std(values, ddof=1) == pytest.approx(std, abs=0.05), (method, name)


def test_mean_and_std():
    assert study.mean_and_std([88.23, 91.17, 79.41, 97.05, 88.23]) == "88.82 (6.37)"
    assert study.mean_and_std([50.0]) == "50.00 (–)"
    assert study.mean_and_std([]) == study.mean_and_std([float("nan")]) == "–"


def test_seeds_are_averaged_within_a_run():
    trials = [trial("Prop-A", 1, 0.5), trial("Prop-A", 1, 0.7, seed=1), trial("Prop-A", 2, 0.9), trial("Bas-1", 1, 0.1)]
    assert study.per_run(trials, "Prop-A", "accuracy") == pytest.approx({1: 60.0, 2: 90.0})


def test_table_2_has_ours_beside_the_printed_and_the_majority_rate():
    trials = [trial("Prop-A", 1, 0.8), trial("Prop-A", 2, 0.9), trial("Bas-1", 1, 0.7), trial(study.FOREST, 1, 0.65)]
    table = study.table_2(trials, ["Prop-A", "Bas-1"])
    by_method = {row[0]: row for row in table.rows}
    assert by_method["Prop-A"][1:3] == ["85.00 (7.07)", "88.82 (6.37)"]
    assert by_method["Bas-1"][1:3] == ["70.00 (–)", "85.88 (3.22)"]
    assert by_method[study.FOREST][1:3] == ["65.00 (–)", "–"]
    assert by_method["always the larger class"][1] == "60.00 (0.00)"
    assert all(len(row) == len(table.header) for row in table.rows)


@pytest.mark.parametrize(("case", "names"), [("a", ("Prop-A", "Bas-1")), ("b", ("Prop-B", "Bas-2"))])
def test_tables_3_and_4_run_by_run(case, names):
    settings = settings_of("pairwise").evaluation
    trials = [
        trial(names[0], 1, 0.8, right={"p": True, "q": True, "r": False}),
        trial(names[1], 1, 0.7, right={"p": False, "q": True, "r": False}),
    ]
    table = study.runs_table(trials, case, settings)
    printed = {"a": "88.23/85.29", "b": "88.23/85.29"}[case]
    assert table.rows[0][:2] == ["1", "80.00/70.00"]
    assert table.rows[0][4] == printed
    assert table.rows[1][1] == "–", "our second run was not made, theirs stands"
    assert table.rows[-1][1] == "80.00 (–)/70.00 (–)"
    (note,) = table.notes
    assert "3 paired decisions, 1 right by" in note
    assert "McNemar p = 1" in note
    assert "+33.3 points over 3 patients" in note


def test_the_paired_difference_is_that_of_all_decisions():
    """p is judged in three runs, q in one: three lost and one won of four are -50 points, not the patients' mean 0."""
    settings = settings_of("pairwise").evaluation
    trials = []
    for run in (1, 2, 3):
        only = {"q": (True, False)} if run == 1 else {}
        for method, side in (("Prop-A", 0), ("Bas-1", 1)):
            right = {"p": bool(side)} | {name: pair[side] for name, pair in only.items()}
            trials.append(trial(method, run, 0.5, right=right))
    note = study.paired_test(trials, "Prop-A", "Bas-1", settings)
    assert "-50.0 points over 2 patients" in note
    assert "judged more than once" in note


@pytest.mark.parametrize(
    ("case", "enlarged", "background", "method", "accuracy"),
    [
        ("a", True, "0.33", "Prop-A", "88.82 (6.37)"),
        ("a", False, "0.33", "Bas-1", "85.88 (3.22)"),
        ("a", True, "1.0", "Prop-A without mask", "81.15 (3.34)"),
        ("b", True, "0.33", "Prop-B", "88.23 (6.57)"),
        ("b", True, "1.0", "Prop-B", "88.23 (6.57)"),
        ("b", False, "0.33", "Bas-2", "84.09 (6.78)"),
    ],
)
def test_a_classifier_stands_beside_the_row_of_its_method(case, enlarged, background, method, accuracy):
    task = ClassifierTask.__new__(ClassifierTask)
    overrides = [f"study.case={case}", f"classifier.mask_background={background}"]
    task.settings, task.enlarged = settings_of("classifier", overrides=overrides), enlarged or None
    level = dict.fromkeys(MEASURES, 0.75) | {"n": 4, "majority_rate": 0.6}
    level["interval"] = dict.fromkeys(MEASURES, (0.5, 1))
    metrics = {name: {"slices": level, "patients": level} for name in ("validation", "test")}
    *_, row = diagnosis.quality_table(metrics, 0.95, task._method()).splitlines()
    assert row.startswith(f"| Ge 2020, {method}, test patients, 5 runs (std) | {accuracy} ")
    level["interval"] = level["interval"] | {"sensitivity": (0.75, 0.75)}
    lines = diagnosis.quality_table(metrics, 0.95, task._method()).splitlines()
    assert "| 75.0 (50.0 to 100.0) | 75.0 (–) " in lines[2]
    assert lines[-1].startswith("Where the interval is –, whoever is drawn anew gives the same number")
    assert "| Ge 2020, Bas-2 with mask, test patients," in diagnosis.quality_table(metrics, 0.95, "Bas-2", " with mask")


def test_table_5_and_6():
    table = study.table_5([trial("Prop-A", 1, 0.8), trial(study.UNMASKED, 1, 0.6)])
    assert [row[1] for row in table.rows] == ["80.00 (–)", "60.00 (–)"]
    assert [row[2] for row in table.rows] == ["88.82 (6.37)", "81.15 (3.34)"]
    one = {"S2": {"psnr": 20.0, "psnr_tumour": 15.0, "daef": 3.0, "daef_tumour": 5.0}, "test": {"psnr": 19.0}}
    table = study.table_6({"with mask": [one, one], "without mask": [one]})
    assert table.rows[0][1:] == ["20.00 (0.00)", "15.00 (0.00)", "3.00 (0.00)", "5.00 (0.00)"]
    assert table.rows[1][1:] == ["19.00 (0.00)", "–", "–", "–"]
    assert table.rows[2][1:] == ["24.39 (0.06)", "26.14 (0.13)", "132.40 (17.05)", "275.96 (7.93)"]
    assert "DAEF depends on the autoencoder" in table.markdown()
