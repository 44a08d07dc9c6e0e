import numpy as np
import pytest
from matplotlib.image import imread

from kerasgan.report import figures
from kerasgan.report.mosaics import write_animation, write_mosaic
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
def written(monkeypatch):
    """The pictures' figures, kept aside as they are saved."""
    kept, save = [], figures.save
    monkeypatch.setattr(figures, "save", lambda figure, path: (kept.append(figure), save(figure, path)))
    return kept


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


def test_grids_say_which_value_is_black(tmp_path, slices, written):
    (a, b, c), tumour = slices
    figures.translation_grid(tmp_path / "a.png", [figures.TranslationRow("T1", "T1e", a, b, c, tumour)], "a title")
    figures.boxed_grid(tmp_path / "b.png", [("T1", {"T1": a, "T1e": b})], ["T1", "T1e"], "real in red")
    said = [figure.get_suptitle().replace("\n", " ") for figure in written]
    assert [axis.get_title() for axis in written[1].axes] == ["real T1", "synthetic T1e"]
    assert said == [f"a title; tumour outlined in yellow; {figures.GREY}", f"real in red; {figures.GREY}"]


# ---- curves ----


def history_of(epochs, *names):
    return {"epoch": np.arange(1.0, epochs + 1)} | {name: np.linspace(0, 1, epochs) for name in names}


@pytest.mark.parametrize(("number", "columns"), [(1, 1), (3, 3), (4, 2), (7, 3)])
def test_panels_of_curves_are_of_one_size_however_many_there_are(tmp_path, written, number, columns):
    names = [f"name_{i}" for i in range(number)]
    groups = {f"panel {i}": [name] for i, name in enumerate(names)} | {"empty": ["absent"]}
    figures.curves(tmp_path / "a.png", history_of(40, *names), groups, "a run; its data", {"": 40})
    (figure,) = written
    assert figure.get_suptitle() == "a run; its data"
    assert [axis.get_title() for axis in figure.axes] == [f"panel {i}" for i in range(number)]
    assert figure.axes[-1].get_gridspec().ncols == columns
    figure.draw_without_rendering()
    assert all(axis.get_position().width * figure.get_size_inches()[0] > 3 for axis in figure.axes)
    (line,) = figure.axes[0].lines
    assert line.get_label() == "name 0" and len(line.get_xdata()) == 40
    assert not figure.axes[0].child_axes, "one stage has no name"


def test_stages_are_parted_by_dashed_lines_and_named(tmp_path, written):
    stages = {"0004": 3, "0008": 3, "stage1": 4}
    figures.curves(tmp_path / "a.png", history_of(10, "loss"), {"losses": ["loss"]}, "title", stages)
    axis = written[0].axes[0]
    dashed = [line.get_xdata()[0] for line in axis.lines if line.get_linestyle() == "--"]
    assert dashed == [3.5, 6.5], "between epochs"
    (above,) = axis.child_axes
    assert [label.get_text() for label in above.get_xticklabels()] == ["4", "8", "stage1"]
    assert above.get_xticks().tolist() == [2, 5, 8.5] and above.get_xlabel() == "stage"


def test_a_single_epoch_is_seen(tmp_path, written):
    history = {"epoch": np.array([1.0, 2.0]), "psnr_tumour": np.array([np.nan, 0.5])}
    figures.curves(tmp_path / "a.png", history, {"quality": ["psnr_tumour"]}, "title", {"": 2})
    (line,) = written[0].axes[0].lines
    assert (line.get_marker(), line.get_xdata().tolist(), line.get_label()) == (".", [2], "PSNR tumour")
    ticks = written[0].axes[0].get_xticks()
    assert np.array_equal(ticks, np.rint(ticks)), "epochs are whole"


# ---- the page ----


def test_history_and_page(tmp_path):
    (tmp_path / "history.csv").write_text("epoch,loss,psnr\n1,2.0,\n2,1.5,20.5\n")
    history = read_history(tmp_path / "history.csv")
    assert history["epoch"].tolist() == [1, 2]
    assert np.isnan(history["psnr"][0])
    table = "| mean | PSNR |\n|---|---|\n| T1 to <b>T1e</b> | 20.5 |\n"
    (tmp_path / "quality.md").write_text(f"Data: a <script>\n\n{table}")
    (tmp_path / "environment.json").write_text("environment <script>")
    panels = {"losses": ["loss", "absent"], "PSNR": ["psnr"]}
    page = write_page(tmp_path, "T1 & T1e", "phantom <b>", panels, {}, {"": 2}, "size: <script>").read_text()
    assert page.count("<table>") == 1 and "<td>T1 to &lt;b&gt;T1e&lt;/b&gt;</td>" in page and "|" not in page
    assert "<pre>size: &lt;script&gt;</pre>" in page
    assert "<script>" not in page
    assert "<b>" not in page
    assert "T1 &amp; T1e" in page
    assert page.count("data:image/png;base64,") == 1
    assert "<figcaption>" not in page


def test_bare_mosaics_have_their_captions_on_the_page(tmp_path):
    (tmp_path / "history.csv").write_text("epoch,loss\n1,2.0\n")
    for name in ("quality.md", "environment.json"):
        (tmp_path / name).write_text(name)
    for epoch in (1, 2):
        write_mosaic(
            tmp_path / "samples" / f"epoch_000{epoch}.png", np.zeros((4, 8, 8)), 2, f"after {epoch} < 3 epochs"
        )
    frames = sorted((tmp_path / "samples").iterdir())
    write_animation(tmp_path / "training.gif", frames, 8, 2, "all of them")
    page = write_page(
        tmp_path, "DCGAN", "data", {"losses": ["loss"]}, {"Training": "training.gif"}, {"": 1}, "seed: 1"
    ).read_text()
    assert "<h2>Samples after epoch 2</h2>" in page
    assert "<figcaption>after 2 &lt; 3 epochs</figcaption>" in page and "after 1" not in page
    assert "<figcaption>all of them; 2 frames, from epoch 0001 to epoch 0002</figcaption>" in page
    assert page.count("data:image/png;base64,") == 2 and page.count("data:image/gif;base64,") == 1
