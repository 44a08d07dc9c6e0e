import json
import os

import nibabel
import numpy as np
import pytest

from kerasgan.data.cohort import read_cohort, write_cohort
from kerasgan.data.indexers import EXPECTED, INDEXERS, index
from kerasgan.data.volumes import read_volumes
from kerasgan.errors import UserError

SUFFIXES_2018 = {"t1": "_t1", "t1e": "_t1ce", "t2": "_t2", "flair": "_flair"}
SUFFIXES_2023 = {"t1": "-t1n", "t1e": "-t1c", "t2": "-t2W", "flair": "-t2f"}


def touch(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"")
    return str(path)


def brats_case(folder, suffixes=SUFFIXES_2018, segmentation="_seg", ending=".nii.gz"):
    """Empty files of a case; returns its images by modality and the segmentation."""
    images = {name: touch(folder / f"{folder.name}{suffix}{ending}") for name, suffix in suffixes.items()}
    return images, touch(folder / f"{folder.name}{segmentation}{ending}")


# ---- BraTS ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "suffixes", "segmentation", "ending", "patient", "visit"),
    [
        ("Brats18_2013_2_1", SUFFIXES_2018, "_seg", ".nii.gz", "Brats18_2013_2_1", ""),
        ("BraTS2021_01476", SUFFIXES_2018, "_seg", ".nii.gz", "BraTS2021_01476", ""),
        ("BraTS20_Training_355", SUFFIXES_2018, "_Segm", ".nii", "BraTS20_Training_355", ""),
        ("BraTS-GLI-00000-000", SUFFIXES_2023, "-seg", ".nii.gz", "BraTS-GLI-00000", "000"),
        ("BraTS-MEN-RT-0012-1", SUFFIXES_2023, "-seg", ".nii.gz", "BraTS-MEN-RT-0012", "1"),
        ("my_patient", {"t1": "_T1w", "t1e": "_T1Gd"}, "_segmentation", ".mha", "my_patient", ""),
    ],
)
def test_brats_names_of_every_year(tmp_path, name, suffixes, segmentation, ending, patient, visit):
    images, segmentation = brats_case(tmp_path / "data" / name, suffixes, segmentation, ending)
    cohort = index(tmp_path / "data")
    (found,) = cohort.visits
    assert (found.patient, found.visit, found.images, found.segmentation) == (patient, visit, images, segmentation)
    assert cohort.origin == "BraTS folders in data"
    assert cohort.label_columns == ()


def test_brats_2013_files_in_folders_of_their_own(tmp_path):
    case = tmp_path / "HGG" / "brats_tcia_pat101_0002"
    sources = {
        kind: touch(case / stem / f"{stem}.mha")
        for kind, stem in {
            "t1": "VSD.Brain.XX.O.MR_T1.54515",
            "t1e": "VSD.Brain.XX.O.MR_T1c.54514",
            "flair": "VSD.Brain.XX.O.MR_Flair.54512",
            "segmentation": "VSD.Brain_3more.XX.O.OT.54517",
        }.items()
    }
    (visit,) = index(tmp_path).visits
    assert (visit.patient, visit.visit) == ("brats_tcia_pat101", "0002")
    assert {**visit.images, "segmentation": visit.segmentation} == sources
    assert visit.labels == {"grade": "HGG"}


def test_a_folder_named_like_its_file_is_passed_over(tmp_path):
    source = touch(tmp_path / "BraTS2021_00001" / "BraTS2021_00001_flair.nii" / "00000057_brain_flair.nii")
    (visit,) = index(tmp_path).visits
    assert (visit.patient, visit.images) == ("BraTS2021_00001", {"flair": source})


def test_grade_folders_become_a_label_at_any_depth(tmp_path):
    brats_case(tmp_path / "a" / "HGG" / "Brats18_2")
    brats_case(tmp_path / "a" / "LGG" / "Brats18_1")
    brats_case(tmp_path / "b" / "Brats18_3")
    cohort = index(tmp_path)
    assert [(v.patient, v.labels) for v in cohort.visits] == [
        ("Brats18_1", {"grade": "LGG"}),
        ("Brats18_2", {"grade": "HGG"}),
        ("Brats18_3", {}),
    ]


def test_missing_modalities_are_left_out_and_other_files_ignored(tmp_path):
    case = tmp_path / "p1"
    flair = touch(case / "p1_flair.nii.gz")
    for name in ("p1_brain_mask.nii.gz", "notes.txt", "._p1_t1.nii.gz", ".p1_t2.nii"):
        touch(case / name)
    touch(tmp_path / ".cache" / "p2" / "p2_t1.txt")
    (visit,) = index(tmp_path).visits
    assert (visit.images, visit.segmentation) == ({"flair": flair}, None)


def test_a_patients_own_folder_and_linked_folders_are_indexed(tmp_path):
    images, _ = brats_case(tmp_path / "real" / "p1")
    assert index(tmp_path / "real" / "p1").visits[0].images == images
    (tmp_path / "subset").mkdir()
    os.symlink(tmp_path / "real" / "p1", tmp_path / "subset" / "p1")
    assert index(tmp_path / "subset").visits[0].patient == "p1"


def test_visits_of_one_patient_stay_together_in_order(tmp_path):
    for name in ("BraTS-GLI-00002-001", "BraTS-GLI-00010-000", "BraTS-GLI-00002-000"):
        brats_case(tmp_path / name, SUFFIXES_2023, "-seg")
    found = [(visit.patient, visit.visit) for visit in index(tmp_path).visits]
    assert found == [("BraTS-GLI-00002", "000"), ("BraTS-GLI-00002", "001"), ("BraTS-GLI-00010", "000")]


def test_two_files_for_one_modality_are_refused(tmp_path):
    touch(tmp_path / "p1" / "p1_t1ce.nii.gz")
    touch(tmp_path / "p1" / "p1_t1gd.nii.gz")
    with pytest.raises(UserError, match=r"two t1e files for one visit, .*p1_t1ce\.nii\.gz and .*p1_t1gd\.nii\.gz"):
        index(tmp_path)


def test_indexed_cohort_survives_its_csv(tmp_path):
    brats_case(tmp_path / "HGG" / "p1")
    cohort = index(tmp_path)
    write_cohort(cohort, tmp_path / "cohort.csv")
    assert read_cohort(tmp_path / "cohort.csv") == cohort
    assert "p1,,HGG/p1/p1_t1.nii.gz,HGG/p1/p1_t1ce.nii.gz" in (tmp_path / "cohort.csv").read_text()


# ---- TCGA -----------------------------------------------------------------------------------------------------------


def test_tcga_names_give_patient_date_and_the_corrected_segmentation(tmp_path):
    for patient, files in {
        "TCGA-02-0003_1997.06.08": ("t1", "t1Gd", "t2", "flair", "GlistrBoost", "GlistrBoost_ManuallyCorrected"),
        "TCGA-CS-4941_1996.09.09": ("t1", "GlistrBoost"),
    }.items():
        for name in files:
            touch(tmp_path / patient[:12] / f"{patient}_{name}.nii.gz")
    cohort = index(tmp_path)
    first, second = cohort.visits
    assert (first.patient, first.visit) == ("TCGA-02-0003", "1997.06.08")
    assert list(first.images) == ["t1", "t1e", "t2", "flair"]
    assert first.images["t1e"].endswith("TCGA-02-0003_1997.06.08_t1Gd.nii.gz")
    assert first.segmentation.endswith("GlistrBoost_ManuallyCorrected.nii.gz")
    assert second.segmentation.endswith("TCGA-CS-4941_1996.09.09_GlistrBoost.nii.gz")
    assert cohort.origin.startswith("TCGA images in ")


# ---- Medical Segmentation Decathlon ---------------------------------------------------------------------------------


def msd_folder(folder, names):
    data = np.arange(4 * 5 * 6 * len(names), dtype=np.int16).reshape((4, 5, 6, len(names)), order="F")
    for part, array in (("imagesTr", data), ("labelsTr", data[..., 0] % 4)):
        (folder / part).mkdir(parents=True)
        nibabel.Nifti1Image(array, np.eye(4)).to_filename(folder / part / "BRATS_001.nii.gz")
    (folder / "dataset.json").write_text(json.dumps({"modality": dict(map(reversed, names.items()))}))
    return data


@pytest.mark.parametrize(
    "names", [{"FLAIR": "0", "T1w": "1", "t1gd": "2", "T2w": "3"}, {"T2w": "0", "t1gd": "1", "FLAIR": "2", "T1w": "3"}]
)
def test_msd_channels_follow_dataset_json(tmp_path, names):
    data = msd_folder(tmp_path, names)
    touch(tmp_path / "imagesTr" / "._BRATS_001.nii.gz")
    cohort = index(tmp_path)
    (visit,) = cohort.visits
    volumes = read_volumes({**visit.images, "segmentation": visit.segmentation})
    for modality, alias in {"t1": "T1w", "t1e": "t1gd", "t2": "T2w", "flair": "FLAIR"}.items():
        np.testing.assert_array_equal(volumes[modality].data, data[..., int(names[alias])])
    np.testing.assert_array_equal(volumes["segmentation"].data, data[..., 0] % 4)
    assert (visit.name, cohort.origin) == ("BRATS_001", f"Medical Segmentation Decathlon in {tmp_path.name}")


def test_msd_without_a_label_file_has_no_segmentation(tmp_path):
    msd_folder(tmp_path, {"FLAIR": "0", "T1w": "1"})
    (tmp_path / "labelsTr" / "BRATS_001.nii.gz").unlink()
    assert index(tmp_path).visits[0].segmentation is None


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, r"dataset\.json is missing; it says what the images are"),
        ("{", r"dataset\.json: not readable as JSON"),
        ("[]", r"dataset\.json: expected a JSON object"),
        ("{}", "does not say which channel is which modality"),
        ('{"modality": {"0": "CT"}}', r"dataset\.json: unknown modality 'CT'"),
        ('{"modality": {"0": "T1w", "1": "t1"}}', "names one modality twice: T1w, t1"),
    ],
)
def test_msd_never_guesses_the_order_of_channels(tmp_path, content, message):
    touch(tmp_path / "imagesTr" / "BRATS_001.nii.gz")
    if content is not None:
        (tmp_path / "dataset.json").write_text(content)
    with pytest.raises(UserError, match=message):
        index(tmp_path)


# ---- phantom --------------------------------------------------------------------------------------------------------


def phantom_folder(folder, settings):
    brats_case(folder / "phantom_000")
    (folder / "phantom.json").write_text(json.dumps(settings))
    (folder / "labels.csv").write_text("patient,idh,grade\nphantom_000,mutant,LGG\n")


def test_phantom_folders_have_labels_and_an_origin_that_says_simulated(tmp_path):
    phantom_folder(tmp_path, {"seed": 7, "grid": 64, "patients": 1, "version": 1})
    cohort = index(tmp_path)
    assert cohort.origin == "simulated phantom cohort (seed 7, grid 64, 1 patients)"
    assert cohort.visits[0].labels == {"idh": "mutant", "grade": "LGG"}
    assert list(cohort.visits[0].images) == ["t1", "t1e", "t2", "flair"]


def test_phantom_settings_must_be_complete(tmp_path):
    phantom_folder(tmp_path, {"seed": 7})
    with pytest.raises(UserError, match=r"phantom\.json lacks grid, patients"):
        index(tmp_path)


# ---- which layout ---------------------------------------------------------------------------------------------------


def test_every_layout_says_what_it_expects():
    assert EXPECTED.keys() == INDEXERS.keys()


def test_a_folder_without_images_lists_the_layouts(tmp_path):
    with pytest.raises(UserError, match=r"fits no known layout: pass one of brats: .*msd: .*tcga: .*phantom: "):
        index(tmp_path)


def test_a_folder_of_two_layouts_needs_a_name(tmp_path):
    brats_case(tmp_path / "p1")
    touch(tmp_path / "TCGA-02-0003" / "TCGA-02-0003_1997.06.08_t1.nii.gz")
    with pytest.raises(UserError, match=r"fits several layouts \(tcga, brats\): pass one of"):
        index(tmp_path)
    assert [visit.patient for visit in index(tmp_path, "tcga").visits] == ["TCGA-02-0003"]


@pytest.mark.parametrize("layout", ["brats", "tcga"])
def test_a_named_layout_without_images_says_what_it_expects(tmp_path, layout):
    with pytest.raises(UserError, match=f"has no images of the layout '{layout}': expected "):
        index(tmp_path, layout)


def test_unknown_layouts_and_folders_are_refused(tmp_path):
    with pytest.raises(UserError, match="unknown layout 'brat': did you mean 'brats'"):
        index(tmp_path, "brat")
    with pytest.raises(UserError, match="no such folder"):
        index(tmp_path / "gone")
