"""Alam et al., number by number: what the paper prints, and where, against the settings, the code and Table 1.

The numbers of this file are typed in from the paper. What other tests here check against the paper is left to them:
eq. (2), the noise in [-1, 1], the flips; sensitivity, specificity and harmonic mean: tests of metrics and evaluation.
"""

from types import SimpleNamespace

import keras
import ledger
import numpy as np
import pytest

from kerasgan.data.slices import corners, select
from kerasgan.papers import settings_of
from kerasgan.papers.pggan import published, training
from kerasgan.settings import flat

# Setting, value, section. Words that are the package's own have the paper's beside them.
LEDGER = [
    ("data.size", 256, "4.1"),
    ("data.frame", 320, "3.1"),
    ("data.selection", "range", "3.1"),  # "from #30 to #120"
    ("data.slice_range", [pytest.approx(30 / 199, abs=1e-4), pytest.approx(120 / 199, abs=1e-4)], "3.1"),
    ("study.label", "class", "3.1"),  # "abnormal and normal"
    ("study.negative", "normal", "3.1"),
    ("study.positive", "abnormal", "3.1"),
    ("network.class_from", 64, "3.1"),  # "in a high-resolution phase"
    ("pggan.batch_size", 4, "3.1"),
    ("pggan.learning_rate", 2.0e-4, "3.1"),
    ("pggan.steps", 20000, "3.1"),
    ("pggan.flip_every", 3, "3.1"),  # "once in three times"
    ("gan_train.backbone", "vgg16", "4.1"),
    ("phantom.patients", 12, "3.1"),
    ("phantom.head", "neonate", "3.1"),
]


@pytest.mark.parametrize(("key", "value", "section"), LEDGER, ids=[key for key, *_ in LEDGER])
def test_the_default_is_the_papers(key, value, section):
    assert flat(settings_of("pggan"))[key] == value
    assert ledger.stated("pggan")[key] == section


def test_nothing_else_is_marked_stated_and_nothing_is_without_a_reason():
    assert ledger.comments("pggan").keys() <= flat(settings_of("pggan")).keys()
    assert ledger.stated("pggan").keys() == {key for key, *_ in LEDGER}
    assert ledger.unexplained("pggan") == []


def test_slices_30_to_120_of_200_are_cut_into_several_patches():
    """3.1, 4.1."""
    data = settings_of("pggan").data
    assert select(np.zeros((2, 2, 200), np.uint8), "axial", data) == list(range(30, 121))
    places = corners(data).values()
    assert len(places) == 4
    assert {rows.stop - rows.start for place in places for rows in place} == {256}
    assert max(rows.stop for place in places for rows in place) == 320


def test_growth_begins_at_4_pixels():
    """3.1."""
    assert settings_of("pggan").resolutions[0] == 4


def test_the_optimizer_of_3_1_is_adam():
    task = SimpleNamespace(training=settings_of("pggan").pggan)
    optimizer = training.GrowthStage._adam(SimpleNamespace(task=task))
    assert type(optimizer) is keras.optimizers.Adam
    assert float(optimizer.learning_rate.value) == pytest.approx(2.0e-4)


def test_table_1_is_printed_so():
    assert published.TABLE_1 == {  # Sen, Spe, HM
        "PGGAN": (0.762, 0.712, 0.736),
        "DCGAN": (0.584, 0.613, 0.598),
        "Real data": (0.883, 0.885, 0.883),
    }
