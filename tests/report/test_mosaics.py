"""Pictures of many images."""

import numpy as np
import pytest
from PIL import Image

from kerasgan.report import mosaics
from kerasgan.report.figures import GREY
from kerasgan.report.mosaics import (
    BETWEEN,
    GAP,
    caption_of,
    feature_maps,
    image_sheet,
    mosaic,
    write_animation,
    write_mosaic,
)


def test_mosaic_by_hand():
    images = np.array([[[-1.0]], [[1.0]], [[7.0]]])
    expected = np.zeros((4, 4), np.uint8)
    expected[0, 3] = expected[3, 0] = 255
    np.testing.assert_array_equal(mosaic(images, 2), expected)


# ---- a table of images ----


@pytest.fixture
def figures(monkeypatch):
    """The pictures' figures, kept aside as they are saved."""
    kept, save = [], mosaics.save
    monkeypatch.setattr(mosaics, "save", lambda figure, path: (kept.append(figure), save(figure, path)))
    return kept


def words(figure) -> list[str]:
    return [text.get_text().replace("\n", " ") for text in figure.texts]


def boxes(figure):
    renderer = figure.canvas.get_renderer()
    return [text.get_window_extent(renderer).padded(-1) for text in figure.texts if text.get_text()]


def shades(rows, columns, side):
    """Images (rows, columns, side, side), each even and of a shade of its own."""
    levels = np.linspace(-1, 1, rows * columns).reshape(rows, columns, 1, 1)
    return np.broadcast_to(levels, (rows, columns, side, side)), np.rint((levels[..., 0, 0] + 1) * 127.5)


def test_a_sheet_names_rows_columns_and_what_is_shown(tmp_path, figures):
    images, _ = shades(2, 3, 16)
    image_sheet(tmp_path / "new" / "a.png", images, ["T1", "FLAIR"], ["4x4", "8x8", "16x16"], "a title")
    assert words(figures[0]) == [f"a title; {GREY}", "4x4", "8x8", "16x16", "T1", "FLAIR"]
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["a.png"]


@pytest.mark.parametrize(("side", "times"), [(16, 6), (64, 2), (100, 1), (256, 1)])
def test_a_sheet_shows_every_pixel(tmp_path, figures, side, times):
    images = np.random.default_rng(side).uniform(-1.2, 1.2, (2, 3, side, side))
    image_sheet(tmp_path / "a.png", images, ["first", "second"], ["a", "b", "c"], "title")
    with Image.open(tmp_path / "a.png") as picture:
        levels = np.asarray(picture.convert("L"))
    tall = side * times
    places = [(int(image.ox), len(levels) - int(image.oy) - tall) for image in figures[0].images]
    expected = np.rint((np.clip(images, -1, 1) + 1) * 127.5).reshape(6, side, side)
    assert places[4] == (places[0][0] + tall + BETWEEN, places[0][1] + tall + BETWEEN)
    for (left, top), image in zip(places, expected, strict=True):
        drawn = levels[top : top + tall, left : left + tall]
        np.testing.assert_array_equal(drawn, image.repeat(times, 0).repeat(times, 1))
    assert (levels[-BETWEEN:] == 255).all() and (levels[:, -BETWEEN:] == 255).all(), "a white margin"


def test_a_name_can_be_that_of_several_rows_and_columns(tmp_path, figures):
    images, levels = shades(4, 6, 100)
    image_sheet(tmp_path / "a.png", images, ["HGG", "LGG"], ["synthetic", "real", "nearest"], "title")
    blocks = [np.asarray(image.get_array())[..., 0] for image in figures[0].images]
    assert len(blocks) == 6
    side = 100 + GAP
    for number, block in enumerate(blocks):
        i, j = divmod(number, 3)
        assert block.shape == (2 * side - GAP, 2 * side - GAP)
        np.testing.assert_array_equal(block[::side, ::side], levels[2 * i : 2 * i + 2, 2 * j : 2 * j + 2])
    offsets = [(image.ox, image.oy) for image in figures[0].images]
    assert len({x for x, _ in offsets}) == 3 and offsets[0][1] - offsets[3][1] == 2 * side - GAP + BETWEEN


def test_names_that_make_no_even_groups(tmp_path):
    with pytest.raises(ValueError, match="4 x 3 images make no groups of one size for 3 x 1 names"):
        image_sheet(tmp_path / "a.png", shades(4, 3, 8)[0], ["a", "b", "c"], ["d"], "title")
    assert not list(tmp_path.iterdir())


def test_long_names_stay_in_the_picture_and_apart(tmp_path, figures):
    rows = ["T1 with contrast medium", "a class whose name is long", "FLAIR"]
    columns = [f"a method of a name with so many words as this {number}" for number in range(8)]
    title = "a title of a run on the data of a cohort of many patients " * 5
    for side, used in ((8, columns), (64, columns), (256, columns[:2])):
        image_sheet(tmp_path / "a.png", shades(3, len(used), side)[0], rows, used, title)
        found, (width, height) = boxes(figures[-1]), figures[-1].bbox.size
        assert len(found) == 1 + len(used) + 3
        assert all(box.x0 >= 0 and box.x1 <= width and box.y0 >= 0 and box.y1 <= height for box in found)
        assert all(box.count_overlaps(found) == 1 for box in found)
        lowest, highest = min(image.oy for image in figures[-1].images), max(image.oy for image in figures[-1].images)
        assert lowest == BETWEEN and highest + side <= min(box.y0 for box in found[: 1 + len(used)])


def test_feature_maps_are_squares_of_each_name_with_their_own_window(tmp_path, figures):
    maps = {"real HGG": np.full((7, 15, 15), 1.0), "real LGG": np.zeros((7, 15, 15))}
    feature_maps(tmp_path / "maps.png", maps, "features of encoder4")
    window = "grey: training mean, black and white: 2 standard deviations"
    assert words(figures[0]) == [f"features of encoder4; {window}", "real HGG", "real LGG", ""]
    one, two = (np.asarray(image.get_array())[..., 0] for image in figures[0].images)
    side = one.shape[0] // 3
    assert one[0, 0] == 255 and two[0, 0] == 128 and one[-1, -1] == 0, "two of nine places are left over"
    assert one.shape == two.shape and side > 80, "large enough to be seen"


# ---- bare mosaics and animations ----


def test_a_bare_mosaic_and_an_animation_carry_their_captions(tmp_path):
    paths = [tmp_path / f"epoch_000{i}.png" for i in (2, 4)]
    for path in paths:
        write_mosaic(path, np.zeros((4, 8, 8)), 2, "DCGAN – 2 patients")
    assert caption_of(paths[0]) == "DCGAN – 2 patients"
    write_animation(tmp_path / "all.gif", paths, 8, 1, "DCGAN – 2 patients")
    assert caption_of(tmp_path / "all.gif") == "DCGAN – 2 patients; 2 frames, from epoch 0002 to epoch 0004"
    image_sheet(tmp_path / "a.png", np.zeros((1, 1, 8, 8)), [""], [""], "said in the picture")
    assert caption_of(tmp_path / "a.png") == ""


@pytest.mark.parametrize("count", [1, 2])
def test_animation_shows_the_corner_of_each_frame(tmp_path, count):
    paths = [tmp_path / f"{i}.png" for i in range(3)]
    for i, path in enumerate(paths):
        write_mosaic(path, np.full((4, 8, 8), -1 + i / 2), 2, "")
    write_animation(tmp_path / "all.gif", paths, 8, count, "")
    side = count * (8 + GAP) - GAP
    with Image.open(tmp_path / "all.gif") as animation:
        assert (animation.n_frames, animation.size) == (3, (side, side))
        for i in range(3):
            animation.seek(i)
            levels = np.asarray(animation.convert("L"))
            assert np.ptp(levels[:8, :8]) == 0
            assert abs(int(levels[0, 0]) - round(i / 2 * 127.5)) <= 1
