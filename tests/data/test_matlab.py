import h5py
import numpy as np
import pytest
from scipy.io import savemat

from kerasgan import experiment
from kerasgan.data import matlab
from kerasgan.data.check import check_cohort
from kerasgan.data.cohort import read_cohort
from kerasgan.data.indexers import index, index_to_csv
from kerasgan.data.slices import stack
from kerasgan.data.volumes import files_of, is_planar, labels_of, read_volume, read_volumes
from kerasgan.errors import UserError
from kerasgan.papers import settings_of

HEADER = b"MATLAB 7.3 MAT-file, Platform: PCWIN64, Created on: Sun Apr 02 2017 HDF5 schema 1.00 ."


def save(path, **arrays):
    """A MATLAB v7.3 file: HDF5 behind a text of 512 bytes, arrays transposed, a dotted name is a struct's field."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, array in arrays.items():
            if array is not None:
                file[name.replace("__", "/")] = array.T
    with path.open("r+b") as file:
        file.write(HEADER.ljust(124) + b"\x00\x02IM")
    return path


def head(seed, shape=(24, 20)):
    """A slice of a head, int16 with values beyond 8 bits, and its tumour."""
    row, column = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij")
    tumour = (row - 0.4) ** 2 + (column + 0.3) ** 2 < 0.1
    image = np.random.default_rng(seed).integers(300, 2000, shape) * (row**2 + column**2 < 0.9) + 900 * tumour
    return image.astype(np.int16), tumour.astype(np.uint8)


def save_slice(path, tumour=1, patient="100360", seed=0, **changed):
    image, mask = head(seed)
    fields = {
        "image": image,
        "tumorMask": mask,
        "tumorBorder": np.array([[10.0], [12.5]]),
        "label": np.array([[float(tumour)]]),
        "PID": np.array([[ord(letter) for letter in patient]], np.uint16),
    }
    return save(path, **{f"cjdata__{name}": array for name, array in {**fields, **changed}.items()})


@pytest.fixture
def folder(tmp_path):
    """Twelve patients of two slices each, in two folders as they are unzipped, with the five folds."""
    root = tmp_path / "cheng"
    for number in range(1, 25):
        patient, part = (number + 1) // 2, "1-12" if number <= 12 else "13-24"
        save_slice(root / part / f"{number}.mat", 1 + patient % 3, f"MR{patient:06}", number)
    save(root / "cvind.mat", cvind=np.array([[1.0 + ((number + 1) // 2) % 5] for number in range(1, 25)]))
    return root


def test_a_slice_is_upright_with_image_and_mask_as_channels(tmp_path):
    path = save_slice(tmp_path / "1.mat")
    image, mask = head(0)
    volumes = read_volumes({"t1e": f"{path}#0", "segmentation": f"{path}#1"})
    assert volumes["t1e"].data.shape == (20, 24, 1)
    assert volumes["t1e"].data.dtype == np.int16
    np.testing.assert_array_equal(stack(volumes["t1e"].data, "axial")[0], image)
    np.testing.assert_array_equal(stack(labels_of(volumes["segmentation"]), "axial")[0], mask)
    np.testing.assert_array_equal(volumes["t1e"].affine, np.eye(4))
    assert files_of(f"{path}#1") == [path]
    assert is_planar(f"{path}#0") and is_planar("A/7.MAT") and not is_planar("1.mat.nii")
    with pytest.raises(UserError, match=r"1\.mat is 4-D .*name a channel, .*1\.mat#0 to #1"):
        read_volume(path)


def test_index_keeps_the_slices_of_a_patient_together_in_the_order_of_numbers(folder, tmp_path):
    cohort = index(folder)
    assert cohort.origin == "Brain tumour set of Cheng et al. in cheng"
    assert [visit.visit for visit in cohort.visits] == [str(number) for number in range(1, 25)]
    assert [visit.patient for visit in cohort.visits[1:4]] == ["MR000001", "MR000002", "MR000002"]
    assert [visit.labels for visit in cohort.visits[3:6]] == [
        {"tumour": "pituitary", "fold": "3"},
        {"tumour": "meningioma", "fold": "4"},
        {"tumour": "meningioma", "fold": "4"},
    ]
    source = str(folder / "13-24" / "14.mat")
    assert (cohort.visits[13].images, cohort.visits[13].segmentation) == ({"t1e": f"{source}#0"}, f"{source}#1")
    index_to_csv(folder, tmp_path / "cohort.csv")
    assert read_cohort(tmp_path / "cohort.csv") == cohort


def test_there_may_be_no_folds(folder):
    (folder / "cvind.mat").unlink()
    assert index(folder).visits[0].labels == {"tumour": "glioma"}


def test_from_files_to_prepared_slices_of_patients(folder, tmp_path):
    index_to_csv(folder, tmp_path / "cohort.csv")
    overrides = ["data.views=[axial]", "data.selection=every_tumour", "data.size=32", "split.stratify=tumour"]
    prepared = experiment.prepare(tmp_path / "cohort.csv", tmp_path / "out", overrides=overrides, quiet=True)
    assert prepared.manifest.stratified_by == "tumour"
    assert [len(visit.slices) for visit in prepared.manifest.visits] == [1] * 24
    assert all(tumour > 0 for visit in prepared.manifest.visits for _, _, tumour in visit.slices)
    sizes = {
        subset: len(prepared.visits(subset, 1, ("t1e",))) / len(patients)
        for subset, patients in prepared.manifest.partitions[0].items()
    }
    assert sizes == {"train": 2, "validation": 2, "test": 2}, "both slices of each patient"
    assert prepared.manifest.visits[0].ranges["t1e"][1] > 255, "16 bits are kept"


def test_check_finds_nothing_wrong_but_that_images_are_2d(folder):
    settings = settings_of("pairwise", overrides=["data.views=[axial]", "data.selection=every_tumour"])
    findings = check_cohort(index(folder), settings.data)
    assert [finding.visit for finding in findings if finding.severity == "error"] == []
    assert any(finding.visit == "2-D images" for finding in findings)


def test_slices_of_other_views_are_refused(folder, tmp_path):
    index_to_csv(folder, tmp_path / "cohort.csv")
    with pytest.raises(UserError, match=r"\.mat#0 are axial 2-D images, .* --set 'data.views=\[axial\]'"):
        experiment.prepare(tmp_path / "cohort.csv", tmp_path / "out", overrides=["data.min_gap=1"], quiet=True)


# ---- what cannot be used ---------------------------------------------------------------------------------------------


def test_a_file_of_version_5_is_named_with_the_way_out(tmp_path):
    image, mask = head(0)
    savemat(tmp_path / "1.mat", {"cjdata": {"image": image, "tumorMask": mask, "label": 1, "PID": "100360"}})
    for read in (index, lambda folder: read_volume(f"{folder / '1.mat'}#0")):
        with pytest.raises(UserError, match=r"1\.mat is a MATLAB file of version 5 to 7, .* save it with '-v7\.3'"):
            read(tmp_path)


@pytest.mark.parametrize("name", ["image", "tumorMask", "label", "PID"])
def test_a_missing_field_is_named(tmp_path, name):
    save_slice(tmp_path / "1.mat", **{name: None})
    with pytest.raises(UserError, match=rf"1\.mat lacks cjdata\.{name}"):
        index(tmp_path)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"label": np.array([[4.0]])}, r"1\.mat: label is 4, expected one of 1 \(meningioma\), 2 \(glioma\), 3 \(pit"),
        ({"label": np.array([[1.5]])}, r"label is 1\.5, expected"),
        ({"label": np.array([[1.0, 2.0]])}, r"label is 1, 2, expected"),
        ({"PID": np.array([[100360.0]])}, r"1\.mat: PID is float64, expected the patient's id as text"),
        ({"PID": np.array([[0x20]], np.uint16)}, r"1\.mat: a visit has no patient id"),
        ({"PID": np.array([[0x61, 0x2F]], np.uint16)}, r"1\.mat: the patient id 'a/' cannot be part of a file name"),
        ({"label": np.array([[b"x"]])}, r"1\.mat: cjdata\.label holds no array of numbers"),
    ],
)
def test_a_label_or_an_id_that_cannot_be_is_named(tmp_path, changed, message):
    save_slice(tmp_path / "1.mat", **changed)
    with pytest.raises(UserError, match=message):
        index(tmp_path)


def test_an_image_and_a_mask_of_different_sizes(tmp_path):
    path = save_slice(tmp_path / "1.mat", tumorMask=np.ones((24, 19), np.uint8))
    with pytest.raises(UserError, match=r"1\.mat: image is 24 x 20 and tumorMask 24 x 19, expected two of one size"):
        read_volume(f"{path}#0")
    (error,) = [finding for finding in check_cohort(index(tmp_path)) if finding.severity == "error"]
    assert error.message.startswith(f"{path}: image is 24 x 20")


def test_files_that_are_no_matlab_files_or_cut_short(tmp_path):
    path = tmp_path / "1.mat"
    with pytest.raises(UserError, match=r"no such file: .*1\.mat"):
        matlab.read(path)
    whole = save_slice(path).read_bytes()
    for content in (b"", b"no file of MATLAB", whole[: len(whole) // 2]):
        path.write_bytes(content)
        with pytest.raises(UserError, match=r"1\.mat cannot be read as a MATLAB v7\.3 file"):
            index(tmp_path)


def test_two_files_of_one_number(folder):
    save_slice(folder / "13-24" / "7.mat")
    with pytest.raises(UserError, match=r"two files of one number, .*1-12.7\.mat and .*13-24.7\.mat"):
        index(folder)


def test_folds_that_are_too_few(folder):
    save_slice(folder / "25.mat")
    with pytest.raises(UserError, match=r"25\.mat has no fold in cvind\.mat, which has 24"):
        index(folder)
