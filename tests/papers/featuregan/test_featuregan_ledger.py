"""Mehra et al. 2022, number by number: what the paper prints, and where, against the settings, the code and the tables.

The numbers of this file are typed in from the paper. What other tests here check against the paper is left to them: the
blocks of the U-Net, the maps of 15x15x1024, eqs. (1) to (5), the layers of the classifier.
"""

from types import SimpleNamespace

import keras
import ledger
import pytest

from kerasgan.data.splits import partition_patients
from kerasgan.papers import settings_of
from kerasgan.papers.featuregan import feature_classifier, feature_networks, generation, losses, published, segmentation
from kerasgan.settings import flat

# Setting, value, section. Words that are the package's own have the paper's beside them.
LEDGER = [
    ("data.size", 240, "3.5"),
    ("data.selection", "range", "3.5"),  # "every channel from each case is extracted"
    ("data.slice_range", [0, 1], "3.5"),
    ("split.train", 0.90, "3.5"),
    ("split.validation", 0, "4.1.1"),  # "we used test set as a validation set"
    ("split.test", 0.10, "3.5"),
    ("split.stratify", "grade", "4.1.1"),  # "per each class"
    ("study.modalities", ["flair"], "3.4"),
    ("study.label", "grade", "3.4"),
    ("study.negative", "LGG", "3.4"),
    ("study.positive", "HGG", "3.4"),
    ("study.validate_on", "test", "4.1.1"),
    ("unet.filters", [64, 128, 256, 512, 1024], "3.1"),  # 15x15x1024 after four poolings of u-net-brain-tumor
    ("unet.learning_rate", 0.00001, "4.1.2"),
    ("unet.epochs", 30, "4.1.2"),
    ("unet.batch_size", 10, "4.1.2"),
    ("unet.loss", "soft_dice", "4.1.2"),
    ("unet.validate_every", 1, "4.1.1"),
    ("unet.augmentation.flip_horizontally", 0.50, "Table 1"),
    ("unet.augmentation.flip_vertically", 0.50, "Table 1"),
    ("unet.augmentation.elastic_alpha", 720, "Table 1"),
    ("unet.augmentation.elastic_sigma", 24, "Table 1"),
    ("unet.augmentation.rotation", 20, "Table 1"),
    ("unet.augmentation.shift", 0.10, "Table 1"),
    ("unet.augmentation.shear", 0.05, "Table 1"),
    ("unet.augmentation.zoom", 0.10, "Table 1"),
    ("features.block", "encoder5", "4.1.4"),  # "the 5th convolutional block"
    ("acgan.learning_rate", 0.002, "4.2.2"),
    ("acgan.batch_size", 16, "4.2.2"),
    ("acgan.epochs", 50, "4.2.2"),
    ("acgan.samples", 4800, "4.2.3"),
    ("feature_classifier.dropout", 0.5, "4.2.4"),
    ("sweep.widths", [64, 256, 512], "4.2.2"),
    ("sweep.counts", [0, 200, 400, 600, 800, 1000, 1158, 1200], "4.2.4"),  # 1158 and 1200 are the paper's
    ("phantom.patients", 101, "3.4"),
]


@pytest.mark.parametrize(("key", "value", "section"), LEDGER, ids=[key for key, *_ in LEDGER])
def test_the_default_is_the_papers(key, value, section):
    assert flat(settings_of("unet"))[key] == value
    assert ledger.stated("featuregan")[key] == section


def test_nothing_else_is_marked_stated_and_nothing_is_without_a_reason():
    assert ledger.comments("featuregan").keys() <= flat(settings_of("unet")).keys()
    assert ledger.stated("featuregan").keys() == {key for key, *_ in LEDGER}
    assert ledger.unexplained("featuregan") == []


def test_61_and_40_patients_are_54_and_36_to_train_on_and_7_and_4_to_test():
    """3.5."""
    classes = {f"{grade}{n}": grade for grade, count in (("HGG", 61), ("LGG", 40)) for n in range(count)}
    (found,) = partition_patients(classes, settings_of("unet").split)
    counts = {
        subset: [sum(classes[name] == grade for name in own) for grade in ("HGG", "LGG")]
        for subset, own in found.items()
    }
    assert counts == {"train": [54, 36], "validation": [0, 0], "test": [7, 4]}


def test_optimizers_of_4_2_2_are_adam():
    own = settings_of("acgan").acgan
    optimizer = generation.AcganTask._adam(SimpleNamespace(training=own))
    assert type(optimizer) is keras.optimizers.Adam
    assert float(optimizer.learning_rate.value) == pytest.approx(0.002)


def test_numbers_that_stand_beside_the_code():
    assert feature_networks.HIDDEN == 3  # 3.2: "from 5 to 3"
    assert feature_networks.CLASSES == 2  # 3.3: HGG and LGG
    assert feature_classifier.BLOCKS == 2  # 4.2.4
    assert generation.MAPS == 25  # 4.2.3, Figures 9 and 10
    assert segmentation.PUBLISHED_SIZE == 240  # 3.5
    assert segmentation.LOSSES["soft_dice"] is losses.soft_dice  # eq. (3)


def test_tables_are_printed_so():
    assert published.TABLE_2 == (0.74, 0.79)
    assert published.CLASS_ACCURACY == {64: 0.76, 512: 0.823}  # 4.2.3
    assert published.TABLE_3 == {0: (0.95, 0.05, 0.61), 1158: (0.569, 0.384, 0.524)}  # HGG, LGG, total
