import numpy as np
import pytest
from skimage.transform import resize

from kerasgan.data import slices
from kerasgan.data.settings import SliceSettings
from kerasgan.errors import UserError


def settings(**changes):
    values = dict(
        size=32,
        views=("axial",),
        selection="largest_tumour",
        slices_per_view=2,
        min_gap=3,
        slice_range=(0.0, 1.0),
        aspect="keep",
        percentiles=(0.0, 99.5),
    )
    return SliceSettings(**values | changes)


@pytest.mark.parametrize("view", ["axial", "coronal", "sagittal"])
def test_unstack_inverts_stack(view):
    volume = np.arange(5 * 6 * 7).reshape(5, 6, 7)
    np.testing.assert_array_equal(slices.unstack(slices.stack(volume, view), view), volume)
    assert np.shares_memory(slices.stack(volume, view), volume)


def test_slices_are_upright_and_radiological():
    # One marker in each direction of RAS+ axes: right, anterior, superior.
    volume = np.zeros((5, 6, 7))
    volume[4, 0, 0], volume[0, 5, 0], volume[0, 0, 6] = 1, 2, 3
    axial, coronal, sagittal = (slices.stack(volume, view) for view in ("axial", "coronal", "sagittal"))
    assert axial.shape == (7, 6, 5) and coronal.shape == (6, 7, 5) and sagittal.shape == (5, 7, 6)
    assert axial[0][-1, 0] == 1, "the patient's right is on the left, the back at the bottom"
    assert axial[0][0, -1] == 2, "the front is at the top"
    assert coronal[0][0, -1] == 3 and coronal[0][-1, 0] == 1, "superior is at the top"
    assert sagittal[0][0, -1] == 3 and sagittal[0][-1, 0] == 2, "the front is on the left"


@pytest.mark.parametrize(("shape", "size"), [((240, 155), 128), ((40, 40), 64), ((31, 57), 16)])
def test_fit_equals_scikit_image_on_the_padded_slice(shape, size):
    image = np.random.default_rng(0).random(shape).astype(np.float32)
    frame = slices.Frame(*shape, 1.0, 1.0, size, "keep")
    side = max(shape)
    up, left = (side - shape[0]) // 2, (side - shape[1]) // 2
    padded = np.pad(image, ((up, side - shape[0] - up), (left, side - shape[1] - left)))
    expected = resize(padded, (size, size), order=1, anti_aliasing=size < side)
    np.testing.assert_allclose(frame.fit(image[None])[0], expected, atol=2e-6)


def test_stretch_equals_scikit_image():
    image = np.random.default_rng(1).random((240, 155)).astype(np.float32)
    expected = resize(image, (128, 128), order=1, anti_aliasing=True)
    fitted = slices.Frame(240, 155, 1.0, 1.0, 128, "stretch").fit(image[None])[0]
    np.testing.assert_allclose(fitted, expected, atol=2e-6)


def test_a_sphere_stays_round_where_voxels_are_not_cubes():
    # 60 x 20 voxels of 1 x 3 mm: a circle of 20 mm radius.
    row, column = np.mgrid[:60, :20]
    circle = ((row - 29.5) ** 2 + ((column - 9.5) * 3) ** 2 < 20**2).astype(np.float32)
    fitted = slices.Frame(60, 20, 1.0, 3.0, 60, "keep").fit(circle[None])[0] > 0.5
    height, width = fitted.any(axis=1).sum(), fitted.any(axis=0).sum()
    assert abs(int(height) - int(width)) <= 2


def test_restore_brings_a_smooth_image_back():
    row, column = np.mgrid[:50, :40] / 10
    image = (np.sin(row) * np.cos(column) * np.exp(-((row - 2.5) ** 2) - (column - 2) ** 2)).astype(np.float32)
    frame = slices.Frame(50, 40, 1.0, 1.0, 64, "keep")
    restored = frame.restore(frame.fit(image[None]))[0]
    assert restored.shape == image.shape
    np.testing.assert_allclose(restored, image, atol=0.02)


def test_labels_stay_labels_and_lie_where_the_image_lies():
    labels = np.zeros((1, 30, 20), np.uint8)
    labels[0, 5:15, 5:15] = 4
    frame = slices.Frame(30, 20, 1.0, 1.0, 60, "keep")
    fitted = frame.fit_labels(labels)[0]
    assert set(np.unique(fitted)) == {0, 4}
    image = frame.fit((labels > 0).astype(np.float32))[0] > 0.5
    assert np.count_nonzero(image != (fitted > 0)) <= 40, "only along the border"
    assert fitted.sum() // 4 == 400


def test_intensities_between_percentiles_of_the_brain():
    volume = np.zeros((10, 10, 10), np.int16)
    volume[2:8, 2:8, 2:8] = np.arange(1, 217).reshape(6, 6, 6)
    low, high = slices.intensity_range(volume, (0.0, 100.0))
    assert (low, high) == (1.0, 216.0)
    scaled = slices.normalise(volume, low, 108.5)
    assert scaled.dtype == np.float32 and scaled.min() == 0 and scaled.max() == 1
    assert scaled[volume == 54].item() == pytest.approx(53 / 107.5)


@pytest.mark.parametrize("volume", [np.zeros((4, 4, 4)), np.full((4, 4, 4), 7)])
def test_an_image_without_contrast_is_refused(volume):
    with pytest.raises(UserError, match="expected a"):
        slices.intensity_range(volume, (0.0, 99.5))


def test_the_largest_slices_at_least_a_gap_apart():
    segmentation = np.zeros((8, 8, 12), np.uint8)
    for index, area in {2: 3, 5: 8, 6: 7, 7: 6, 9: 5}.items():
        segmentation[0, :area, index] = 1
    assert slices.select(segmentation, "axial", settings()) == [5, 9]
    assert slices.select(segmentation, "axial", settings(min_gap=1)) == [5, 6]
    assert slices.select(segmentation, "axial", settings(selection="every_tumour")) == [2, 5, 6, 7, 9]


def test_too_few_slices_with_tumour_say_what_to_change():
    segmentation = np.zeros((8, 8, 12), np.uint8)
    segmentation[0, 0, 3:5] = 1
    with pytest.raises(UserError, match=r"only 1 axial slices.*min_gap"):
        slices.select(segmentation, "axial", settings())


def test_a_range_scales_with_the_volume():
    # brainmr's sagittal slices 80 to 149 of 240.
    chosen = settings(selection="range", slice_range=(80 / 239, 149 / 239))
    assert slices.select(np.zeros((240, 10, 10)), "sagittal", chosen) == list(range(80, 150))
    assert slices.select(np.zeros((120, 10, 10)), "sagittal", chosen) == list(range(40, 75))


@pytest.mark.parametrize(
    ("count", "chosen"),
    [(20, list(range(3, 12))), (3, [0, 1]), (2, None), (1, None)],
)
def test_a_range_of_less_than_a_slice_is_refused(count, chosen):
    # #30 to #120 of 200, as the slices of 20 voxels are 3 to 11; of 2, 0.45 * 2 is less than one.
    neonatal = settings(selection="range", slice_range=(30 / 199, 120 / 199))
    volume = np.zeros((8, 8, count))
    if chosen:
        assert slices.select(volume, "axial", neonatal) == chosen
    else:
        with pytest.raises(UserError, match=rf"the volume has {count} axial slices?, of which the .* less than one"):
            slices.select(volume, "axial", neonatal)
    assert slices.select(volume, "axial", settings(selection="range")) == list(range(count))


# ---- patches --------------------------------------------------------------------------------------------------------


def test_corner_patches_overlap_and_cover_the_frame():
    patches = slices.corners(settings(size=256, frame=320))
    assert patches == {
        "top-left": (slice(0, 256), slice(0, 256)),
        "top-right": (slice(0, 256), slice(64, 320)),
        "bottom-left": (slice(64, 320), slice(0, 256)),
        "bottom-right": (slice(64, 320), slice(64, 320)),
    }
    covered = np.zeros((320, 320), int)
    for place in patches.values():
        covered[place] += 1
    assert covered.min() == 1 and covered[160, 160] == 4


@pytest.mark.parametrize("frame", [None, 32])
def test_a_slice_as_large_as_a_patch_is_not_cut(frame):
    whole = settings(frame=frame)
    assert slices.corners(whole) == {"": (slice(0, 32), slice(0, 32))}
    slices.refuse_patches(whole, "volumes")


def test_patches_cannot_become_volumes():
    with pytest.raises(UserError, match=r"slices of 40 pixels were cut into patches of 32, from which volumes cannot"):
        slices.refuse_patches(settings(frame=40), "volumes")


@pytest.mark.parametrize("frame", [16, 31, 65])
def test_a_frame_that_patches_do_not_fit_or_cover_is_refused(frame):
    with pytest.raises(ValueError, match=r"between size, 32, and twice that.*raise frame or lower size"):
        settings(frame=frame)


def test_settings_without_a_frame_are_written_as_before_there_were_patches():
    assert "frame" not in settings().model_dump(mode="json")
    assert "frame" not in settings().model_dump_json()
    cut = settings(frame=40)
    assert cut.model_dump()["frame"] == 40
    assert SliceSettings.model_validate_json(cut.model_dump_json()) == cut
    assert SliceSettings.model_validate_json(settings().model_dump_json()).frame is None
