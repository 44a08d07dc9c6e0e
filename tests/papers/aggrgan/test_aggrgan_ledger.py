"""Mukherjee et al. 2022, number by number: what the paper prints, and where, against the settings, the code and Tables
1 to 5.

The numbers of this file are typed in from the paper. What other tests here check against the paper is left to them: the
layers of Figure 9, eqs. (1) to (7) and (10) to (16), Algorithm 1, the shares of Cases 1 to 3.
"""

import re
from types import SimpleNamespace

import keras
import ledger
import pytest

from kerasgan.experiment.tasks import TASKS
from kerasgan.gan import losses
from kerasgan.papers import settings_of
from kerasgan.papers.aggrgan import aggregation, networks, published, study
from kerasgan.settings import flat

# Setting, value, section: RD "Results and discussion" or M "Methodology". Words that are the package's own have the
# paper's beside them.
LEDGER = [
    ("data.slices_per_view", 3, "RD"),  # 1107 images of 369 files
    ("split.train", 0.64, "RD"),  # 80:20; of the 80, 20 % for validation
    ("split.validation", 0.16, "RD"),
    ("split.test", 0.2, "RD"),
    ("study.tumours", ["glioma", "meningioma", "pituitary"], "RD"),
    ("study.sequence", "t1e", "RD"),  # T1-weighted contrast-enhanced
    ("study.modalities", ["t1", "t1e", "t2", "flair"], "RD"),
    ("network.dropout", 0.25, "M"),
    ("dcgan1.batch_size", 64, "M"),
    ("dcgan1.learning_rate", 0.0002, "M"),
    ("dcgan1.epochs", 1000, "M"),
    ("dcgan2.batch_size", 128, "M"),
    ("dcgan2.learning_rate", 0.0002, "M"),
    ("dcgan2.epochs", 650, "M"),
    ("wgandiv.batch_size", 32, "M"),
    ("wgandiv.learning_rate", 0.001, "M"),
    ("wgandiv.epochs", 1000, "M"),
    ("wgandiv.points", "mixed", "M"),  # a linear combination of real and fake
    ("aggregation.images", 300, "RD"),
    ("style.weights", "imagenet", "M"),  # VGG-19
    ("style.style_layers", [f"block{i}_conv1" for i in (1, 2, 3, 4, 5)], "M"),  # 1_1, 2_1, 3_1, 4_1, 5_1
    ("style.content_layer", "block4_conv2", "M"),  # 4_2
    ("style.content", 5, "M"),
    ("style.style", 100, "M"),
    ("style.variation", 0.001, "M"),
    ("style.iterations", 2000, "M"),
    ("classification.networks", ["inceptionresnetv2", "vgg19", "resnet152v2", "small"], "RD"),  # small is ours
    ("classification.epochs", 20, "RD"),
    ("classification.batch_size", 32, "RD"),
    ("classification.augmented", 100, "RD"),
]

# Of each class, the rows of Tables 1 and 2 in the paper's order (SSIM, PSNR, KL divergence, SD): DCGAN-1, DCGAN-1 and
# style transfer, DCGAN-2, ..., WGAN, ..., AGGrGAN (SSIM), AGGrGAN (PSNR); of Tables 3 and 4 LSGAN, InfoGAN.
TABLES = {
    "TABLE_1": """
    glioma: 0.39 17.33 0.23 28.52, 0.56 17.80 0.37 29.68, 0.40 15.55 0.34 28.04,
        0.55 16.85 0.45 29.73, 0.42 17.31 0.36 28.14, 0.52 17.65 0.45 29.48,
        0.57 17.85 0.50 29.78, 0.55 17.97 0.44 29.50
    meningioma: 0.42 16.18 0.27 28.97, 0.49 16.21 0.63 29.47, 0.40 15.61 0.27 28.26,
        0.51 16.38 0.42 29.31, 0.46 17.92 0.40 28.64, 0.48 17.59 0.48 29.09,
        0.53 17.13 0.40 29.61, 0.51 17.49 0.57 29.56
    pituitary: 0.37 15.35 0.38 28.54, 0.44 15.83 0.46 28.66, 0.37 16.42 0.34 27.71,
        0.42 16.53 0.21 28.34, 0.40 16.91 0.39 28.11, 0.42 16.87 0.28 28.35,
        0.47 16.93 0.34 28.75, 0.44 17.12 0.19 28.54""",
    "TABLE_2": """
    t1: 0.47 17.9 5.05 28.52, 0.69 19.69 1.71 28.91, 0.68 19.69 3.83 27.70,
        0.76 20.61 1.17 29.05, 0.62 20.62 2.37 27.51, 0.76 21.07 1.34 28.99,
        0.77 21.14 1.16 29.14, 0.74 22.12 1.10 29.10
    t1e: 0.48 18.60 3.93 28.51, 0.72 21.53 1.76 28.96, 0.65 19.70 1.53 27.57,
        0.79 22.10 1.23 28.81, 0.61 20.20 2.37 27.52, 0.82 22.85 1.19 29.12,
        0.83 23.30 1.11 29.15, 0.82 23.68 0.99 29.07
    t2: 0.49 18.76 3.70 28.41, 0.68 19.71 1.92 28.86, 0.69 19.67 3.54 27.82,
        0.77 20.63 1.21 29.55, 0.60 21.14 2.40 27.46, 0.77 21.28 1.25 29.10,
        0.80 21.60 1.20 29.63, 0.78 21.94 1.15 29.11
    flair: 0.48 17.81 1.65 29.05, 0.65 19.05 1.34 28.54, 0.65 21.27 1.48 27.62,
        0.76 21.33 1.27 28.93, 0.54 19.91 2.06 27.49, 0.77 21.04 1.32 29,
        0.78 21.90 1.26 29.11, 0.77 21.77 1.18 29.35""",
    "TABLE_3": """
    glioma: 0.48 17.52 0.26 28.57, 0.43 17.22 0.28 28.63
    meningioma: 0.45 17.96 0.25 28.75, 0.43 16.48 0.31 28.18
    pituitary: 0.38 16.61 0.31 27.68, 0.44 16.75 0.24 27.80""",
    "TABLE_4": """
    t1: 0.69 20.17 1.14 27.53, 0.76 21.35 3.55 27.82
    t1e: 0.58 20.31 1.52 27.49, 0.72 19.51 1.87 27.64
    t2: 0.68 20.16 1.39 27.60, 0.75 21.56 2.63 27.75
    flair: 0.63 19.91 1.49 27.49, 0.68 17.47 2.08 27.76""",
}
BASE = [name + suffix for name in ("DCGAN-1", "DCGAN-2", "WGAN") for suffix in ("", " + style transfer")]
METHODS = {8: [*BASE, "AGGrGAN (SSIM)", "AGGrGAN (PSNR)"], 2: ["LSGAN", "InfoGAN"]}
# InceptionResNetV2, VGG19, ResNet152V2 in Case-1, Case-2, Case-3 (a), (b), (c): brain tumor dataset, then BraTS 2020.
TABLE_5 = """
    44.43 77.12 58.45
    78.15 81.23 78.56
    87.29 90.12 92.24
    90.35 92.70 93.88
    90.11 93.41 92.47
    59.05 61.79 53.12
    86.17 88.28 85.65
    88.57 91.27 88.18
    89.72 94.24 92.80
    90.20 93.66 92.03"""


@pytest.mark.parametrize(("key", "value", "section"), LEDGER, ids=[key for key, *_ in LEDGER])
def test_the_default_is_the_papers(key, value, section):
    assert flat(settings_of("dcgan1"))[key] == value
    assert ledger.stated("aggrgan")[key] == section


def test_nothing_else_is_marked_stated_and_nothing_is_without_a_reason():
    assert ledger.comments("aggrgan").keys() <= flat(settings_of("dcgan1")).keys()
    assert ledger.stated("aggrgan").keys() == {key for key, *_ in LEDGER}
    assert ledger.unexplained("aggrgan") == []


@pytest.mark.parametrize(("model", "rate"), [("dcgan1", 0.0002), ("dcgan2", 0.0002), ("wgandiv", 0.001)])
def test_optimizers_are_adam(model, rate):
    optimizer = TASKS[model].optimizer(SimpleNamespace(training=getattr(settings_of(model), model)))
    assert type(optimizer) is keras.optimizers.Adam
    assert float(optimizer.learning_rate.value) == pytest.approx(rate)


def test_each_plays_for_its_equation():
    dcgan, wgan, lsgan = (TASKS[name].game(SimpleNamespace(penalty=len)) for name in ("dcgan1", "wgandiv", "lsgan"))
    assert dcgan.critic_loss is losses.non_saturating_discriminator  # the discriminator's side of eq. (8)
    assert dcgan.generator_loss is losses.non_saturating_generator
    assert (wgan.critic_loss, wgan.generator_loss) == (losses.wasserstein_critic, losses.wasserstein_generator)
    assert wgan.penalty is len and dcgan.penalty is None  # eqs. (10), (11)
    assert lsgan.critic_loss is losses.least_squares_discriminator


def test_numbers_that_stand_beside_the_code():
    assert networks.KERNEL == 4  # M: 4 * 4 in both
    split = settings_of("dcgan1").split
    assert split.validation / (split.train + split.validation) == pytest.approx(0.2)  # RD: of the training data
    assert aggregation.GREY_LEVELS == 255  # RD, eq. (2)
    assert study.BASE == ("dcgan1", "dcgan2", "wgandiv")  # M: three GANs
    assert study.COMPARED_ROWS == ("LSGAN", "InfoGAN", "AGGrGAN (SSIM)")  # RD: compared by SSIM alone
    assert list(aggregation.METRICS) == ["ssim", "psnr"]  # M, Algorithm 1


@pytest.mark.parametrize("name", TABLES)
def test_tables_are_printed_so(name):
    expected = {}
    for category, rows in re.findall(r"(\w+): ([^:]+)(?=\n    \w|$)", TABLES[name]):
        rows = [tuple(map(float, row.split())) for row in rows.split(",")]
        expected |= {(category, method): row for method, row in zip(METHODS[len(rows)], rows, strict=True)}
    assert getattr(published, name) == expected


def test_table_5_is_printed_so():
    cells = [list(map(float, line.split())) for line in TABLE_5.strip().splitlines()]
    cnns = ("inceptionresnetv2", "vgg19", "resnet152v2")
    cases = ("Case-1", "Case-2", "Case-3 (a)", "Case-3 (b)", "Case-3 (c)")
    keys = [(dataset, case) for dataset in ("brain tumor dataset", "BraTS 2020") for case in cases]
    assert {key: list(row.values()) for key, row in published.TABLE_5.items()} == dict(zip(keys, cells, strict=True))
    assert {tuple(row) for row in published.TABLE_5.values()} == {cnns}
