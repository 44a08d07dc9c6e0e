import numpy as np
import pytest
from matplotlib.image import imread

from kerasgan.report import figures
from kerasgan.report.page import read_history, write_page
from kerasgan.report.tables import markdown


def test_markdown_columns_are_aligned():
    assert markdown(["a", "long"], [["1", 2.5], ["xyz", "-"]]) == (
        "| a   | long |\n|-----|------|\n| 1   | 2.5  |\n| xyz | -    |"
    )


def panels(path):
    """The picture as grey levels without its white margins."""
    image = imread(path)[..., :3]
    return image


@pytest.fixture
def slices():
    rng = np.random.default_rng(0)
    tumour = np.zeros((32, 32), bool)
    tumour[10:20, 10:20] = True
    return rng.uniform(-1, 1, (3, 32, 32)), tumour


def test_translation_grid_shows_four_panels_and_the_outline(tmp_path, slices):
    (a, b, c), tumour = slices
    path = tmp_path / "new" / "grid.png"
    figures.translation_grid(path, [figures.TranslationRow("T1", "T1e", a, b, c, tumour)] * 2, "a title")
    with_outline = panels(path)
    figures.translation_grid(path, [figures.TranslationRow("T1", "T1e", a, b, c, ~tumour & tumour)] * 2, "a title")
    without = panels(path)
    coloured = np.ptp(with_outline, axis=-1) > 0.3
    assert with_outline.shape == without.shape
    assert (with_outline[coloured] != without[coloured]).any(), "the tumour is outlined in colour"
    assert [p.name for p in path.parent.iterdir()] == ["grid.png"]


def test_boxed_grid_boxes_the_real_image(tmp_path, slices):
    (a, b, _), _ = slices
    path = tmp_path / "figure7.png"
    figures.boxed_grid(path, [("T1", {"T1": a, "T1e": b})], ["T1", "T1e"], "title")
    image = panels(path)
    red = (image[..., 0] > 0.9) & (image[..., 1] < 0.1) & (image[..., 2] < 0.1)
    columns = np.flatnonzero(red.any(axis=0))
    assert columns.size
    assert columns.max() < image.shape[1] / 2, "T1, the left one, is real"


def test_history_and_page(tmp_path):
    (tmp_path / "history.csv").write_text("epoch,loss,psnr\n1,2.0,\n2,1.5,20.5\n")
    history = read_history(tmp_path / "history.csv")
    assert history["epoch"].tolist() == [1, 2]
    assert np.isnan(history["psnr"][0])
    for name in ("quality.md", "config.yaml", "environment.json"):
        (tmp_path / name).write_text(f"{name} <script>")
    panels = {"losses": ["loss", "absent"], "PSNR": ["psnr"]}
    page = write_page(tmp_path, "T1 & T1e", "phantom <b>", panels, {}).read_text()
    assert "<script>" not in page
    assert "<b>" not in page
    assert "T1 &amp; T1e" in page
    assert page.count("data:image/png;base64,") == 1
