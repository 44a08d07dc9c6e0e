"""Pictures of many images."""

import numpy as np
from PIL import Image

from kerasgan.report.mosaics import mosaic, write_animation, write_mosaic


def test_mosaic_by_hand():
    images = np.array([[[-1.0]], [[1.0]], [[7.0]]])
    expected = np.zeros((4, 4), np.uint8)
    expected[0, 3] = expected[3, 0] = 255
    np.testing.assert_array_equal(mosaic(images, 2), expected)


def test_animation_shows_the_corner_of_each_frame(tmp_path):
    paths = [tmp_path / f"{i}.png" for i in range(3)]
    for i, path in enumerate(paths):
        write_mosaic(path, np.full((4, 8, 8), -1 + i / 2), 2)
    write_animation(tmp_path / "all.gif", paths, (8, 8))
    with Image.open(tmp_path / "all.gif") as animation:
        assert (animation.n_frames, animation.size) == (3, (8, 8))
        for i in range(3):
            animation.seek(i)
            assert np.ptp(np.asarray(animation.convert("L"))) == 0
            assert abs(int(np.asarray(animation.convert("L"))[0, 0]) - round(i / 2 * 127.5)) <= 1
