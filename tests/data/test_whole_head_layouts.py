"""The layouts `rembrandt` and `neonatal`, and how they are told from `brats`."""

import pytest

from kerasgan.data.cohort import read_cohort
from kerasgan.data.indexers import EXPECTED, index, index_to_csv
from kerasgan.errors import UserError


def touch(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"")
    return str(path)


def case(folder, *names):
    return [touch(folder / f"{name}.nii.gz") for name in names]


# ---- REMBRANDT ------------------------------------------------------------------------------------------------------


def test_the_rembrandt_release_gives_patient_date_and_segmentation(tmp_path):
    for name in ("HF1442_2001.02.03", "900-00-5316_2004.05.06"):
        kinds = ("t1_LPS_rSRI", "t1ce_LPS_rSRI", "t2_LPS_rSRI", "flair_LPS_rSRI", "GlistrBoost_out")
        case(tmp_path / "Patients_1_10" / name, *(f"{name}_{kind}" for kind in kinds))
    cohort = index(tmp_path)
    assert [(visit.patient, visit.visit) for visit in cohort.visits] == [
        ("900-00-5316", "2004.05.06"),
        ("HF1442", "2001.02.03"),
    ]
    for visit in cohort.visits:
        assert list(visit.images) == ["t1", "t1e", "t2", "flair"]
        assert visit.images["t1e"].endswith("_t1ce_LPS_rSRI.nii.gz")
        assert visit.segmentation.endswith("_GlistrBoost_out.nii.gz")
        assert visit.labels == {}
    assert cohort.origin == f"REMBRANDT images in {tmp_path.name}"


@pytest.mark.parametrize("mask", ["mask", "seg", "tumor", "Tumour_Mask", "flair_mask", "lesion", "brain_tumor_mask"])
def test_flair_and_a_mask_of_any_name_with_the_grade_of_the_folder(tmp_path, mask):
    for grade, name in (("HGG", "HF1442"), ("lgg", "900-00-5316")):
        case(tmp_path / grade / "cases" / name, f"{name}_FLAIR", f"{name}_{mask}", f"{name}_brain_mask")
    cohort = index(tmp_path)
    assert [(visit.patient, dict(visit.labels)) for visit in cohort.visits] == [
        ("900-00-5316", {"grade": "LGG"}),
        ("HF1442", {"grade": "HGG"}),
    ]
    for visit in cohort.visits:
        assert list(visit.images) == ["flair"]
        assert visit.segmentation.endswith(f"{visit.patient}_{mask}.nii.gz")


def test_a_skull_mask_alone_is_no_tumour(tmp_path):
    case(tmp_path / "HF1442", "HF1442_flair", "HF1442_brain_mask")
    assert index(tmp_path).visits[0].segmentation is None


def test_files_without_a_folder_of_their_own(tmp_path):
    case(tmp_path / "HGG", "HF1442_flair", "HF1442_mask", "HF1490_2001.02.03_flair", "HF1490_2001.02.03_mask")
    cohort = index(tmp_path)
    assert [visit.name for visit in cohort.visits] == ["HF1442", "HF1490_2001.02.03"]
    assert all(visit.segmentation and visit.labels == {"grade": "HGG"} for visit in cohort.visits)


def test_other_patients_are_read_as_rembrandt_where_it_is_said(tmp_path):
    case(tmp_path / "HGG" / "p1", "p1_flair", "p1_mask")
    assert index(tmp_path).visits[0].segmentation is None  # as BraTS, whose masks are called seg
    (visit,) = index(tmp_path, "rembrandt").visits
    assert (visit.patient, visit.labels) == ("p1", {"grade": "HGG"})
    assert visit.segmentation.endswith("p1_mask.nii.gz")


def test_two_masks_are_refused(tmp_path):
    case(tmp_path / "HF1442", "HF1442_flair", "HF1442_mask", "HF1442_tumor")
    with pytest.raises(UserError, match=r"two segmentation files for one visit, .*_mask\.nii\.gz and .*_tumor"):
        index(tmp_path)


# ---- whole heads ----------------------------------------------------------------------------------------------------


def test_a_folder_per_sequence_and_what_a_patient_lacks_is_missing(tmp_path):
    first = case(tmp_path / "T1", "ALBERT_02", "ALBERT_05")
    second = case(tmp_path / "T2", "ALBERT_05")
    touch(tmp_path / "ages.csv")
    cohort = index(tmp_path)
    assert [(visit.patient, visit.visit, visit.images, visit.segmentation) for visit in cohort.visits] == [
        ("ALBERT_02", "", {"t1": first[0]}, None),
        ("ALBERT_05", "", {"t1": first[1], "t2": second[0]}, None),
    ]
    assert cohort.origin == f"whole heads in {tmp_path.name}"


@pytest.mark.parametrize(
    ("names", "patients"),
    [
        (("P02_T1", "P02_t2w", "P03_t1w"), {"P02": ["t1", "t2"], "P03": ["t1"]}),
        (("P-02-T1w", "P-03-T1w", "P-03-T2-FLAIR"), {"P-02": ["t1"], "P-03": ["t1", "flair"]}),
        (("a_ce-gadolinium_T1w", "b_T1w", "c_T1w"), {"a": ["t1e"], "b": ["t1"], "c": ["t1"]}),
    ],
)
def test_files_side_by_side(tmp_path, names, patients):
    case(tmp_path, *names)
    assert {visit.patient: list(visit.images) for visit in index(tmp_path).visits} == patients


def test_sequences_in_the_names_too(tmp_path):
    case(tmp_path / "t1w", "P02_T1", "P03_T1")
    case(tmp_path / "t2w", "P02_T2")
    assert {v.patient: list(v.images) for v in index(tmp_path).visits} == {"P02": ["t1", "t2"], "P03": ["t1"]}


def test_bids_has_patients_and_sessions_and_no_segmentation_of_tissues(tmp_path):
    name = "sub-CC01_ses-12"
    kinds = ("desc-restore_T1w", "desc-restore_T2w", "desc-drawem9_dseg", "desc-brain_mask")
    case(tmp_path / "sub-CC01" / "ses-12" / "anat", *(f"{name}_{kind}" for kind in kinds))
    (visit,) = index(tmp_path).visits
    assert (visit.patient, visit.visit, list(visit.images), visit.segmentation) == (
        "sub-CC01",
        "12",
        ["t1", "t2"],
        None,
    )


def test_a_name_that_contradicts_its_folder_is_refused(tmp_path):
    case(tmp_path / "T1", "P02_T2")
    with pytest.raises(UserError, match=r"P02_T2\.nii\.gz is t2 by its name and t1 by its folder: rename"):
        index(tmp_path)


def test_patients_with_tumours_are_no_whole_heads(tmp_path):
    case(tmp_path / "p1", "p1_t1", "p1_seg")
    (visit,) = index(tmp_path).visits
    assert visit.segmentation
    case(tmp_path / "p1", "p2_t1")
    with pytest.raises(UserError, match="two t1 files for one visit"):
        index(tmp_path)


def test_one_patient_with_one_file_is_brats(tmp_path):
    case(tmp_path / "p1", "p1_t1", "p1_t2")
    assert index(tmp_path).origin.startswith("BraTS folders")


@pytest.mark.parametrize("layout", ["neonatal", "rembrandt"])
def test_a_folder_without_images_says_what_is_expected(tmp_path, layout):
    with pytest.raises(UserError) as error:
        index(tmp_path, layout)
    assert EXPECTED[layout] in str(error.value)


# ---- classes by table -----------------------------------------------------------------------------------------------


def test_the_users_table_gives_the_classes(tmp_path):
    case(tmp_path / "heads" / "T1", "N_02", "N_05")
    (tmp_path / "table.csv").write_text("patient,age_weeks,class\nN_02,44,older\nN_05,37,young\nN_09,38,young\n")
    cohort = index_to_csv(tmp_path / "heads", tmp_path / "cohort.csv", None, tmp_path / "table.csv", ("class",))
    assert [dict(visit.labels) for visit in cohort.visits] == [{"class": "older"}, {"class": "young"}]
    assert read_cohort(tmp_path / "cohort.csv") == cohort


def test_the_command_lists_both_layouts():
    from click.testing import CliRunner

    from kerasgan.cli.data import data

    text = " ".join(CliRunner().invoke(data, ["index", "--help"]).output.split())
    for name in EXPECTED:
        assert name in text
