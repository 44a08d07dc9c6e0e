"""The printed numbers, against sums made from the paper's text and against what the text says of its tables."""

import numpy as np
import pytest

from kerasgan.papers.aggrgan.published import (
    AGGRGAN_PSNR,
    AGGRGAN_SSIM,
    BRATS,
    CASES,
    DCGAN_1,
    DCGAN_2,
    INFOGAN,
    LSGAN,
    STYLED,
    TABLE_1,
    TABLE_2,
    TABLE_3,
    TABLE_4,
    TABLE_5,
    TUMOUR_SET,
    WGAN,
)

TUMOURS, SEQUENCES = ("glioma", "meningioma", "pituitary"), ("t1", "t1e", "t2", "flair")
BASE = (DCGAN_1, DCGAN_2, WGAN)
OF_TABLES_1_AND_2 = {*BASE, *(name + STYLED for name in BASE), AGGRGAN_SSIM, AGGRGAN_PSNR}
SSIM, PSNR, KL, SD = range(4)


@pytest.mark.parametrize(
    ("table", "categories", "methods", "sums"),
    [
        (TABLE_1, TUMOURS, OF_TABLES_1_AND_2, [11.09, 404.78, 9.17, 692.78]),
        (TABLE_2, SEQUENCES, OF_TABLES_1_AND_2, [22.19, 663.61, 59.77, 916.66]),
        (TABLE_3, TUMOURS, {LSGAN, INFOGAN}, [2.61, 102.54, 1.65, 169.61]),
        (TABLE_4, SEQUENCES, {LSGAN, INFOGAN}, [5.49, 160.44, 15.67, 221.08]),
    ],
)
def test_each_column_adds_up_as_in_the_paper(table, categories, methods, sums):
    assert set(table) == {(category, method) for category in categories for method in methods}
    np.testing.assert_allclose(np.sum(list(table.values()), axis=0), sums)


def test_names_are_the_papers():
    assert (DCGAN_1 + STYLED, AGGRGAN_PSNR) == ("DCGAN-1 + style transfer", "AGGrGAN (PSNR)")


def best(table, category, column, choose=max):
    return choose((method for own, method in table if own == category), key=lambda name: table[category, name][column])


def test_what_the_text_says_of_tables_1_and_2_holds():
    for table, categories in ((TABLE_1, TUMOURS), (TABLE_2, SEQUENCES)):
        for category in categories:
            assert best(table, category, SSIM) == AGGRGAN_SSIM
            for name in BASE:
                assert table[category, name + STYLED][SSIM] > table[category, name][SSIM]
    assert [best(TABLE_1, category, PSNR) for category in TUMOURS] == [AGGRGAN_PSNR, WGAN, AGGRGAN_PSNR]
    assert [best(TABLE_1, category, KL, min) for category in TUMOURS] == [DCGAN_1, DCGAN_1, AGGRGAN_PSNR]
    assert [best(TABLE_1, category, SD) for category in TUMOURS] == [AGGRGAN_SSIM] * 3
    assert [best(TABLE_2, category, KL, min) for category in SEQUENCES] == [AGGRGAN_PSNR] * 4


def test_what_the_text_says_of_tables_3_and_4_holds():
    for base, table in ((TABLE_1, TABLE_3), (TABLE_2, TABLE_4)):
        for category, method in table:
            for column in (SSIM, SD):
                assert table[category, method][column] < base[category, AGGRGAN_SSIM][column]
    assert TABLE_3["glioma", LSGAN][KL] < TABLE_3["glioma", INFOGAN][KL]
    assert TABLE_4["t1", INFOGAN][PSNR] > TABLE_2["t1", AGGRGAN_SSIM][PSNR]


def test_table_5_adds_up_and_bears_the_text_out():
    assert set(TABLE_5) == {(dataset, case) for dataset in (TUMOUR_SET, BRATS) for case in CASES}
    columns = {name: sum(row[name] for row in TABLE_5.values()) for name in TABLE_5[BRATS, "Case-1"]}
    expected = {"inceptionresnetv2": 804.04, "vgg19": 863.82, "resnet152v2": 827.38}
    assert columns == pytest.approx(expected)
    for dataset in (TUMOUR_SET, BRATS):
        case_2 = TABLE_5[dataset, "Case-2"].values()
        assert max(case_2) - min(case_2) < 4
        for name in expected:
            assert TABLE_5[dataset, "Case-1"][name] < TABLE_5[dataset, "Case-2"][name]
    # "Case-3(b) outperforms Case-3(c)" but for these two
    worse = {
        (d, n) for d in (TUMOUR_SET, BRATS) for n, a in TABLE_5[d, CASES[3]].items() if a < TABLE_5[d, CASES[4]][n]
    }
    assert worse == {(TUMOUR_SET, "vgg19"), (BRATS, "inceptionresnetv2")}
