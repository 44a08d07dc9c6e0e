import numpy as np
import pytest

from kerasgan.errors import UserError
from kerasgan.metrics.overlap import hard_dice, iou

# Three slices of 2 x 3 pixels: TP 2, FP 1, FN 1; nothing found of 2; all of it found.
MASK = np.array([[[1, 1, 1], [0, 0, 0]], [[1, 0, 0], [1, 0, 0]], [[0, 1, 0], [0, 0, 0]]])
FOUND = np.array([[[1, 1, 0], [0, 0, 1]], [[0, 0, 0], [0, 0, 0]], [[0, 1, 0], [0, 0, 0]]])


def test_hard_dice_by_hand():
    np.testing.assert_allclose(hard_dice(FOUND, MASK), [4 / 6, 0, 1])


def test_iou_by_hand():
    np.testing.assert_allclose(iou(FOUND, MASK), [2 / 4, 0, 1])


@pytest.mark.parametrize("measure", [hard_dice, iou])
def test_both_empty_is_one_and_one_empty_is_zero(measure):
    empty, full = np.zeros((1, 4, 4, 1)), np.ones((1, 4, 4, 1))
    assert measure(empty, empty)[0] == 1
    assert measure(full, empty)[0] == 0
    assert measure(empty, full)[0] == 0


@pytest.mark.parametrize("measure", [hard_dice, iou])
def test_a_probability_counts_above_one_half(measure):
    mask = np.array([[1, 1, 0, 0]])
    assert measure(np.array([[0.9, 0.51, 0.5, 0.1]]), mask)[0] == 1  # 0.5 itself does not count


@pytest.mark.parametrize("measure", [hard_dice, iou])
def test_slices_of_a_volume_can_be_pooled(measure):
    pooled = measure(FOUND[None], MASK[None])  # TP 3, FP 1, FN 3
    assert pooled.shape == (1,)
    assert pooled[0] == pytest.approx({hard_dice: 6 / 10, iou: 3 / 7}[measure])


def test_dice_and_iou_agree_and_are_symmetric():
    rng = np.random.default_rng(3)
    found, mask = rng.random((2, 20, 8, 8)) > 0.6
    np.testing.assert_allclose(hard_dice(found, mask), 2 * iou(found, mask) / (1 + iou(found, mask)))
    np.testing.assert_array_equal(iou(found, mask), iou(mask, found))


@pytest.mark.parametrize("measure", [hard_dice, iou])
def test_what_is_no_mask_is_refused(measure):
    with pytest.raises(ValueError, match="0 and 1 alone"):
        measure(FOUND, 4 * MASK)  # BraTS's label of the enhancing tumour
    with pytest.raises(ValueError, match="shape"):
        measure(FOUND, MASK[..., None])
    with pytest.raises(UserError, match="1 of 18 predicted pixels are not a number"):
        measure(np.where(np.arange(18).reshape(3, 2, 3) == 4, np.nan, 0.3), MASK)
