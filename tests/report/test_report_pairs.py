import numpy as np
import pytest
from PIL import Image

from kerasgan.report import pairs as module
from kerasgan.report.pairs import Pair, pairs_picture


@pytest.mark.parametrize("count", [1, 3, 4])
def test_pairs_stand_side_by_side(tmp_path, monkeypatch, count):
    shown = []
    monkeypatch.setattr(module, "show", lambda axis, image, name: shown.append((axis, float(image[0, 0]), name)))
    made = [
        Pair(
            np.full((8, 8), -0.1 * i),
            np.full((8, 8), 0.1 * i),
            f"s{i}",
            f"visit {i} t1 axial 80 of a long name",
            0.25 * i,
        )
        for i in range(1, count + 1)
    ]
    pairs_picture(tmp_path / "new" / "pairs.png", made, "title")
    with Image.open(tmp_path / "new" / "pairs.png") as picture:
        picture.verify()
    assert [value for _, value, _ in shown] == pytest.approx(
        [s * 0.1 * i for i in range(1, count + 1) for s in (-1, 1)]
    )
    assert shown[0][2] == "synthetic s1"
    assert shown[1][2].startswith("real visit 1") and shown[1][2].endswith("distance 0.25")
    for (left, *_), (right, *_) in zip(shown[::2], shown[1::2], strict=True):
        own, other = left.get_subplotspec(), right.get_subplotspec()
        assert own.rowspan == other.rowspan
        assert other.colspan.start == own.colspan.start + 1


def test_a_real_picture_is_drawn(tmp_path):
    black, white = np.full((16, 16), -1.0), np.ones((16, 16))
    pairs_picture(tmp_path / "pairs.png", [Pair(black, white, "a", "b", 1.0)], "two images")
    with Image.open(tmp_path / "pairs.png") as picture:
        grey = np.asarray(picture.convert("L")).astype(int)
    middle = grey[grey.shape[0] // 2]
    assert (middle == 0).sum() > 50 and (middle == 255).sum() > 50
