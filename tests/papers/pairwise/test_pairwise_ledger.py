"""Ge et al. 2020, number by number: what the paper prints, and where, against the settings, the code and Tables 1 to 7.

The numbers of this file are typed in from the paper. What other tests here check against the paper is left to them:
the layers of Figure 3 and of the autoencoder, eqs. (1) to (4) and (7), Algorithm 1, the counts of S1 to S5.
"""

import re

import ledger
import numpy as np
import pytest
import tensorflow as tf

from kerasgan.data.prepare import open_prepared
from kerasgan.gan.optimizers import Keras2Adagrad
from kerasgan.papers import settings_of
from kerasgan.papers.pairwise import classifier, published, study
from kerasgan.settings import flat

# Setting, value, section. Words that are the package's own have the paper's beside them.
LEDGER = [
    ("data.size", 128, "III-A1"),
    ("data.views", ["axial", "coronal", "sagittal"], "II-C"),
    ("data.slices_per_view", 6 / 3, "III-A2"),  # six slices of each scan, in three views
    ("split.train", 0.60, "III-A2"),
    ("split.validation", 66 / 330, "Table 1(b)"),
    ("split.test", 66 / 330, "Table 1(b)"),
    ("split.scheme", "random", "III-B"),
    ("split.partitions", 5, "III-B"),
    ("study.removed", 0.06, "III-A2"),
    ("loss.mask_background", 1 / 3, "II-B3"),
    ("training.epochs", 1000, "III-A1"),
    ("training.learning_rate", 0.0002, "III-A1"),
    ("training.keep", "latest", "Algorithm 1"),
    ("classifier.modalities", ["t1", "t1e", "t2", "flair"], "II-D1"),
    ("classifier.positive", "mutant", "III-A3"),
    ("classifier.negative", "wildtype", "III-A3"),
    ("classifier.positive_weight", 2, "III-A1"),
    ("classifier.negative_weight", 1, "III-A1"),
    ("classifier.flip", True, "III-A1"),
    ("classifier.shift", 0.10, "III-A1"),
    ("classifier.optimizer", "keras2_adagrad", "III-A1"),  # "Adagrad", of a Keras before 3
    ("classifier.stage1.epochs", 100, "III-A1"),
    ("classifier.stage1.learning_rates", [0.0001, 0.00001, 0.000001], "III-A1"),
    ("classifier.stage1.until", [30, 60], "III-A1"),
    ("classifier.stage2.epochs", 50, "III-A1"),
    ("classifier.stage2.learning_rates", [0.000001], "III-A1"),
    ("classifier.vote", "majority", "eq. (6)"),
    ("classifier.network.dense", [256, 256], "II-D1"),
    ("autoencoder.filters", [64, 64, 128, 128, 256, 256, 512, 512], "III-E2"),
    ("autoencoder.strides", [1, 2, 1, 2, 1, 2, 1, 2], "III-E2"),  # "2 every other layer"
    ("phantom.idh_fraction", pytest.approx(55 / 167, abs=1e-3), "Table 1(a)"),
]
# From which modality a missing one is made: named first, and the two that may follow.
SYNTHESIS = {"t1": ("t1e", {"flair", "t2"}), "t1e": ("t1", {"flair", "t2"})}
SYNTHESIS |= {"t2": ("flair", {"t1", "t1e"}), "flair": ("t2", {"t1", "t1e"})}


@pytest.mark.parametrize(("key", "value", "section"), LEDGER, ids=[key for key, *_ in LEDGER])
def test_the_default_is_the_papers(key, value, section):
    assert flat(settings_of("pairwise"))[key] == value
    assert ledger.stated("pairwise")[key] == section


@pytest.mark.parametrize("missing", SYNTHESIS)
def test_a_missing_modality_is_made_from_the_one_that_suits_best(missing):
    first, others = SYNTHESIS[missing]
    sources = getattr(settings_of("pairwise").synthesis, missing)
    assert (sources[0], set(sources[1:])) == (first, others)
    assert ledger.stated("pairwise")[f"synthesis.{missing}"] == "II-B1"


def test_nothing_else_is_marked_stated_and_nothing_is_without_a_reason():
    assert ledger.comments("pairwise").keys() <= flat(settings_of("pairwise")).keys()
    known = {key for key, *_ in LEDGER} | {f"synthesis.{missing}" for missing in SYNTHESIS}
    assert ledger.stated("pairwise").keys() == known
    assert ledger.unexplained("pairwise") == []


# ---- the classifier's training (III-A1) and mask (III-A2) ----


def test_stage_1_has_its_rates_in_the_papers_epochs():
    rate = classifier.schedule(settings_of("pairwise").classifier.stage1, steps_per_epoch=7)
    for first, last, expected in ((1, 30, 0.0001), (31, 60, 0.00001), (61, 100, 0.000001)):
        for step in (7 * (first - 1), 7 * last - 1):
            assert float(rate(step)) == pytest.approx(expected), (first, last)


@pytest.fixture
def stage(prepared_folder, small_overrides, tmp_path):
    settings = settings_of("pairwise", overrides=small_overrides)
    task = classifier.ClassifierTask(settings, open_prepared(prepared_folder), classifier.ClassifierTask.target())
    stage = task.stages[0]
    stage.build(tmp_path)
    return stage


def test_a_mutation_weighs_twice_as_much_and_the_optimizer_is_adagrad(stage):
    def undecided(images, training):
        return {"logits": tf.zeros((1, 2))}

    batch = {name: None for name in stage.subset.modalities}
    losses = [float(stage.model.objective(undecided, batch | {"label": tf.constant([k])})["loss"]) for k in (0, 1)]
    assert losses == pytest.approx([1 * np.log(2), 2 * np.log(2)])
    assert type(stage.model.optimizers["network"]) is Keras2Adagrad


def test_the_mask_leaves_the_tumour_and_a_third_of_the_background():
    """The weights of II-B3 on the intensity above black, which is -1."""
    image, tumour = np.float32([-1, 0.5, 0.5, -1]), np.array([False, False, True, True])
    expected = [-1, 1.5 / 3 - 1, 0.5, -1]
    np.testing.assert_allclose(classifier.enhance(image, tumour, 1 / 3), expected, atol=1e-7)
    tensors = tf.constant(image), tf.constant(tumour)
    np.testing.assert_allclose(classifier.enhance(*tensors, 1 / 3), expected, atol=1e-7)
    np.testing.assert_array_equal(classifier.enhance(image, tumour, 1.0), image)


# ---- tables ----

MEASURES = ("accuracy", "sensitivity", "specificity")

# Mean (standard deviation) in %: accuracy, sensitivity, specificity.
MEANS = {
    "Prop-A": "88.82 (6.37) 81.81 (11.13) 92.17 (4.77)",  # Tables 2, 3 and 5, with mask
    "Prop-B": "88.23 (6.57) 79.99 (14.94) 92.17 (4.77)",  # Tables 2 and 4
    "Bas-1": "85.88 (3.22) 69.08 (13.79) 93.91 (3.89)",  # Table 3
    "Bas-2": "84.09 (6.78) 67.27 (19.92) 92.17 (4.77)",  # Table 4
    "without mask": "81.15 (3.34) 65.44 (9.95) 88.69 (4.95)",  # Table 5
}


def statistics(text, names=MEASURES):
    """Name -> (mean, standard deviation), in the order of the names."""
    found = [(float(mean), float(std)) for mean, std in re.findall(r"([\d.]+) \(([\d.]+)\)", text)]
    return list(zip(names, found, strict=True))


def listed(table):
    return {name: list(values.items()) for name, values in table.items()}


def test_tables_2_and_5_and_the_means_of_3_and_4_are_the_printed_ones():
    means = {name: statistics(text) for name, text in MEANS.items()}
    assert listed(published.TABLE_2) == {name: means[name] for name in ("Prop-A", "Prop-B")}
    assert listed(published.TABLE_3_MEANS) == {name: means[name] for name in ("Prop-A", "Bas-1")}
    assert listed(published.TABLE_4_MEANS) == {name: means[name] for name in ("Prop-B", "Bas-2")}
    assert listed(published.TABLE_5) == {"with mask": means["Prop-A"], "without mask": means["without mask"]}


TABLE_3 = """
1  88.23/85.29  81.81/63.63  91.30/95.65
2  91.17/91.17  90.90/90.90  91.30/91.30
3  79.41/85.29  63.63/72.72  86.95/91.30
4  97.05/85.29  90.90/54.54  100.00/100.00
5  88.23/82.35  81.81/63.63  91.30/91.30
"""
TABLE_4 = """
1  88.23/85.29  81.81/72.72  91.30/91.30
2  91.17/91.17  90.90/90.90  91.30/91.30
3  79.41/73.52  54.54/36.36  91.30/91.30
4  97.05/88.23  90.90/63.63  100.00/100.00
5  85.29/82.25  81.81/72.72  86.95/86.95
"""


@pytest.mark.parametrize(
    ("found", "text", "names"),
    [(published.TABLE_3, TABLE_3, ("Prop-A", "Bas-1")), (published.TABLE_4, TABLE_4, ("Prop-B", "Bas-2"))],
    ids=["Table 3", "Table 4"],
)
def test_the_runs_of_tables_3_and_4_are_the_printed_ones(found, text, names):
    cells = [[cell.split("/") for cell in line.split()[1:]] for line in text.strip().splitlines()]
    printed = np.array(cells, float)  # run, measure, method
    assert found.keys() == set(names)
    for k, name in enumerate(names):
        assert listed(found)[name] == [(m, tuple(printed[:, i, k])) for i, m in enumerate(MEASURES)]


def test_table_6_is_the_printed_one():
    names = ("psnr", "psnr_tumour", "daef", "daef_tumour")
    assert listed(published.TABLE_6) == {
        "with mask": statistics("24.39 (0.06) 26.14 (0.13) 132.40 (17.05) 275.96 (7.93)", names),
        "without mask": statistics("25.99 (0.07) 25.69 (0.10) 137.25 (16.33) 277.00 (8.18)", names),
    }


def test_table_7_is_the_printed_one_and_stands_below_table_2():
    assert dict(published.TABLE_7) == {
        "Liang et al. 2018": (55, 112, 84.60),
        "Yu et al. 2017": (76, 34, 80.00),
        "Zhang et al. 2018": (70, 33, 80.00),
        "Chang et al. 2018": (233, 263, 85.70),
    }
    (note,) = study.table_2([], []).notes
    for part in ("Liang et al. 2018 84.60 (55/112)", "Chang et al. 2018 85.70 (233/263)"):
        assert part in note


def test_always_the_larger_class_is_right_in_138_of_the_204_test_slices_of_table_1b():
    (row,) = study.table_2([], []).rows
    assert row[2] == f"{100 * 138 / (66 + 138):.2f}"
