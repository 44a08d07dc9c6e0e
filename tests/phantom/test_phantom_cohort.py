import csv
import hashlib
import json
import os
import subprocess
import sys

import nibabel as nib
import numpy as np
import pytest

from kerasgan.errors import UserError
from kerasgan.phantom import cohort, simulate_cohort, simulate_patient
from kerasgan.phantom.patient import geometry

SMALL = {"seed": 7, "grid": 48, "workers": 1, "quiet": True}
MODALITIES = ("t1", "t1e", "t2", "flair")


def bytes_of(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.fixture(scope="module")
def patient():
    return simulate_patient(0, 3, grid=64, idh_mutant=False)


@pytest.fixture(scope="module")
def three(tmp_path_factory):
    return simulate_cohort(tmp_path_factory.mktemp("phantom") / "three", patients=3, missing={"t2": 0.34}, **SMALL)


# ---- one patient ----------------------------------------------------------------------------------------------------


def test_images_have_the_layout_of_brats(patient):
    assert tuple(patient.images) == MODALITIES
    for image in patient.images.values():
        assert image.shape == (64, 64, 41)
        assert image.dtype == np.int16
    assert patient.segmentation.shape == (64, 64, 41)
    assert patient.segmentation.dtype == np.uint8
    assert set(np.unique(patient.segmentation)) <= {0, 1, 2, 4}
    assert (patient.segmentation > 0).any()
    assert patient.labels["idh"] == "wildtype"
    assert patient.labels["grade"] in ("HGG", "LGG")


def test_background_is_zero_and_the_brain_is_the_same_in_all_images(patient):
    brain = patient.images["t1"] > 0
    assert 0.1 < brain.mean() < 0.3
    assert not brain[[0, -1]].any()
    for image in patient.images.values():
        np.testing.assert_array_equal(image > 0, brain)
        assert image.min() == 0
    assert not patient.segmentation[~brain].any()


def test_the_affine_is_that_of_brats():
    shape, voxel, affine = geometry(240)
    assert shape == (240, 240, 155)
    assert voxel == 1
    np.testing.assert_array_equal(affine, [[-1, 0, 0, 0], [0, -1, 0, 239], [0, 0, 1, 0], [0, 0, 0, 1]])


@pytest.mark.parametrize("grid", [32, 64, 96, 128])
def test_smaller_grids_cover_the_same_field_of_view(grid):
    shape, voxel, affine = geometry(grid)
    full_shape, _, full = geometry(240)
    assert shape[2] == round(grid * 155 / 240)
    assert nib.aff2axcodes(affine) == ("L", "P", "S")
    for corner in (0, 1):  # the outer corners of the first and last voxels
        edge = affine[:3, :3] @ (np.array(shape) * corner - 0.5) + affine[:3, 3]
        full_edge = full[:3, :3] @ (np.array(full_shape) * corner - 0.5) + full[:3, 3]
        np.testing.assert_allclose(edge, full_edge, atol=voxel)
        np.testing.assert_allclose(edge[:2], full_edge[:2], atol=1e-9)


def test_front_is_front_and_up_is_up(patient):
    brain = patient.images["t1"] > 0
    places = np.argwhere(brain) @ patient.affine[:3, :3].T + patient.affine[:3, 3]
    x, y, z = (places - places.mean(0)).T
    # The neck side is narrow: the lowest tenth of the brain (brain stem and cerebellum) lies behind the middle.
    assert y[z < np.quantile(z, 0.05)].mean() < -10
    assert abs(x.mean()) < 1
    assert np.ptp(y) > np.ptp(x)


def test_enhancing_tumour_brightens_with_contrast_and_oedema_is_bright_on_flair():
    images = simulate_patient(1, 3, grid=64, idh_mutant=False)
    seg = images.segmentation
    assert (seg == 4).sum() > 20
    scaled = {name: image / np.median(image[image > 0]) for name, image in images.images.items()}
    rest = (images.images["t1"] > 0) & (seg == 0)
    assert scaled["t1e"][seg == 4].mean() > 1.5 * scaled["t1"][seg == 4].mean()
    assert scaled["t1e"][rest].mean() == pytest.approx(scaled["t1"][rest].mean(), rel=0.1)
    assert scaled["flair"][seg == 2].mean() > 1.2 * np.median(scaled["flair"][rest])
    assert scaled["t2"][seg == 2].mean() > 1.2 * np.median(scaled["t2"][rest])


def test_tissues_of_the_images_rank_as_in_radiology(monkeypatch):
    seen = {}
    acquire = cohort.acquire

    def watch(sequence, scan, fractions, water, points, region, voxel, rng):
        values = acquire(sequence, scan, fractions, water, points, region, voxel, rng)
        seen.setdefault("fractions", fractions)
        seen.setdefault("images", []).append(values)
        return values

    monkeypatch.setattr(cohort, "acquire", watch)
    simulate_patient(0, 3, grid=96, idh_mutant=False)
    mean = {
        name: {t: image[share > 0.9].mean() for t, share in seen["fractions"].items() if (share > 0.9).sum() > 5}
        for name, image in zip(MODALITIES, seen["images"], strict=True)
    }
    assert mean["t1"]["white"] > mean["t1"]["grey"] > mean["t1"]["ventricle"]
    assert mean["t2"]["ventricle"] > mean["t2"]["grey"] > mean["t2"]["white"]
    assert mean["flair"]["oedema"] > 1.2 * mean["flair"]["white"]
    assert mean["flair"].pop("ventricle") < 0.5 * mean["flair"]["white"]
    assert mean["flair"].pop("csf") < min(mean["flair"].values())
    assert mean["t1e"]["enhancing"] / mean["t1e"]["white"] > 1.5 * mean["t1"]["enhancing"] / mean["t1"]["white"]


def test_the_label_changes_the_tumour_and_not_the_head():
    mutant, wild = (simulate_patient(2, 3, grid=48, idh_mutant=value) for value in (True, False))
    np.testing.assert_array_equal(mutant.images["t1"] > 0, wild.images["t1"] > 0)
    assert (mutant.segmentation != wild.segmentation).any()
    same = [simulate_patient(2, 3, grid=48, idh_mutant=value, strength=0.0) for value in (True, False)]
    np.testing.assert_array_equal(same[0].segmentation, same[1].segmentation)


def test_same_seed_gives_the_same_bytes_in_another_process():
    code = (
        "import hashlib; from kerasgan.phantom import simulate_patient as s; p = s(1, 9, grid=40, idh_mutant=True);"
        "print(hashlib.sha256(b''.join(i.tobytes() for i in [*p.images.values(), p.segmentation])).hexdigest())"
    )
    environment = os.environ | {"PYTHONHASHSEED": "123", "PYTHONPATH": os.pathsep.join(sys.path)}
    there = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    here = simulate_patient(1, 9, grid=40, idh_mutant=True)
    content = b"".join(image.tobytes() for image in [*here.images.values(), here.segmentation])
    assert there.stdout.strip() == hashlib.sha256(content).hexdigest()


# ---- a cohort -------------------------------------------------------------------------------------------------------


def test_a_cohort_has_brats_names_labels_and_settings(three):
    names = ["Phantom_0001", "Phantom_0002", "Phantom_0003"]
    assert sorted(p.name for p in three.iterdir()) == [*names, "labels.csv", "phantom.json"]
    with open(three / "labels.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["patient"] for row in rows] == names
    assert sorted(row["idh"] for row in rows) == ["mutant", "wildtype", "wildtype"]
    assert all(row["grade"] in ("HGG", "LGG") for row in rows)
    settings = json.loads((three / "phantom.json").read_text())
    assert settings == {
        **{"simulator": cohort.SIMULATOR, "patients": 3, "seed": 7, "grid": 48, "idh_fraction": 0.33},
        **{"missing": {"t2": 0.34}, "strength": 1.0, "tumours": ["glioma"]},
    }
    kinds = [{p.name.removeprefix(n + "_").removesuffix(".nii.gz") for p in (three / n).iterdir()} for n in names]
    full = {"t1", "t1ce", "t2", "flair", "seg"}
    assert sorted(map(len, kinds)) == [4, 5, 5]
    assert all(full - kind <= {"t2"} for kind in kinds)


def test_files_hold_the_simulated_arrays(three):
    with open(three / "labels.csv", newline="") as file:
        row = next(csv.DictReader(file))
    patient = simulate_patient(0, 7, grid=48, idh_mutant=row["idh"] == "mutant")
    assert patient.labels == row
    for kind, array in (("t1ce", patient.images["t1e"]), ("seg", patient.segmentation)):
        file = nib.load(three / "Phantom_0001" / f"Phantom_0001_{kind}.nii.gz")
        np.testing.assert_array_equal(np.asarray(file.dataobj), array)
        assert file.get_data_dtype() == array.dtype
        np.testing.assert_array_equal(file.affine, patient.affine)
        assert nib.aff2axcodes(file.affine) == ("L", "P", "S")
        np.testing.assert_allclose(file.header.get_zooms(), [5, 5, 5])
        assert file.header.get_xyzt_units()[0] == "mm"


def test_two_workers_write_the_bytes_of_one(three, tmp_path):
    again = simulate_cohort(tmp_path / "again", patients=3, missing={"t2": 0.34}, **SMALL | {"workers": 2})
    assert bytes_of(again) == bytes_of(three)


def test_a_larger_cohort_has_the_same_heads(three, tmp_path):
    larger = bytes_of(simulate_cohort(tmp_path / "larger", patients=4, idh_fraction=0.25, **SMALL))
    smaller = bytes_of(three)
    with open(three / "labels.csv", newline="") as one, open(tmp_path / "larger" / "labels.csv", newline="") as other:
        same = [a for a, b in zip(csv.DictReader(one), csv.DictReader(other), strict=False) if a == b]
    assert same
    for row in same:
        name = f"{row['patient']}/{row['patient']}_flair.nii.gz"
        assert larger[name] == smaller[name]


def test_an_interrupted_cohort_goes_on(three, tmp_path, monkeypatch):
    settings = {"patients": 3, "missing": {"t2": 0.34}, **SMALL}
    calls = []
    simulate = cohort.simulate_patient

    def interrupted(index, *args, **kwargs):
        calls.append(index)
        if calls == [0, 1]:
            raise KeyboardInterrupt
        return simulate(index, *args, **kwargs)

    monkeypatch.setattr(cohort, "simulate_patient", interrupted)
    out = tmp_path / "stopped"
    with pytest.raises(KeyboardInterrupt):
        simulate_cohort(out, **settings)
    assert (out / "phantom.partial.json").exists()
    assert not (out / "phantom.json").exists()
    for _ in range(2):
        simulate_cohort(out, **settings)
        # A thread may have begun the third patient before the interruption reached the others.
        assert calls in ([0, 1, 1, 2], [0, 1, 2, 1])
        assert bytes_of(out) == bytes_of(three)


def test_a_write_that_fails_leaves_no_half_file(tmp_path, monkeypatch):
    def full(*_):
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="disk full"):
        simulate_cohort(tmp_path / "out", patients=1, **SMALL)
    assert list((tmp_path / "out").rglob("*")) == []


def test_a_deleted_file_is_simulated_again(three, tmp_path):
    out = simulate_cohort(tmp_path / "out", patients=1, **SMALL)
    before = bytes_of(out)
    (out / "Phantom_0001" / "Phantom_0001_t1.nii.gz").unlink()
    simulate_cohort(out, patients=1, **SMALL)
    assert bytes_of(out) == before


# ---- who is what ----------------------------------------------------------------------------------------------------


def test_167_patients_have_55_mutants_as_in_the_paper():
    for seed in range(5):
        assert cohort.choose_mutants(167, seed, 0.33).sum() == 55
    assert (cohort.choose_mutants(167, 0, 0.33) != cohort.choose_mutants(167, 1, 0.33)).any()
    assert cohort.choose_mutants(10, 0, 0.0).sum() == 0
    assert cohort.choose_mutants(10, 0, 1.0).all()


def test_missing_modalities_are_counted_and_disjoint():
    fractions = {"t2": 0.06, "t1e": 0.1, "flair": 0.5}
    absent = cohort.choose_missing(167, 0, fractions)
    counts = {name: list(absent.values()).count(name) for name in fractions}
    assert counts == {"t2": 10, "t1e": 17, "flair": 84}
    assert max(absent) < 167
    assert cohort.choose_missing(167, 0, {}) == {}


def test_grade_follows_idh_with_exceptions():
    def high(mutant):
        return np.mean([cohort._labels(i, 0, "glioma", mutant)["grade"] == "HGG" for i in range(300)])

    assert high(True) == pytest.approx(0.30, abs=0.08)
    assert high(False) == pytest.approx(0.87, abs=0.06)


# ---- errors ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"patients": 0}, "patients must be at least 1, got 0"),
        ({"grid": 31}, "grid must be from 32 to 480, got 31"),
        ({"seed": -1}, "seed must be at least 0, got -1"),
        ({"idh_fraction": 1.2}, "idh_fraction must be from 0 to 1, got 1.2"),
        ({"strength": -0.1}, "strength must be from 0 to 1, got -0.1"),
        ({"workers": 0}, "workers must be at least 1, got 0"),
        ({"missing": {"flare": 0.1}}, "unknown modality 'flare'; did you mean 'flair'?"),
        ({"missing": {"t2": -0.1}}, "the fraction of missing t2 must be from 0 to 1, got -0.1"),
        ({"missing": {"t2": 0.6, "t1": 0.6}}, "sum to at most 1"),
        ({"patients": 3, "missing": {"t2": 0.5, "t1": 0.5}}, "leaves out 4 files of 3 patients"),
    ],
)
def test_bad_settings_say_what_is_expected(tmp_path, settings, message):
    with pytest.raises(UserError) as error:
        simulate_cohort(tmp_path / "out", **{"patients": 2, **SMALL, **settings})
    assert message in str(error.value)
    assert not (tmp_path / "out").exists()


def test_a_negative_index_is_an_error():
    with pytest.raises(UserError, match="index must be at least 0, got -1"):
        simulate_patient(-1, 0, idh_mutant=True)


def test_a_cohort_of_other_settings_is_not_overwritten(three):
    before = bytes_of(three)
    with pytest.raises(UserError, match=r"phantom\.json is of a cohort with grid=48, not grid=64"):
        simulate_cohort(three, patients=3, missing={"t2": 0.34}, **SMALL | {"grid": 64})
    assert bytes_of(three) == before


def test_a_foreign_folder_is_not_used(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(UserError, match="is not empty and holds no simulated cohort"):
        simulate_cohort(tmp_path, patients=1, **SMALL)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.txt"]
