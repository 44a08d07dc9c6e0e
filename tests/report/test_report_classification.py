import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.image import imread

from kerasgan.metrics.classification import Confusion, roc_curve
from kerasgan.report import classification as pictures

NAMES = ("wild-type", "mutation")


@pytest.fixture
def written(monkeypatch):
    """The pictures' figures, kept aside as they are saved."""
    figures, save = [], pictures.save
    monkeypatch.setattr(pictures, "save", lambda figure, path: (figures.append(figure), save(figure, path)))
    return figures


def texts(axis: Axes) -> list[str]:
    return [text.get_text() for text in axis.texts]


def misplaced(figure) -> list[str]:
    """Texts, ticks aside, that leave the figure or cover another one."""
    figure.draw_without_rendering()
    renderer = figure.canvas.get_renderer()
    found = list(figure.texts)
    for axis in figure.axes:
        found += [axis.title, axis.xaxis.label, axis.yaxis.label, *axis.texts]
    found = [text for text in found if text.get_text()]
    boxes = [text.get_window_extent(renderer).padded(-1) for text in found]
    inside = [figure.bbox.x0 <= box.x0 and box.x1 <= figure.bbox.x1 for box in boxes]
    free = [box.count_overlaps(boxes) == 1 for box in boxes]
    return [text.get_text() for text, *good in zip(found, inside, free, strict=True) if not all(good)]


def test_confusion_and_roc_shows_counts_shares_and_areas(tmp_path, written):
    truth, score = np.array([1, 1, 0, 0, 0]), np.array([0.9, 0.2, 0.8, 0.1, 0.1])
    slices, patients = Confusion(tp=30, fn=10, fp=20, tn=80), Confusion(tp=2, fn=0, fp=1, tn=3)
    curves = {"slices": (*roc_curve(truth, score), 0.6667), "patients": (*roc_curve(truth, truth), 1.0)}
    path = tmp_path / "new" / "evaluation.png"
    pictures.confusion_and_roc(path, {"slices": slices, "patients": patients}, curves, NAMES, "a title " * 30)
    left, middle, roc = written[0].axes
    assert texts(left) == ["80\n80 %", "20\n20 %", "10\n25 %", "30\n75 %"], "rows: truth, wild-type first"
    assert texts(middle) == ["3\n75 %", "1\n25 %", "0\n0 %", "2\n100 %"]
    assert left.get_title() == "140 slices, 78.6 % right"
    for labels in (left.get_xticklabels(), left.get_yticklabels()):
        assert [label.get_text() for label in labels] == list(NAMES)
    legend = [text.get_text() for text in roc.get_legend().get_texts()]
    assert legend == ["slices, AUC 0.667", "patients, AUC 1.000", "chance, AUC 0.500"]
    dot = roc.lines[1]
    assert (float(np.squeeze(dot.get_xdata())), float(np.squeeze(dot.get_ydata()))) == pytest.approx((0.2, 0.75))
    np.testing.assert_array_equal(roc.lines[0].get_ydata(), curves["slices"][1])
    assert not misplaced(written[0])
    assert [entry.name for entry in path.parent.iterdir()] == ["evaluation.png"]


def test_confusion_of_one_class_is_drawn(tmp_path, written):
    truth, score = np.zeros(4), np.array([0.1, 0.2, 0.3, 0.9])
    curve = (*roc_curve(truth, score), float("nan"))
    pictures.confusion_and_roc(tmp_path / "a.png", {"slices": Confusion(0, 0, 1, 3)}, {"slices": curve}, NAMES, "t")
    assert texts(written[0].axes[0]) == ["3\n75 %", "1\n25 %", "0", "0"]


def test_attention_has_a_box_per_modality_and_class_and_the_uniform_line(tmp_path, written):
    rng = np.random.default_rng(0)
    attention = {name: rng.dirichlet([2, 3, 4, 1], n) for name, n in zip(NAMES, (20, 9), strict=True)}
    pictures.attention_by_class(tmp_path / "a.png", attention, ["T1", "T1e", "T2", "FLAIR"], "attention")
    axis = written[0].axes[0]
    points = {collection.get_label(): collection.get_offsets() for collection in axis.collections}
    assert list(points) == ["wild-type, 20 slices", "mutation, 9 slices"]
    np.testing.assert_allclose(points["mutation, 9 slices"][:, 1].data, attention["mutation"].ravel())
    modality = np.round(points["mutation, 9 slices"][:, 0].data).reshape(9, 4)
    np.testing.assert_array_equal(modality, np.tile(np.arange(4), (9, 1)), "each point stands by its modality")
    assert list(axis.lines[0].get_ydata()) == [0.25, 0.25]
    medians = [float(np.mean(line.get_ydata())) for line in axis.lines if line.get_linewidth() == 2]
    assert medians == pytest.approx([float(m) for weights in attention.values() for m in np.median(weights, axis=0)])
    assert [label.get_text() for label in axis.get_xticklabels()] == ["T1", "T1e", "T2", "FLAIR"]


def test_attention_of_an_absent_class_is_left_empty(tmp_path):
    attention = {"wild-type": np.full((5, 2), 0.5), "mutation": np.empty((0, 2))}
    pictures.attention_by_class(tmp_path / "a.png", attention, ["T1", "T2"], "attention")
    assert imread(tmp_path / "a.png").size


@pytest.fixture
def sheet():
    """Grey images of two modalities and three slices, cold maps, a tumour in all but the last slice."""
    tumour = np.zeros((3, 32, 32), bool)
    tumour[:2, 10:20, 10:20] = True
    images = {name: np.zeros((3, 32, 32)) for name in ("T1", "FLAIR")}
    return images, {name: np.zeros((3, 32, 32)) for name in images}, tumour, ["axial 1\nmutation 0.9", "b", "c"]


def coloured(path) -> np.ndarray:
    """Which pixels are not grey, of the sheet without its colour bar."""
    image = imread(path)[..., :3]
    return np.ptp(image[:, : int(0.83 * image.shape[1])], axis=-1) > 0.2


def test_gradcam_sheet_is_labelled(tmp_path, written, sheet):
    pictures.gradcam_sheet(tmp_path / "a.png", *sheet, "a long title of a patient " * 6)
    axes = written[0].axes
    assert [axis.get_title() for axis in axes[:6]] == ["axial 1\nmutation 0.9", "b", "c", "", "", ""]
    assert [texts(axes[0]), texts(axes[3])] == [["T1"], ["FLAIR"]]
    assert "; tumour outlined in blue; " in written[0].get_suptitle().replace("\n", " ")
    assert not misplaced(written[0])


def test_gradcam_sheet_outlines_tumours_and_colours_what_is_hot(tmp_path, sheet):
    images, maps, tumour, captions = sheet
    path = tmp_path / "a.png"
    pictures.gradcam_sheet(path, images, maps, np.zeros_like(tumour), captions, "t")
    assert not coloured(path).any()
    assert np.isclose(imread(path)[..., 0], 0.5, atol=0.01).mean() > 0.5, "cold maps leave the grey as it is"
    pictures.gradcam_sheet(path, images, maps, tumour, captions, "t")
    outlined = coloured(path)
    assert outlined.any()
    assert not outlined[:, int(0.62 * outlined.shape[1] / 0.83) :].any(), "the last slice has no tumour"
    maps["FLAIR"][:] = 0.7
    pictures.gradcam_sheet(path, images, maps, np.zeros_like(tumour), captions, "t")
    rows = np.flatnonzero(coloured(path).any(axis=1))
    assert rows.min() > 0.45 * imread(path).shape[0], "FLAIR, the lower row, is hot"


def test_each_modality_needs_its_map(tmp_path, sheet):
    images, maps, tumour, captions = sheet
    del maps["FLAIR"]
    with pytest.raises(KeyError, match="FLAIR"):
        pictures.gradcam_sheet(tmp_path / "a.png", images, maps, tumour, captions, "t")
    assert not list(tmp_path.iterdir())
