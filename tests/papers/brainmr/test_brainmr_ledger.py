"""Han et al. 2018, number by number: what the paper prints, and where, against the settings, the code and Table 1.

The numbers of this file are typed in from the paper.
"""

from types import SimpleNamespace

import keras
import ledger
import numpy as np
import pytest

from kerasgan.data.slices import select
from kerasgan.experiment.tasks import TASKS
from kerasgan.gan import losses
from kerasgan.papers import settings_of
from kerasgan.papers.brainmr import published, training
from kerasgan.settings import flat

# Setting, value, section. Words that are the package's own have the paper's beside them.
LEDGER = [
    ("data.size", 128, "3.2.1"),
    ("data.views", ["sagittal"], "3.1"),
    ("data.selection", "range", "3.2.1"),  # "from #80 to #149"
    ("data.slice_range", [pytest.approx(80 / 239, abs=1e-4), pytest.approx(149 / 239, abs=1e-4)], "3.2.1"),
    ("data.aspect", "stretch", "3.2.1"),  # "resized to both 64*64 and 128*128 from 240*155"
    ("study.label", "grade", "3.1"),
    ("study.value", "HGG", "3.1"),
    ("study.held_out", False, "3.2.1"),  # 15,400 images of each sequence: all 220 patients
    ("dcgan.batch_size", 64, "3.2.2"),
    ("dcgan.learning_rate", 2.0e-4, "3.2.2"),
    ("wgan.batch_size", 64, "3.2.2"),
    ("wgan.learning_rate", 5.0e-5, "3.2.2"),
    ("turing.images", 50, "3.3"),
]


@pytest.mark.parametrize(("key", "value", "section"), LEDGER, ids=[key for key, *_ in LEDGER])
def test_the_default_is_the_papers(key, value, section):
    assert flat(settings_of("dcgan"))[key] == value
    assert ledger.stated("brainmr")[key] == section


def test_nothing_else_is_marked_stated_and_nothing_is_without_a_reason():
    assert ledger.comments("brainmr").keys() <= flat(settings_of("dcgan")).keys()
    assert ledger.stated("brainmr").keys() == {key for key, *_ in LEDGER}
    assert ledger.unexplained("brainmr") == []


def test_70_slices_of_240_are_15400_images_of_220_patients():
    """3.2.1: #80 to #149 of 240 x 240 x 155 voxels; 61,600 in all four sequences."""
    chosen = select(np.zeros((240, 240, 155), np.uint8), "sagittal", settings_of("dcgan").data)
    assert chosen == list(range(80, 150))
    assert 220 * len(chosen) == 15_400 and 4 * 15_400 == 61_600


def test_images_are_made_in_the_two_sizes_of_3_2_1():
    assert set(training.SIZES) == {64, 128}


@pytest.mark.parametrize(
    ("model", "kind", "rate"), [("dcgan", keras.optimizers.Adam, 0.0002), ("wgan", keras.optimizers.RMSprop, 0.00005)]
)
def test_optimizers_of_3_2_2(model, kind, rate):
    optimizer = TASKS[model].optimizer(SimpleNamespace(settings=settings_of(model)))
    assert type(optimizer) is kind
    assert float(optimizer.learning_rate.value) == pytest.approx(rate)


def test_dcgan_plays_for_equation_1_and_wgan_for_the_distance_of_equation_2():
    dcgan, wgan = (TASKS[model].game(SimpleNamespace(settings=settings_of(model))) for model in ("dcgan", "wgan"))
    assert dcgan.critic_loss is losses.non_saturating_discriminator  # the discriminator's side of eq. (1)
    assert dcgan.generator_loss is losses.non_saturating_generator  # the deviation that the package names
    assert (wgan.critic_loss, wgan.generator_loss) == (losses.wasserstein_critic, losses.wasserstein_generator)
    assert dcgan.constrain is None and wgan.constrain is not None


# Accuracy (%), real selected as real, real as synthetic, synthetic as real, synthetic as synthetic.
TABLE_1 = """
T1 (DCGAN, 128x128)      70  26 24  6 44
T1c (DCGAN, 128x128)     71  24 26  3 47
T2 (DCGAN, 128x128)      64  22 28  8 42
FLAIR (DCGAN, 128x128)   54  12 38  8 42
Concat (DCGAN, 128x128)  77  34 16  7 43
Concat (DCGAN, 64x64)    54  13 37  9 41
T1 (WGAN, 128x128)       64  20 30  6 44
T1c (WGAN, 128x128)      55  13 37  8 42
T2 (WGAN, 128x128)       58  19 31 11 39
FLAIR (WGAN, 128x128)    62  16 34  4 46
Concat (WGAN, 128x128)   66  31 19 15 35
Concat (WGAN, 64x64)     53  18 32 15 35
"""


def test_table_1_is_the_printed_one():
    printed = {}
    for line in TABLE_1.strip().splitlines():
        name, numbers = line.split(")")
        sequence, rest = name.split(" (")
        model, size = rest.split(", ")
        sequence = {"T1c": "t1e"}.get(sequence, sequence.lower())
        printed[model.lower(), sequence, int(size.split("x")[0])] = tuple(map(int, numbers.split()))
    assert list(published.TABLE_1.items()) == list(printed.items())
