import gzip
import re

import nibabel
import numpy as np
import pytest

from kerasgan.data.check import Finding, check_cohort
from kerasgan.data.cohort import Cohort, Visit

SHAPE = (8, 9, 7)
LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


def image(seed=0, shape=SHAPE, dtype=np.int16):
    data = np.random.default_rng(seed).integers(1, 900, shape).astype(dtype)
    data[:3] = 0  # background
    return data


def labels(shape=SHAPE):
    data = np.zeros(shape, np.uint8)
    data[2:4, 3:5, 2:5] = 4
    return data


class Patient:
    """One visit's files, to be spoilt by a test."""

    def __init__(self, folder, name):
        self.folder, self.name = folder, name
        self.images = {modality: self.save(modality, image(seed)) for seed, modality in enumerate(("t1", "flair"))}
        self.segmentation = self.save("seg", labels())

    def save(self, kind, data, affine=LPS):
        path = self.folder / f"{self.name}_{kind}.nii.gz"
        path.write_bytes(gzip.compress(nibabel.Nifti1Image(data, affine, dtype=data.dtype).to_bytes()))
        return str(path)

    def visit(self):
        return Visit(self.name, "", self.images, self.segmentation)


@pytest.fixture
def good(tmp_path):
    return Patient(tmp_path, "good")


@pytest.fixture
def bad(tmp_path):
    return Patient(tmp_path, "bad")


def findings(*patients):
    return check_cohort(Cohort(tuple(patient.visit() for patient in patients), "test"), workers=2)


def test_a_good_cohort_has_no_findings(good, bad):
    assert findings(good, bad) == []


def nan(patient):
    data = image(dtype=np.float32)
    data[0, 0, :3] = np.nan
    patient.save("t1", data)


def truncated(patient):
    path = patient.folder / "bad_t1.nii.gz"
    path.write_bytes(path.read_bytes()[:-40])


def moved(patient):
    affine = LPS.copy()
    affine[0, 3] = 5
    patient.save("seg", labels(), affine)


SPOILT = {
    "truncated": (truncated, r"bad_t1\.nii\.gz is truncated"),
    "not nifti": (
        lambda p: (p.folder / "bad_t1.nii.gz").write_bytes(b"junk"),
        r"bad_t1\.nii\.gz is truncated or damaged",
    ),
    "deleted": (lambda p: (p.folder / "bad_t1.nii.gz").unlink(), r"no such file: .*bad_t1\.nii\.gz"),
    "nan": (nan, r"bad_t1\.nii\.gz has 3 NaN or infinite voxels"),
    "4-D": (lambda p: p.save("t1", image(shape=(*SHAPE, 2))), r"bad_t1\.nii\.gz is 4-D"),
    "shape": (lambda p: p.save("flair", image(shape=(8, 9, 6))), r"shapes differ: .*bad_t1.* and .*bad_flair"),
    "affine": (moved, r"affines differ: corners of .*bad_t1.* and .*bad_seg.* lie up to 5 mm apart"),
    "constant": (lambda p: p.save("flair", np.full(SHAPE, 7, np.int16)), r"FLAIR is 7 everywhere: .*bad_flair"),
    "no tumour": (lambda p: p.save("seg", np.zeros(SHAPE, np.uint8)), r"the segmentation is empty .*bad_seg"),
    "fractions": (lambda p: p.save("seg", labels() * np.float32(0.3)), "values other than labels"),
    "negative": (lambda p: p.save("seg", labels().astype(np.int16) - 1), "values other than labels"),
    "no segmentation": (
        lambda p: setattr(p, "segmentation", None),
        "the segmentation is missing, other visits have one",
    ),
    "no images": (lambda p: p.images.clear(), "there is no image"),
    "same file": (lambda p: p.images.update(flair=p.images["t1"]), "used twice, as T1 of bad and as FLAIR of bad"),
}


@pytest.mark.parametrize(("spoil", "message"), SPOILT.values(), ids=SPOILT)
def test_what_would_fail_is_one_error_of_that_visit(good, bad, spoil, message):
    spoil(bad)
    (finding,) = [finding for finding in findings(good, bad) if finding.severity == "error"]
    assert finding.visit == "bad"
    assert re.search(message, finding.message)


def test_all_faults_of_a_visit_are_reported(good, bad):
    truncated(bad)
    bad.save("seg", np.zeros(SHAPE, np.uint8))
    assert [finding.severity for finding in findings(good, bad)] == ["error", "error"]


def test_one_file_for_two_patients_is_an_error(good, bad):
    bad.images["t1"] = good.images["t1"]
    (finding,) = findings(good, bad)
    assert (finding.visit, finding.severity) == ("bad", "error")
    assert finding.message.endswith("used twice, as T1 of good and as T1 of bad")


def test_a_truncated_4d_file_is_reported_once(tmp_path):
    patient = Patient(tmp_path, "bad")
    patient.images = {
        name: f"{patient.save('t1', image(shape=(*SHAPE, 2)))}#{i}" for i, name in enumerate(("t1", "t2"))
    }
    truncated(patient)
    assert len(findings(patient)) == 1


NOTES = {
    "orientation": (
        lambda p: [
            p.save(kind, data, np.eye(4)) for kind, data in (("t1", image(0)), ("flair", image(1)), ("seg", labels()))
        ],
        ["T1 is stored as RAS, most of the cohort as LPS"],
    ),
    "missing modality": (lambda p: p.images.pop("t1"), ["T1 is missing"]),
    "thick": (
        lambda p: [p.save(k, d, LPS @ np.diag([1, 1, 5, 1])) for k, d in (("t1", image(0)), ("flair", image(1)))],
        ["T1 has voxels of 1 x 1 x 5 mm", "FLAIR has voxels of 1 x 1 x 5 mm"],
    ),
    "negative": (
        lambda p: p.save("t1", image() - np.int16(5)),
        ["T1 has negative intensities (down to -5): 0 is"],
    ),
    "skull, noise": (
        lambda p: p.save("flair", image() + np.int16(1)),
        ["less than 20% of FLAIR is 0: what surrounds the head counts as brain"],
    ),
    "labels as image": (lambda p: p.save("flair", labels()), ["FLAIR has only whole numbers from 0 to 4: is it a"]),
}


@pytest.mark.parametrize(("change", "messages"), NOTES.values(), ids=NOTES)
def test_what_is_unusual_is_a_note(good, bad, tmp_path, change, messages):
    change(bad)
    notes = [f for f in findings(good, Patient(tmp_path, "third"), bad) if f.severity == "note"]
    assert {note.visit for note in notes} == {"bad"}
    for message in messages:
        assert any(note.message.startswith(message) for note in notes)


def test_a_cohort_without_any_segmentation_is_noted_not_refused(good, bad):
    good.segmentation = bad.segmentation = None
    assert [(f.visit, f.severity) for f in findings(good, bad)] == [("good", "note"), ("bad", "note")]


def test_findings_keep_the_cohorts_order_and_progress_counts_visits(tmp_path):
    patients = [Patient(tmp_path, f"p{i}") for i in range(5)]
    for patient in patients[::2]:
        patient.save("seg", np.zeros(SHAPE, np.uint8))
    seen = []
    result = check_cohort(Cohort(tuple(p.visit() for p in patients), "test"), workers=3, progress=seen.append)
    assert [finding.visit for finding in result] == ["p0", "p2", "p4"]
    assert seen == ["p0", "p1", "p2", "p3", "p4"]
    assert isinstance(result[0], Finding)


@pytest.mark.parametrize("bare", [False, True])
def test_a_range_that_misses_a_volume_is_an_error_with_and_without_segmentation(good, bad, bare):
    from kerasgan.papers import settings_of

    overrides = ["data.views=[axial]", "data.selection=range", "data.slice_range=[0.4, 0.5]"]
    if bare:
        good.segmentation = bad.segmentation = None
    cohort = Cohort((good.visit(), bad.visit()), "test")
    found = check_cohort(cohort, settings_of("pairwise", overrides=overrides).data)
    errors = [finding for finding in found if finding.severity == "error"]
    assert [finding.visit for finding in errors] == ["good", "bad"]
    assert all(finding.message.startswith("the volume has 7 axial slices, of which") for finding in errors)
    enough = settings_of("pairwise", overrides=[*overrides[:2], "data.slice_range=[0.4, 0.6]"]).data
    assert not [finding for finding in check_cohort(cohort, enough) if finding.severity == "error"]
