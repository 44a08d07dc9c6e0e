"""Neonatal heads: anatomy, contrast, classes, cohorts, and the way through indexing and preparation."""

import csv
import json
from typing import get_args

import nibabel as nib
import numpy as np
import pytest

from kerasgan.data.cohort import read_cohort, write_cohort
from kerasgan.data.indexers import index
from kerasgan.data.settings import Head
from kerasgan.errors import UserError
from kerasgan.phantom import CLASSES, choose_labels, cohort, simulate_cohort, simulate_neonate
from kerasgan.phantom.anatomy import draw_brain
from kerasgan.phantom.neonatal_anatomy import draw_neonate, draw_signs
from kerasgan.phantom.neonatal_signal import NEONATAL_SEQUENCES, NEONATAL_TISSUES
from kerasgan.phantom.neonates import choose_abnormal
from kerasgan.phantom.patient import NEONATE, geometry
from kerasgan.phantom.signal import SEQUENCES, TISSUES, signal

VOXEL = 3.0
SMALL = {"seed": 7, "grid": 40, "head": "neonate", "workers": 1, "quiet": True}


def bytes_of(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def grid(voxel):
    axes = [np.arange(-62, 62, voxel), np.arange(-92, 70, voxel), np.arange(-70, 76, voxel)]
    return np.float32(np.stack(np.meshgrid(*axes, indexing="ij")).reshape(3, -1))


@pytest.fixture(scope="module")
def brain():
    return draw_neonate(np.random.default_rng(3), False, 1.0)


@pytest.fixture(scope="module")
def head(brain):
    """Points of a 3 mm grid inside the outline, and their tissue."""
    points = grid(VOXEL)
    points = points[:, brain.outline(points) < 0]
    return points, brain.tissues(points, VOXEL)


@pytest.fixture(scope="module")
def patient():
    return simulate_neonate(0, 3, grid=64)


@pytest.fixture(scope="module")
def three(tmp_path_factory):
    return simulate_cohort(tmp_path_factory.mktemp("phantom") / "three", patients=3, missing={"t2": 0.34}, **SMALL)


# ---- anatomy --------------------------------------------------------------------------------------------------------


def test_fractions_are_shares_of_one(head):
    _, tissue = head
    np.testing.assert_allclose(sum(tissue.values()), 1, atol=1e-5)
    for name, share in tissue.items():
        assert share.min() >= -1e-6, name
        assert name in NEONATAL_TISSUES


def test_volumes_are_those_of_a_newborn(head):
    points, tissue = head
    ml = points.shape[1] * VOXEL**3 / 1000
    assert 350 < ml < 850
    share = {name: float(values.mean()) for name, values in tissue.items()}
    assert 0.12 < share["csf"] + share["ventricle"] < 0.45
    assert share["myelin"] < 0.05 < share["immature"]
    assert share["white"] + share["immature"] > 0.2


def test_a_newborns_brain_is_further_from_its_skull():
    def beside_the_brain(brain, scale):
        points = grid(4.0) * np.float32(scale)
        outline = brain.outline(points)
        shell = points[:, (outline < -1) & (outline > -4) & (points[2] > 10)]
        tissue = brain.tissues(shell, 3.0)
        return sum(tissue[name].mean() for name in ("csf", "vessel", "skull", "scalp") if name in tissue)

    newborns = [beside_the_brain(draw_neonate(np.random.default_rng(seed), False, 1.0), 1.0) for seed in range(3)]
    adults = [beside_the_brain(draw_brain(np.random.default_rng(seed)), 1.4) for seed in range(3)]
    assert np.mean(newborns) > 1.5 * np.mean(adults)


def test_the_box_holds_every_head():
    for seed in range(6):
        brain = draw_neonate(np.random.default_rng(seed), bool(seed % 2), 1.0)
        low, high = brain.extent
        points = grid(5.0)
        outside = ((points < low[:, None]) | (points > high[:, None])).any(0)
        assert brain.outline(points[:, outside]).min() > 3
        # Within the field of view, but below, where the neck goes on.
        inside = points[:, brain.outline(points) < 0]
        assert np.abs(inside[0]).max() < 78 and inside[1].max() < 64 and inside[1].min() > -91 and inside[2].max() < 69


def test_the_posterior_limb_of_the_internal_capsule_has_myelin(brain):
    def share(name, *place):
        patient = (np.float32(place) * brain.scale)[:, None].astype(np.float32)
        return brain.tissues(patient, 1.0)[name][0]

    for side in (-1, 1):
        limb = share("myelin", side * 20, -12, 5)
        assert limb > 0.25
        assert share("myelin", side * 30, 40, 10) == 0


# ---- contrast -------------------------------------------------------------------------------------------------------


def test_grey_and_white_matter_are_the_other_way_round_than_in_adults():
    newborn = {
        name: {t: signal(sequence, NEONATAL_TISSUES[t]) for t in NEONATAL_TISSUES}
        for name, sequence in NEONATAL_SEQUENCES.items()
    }
    adult = {name: {t: signal(SEQUENCES[name], TISSUES[t]) for t in TISSUES} for name in ("t1", "t2")}
    assert adult["t1"]["white"] > adult["t1"]["grey"] and adult["t2"]["white"] < adult["t2"]["grey"]
    order = {"t1": ["myelin", "grey", "white", "immature", "csf"], "t2": ["csf", "immature", "white", "grey", "myelin"]}
    for name, bright_to_dark in order.items():
        values = [newborn[name][tissue] for tissue in bright_to_dark]
        assert min(-np.diff(values)) > 0, name


def test_rates_of_frontal_grey_and_white_matter_differ_as_measured():
    grey, white = NEONATAL_TISSUES["grey"], NEONATAL_TISSUES["immature"]
    assert white.t1 / grey.t1 - 1 == pytest.approx(0.3, abs=0.01)  # (R1 of grey - R1 of white) / R1 of white
    assert white.t2 / grey.t2 - 1 == pytest.approx(0.8, abs=0.01)


def test_cortex_is_brighter_than_white_matter_in_the_t1_image_and_darker_in_the_t2_image(monkeypatch):
    from kerasgan.phantom import neonates

    seen = []
    acquire = neonates.acquire

    def watch(sequence, scan, fractions, *rest):
        seen.append((fractions, acquire(sequence, scan, fractions, *rest)))
        return seen[-1][1]

    monkeypatch.setattr(neonates, "acquire", watch)
    simulate_neonate(0, 3, grid=96)
    for (fractions, image), sign in zip(seen, (1, -1), strict=True):
        white = fractions["white"] + fractions["immature"]
        grey = image[fractions["grey"] > 0.9].mean()
        assert sign * (grey / image[white > 0.9].mean() - 1) > 0.04


# ---- one patient ----------------------------------------------------------------------------------------------------


def test_a_neonate_has_two_images_and_no_segmentation(patient):
    assert tuple(patient.images) == ("t1", "t2")
    head = patient.images["t1"] > 0
    for image in patient.images.values():
        assert image.shape == (64, 64, 48) and image.dtype == np.int16
        np.testing.assert_array_equal(image > 0, head)
    assert 0.1 < head.mean() < 0.45 and not head[[0, -1]].any() and not head[:, [0, -1]].any()
    assert patient.segmentation is None
    assert patient.labels == {"patient": "Phantom_0001", "class": "normal"}


@pytest.mark.parametrize("voxels", [40, 160, 320])
def test_the_field_of_view_is_160_mm(voxels):
    shape, voxel, affine = geometry(voxels, NEONATE)
    assert shape == (voxels, voxels, 3 * voxels // 4) and voxel == 160 / voxels
    assert nib.aff2axcodes(affine) == ("L", "P", "S")
    np.testing.assert_allclose(affine[:3, :3] @ np.array(shape), [-160, -160, 120])


def test_same_seed_gives_the_same_bytes_and_another_class_another_brain(patient):
    again, abnormal = simulate_neonate(0, 3, grid=64), simulate_neonate(0, 3, grid=64, abnormal=True)
    same = [simulate_neonate(1, 3, grid=40, abnormal=value, strength=0.0) for value in (True, False)]
    for name in ("t1", "t2"):
        np.testing.assert_array_equal(again.images[name], patient.images[name])
        assert (abnormal.images[name] != patient.images[name]).any()
        np.testing.assert_array_equal(same[0].images[name], same[1].images[name])
    assert abnormal.labels["class"] == "abnormal"


# ---- classes --------------------------------------------------------------------------------------------------------


def signs(strength, count=400):
    """Sizes of the three signs, (class, patient, sign)."""
    rng = np.random.default_rng(0)
    drawn = [[list(draw_signs(rng, bool(k), strength).values()) for _ in range(count)] for k in (0, 1)]
    return np.array(drawn)


@pytest.mark.parametrize(("strength", "apart"), [(1.0, (-2.4, 2.2, 2.5)), (0.0, (0.0, 0.0, 0.0))])
def test_classes_differ_in_means_and_overlap(strength, apart):
    normal, abnormal = signs(strength)
    deviation = np.sqrt((normal.var(0) + abnormal.var(0)) / 2)
    np.testing.assert_allclose((abnormal.mean(0) - normal.mean(0)) / deviation, apart, atol=0.25)
    assert (normal.max(0) > abnormal.min(0)).all() and (abnormal.max(0) > normal.min(0)).all()


def test_half_of_the_patients_are_abnormal_whatever_the_labels_of_adults():
    rows = choose_labels(21, 4, 0.9, head="neonate")
    assert [tuple(row) for row in rows] == [("patient", "class")] * 21
    assert [row["class"] for row in rows].count("abnormal") == 11
    assert {row["class"] for row in rows} == set(CLASSES)
    assert (choose_abnormal(20, 1) != choose_abnormal(20, 2)).any()


# ---- a cohort -------------------------------------------------------------------------------------------------------


def test_a_cohort_has_images_classes_and_settings(three):
    names = ["Phantom_0001", "Phantom_0002", "Phantom_0003"]
    assert sorted(p.name for p in three.iterdir()) == [*names, "labels.csv", "phantom.json"]
    with open(three / "labels.csv", newline="") as file:
        assert list(csv.DictReader(file)) == choose_labels(3, 7, 0.33, head="neonate")
    assert json.loads((three / "phantom.json").read_text()) == {
        **{"simulator": cohort.SIMULATOR, "patients": 3, "seed": 7, "grid": 40, "head": "neonate"},
        **{"missing": {"t2": 0.34}, "strength": 1.0},
    }
    files = [{p.name.removeprefix(f"{n}_").removesuffix(".nii.gz") for p in (three / n).iterdir()} for n in names]
    assert sorted(map(sorted, files)) == [["t1"], ["t1", "t2"], ["t1", "t2"]]


def test_two_workers_and_an_interruption_change_no_byte(three, tmp_path):
    settings = {"patients": 3, "missing": {"t2": 0.34}, **SMALL}
    out = simulate_cohort(tmp_path / "again", **settings | {"workers": 2})
    assert bytes_of(out) == bytes_of(three)
    (out / "Phantom_0002" / "Phantom_0002_t1.nii.gz").unlink()
    simulate_cohort(out, **settings)
    assert bytes_of(out) == bytes_of(three)


def test_the_layout_phantom_reads_classes(three, tmp_path):
    found = index(three)
    assert found.origin == "simulated phantom cohort (neonatal heads, seed 7, grid 40, 3 patients)"
    assert all(visit.segmentation is None and visit.labels["class"] in CLASSES for visit in found.visits)
    write_cohort(found, tmp_path / "cohort.csv")
    assert read_cohort(tmp_path / "cohort.csv") == found


def test_adults_and_neonates_do_not_share_a_folder(three):
    with pytest.raises(UserError, match="of a cohort with head='neonate', not head='adult'"):
        simulate_cohort(three, patients=3, seed=7, grid=40, quiet=True)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"head": "neonat"}, "unknown head 'neonat'; did you mean 'neonate'?"),
        ({"tumours": ("meningioma",)}, "neonates have no tumour, got meningioma; leave the tumours out"),
        ({"missing": {"flair": 0.1}}, "missing names the unknown modality 'flair'"),
        ({"strength": 2}, "strength must be from 0 to 1, got 2"),
        ({"grid": 31}, "grid must be from 32 to 480, got 31"),
    ],
)
def test_bad_settings_say_what_is_expected(tmp_path, settings, message):
    with pytest.raises(UserError) as error:
        simulate_cohort(tmp_path / "out", **{"patients": 2, **SMALL, **settings})
    assert message in str(error.value)
    assert not (tmp_path / "out").exists()


def test_data_and_phantom_name_heads_alike():
    assert get_args(Head) == cohort.HEADS


def test_the_command_simulates_neonates(tmp_path):
    from click.testing import CliRunner

    from kerasgan.cli.phantom import phantom

    words = [str(tmp_path / "heads"), "--patients", "2", "--grid", "32", "--head", "neonate", "--quiet"]
    assert CliRunner().invoke(phantom, words, catch_exceptions=False).exit_code == 0
    with open(tmp_path / "heads" / "labels.csv", newline="") as file:
        assert sorted(row["class"] for row in csv.DictReader(file)) == ["abnormal", "normal"]
    with pytest.raises(UserError, match="no IDH status; leave --idh-fraction out"):
        CliRunner().invoke(phantom, [*words, "--idh-fraction", "0.5"], catch_exceptions=False)


# ---- simulated data of a run ----------------------------------------------------------------------------------------


def phantom_settings(*overrides):
    from kerasgan.papers import settings_of

    small = ("phantom.patients=8", "phantom.grid=32", "phantom.head=neonate", "data.size=32", "split.stratify=class")
    position = ("data.views=[axial]", "data.selection=range", "data.slice_range=[0.3, 0.5]")
    return settings_of("pairwise", None, "smoke", (*small, *position, *overrides))


def test_neonates_are_simulated_and_cut_into_patches(tmp_path, monkeypatch):
    from kerasgan.experiment.preparation import is_simulated, simulated

    monkeypatch.setenv("KERASGAN_CACHE", str(tmp_path))
    settings = phantom_settings("data.frame=48")
    prepared = simulated(settings, quiet=True)
    assert is_simulated(settings) and not is_simulated(phantom_settings("phantom.strength=0.5", "data.frame=48"))
    assert prepared.manifest.stratified_by == "class"
    assert [visit.labels["class"] for visit in prepared.manifest.visits].count("abnormal") == 4
    assert all(set(visit.ranges) == {"t1", "t2"} for visit in prepared.manifest.visits)
    assert {view for view, _, _ in prepared.manifest.visits[0].slices} == {
        f"axial-{corner}" for corner in ("top-left", "top-right", "bottom-left", "bottom-right")
    }


def test_a_split_that_neonates_cannot_have_is_refused_before_they_are_simulated(tmp_path, monkeypatch):
    from kerasgan.experiment.preparation import simulated

    monkeypatch.setenv("KERASGAN_CACHE", str(tmp_path))
    # A class has 3 of 6 patients, and test and validation at least one each.
    with pytest.raises(UserError, match="split"):
        simulated(phantom_settings("phantom.patients=6", "split.train=0.2", "split.validation=0.4", "split.test=0.4"))
    assert not list(tmp_path.iterdir())


def test_settings_of_adults_are_written_as_before_there_were_neonates():
    from kerasgan.papers import settings_of

    adult = settings_of("pairwise", None, "smoke").phantom
    assert adult.head == "adult" and "head" not in adult.model_dump_json()
    neonate = phantom_settings().phantom
    assert neonate.model_dump()["head"] == "neonate"
    assert type(neonate).model_validate_json(neonate.model_dump_json()) == neonate
    with pytest.raises(UserError, match="tumours are of adult heads, neonates have none"):
        phantom_settings("phantom.tumours=[pituitary]")
