import json
import shutil
from dataclasses import replace

import keras
import nibabel
import numpy as np
import pytest
from conftest import AFFINE, SHAPE, SMALL

from kerasgan import experiment
from kerasgan.data import slices
from kerasgan.data.cohort import read_cohort, write_cohort
from kerasgan.data.volumes import read_volume
from kerasgan.errors import UserError
from kerasgan.papers import settings_of
from kerasgan.papers.pairwise.synthesis import source_for, translate_volume

SETTINGS = settings_of("pairwise", overrides=SMALL)


@pytest.fixture
def t1(brats_folder):
    return brats_folder / "BraTS2021_00000" / "BraTS2021_00000_t1.nii.gz"


@pytest.mark.parametrize("views", [("axial",), ("coronal",), ("axial", "coronal", "sagittal")])
def test_an_identity_generator_gives_the_volume_back(t1, views):
    """Through slices, normalisation, resizing and back: only resampling and clipping may differ."""
    volume = read_volume(str(t1))
    made = translate_volume(lambda images: images, volume, views, SETTINGS.data)
    low, high = slices.intensity_range(volume.data, SETTINGS.data.percentiles)
    expected = np.where(volume.data != 0, np.clip(volume.data, low, high), 0)
    assert (made[volume.data == 0] == 0).all(), "background stays 0"
    inside = np.zeros(volume.data.shape, bool)  # away from the brain's edge, which resampling smooths
    inside[6:-6, 7:-7, 5:-5] = True
    error = np.abs(made - expected)[inside & (volume.data != 0)]
    assert np.median(error) < 0.02 * (high - low)


def test_a_z_scored_volume_keeps_its_negative_intensities(t1):
    volume = read_volume(str(t1))
    brain = volume.data != 0
    scored = np.where(brain, (volume.data - volume.data[brain].mean()) / volume.data[brain].std(), 0)
    made = translate_volume(lambda images: images, replace(volume, data=scored), ("axial",), SETTINGS.data)
    inside = np.zeros(brain.shape, bool)
    inside[6:-6, 7:-7, 5:-5] = True
    assert made.min() < -1
    assert np.median(np.abs(made - scored)[inside & brain]) < 0.05
    assert (made[~brain] == 0).all()


def test_slices_reach_the_generator_as_it_was_trained(t1):
    seen = []
    volume = read_volume(str(t1))
    counted = []
    translate_volume(lambda images: seen.append(images) or images, volume, ("axial",), SETTINGS.data, counted.append, 8)
    stacked = np.concatenate(seen)
    assert stacked.shape[1:] == (32, 32) and stacked.dtype == np.float32
    assert stacked.min() >= -1 - 1e-6 and stacked.max() <= 1 + 1e-6
    assert max(len(images) for images in seen) == 8
    assert sum(counted) == len(stacked) == np.count_nonzero((volume.data != 0).any(axis=(0, 1)))


def test_a_white_generator_gives_the_sources_white(t1):
    volume = read_volume(str(t1))
    _, high = slices.intensity_range(volume.data, SETTINGS.data.percentiles)
    made = translate_volume(np.ones_like, volume, ("axial", "sagittal"), SETTINGS.data)
    np.testing.assert_allclose(made[volume.data != 0], high, rtol=1e-3)


def test_nifti_in_nifti_out(finished_run, t1, tmp_path):
    out = experiment.translate(
        finished_run, t1, tmp_path / "new" / "t1e.nii.gz", source="T1", target="t1ce", quiet=True
    )
    made, source = nibabel.load(out), nibabel.load(t1)
    assert made.shape == SHAPE
    np.testing.assert_allclose(made.affine, AFFINE)
    assert nibabel.aff2axcodes(made.affine) == nibabel.aff2axcodes(source.affine)
    voxels = made.get_fdata()
    assert (voxels[source.get_fdata() == 0] == 0).all()
    assert 0 <= voxels.min() < voxels.max() <= source.get_fdata().max()


def test_the_volume_is_what_the_generator_makes_of_each_slice(finished_run, t1, tmp_path):
    out = experiment.translate(
        finished_run, t1, tmp_path / "t1e.nii.gz", source="t1", target="t1e", view="coronal", quiet=True
    )
    generator = keras.saving.load_model(finished_run / "generators" / "t1_to_t1e.keras", safe_mode=True)
    volume = read_volume(str(t1))
    low, high = slices.intensity_range(volume.data, (0.0, 99.5))
    middle = slices.stack(volume.data, "coronal")[14:15]
    frame = slices.Frame(*middle.shape[1:], 8.0, 8.0, 32, "keep")
    image = frame.fit(slices.normalise(middle, low, high)) * 2 - 1
    made = frame.restore((generator.predict(image[..., None], verbose=0)[..., 0] + 1) / 2)[0] * (high - low) + low
    expected = np.where(middle[0] != 0, np.maximum(made, 0), 0)
    found = slices.stack(read_volume(str(out)).data, "coronal")[14]
    np.testing.assert_allclose(found, expected, atol=0.01 * high)


def test_a_folder_of_patients(finished_run, brats_folder, tmp_path):
    made = experiment.translate_folder(finished_run, brats_folder, tmp_path, source="t1", target="t1e", quiet=True)
    assert len(made) == 10
    with pytest.raises(UserError, match=r"exists \(10 in all\)"):
        experiment.translate_folder(finished_run, brats_folder, tmp_path, source="t1", target="t1e", quiet=True)
    assert made[0] == tmp_path / "BraTS2021_00000" / "BraTS2021_00000_t1e.nii.gz"
    assert all(path.is_file() for path in made)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dict(target="t2"), "translates t1 to t1e and t1e to t1, not t1 to t2"),
        (dict(target="t1x"), "unknown modality 't1x'"),
        (dict(view="axail"), "did you mean 'axial'"),
    ],
)
def test_what_a_run_cannot_do_is_named(finished_run, t1, tmp_path, change, message):
    options = dict(source="t1", target="t1e", quiet=True) | change
    with pytest.raises(UserError, match=message):
        experiment.translate(finished_run, t1, tmp_path / "out.nii.gz", **options)
    assert not list(tmp_path.iterdir())


def test_bad_files_and_names(finished_run, t1, tmp_path):
    options = dict(source="t1", target="t1e", quiet=True)
    cut = tmp_path / "cut.nii.gz"
    cut.write_bytes(t1.read_bytes()[:2000])
    with pytest.raises(UserError, match=r"cut\.nii\.gz"):
        experiment.translate(finished_run, cut, tmp_path / "out.nii.gz", **options)
    with pytest.raises(UserError, match=r"ending in \.nii or \.nii\.gz"):
        experiment.translate(finished_run, t1, tmp_path / "out.png", **options)
    with pytest.raises(UserError, match="is the volume to translate"):
        experiment.translate(finished_run, t1, t1, **options)
    (tmp_path / "mine.nii.gz").write_bytes(b"mine")
    with pytest.raises(UserError, match=r"there is no file .*gone\.nii\.gz; expected the volume"):
        experiment.translate(finished_run, tmp_path / "gone.nii.gz", tmp_path / "mine.nii.gz", **options)
    with pytest.raises(UserError, match=r"mine\.nii\.gz exists \(1 in all\); give another --out, or --force"):
        experiment.translate(finished_run, t1, tmp_path / "mine.nii.gz", **options)
    assert (tmp_path / "mine.nii.gz").read_bytes() == b"mine"
    experiment.translate(finished_run, t1, tmp_path / "mine.nii.gz", force=True, **options)
    assert read_volume(str(tmp_path / "mine.nii.gz")).data.shape == SHAPE
    with pytest.raises(UserError, match=r"has no run\.json"):
        experiment.translate(tmp_path, t1, tmp_path / "out.nii.gz", **options)
    assert not (tmp_path / "out.nii.gz").exists()


def test_an_unfinished_run_is_refused(finished_run, t1, tmp_path):
    copy = tmp_path / "run"
    shutil.copytree(finished_run, copy)
    content = json.loads((copy / "run.json").read_text()) | {"finished": False}
    (copy / "run.json").write_text(json.dumps(content))
    with pytest.raises(UserError, match="has not ended"):
        experiment.translate(copy, t1, tmp_path / "out.nii.gz", source="t1", target="t1e")


POLICY = SETTINGS.synthesis


@pytest.mark.parametrize(
    ("target", "available", "source"),
    [
        ("t1", {"t1e", "t2", "flair"}, "t1e"),
        ("t1e", {"t1", "t2", "flair"}, "t1"),
        ("t2", {"t1", "t1e", "flair"}, "flair"),
        ("flair", {"t1", "t1e", "t2"}, "t2"),
        ("t1", {"t2", "flair"}, "flair"),
        ("t1e", {"t2"}, "t2"),
        ("flair", {"t1", "t1e"}, "t1e"),
    ],
)
def test_pair_policy_of_the_paper(target, available, source):
    assert source_for(target, available, POLICY) == source


def test_fill_missing_cells(finished_run, cohort_csv, brats_folder, tmp_path):
    """The tiny cohort lacks one T2; with a policy that makes it from T1 and a run under that pair, it is filled."""
    group = tmp_path / "group"
    shutil.copytree(finished_run, group / "t2-flair")
    run = group / "t2-flair"
    content = json.loads((run / "run.json").read_text()) | {"target": {"pair": ["t2", "flair"]}}
    (run / "run.json").write_text(json.dumps(content))
    shutil.copy(run / "generators" / "t1_to_t1e.keras", run / "generators" / "flair_to_t2.keras")
    out = experiment.fill_missing(group, cohort_csv, tmp_path / "out", quiet=True)
    completed = {visit.patient: visit for visit in read_cohort(out).visits}
    filled = completed["BraTS2021_00009"]
    assert filled.images["t2"] == str((tmp_path / "out" / "BraTS2021_00009" / "BraTS2021_00009_t2.nii.gz").resolve())
    assert filled.labels["synthetic"] == "t2 from flair by t2-flair"
    assert "synthetic" not in completed["BraTS2021_00000"].labels
    assert read_volume(filled.images["t2"]).data.shape == SHAPE
    assert read_cohort(out).origin.endswith("missing modalities synthesised")


def test_fill_missing_without_the_run_says_which(finished_run, cohort_csv, tmp_path):
    with pytest.raises(UserError, match="no finished run of flair-t2"):
        experiment.fill_missing(finished_run, cohort_csv, tmp_path / "out", quiet=True)
    assert not (tmp_path / "out").exists()


def test_a_modality_that_nobody_has_is_not_missing(finished_run, cohort_csv, tmp_path):
    whole = read_cohort(cohort_csv)
    visits = [replace(visit, images={name: visit.images[name] for name in ("t1", "t1e")}) for visit in whole.visits]
    visits[0] = replace(visits[0], images={"t1": visits[0].images["t1"]})
    write_cohort(replace(whole, visits=tuple(visits)), tmp_path / "two.csv")
    out = experiment.fill_missing(finished_run, tmp_path / "two.csv", tmp_path / "out", quiet=True)
    completed = read_cohort(out).visits
    assert all(set(visit.images) == {"t1", "t1e"} for visit in completed)
    assert [visit.labels.get("synthetic") for visit in completed[:2]] == ["t1e from t1 by t1-t1e", None]
