"""Cohorts of 2-D images: a pattern of files is a volume."""

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from kerasgan import experiment
from kerasgan.data import images
from kerasgan.data.check import check_cohort
from kerasgan.data.cohort import Cohort, Visit, merge_labels, read_cohort
from kerasgan.data.indexers import index, index_to_csv
from kerasgan.data.prepare import prepare
from kerasgan.data.slices import stack
from kerasgan.data.volumes import files_of, labels_of, read_volume, split_source, write_volume
from kerasgan.errors import UserError
from kerasgan.papers import settings_of

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
    assert volume.data.max() > 255, "16 bits are kept"
    np.testing.assert_array_equal(volume.affine, np.eye(4))
    assert (volume.geometry.orientation, volume.geometry.spacing) == ("RAS", (1, 1, 1))
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
    with pytest.raises(UserError, match=r"are colour images: name the channel to read, .*tif#0 to #2"):
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
    with pytest.raises(UserError, match=r"axial 2-D images, which cannot be cut .* --set 'data.views=\[axial\]'"):
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
    with pytest.raises(UserError, match=r"_19990101_8_mask\.tif or the image that it belongs to is missing"):
        index(folder)


def test_as_many_masks_as_images_but_of_other_slices_are_refused(folder):
    name = "TCGA_CS_0004_19990101"
    (folder / name / f"{name}_8_mask.tif").rename(folder / name / f"{name}_20_mask.tif")
    with pytest.raises(UserError, match=r"_20_mask.tif or the image that it belongs to is missing"):
        index(folder)


GREY = np.arange(48, dtype=np.uint8).reshape(6, 8)


@pytest.mark.parametrize("mode", ["L", "P", "LA", "RGB", "RGBA"])
def test_grey_images_need_no_channel_however_they_are_kept(tmp_path, mode):
    Image.fromarray(GREY).convert(mode).save(tmp_path / "a_1.png")
    np.testing.assert_array_equal(stack(read_volume(tmp_path / "a_*.png").data, "axial")[0], GREY)


def test_palette_numbers_are_no_intensities(tmp_path):
    image = Image.fromarray(GREY // 47).convert("P")
    image.putpalette([0, 0, 0, 255, 0, 0])  # black and red
    image.save(tmp_path / "a_1.png")
    assert read_volume(tmp_path / "a_*.png#0").data.max() == 255
    with pytest.raises(UserError, match="are colour images"):
        read_volume(tmp_path / "a_*.png")


def test_masks_of_255_and_of_one_bit_are_labels(tmp_path):
    save(tmp_path / "a_1.png", np.where(GREY > 40, np.uint8(255), np.uint8(0)))
    save(tmp_path / "b_1.tif", GREY > 40)
    for pattern, top in (("a_*.png", 255), ("b_*.tif", 1)):
        labels = labels_of(read_volume(tmp_path / pattern))
        assert (labels.dtype, labels.max(), np.count_nonzero(labels)) == (np.uint8, top, 7)


def test_a_file_of_several_pages_is_refused(tmp_path):
    Image.fromarray(GREY).save(tmp_path / "a_1.tif", save_all=True, append_images=[Image.fromarray(GREY)])
    with pytest.raises(UserError, match=r"a_1\.tif has 2 pages: expected one slice per file"):
        read_volume(tmp_path / "a_*.tif")


@pytest.mark.parametrize("suffix", ["tif", "png", "jpg"])
def test_a_truncated_image_is_named(tmp_path, suffix):
    path = tmp_path / f"a_1.{suffix}"
    save(path, np.random.default_rng(0).integers(0, 255, (32, 32, 3)).astype(np.uint8))
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match=f"a_1.{suffix} cannot be read as an image"):
        read_volume(tmp_path / f"a_*.{suffix}#0")


def test_brackets_in_a_folders_name_and_hidden_files(tmp_path):
    save(tmp_path / "new [1]" / "a_1.png", GREY)
    (tmp_path / "new [1]" / "._a_1.png").write_bytes(b"of macOS")
    assert files_of(tmp_path / "new [1]" / "*_1.png") == [tmp_path / "new [1]" / "a_1.png"]


def test_a_cohort_by_hand_may_name_patterns(tmp_path):
    save(tmp_path / "p1" / "a_1.png", GREY)
    (tmp_path / "c.csv").write_text("patient,flair\np1,p1/a_*.png#0\n")
    (visit,) = read_cohort(tmp_path / "c.csv").visits
    assert visit.images == {"flair": f"{tmp_path / 'p1' / 'a_*.png'}#0"}
    (tmp_path / "c.csv").write_text("patient,flair\np1,p1/b_*.png\n")
    with pytest.raises(UserError, match=r"c.csv, line 2: no file matches .*b_\*.png"):
        read_cohort(tmp_path / "c.csv")
    (tmp_path / "c.csv").write_text("patient,flair,other\np1,p1/a_*.png,p1/a_*.png\n")
    with pytest.raises(UserError, match=r"column 'other' holds images"):
        read_cohort(tmp_path / "c.csv")


def test_labels_of_a_table_that_writes_ids_with_underscores(folder, tmp_path):
    rows = [f"TCGA_CS_{number:04},{number % 3}" for number in range(10)]  # as Kaggle's data.csv
    (tmp_path / "data.csv").write_text("\n".join(["Patient,RNASeqCluster", *rows]))
    cohort = merge_labels(index(folder), tmp_path / "data.csv", ("RNASeqCluster",))
    assert [visit.labels["RNASeqCluster"] for visit in cohort.visits] == [str(number % 3) for number in range(10)]


def test_check_says_once_that_images_are_2d_and_which_views_can_be_cut(folder):
    cohort = index(folder)
    axial, three = (settings_of("pairwise", overrides=list(views)).data for views in (PLANAR, PLANAR[1:]))
    planar = [f for f in check_cohort(cohort, axial) if f.visit == "2-D images"]
    assert [(f.severity, f.message[:19]) for f in planar] == [("note", "10 of 10 visits, wh")]
    assert not [f for f in check_cohort(cohort, axial) if f.severity == "error"]
    (error,) = [f for f in check_cohort(cohort, three) if f.severity == "error"]
    assert error.visit == "2-D images" and "--set 'data.views=[axial]'" in error.message


def test_check_selects_no_slices_of_views_that_2d_images_lack(folder):
    settings = settings_of("pairwise", overrides=["data.min_gap=20"]).data
    errors = [f.message for f in check_cohort(index(folder), settings) if f.severity == "error"]
    assert sum("axial slices with tumour lie 20 apart" in message for message in errors) == 10
    assert len(errors) == 11, "the other is on the views"


def test_check_knows_the_views_of_images_without_masks(folder):
    bare = Cohort(tuple(Visit(v.patient, images=v.images) for v in index(folder).visits), "bare")
    settings = settings_of("pairwise", overrides=["data.selection=range"]).data
    (error,) = [f for f in check_cohort(bare, settings) if f.severity == "error"]
    assert "--set 'data.views=[axial]'" in error.message


def test_2d_images_beside_a_volume_are_refused_other_views_too(folder, tmp_path):
    """As fill-missing leaves them: a T1 in a NIfTI file beside a FLAIR of 2-D images."""
    (visit, *others) = index(folder).visits
    flair = read_volume(visit.images["flair"])
    write_volume(tmp_path / "t1.nii.gz", flair.data, flair.geometry, np.uint8)
    mixed = Visit(
        visit.patient, "", {"t1": str(tmp_path / "t1.nii.gz"), **visit.images}, visit.segmentation, visit.labels
    )
    out, rest = tmp_path / "out", [*PLANAR[1:], "data.min_gap=1"]
    settings = settings_of("pairwise", overrides=rest)
    with pytest.raises(UserError, match=r"TCGA-CS-0000: .*are axial 2-D images"):
        prepare(Cohort((mixed, *others), "x"), out, settings.data, settings.split, quiet=True, workers=1)
    settings = settings_of("pairwise", overrides=PLANAR)
    prepared = prepare(Cohort((mixed, *others), "x"), out, settings.data, settings.split, quiet=True)
    assert set(prepared.manifest.visits[0].ranges) == {"t1", "t1e", "flair"}


REAL = Path(__file__).parents[3] / "shared" / "data" / "tcga_lgg"


@pytest.mark.skipif(not REAL.is_dir(), reason="needs the TCGA-LGG slices in ../shared/data")
def test_channels_that_repeat_flair_are_those_the_real_table_calls_missing():
    with (REAL / "labels.csv").open(newline="") as file:
        rows = {row["case"]: row for row in csv.DictReader(file)}
    cohort = index(REAL)
    assert {visit.patient for visit in cohort.visits} == set(rows)
    for visit in cohort.visits:
        row = rows[visit.patient]
        wanted = {"flair"} | ({"t1"} if row["pre_contrast"] == "ok" else set())
        assert set(visit.images) == wanted | ({"t1e"} if row["post_contrast"] == "ok" else set())
        assert visit.labels == {"idh": row["idh"]}
