import numpy as np
import pytest
from PIL import Image

from kerasgan import experiment
from kerasgan.data.cohort import read_cohort
from kerasgan.data.images import files_of, is_image
from kerasgan.data.indexers import index, index_to_csv
from kerasgan.data.slices import stack
from kerasgan.data.volumes import read_volume
from kerasgan.errors import UserError

CLASSES = ("glioma", "meningioma", "pituitary")
PLANAR = ["data.views=[axial]", "data.selection=range", "data.size=32", "split.stratify=tumour"]


def grey(seed, shape=(24, 20)):
    row, column = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij")
    brain = row**2 + column**2 < 0.9
    return (np.random.default_rng(seed).integers(60, 250, shape) * brain).astype(np.uint8)


def save(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


@pytest.fixture
def folder(tmp_path):
    """Five images per class; those of one class as RGB with equal channels."""
    for k, name in enumerate(CLASSES):
        for number in range(5):
            pixels = grey(10 * k + number)
            pixels = pixels[..., None].repeat(3, axis=2) if name == "glioma" else pixels
            save(tmp_path / "set" / name / f"{number}.{'jpg' if k == 1 else 'png'}", pixels)
    return tmp_path / "set"


def test_classes_become_labels_and_the_origin_says_that_patients_are_unknown(folder, tmp_path):
    cohort = index(folder)
    assert [visit.labels["tumour"] for visit in cohort.visits] == [name for name in CLASSES for _ in range(5)]
    assert (cohort.visits[5].patient, cohort.visits[5].visit) == ("meningioma-0", "")
    assert cohort.visits[5].images == {"t1e": str(folder / "meningioma" / "0.jpg")}
    assert cohort.visits[5].segmentation is None
    assert "no patient ids: each image counts as a patient" in cohort.origin
    index_to_csv(folder, tmp_path / "cohort.csv")
    assert read_cohort(tmp_path / "cohort.csv") == cohort


def test_an_image_is_a_volume_of_one_upright_slice(folder):
    for number, name in ((0, "glioma"), (20, "pituitary")):
        volume = read_volume(folder / name / "0.png")
        assert volume.data.shape == (20, 24, 1)
        np.testing.assert_array_equal(stack(volume.data, "axial")[0], grey(number))
    assert is_image("a/b.JPEG#1") and not is_image("a/b.nii.gz") and not is_image("a.png/b")
    with pytest.raises(UserError, match=r"no such file: .*gone\.png"):
        read_volume(folder / "gone.png")


def test_a_single_image_does_not_look_through_its_folder(tmp_path):
    """Or preparing n images of a folder would take n^2 steps."""
    assert files_of(tmp_path / "no folder" / "a.png") == [tmp_path / "no folder" / "a.png"]


def test_from_images_to_prepared_slices(folder, tmp_path):
    index_to_csv(folder, tmp_path / "cohort.csv")
    prepared = experiment.prepare(tmp_path / "cohort.csv", tmp_path / "out", overrides=PLANAR, quiet=True)
    assert [len(visit.slices) for visit in prepared.manifest.visits] == [1] * 15
    assert {subset: len(names) for subset, names in prepared.manifest.partitions[0].items()} == {
        "train": 9,
        "validation": 3,
        "test": 3,
    }
    assert "no patient ids: each image counts as a patient" in prepared.manifest.origin
    with pytest.raises(UserError, match=r"glioma-\d has no segmentation; .* set data.selection=range"):
        experiment.prepare(tmp_path / "cohort.csv", tmp_path / "two", overrides=["data.views=[axial]"], quiet=True)


def test_brackets_in_names_are_no_wildcards(tmp_path):
    for number in (1, 2):
        save(tmp_path / "tumor [x]" / f"a[{number}].png", grey(number))
    for number, visit in enumerate(index(tmp_path).visits, 1):
        np.testing.assert_array_equal(stack(read_volume(visit.images["t1e"]).data, "axial")[0], grey(number))


def test_folders_of_patients_are_not_taken_for_classes_unless_told(tmp_path):
    save(tmp_path / "set" / "patient_tumour_1" / "1.png", grey(1))
    save(tmp_path / "set" / "P02" / "1.png", grey(2))
    with pytest.raises(UserError, match="fits no known layout"):
        index(tmp_path / "set")
    assert len(index(tmp_path / "set", "class_folders").visits) == 2


def test_other_files_and_hidden_ones_are_passed_over(folder):
    (folder / "glioma" / "notes.txt").write_text("x")
    (folder / "glioma" / "._1.png").write_bytes(b"of macOS")
    assert len(index(folder).visits) == 15


# ---- what cannot be used ---------------------------------------------------------------------------------------------


def test_true_colour_is_refused(folder):
    pixels = grey(1)[..., None].repeat(3, axis=2)
    pixels[12, 10, 2] ^= 1
    save(folder / "pituitary" / "7.png", pixels)
    with pytest.raises(UserError, match=r"pituitary.7\.png is a colour image, expected a grey one: convert it"):
        index(folder)


def test_another_size_is_refused(folder):
    save(folder / "pituitary" / "7.png", grey(1, (24, 24)))
    with pytest.raises(UserError, match=r"7\.png is 24 x 24, .*glioma.0\.png is 24 x 20: expected images of one size"):
        index(folder)


def test_two_images_of_one_name_are_refused(folder):
    save(folder / "glioma" / "3.tif", grey(1))
    with pytest.raises(UserError, match=r"two images of one name, .*glioma.3\.png and .*glioma.3\.tif: rename one"):
        index(folder)


def test_a_damaged_image_is_named(folder):
    path = folder / "meningioma" / "2.jpg"
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(UserError, match=r"meningioma.2\.jpg cannot be read as an image"):
        index(folder)


def test_no_images_says_what_is_expected(tmp_path):
    with pytest.raises(UserError, match=r"no images of the layout 'class_folders': expected a folder per class"):
        index(tmp_path, "class_folders")
