"""Cohorts of 2-D images: a pattern of files is a volume."""

import numpy as np
import pytest
from PIL import Image

from kerasgan import experiment
from kerasgan.data import images
from kerasgan.data.cohort import read_cohort
from kerasgan.data.indexers import index, index_to_csv
from kerasgan.data.slices import stack
from kerasgan.data.volumes import files_of, read_geometry, read_volume, split_source
from kerasgan.errors import UserError

PLANAR = ("data.views=[axial]", "data.selection=every_tumour", "data.size=32", "split.stratify=idh")


def save(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def head(rng, shape=(24, 20)):
    """A slice of a head, channels T1, FLAIR, T1e, and its tumour."""
    row, column = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij")
    brain, tumour = row**2 + column**2 < 0.9, (row - 0.2) ** 2 + column**2 < 0.1
    pixels = rng.integers(60, 200, (*shape, 3)) * brain[..., None] + 50 * tumour[..., None]
    return pixels.astype(np.uint8), (255 * tumour).astype(np.uint8)


@pytest.fixture
def folder(tmp_path):
    """Ten patients of three to five slices, as Buda et al. keep them; the first has no T1, whose channel is FLAIR."""
    rng, root, labels = np.random.default_rng(1), tmp_path / "lgg", ["folder,case,idh,pre_contrast"]
    for number in range(10):
        name = f"TCGA_CS_{number:04}_19990101"
        for place in range(8, 11 + number % 3):  # 8, 9, 10, ...: not in the order of their letters
            pixels, tumour = head(rng)
            if number == 0:
                pixels[..., 0] = pixels[..., 1]
            save(root / name / f"{name}_{place}.tif", pixels)
            save(root / name / f"{name}_{place}_mask.tif", tumour)
        labels.append(f"{name},x,{'mutant' if number % 2 else 'wildtype'},ok")
    (root / "labels.csv").write_text("\n".join(labels))
    return root


def test_images_are_stacked_in_the_order_of_their_numbers_and_upright(tmp_path):
    rng = np.random.default_rng(2)
    wanted = {number: rng.integers(0, 999, (5, 7)).astype(np.uint16) for number in (9, 10, 2)}
    for number, pixels in wanted.items():
        save(tmp_path / f"a_{number}.png", pixels)
    volume = read_volume(tmp_path / "a_*.png")
    assert volume.data.shape == (7, 5, 3)
    assert volume.data.dtype.kind in "iu"
    assert read_geometry(tmp_path / "a_*.png").shape == (7, 5, 3)
    for slice_, number in zip(stack(volume.data, "axial"), (2, 9, 10), strict=True):
        np.testing.assert_array_equal(slice_, wanted[number])
    assert [path.name for path in files_of(tmp_path / "a_*.png")] == ["a_2.png", "a_9.png", "a_10.png"]


def test_a_channel_of_colour_images(folder):
    name = "TCGA_CS_0001_19990101"
    pattern = folder / name / f"{name}_*[0-9].tif"
    volume = read_volume(f"{pattern}#2")
    first = np.asarray(Image.open(folder / name / f"{name}_8.tif"))
    np.testing.assert_array_equal(stack(volume.data, "axial")[0], first[..., 2])
    assert split_source(f"{pattern}#2") == (pattern, 2)
    with pytest.raises(UserError, match=r"is 4-D .*: name a channel, .*#0 to #2"):
        read_volume(pattern)
    with pytest.raises(UserError, match="has channels 0 to 2"):
        read_volume(f"{pattern}#3")


def test_what_cannot_be_stacked_is_named(tmp_path):
    with pytest.raises(UserError, match="no file matches"):
        read_volume(tmp_path / "a_*.png")
    save(tmp_path / "a_1.png", np.zeros((4, 4), np.uint8))
    save(tmp_path / "a_2.png", np.zeros((4, 5), np.uint8))
    with pytest.raises(UserError, match=r"a_2.png is 4 x 5 uint8, a_1.png is 4 x 4 uint8: the images of one patient"):
        read_volume(tmp_path / "a_*.png")
    (tmp_path / "a_2.png").write_text("no image")
    with pytest.raises(UserError, match=r"a_2.png cannot be read as an image"):
        read_volume(tmp_path / "a_*.png")


def test_only_names_with_a_wildcard_are_patterns():
    assert images.is_pattern("a/b_*.tif#1")
    assert images.is_pattern("a/b_[0-9].PNG")
    assert not images.is_pattern("a/b_1.tif")
    assert not images.is_pattern("a/b_*.nii.gz")


def test_index_finds_patients_channels_and_labels(folder):
    cohort = index(folder)
    assert "2-D axial slices" in cohort.origin
    assert len(cohort.visits) == 10
    first, second = cohort.visits[:2]
    assert (second.patient, second.visit) == ("TCGA-CS-0001", "19990101")
    assert set(second.images) == {"t1", "t1e", "flair"}
    assert second.images["t1e"].endswith("_*[0-9].tif#2")
    assert set(first.images) == {"t1e", "flair"}, "a channel that repeats FLAIR was not acquired"
    assert first.labels == {"idh": "wildtype"}


def test_from_images_to_prepared_slices(folder, tmp_path):
    index_to_csv(folder, tmp_path / "cohort.csv")
    assert len(read_cohort(tmp_path / "cohort.csv").visits) == 10
    with pytest.raises(UserError, match=r"axial 2-D images, which cannot be cut .* --set data.views=\[axial\]"):
        experiment.prepare(tmp_path / "cohort.csv", tmp_path / "three", overrides=["data.min_gap=1"], quiet=True)
    prepared = experiment.prepare(tmp_path / "cohort.csv", tmp_path / "one", overrides=PLANAR, quiet=True)
    assert [len(visit.slices) for visit in prepared.manifest.visits[:3]] == [3, 4, 5]
    before = {visit.name: visit.fingerprint for visit in prepared.manifest.visits}
    name = "TCGA_CS_0003_19990101"
    pixels = np.asarray(Image.open(folder / name / f"{name}_9.tif")).copy()
    pixels[12, 10] = 7
    save(folder / name / f"{name}_9.tif", pixels)
    again = experiment.prepare(tmp_path / "cohort.csv", tmp_path / "one", overrides=PLANAR, quiet=True)
    changed = [visit.patient for visit in again.manifest.visits if visit.fingerprint != before[visit.name]]
    assert changed == ["TCGA-CS-0003"], "every file of a pattern is part of the fingerprint"


def test_a_folder_with_a_mask_missing_is_refused(folder):
    (folder / "TCGA_CS_0004_19990101" / "TCGA_CS_0004_19990101_8_mask.tif").unlink()
    with pytest.raises(UserError, match="another number of images than of masks"):
        index(folder)
