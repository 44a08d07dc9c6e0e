"""Meningiomas and pituitary tumours beside the gliomas: place, look, labels, and how a cohort deals them."""

import csv
import json
from dataclasses import replace
from typing import get_args

import numpy as np
import pytest

from kerasgan.data import matlab
from kerasgan.data.cohort import read_cohort, write_cohort
from kerasgan.data.indexers import index
from kerasgan.data.settings import Tumour
from kerasgan.errors import UserError
from kerasgan.phantom import TUMOURS, choose_labels, cohort, signal, simulate_cohort, simulate_patient
from kerasgan.phantom.anatomy import draw_brain
from kerasgan.phantom.mass import Mass
from kerasgan.phantom.meningioma import draw_meningioma
from kerasgan.phantom.pituitary import draw_pituitary_tumour
from kerasgan.phantom.shapes import Field
from kerasgan.phantom.tumour import ENHANCING, OEDEMA

VOXEL = 4.0
DRAW = {"meningioma": draw_meningioma, "pituitary": draw_pituitary_tumour}
TISSUE = {"meningioma": "meningioma", "pituitary": "adenoma"}
FLAT = Field(np.zeros((4, 4, 4), np.float32), 10.0)


@pytest.fixture(scope="module")
def brain():
    return draw_brain(np.random.default_rng(5))


@pytest.fixture(scope="module")
def points():
    axes = [np.arange(-80, 80, VOXEL), np.arange(-120, 88, VOXEL), np.arange(-67, 88, VOXEL)]
    return np.float32(np.stack(np.meshgrid(*axes, indexing="ij")).reshape(3, -1))


@pytest.fixture(scope="module")
def drawn(brain):
    """30 tumours of each class in one brain."""
    return {name: [draw(np.random.default_rng(seed), brain) for seed in range(30)] for name, draw in DRAW.items()}


@pytest.fixture(scope="module")
def patients():
    """Three patients of each class."""
    return {name: [simulate_patient(i, 3, grid=64, tumour=name) for i in range(3)] for name in TUMOURS}


def invaded(lesion, brain, points, voxel=VOXEL):
    """Points within the outline, the tissue there, and the labels."""
    points = points[:, lesion.outline(points, brain) < 0]
    return points, *lesion.invade(points, brain.tissues(points, voxel), voxel, brain)


def atlas(brain, places):
    return places / np.float32(brain.scale)[:, None]


def of_site(drawn, site):
    return next(lesion for lesion in drawn["meningioma"] if lesion.site == site)


# ---- both -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", DRAW)
def test_fractions_still_add_up_to_one(drawn, brain, points, name):
    for lesion in drawn[name][:3]:
        _, tissue, labels = invaded(lesion, brain, points)
        np.testing.assert_allclose(sum(tissue.values()), 1, atol=1e-5)
        assert min(share.min() for share in tissue.values()) > -1e-6
        assert labels.dtype == np.uint8
        assert set(np.unique(labels)) <= ({0, OEDEMA, ENHANCING} if name == "meningioma" else {0, ENHANCING})
        assert tissue[TISSUE[name]][labels == ENHANCING].mean() > 0.6


def test_a_push_ends_at_the_tumour_and_fades_beyond():
    ball = np.float32([(0, 0, 0, 10)])
    mass = Mass(root=np.zeros(3, np.float32), lobules=ball, push=0.5, mottle=0.0, shape=FLAT, detail=FLAT)
    places = np.float32([(10, 0, 0), (0, 25, 0), (0, 0, -40)]).T
    # Half the radius at the surface, exp(-15/12.5) of that 15 mm beyond it, exp(-30/12.5) of it 30 mm beyond.
    expected = np.diag([10 - 5, 25 - 5 * np.exp(-1.2), -40 + 5 * np.exp(-2.4)])
    np.testing.assert_allclose(mass.displace(places, None), expected, atol=1e-4)
    np.testing.assert_allclose(replace(mass, push=0.0).displace(places, None), places, atol=1e-6)


def test_growth_from_the_edge_pushes_as_far_as_the_ball_reaches():
    ball = np.float32([(0, 0, 6, 10)])
    mass = Mass(root=np.zeros(3, np.float32), lobules=ball, push=1.0, mottle=0.0, shape=FLAT, detail=FLAT)
    # From the root the ball reaches 16 mm up, 4 mm down and sqrt(100 - 36) = 8 mm to the side: all comes from there.
    surface = np.float32([(0, 0, 16), (0, 0, -4), (8, 0, 0)]).T
    np.testing.assert_allclose(mass.displace(surface, None), np.zeros((3, 3)), atol=1e-4)
    np.testing.assert_allclose(mass.depth(surface), 0, atol=1e-4)


@pytest.mark.parametrize("name", DRAW)
def test_the_brain_gives_way_and_the_far_side_stays(drawn, brain, points, name):
    for lesion in drawn[name][:3]:
        inside = points[:, brain.outline(points) < 0]
        moved = np.sqrt(((lesion.displace(inside, brain) - inside) ** 2).sum(0))
        near, far = np.abs(lesion.depth(inside)) < 4, lesion.depth(inside) > 70
        assert moved[near].max() > 0.4 * lesion.radius
        assert moved[far].max() < 0.2 * lesion.radius


# ---- meningiomas ----------------------------------------------------------------------------------------------------


def test_meningiomas_have_a_broad_base_on_the_surface(drawn, brain):
    turn = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    for lesion in drawn["meningioma"]:
        assert abs(brain.outline(lesion.root[:, None])[0]) < 1.5
        assert lesion.depth(lesion.root[:, None])[0] < 0
        # A circle about the base, half as wide as the tumour, at right angles to the way inwards.
        way = lesion.lobules[0, :3] - lesion.root
        across = np.linalg.svd(way[None])[2][1:]
        circle = lesion.root[:, None] + 0.5 * lesion.radius * np.float32(across.T @ [np.cos(turn), np.sin(turn)])
        assert (lesion.depth(circle) < 0).mean() > 0.9


def test_meningiomas_sit_at_their_sites(drawn, brain):
    places = {}
    for lesion in drawn["meningioma"]:
        places.setdefault(lesion.site, []).append(atlas(brain, lesion.root[:, None])[:, 0])
    x, y, z = np.array(places["sphenoid wing"]).T
    assert (np.abs(x) > 20).all()
    assert (y > 5).all()
    assert (z < 0).all()
    x, y, z = np.array(places["parasagittal"]).T
    assert (np.abs(x) < 20).all()
    assert (z > 25).all()
    x, y, z = np.array(places["convexity"]).T
    assert (np.abs(x) > 20).all()
    assert (z > -20).all()
    assert 0.2 < np.mean([lesion.root[0] > 0 for lesion in drawn["meningioma"]]) < 0.8


def test_a_parasagittal_meningioma_does_not_cross_the_falx(drawn, brain, points):
    lesion = of_site(drawn, "parasagittal")
    there, _, labels = invaded(lesion, brain, points)
    side = np.sign(lesion.root[0]) * there[0]
    assert side[labels == ENHANCING].min() > -VOXEL
    assert side[labels == ENHANCING].max() > lesion.radius


def test_a_cleft_of_csf_lies_between_tumour_and_brain(drawn, brain):
    lesion = replace(of_site(drawn, "convexity"), cleft=3.0, oedema=0.0, shape=FLAT)
    centre = lesion.lobules[0, :3]
    inwards = (centre - lesion.root) / np.linalg.norm(centre - lesion.root)
    line = centre[:, None] + inwards[:, None] * np.float32(lesion.radius + np.array([-3, 1.5, 6]))
    healthy = {name: np.float32([share] * 3) for name, share in {"white": 1, "grey": 0, "csf": 0}.items()}
    healthy |= {name: np.zeros(3, np.float32) for name in ("gliosis", "striatum", "pallidum")}
    tissue, labels = lesion.invade(line, healthy, 1.0, brain)
    np.testing.assert_allclose(tissue["csf"], [0, 1, 0], atol=1e-5)
    np.testing.assert_allclose(tissue["white"], [0, 0, 1], atol=1e-5)
    np.testing.assert_array_equal(labels, [ENHANCING, 0, 0])
    without, _ = replace(lesion, cleft=0.0).invade(line, healthy, 1.0, brain)
    np.testing.assert_allclose(without["white"], [0, 1, 1], atol=1e-5)


def test_oedema_is_beside_a_part_of_the_meningiomas(drawn, brain, points):
    assert 8 <= sum(lesion.oedema > 0 for lesion in drawn["meningioma"]) <= 22
    lesion = of_site(drawn, "convexity")
    there, tissue, labels = invaded(replace(lesion, oedema=15.0), brain, points)
    assert (labels == OEDEMA).sum() > 20
    assert 0 < lesion.depth(there)[labels == OEDEMA].mean() < 20
    _, tissue, labels = invaded(replace(lesion, oedema=0.0), brain, points)
    assert not tissue["oedema"].any()
    assert not (labels == OEDEMA).any()


# ---- pituitary tumours ----------------------------------------------------------------------------------------------


def test_pituitary_tumours_are_on_the_midline_from_the_sella_to_the_chiasm(drawn, brain):
    for lesion in drawn["pituitary"]:
        centres, radii = atlas(brain, lesion.lobules[:, :3].T), lesion.lobules[:, 3]
        assert np.abs(centres[0]).max() < 4
        assert np.abs(centres[1] - 4).max() < 6
        assert (centres[2] - radii).min() == pytest.approx(-32, abs=5)
        assert -24 < (centres[2] + radii).max() < 12
        assert 12 <= 2 * lesion.radius <= 30


def test_the_images_hold_the_whole_pituitary_tumour_below_the_brain(drawn, brain, points):
    for lesion in drawn["pituitary"][:5]:
        low = points[:, lesion.depth(points) < 0]
        assert (brain.outline(low) > 0).mean() > 0.1, "no part of it hangs below the brain"
        assert lesion.outline(low, brain).max() < 0
        elsewhere = points[:, lesion.depth(points) > brain.outline(points) + 6]
        np.testing.assert_array_equal(lesion.outline(elsewhere, brain), brain.outline(elsewhere))


def test_a_snowman_has_a_waist(drawn):
    snowmen = [lesion for lesion in drawn["pituitary"] if lesion.snowman]
    assert 5 <= len(snowmen) <= 19
    for lesion in snowmen:
        smooth = replace(lesion, shape=FLAT)

        def width(height, centre=smooth.lobules[0, :3], smooth=smooth):
            across = np.arange(-20, 20, 0.1, dtype=np.float32)
            line = np.stack([centre[0] + across, np.full_like(across, centre[1]), np.full_like(across, height)])
            return 0.1 * (smooth.depth(line) < 0).sum()

        lower, waist, upper = (width(z) for z in (lesion.lobules[0, 2], lesion.root[2], lesion.lobules[1, 2]))
        assert waist < 0.9 * min(lower, upper)


# ---- images ---------------------------------------------------------------------------------------------------------


def test_tissues_of_the_tumours_are_like_grey_matter_and_enhance():
    def value(sequence, tissue):
        return signal.signal(signal.SEQUENCES[sequence], signal.TISSUES[tissue])

    for tissue in TISSUE.values():
        assert value("t1", tissue) == pytest.approx(value("t1", "grey"), rel=0.06)
        assert value("t2", tissue) == pytest.approx(value("t2", "grey"), rel=0.12)
    strengths = [value("t1e", tissue) for tissue in ("meningioma", "adenoma", "white")]
    assert strengths == sorted(strengths, reverse=True)
    assert value("t1e", "adenoma") > 1.3 * value("t1e", "white")


@pytest.mark.parametrize("name", DRAW)
def test_enhancing_voxels_brighten_with_contrast_evenly(patients, name):
    for patient in patients[name]:
        tumour = patient.segmentation == ENHANCING
        rest = (patient.segmentation == 0) & (patient.images["t1"] > 0)
        relative = {key: image / np.median(image[rest]) for key, image in patient.images.items()}
        assert relative["t1e"][tumour].mean() > 1.4 * relative["t1"][tumour].mean()
        assert relative["t1e"][tumour].std() < 0.35 * relative["t1e"][tumour].mean()
        np.testing.assert_array_equal(patient.images["t1"] > 0, patient.images["t1e"] > 0)
        assert not patient.segmentation[patient.images["t1"] == 0].any()


def test_every_class_shows_in_the_slice_with_most_tumour(patients):
    for name, of_class in patients.items():
        for patient in of_class:
            assert (patient.segmentation > 0).sum((0, 1)).max() >= 10, name


def test_a_meningioma_touches_the_background_and_a_pituitary_tumour_is_low_and_central(patients):
    for patient in patients["meningioma"]:
        rim = np.zeros_like(patient.segmentation, bool)
        background = patient.images["t1"] == 0
        for axis in range(3):
            rim |= np.roll(background, 1, axis) | np.roll(background, -1, axis)
        assert (rim & (patient.segmentation == ENHANCING)).sum() > 5
    for patient in patients["pituitary"]:
        i, _, k = np.argwhere(patient.segmentation == ENHANCING).mean(0)
        brain = np.argwhere(patient.images["t1"] > 0)
        assert abs(i - brain[:, 0].mean()) < 2
        assert np.mean(brain[:, 2] < k) < 0.3


def test_the_head_is_that_of_the_glioma_patient(patients):
    glioma, meningioma, pituitary = (patients[name][0].images["t1"] > 0 for name in TUMOURS)
    np.testing.assert_array_equal(glioma, meningioma)
    assert pituitary[glioma].all()
    assert 0 < (pituitary & ~glioma).sum() < 0.02 * glioma.sum()


def test_gliomas_are_what_they_were_before_other_tumours_came():
    glioma = simulate_patient(0, 3, grid=64, idh_mutant=False)
    counts = {label: int((glioma.segmentation == label).sum()) for label in (1, 2, 4)}
    assert counts == pytest.approx({1: 235, 2: 599, 4: 86}, abs=3)
    means = {name: image[image > 0].mean() for name, image in glioma.images.items()}
    assert means == pytest.approx({"t1": 465.263, "t1e": 311.222, "t2": 277.730, "flair": 812.505}, rel=1e-3)
    assert glioma.labels == {"patient": "Phantom_0001", "idh": "wildtype", "grade": "HGG", "tumour": "glioma"}


@pytest.mark.parametrize("name", DRAW)
def test_a_patient_repeats_and_patients_differ(patients, name):
    first, second, _ = patients[name]
    again = simulate_patient(0, 3, grid=64, tumour=name)
    for key, image in first.images.items():
        np.testing.assert_array_equal(again.images[key], image)
    np.testing.assert_array_equal(again.segmentation, first.segmentation)
    assert (first.segmentation != second.segmentation).any()
    assert first.labels == {"patient": "Phantom_0001", "idh": "", "grade": "", "tumour": name}


# ---- a cohort -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tumours", [TUMOURS, ("pituitary", "glioma"), ("meningioma",)])
def test_tumours_are_dealt_equally_whatever_the_size(tumours):
    for seed in range(3):
        dealt = cohort.choose_tumours(31, seed, tumours)
        for patients in range(1, 32):
            counts = [dealt[:patients].count(name) for name in tumours]
            assert max(counts) - min(counts) <= 1
            assert sum(counts) == patients
            assert cohort.choose_tumours(patients, seed, tumours) == dealt[:patients]
        assert cohort.choose_tumours(31, seed, tumours[::-1]) == dealt


def test_the_seed_deals():
    dealt = {tuple(cohort.choose_tumours(12, seed, TUMOURS)) for seed in range(8)}
    assert len(dealt) == 8
    assert len({order[:3] for order in dealt}) > 2


def test_only_gliomas_have_an_idh_status_and_a_grade():
    labels = choose_labels(90, 4, 1 / 3, TUMOURS)
    assert [row["idh"] for row in labels if row["tumour"] == "glioma"].count("mutant") == 10
    for row in labels:
        assert tuple(row) == ("patient", "idh", "grade", "tumour")
        assert bool(row["idh"]) == bool(row["grade"]) == (row["tumour"] == "glioma")


@pytest.fixture(scope="module")
def four(tmp_path_factory):
    out = tmp_path_factory.mktemp("phantom") / "four"
    return simulate_cohort(out, patients=4, seed=7, grid=48, tumours=TUMOURS[::-1], workers=1, quiet=True)


def test_a_cohort_says_which_tumours_it_has(four, tmp_path):
    settings = json.loads((four / "phantom.json").read_text())
    assert settings["tumours"] == list(TUMOURS)
    with open(four / "labels.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows == choose_labels(4, 7, 0.33, TUMOURS)
    indexed = index(four, "phantom")
    known = [{name: row[name] for name in row if row[name] and name != "patient"} for row in rows]
    assert [dict(visit.labels) for visit in indexed.visits] == known
    write_cohort(indexed, tmp_path / "cohort.csv")
    assert read_cohort(tmp_path / "cohort.csv") == indexed


def test_a_cohort_of_other_tumours_is_refused_and_the_order_does_not_matter(four):
    settings = {"patients": 4, "seed": 7, "grid": 48, "quiet": True}
    before = (four / "Phantom_0001" / "Phantom_0001_t1.nii.gz").stat().st_mtime_ns
    simulate_cohort(four, tumours=("meningioma", "glioma", "pituitary"), **settings)
    assert (four / "Phantom_0001" / "Phantom_0001_t1.nii.gz").stat().st_mtime_ns == before
    with pytest.raises(UserError, match=r"of a cohort with tumours=\['glioma', 'meningioma', 'pituitary'\], not"):
        simulate_cohort(four, **settings)


def test_data_and_phantom_name_tumours_alike():
    assert get_args(Tumour) == TUMOURS
    assert sorted(matlab.TUMOURS.values()) == sorted(TUMOURS)


# ---- errors ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tumours", "message"),
    [
        (("glioma", "meningoma"), "unknown tumour 'meningoma'; did you mean 'meningioma'?"),
        (("glioma", "glioma"), "at least one of glioma, meningioma, pituitary, each once, got glioma, glioma"),
        ((), "each once, got none"),
    ],
)
def test_bad_tumours_say_what_is_expected(tmp_path, tumours, message):
    with pytest.raises(UserError) as error:
        simulate_cohort(tmp_path / "out", patients=2, seed=1, grid=48, tumours=tumours, quiet=True)
    assert message in str(error.value)
    assert not (tmp_path / "out").exists()


def test_a_patient_with_an_unknown_tumour_or_a_mutant_meningioma_is_refused():
    with pytest.raises(UserError, match="unknown tumour 'pituitry'; did you mean 'pituitary'"):
        simulate_patient(0, 1, grid=48, tumour="pituitry")
    with pytest.raises(UserError, match="only a glioma is IDH mutant, got the tumour 'meningioma'"):
        simulate_patient(0, 1, grid=48, idh_mutant=True, tumour="meningioma")


# ---- simulated data of a run ----------------------------------------------------------------------------------------


def phantom_settings(*overrides):
    from kerasgan.papers import settings_of

    small = ("phantom.patients=9", "phantom.grid=48", "data.min_gap=1", "data.size=32")
    return settings_of("pairwise", None, "smoke", (*small, *overrides))


def test_settings_without_tumours_mean_gliomas_and_bad_ones_are_refused():
    assert phantom_settings().phantom.tumours == ("glioma",)
    assert phantom_settings("phantom.tumours=[meningioma, glioma]").phantom.tumours == ("meningioma", "glioma")
    for value in ("[]", "[glioma, glioma]", "[gliom]"):
        with pytest.raises(UserError, match="tumours"):
            phantom_settings(f"phantom.tumours={value}")


def test_each_list_of_tumours_is_simulated_and_prepared_on_its_own(tmp_path, monkeypatch):
    from kerasgan.experiment.preparation import is_simulated, simulated

    monkeypatch.setenv("KERASGAN_CACHE", str(tmp_path))
    every = phantom_settings(f"phantom.tumours=[{', '.join(TUMOURS)}]", "split.stratify=tumour")
    prepared = simulated(every, quiet=True)
    assert sorted(visit.labels["tumour"] for visit in prepared.manifest.visits) == sorted(TUMOURS * 3)
    assert prepared.manifest.stratified_by == "tumour"
    assert is_simulated(every)
    assert not is_simulated(phantom_settings("phantom.tumours=[pituitary]", "split.stratify=tumour"))


def test_a_split_by_idh_of_other_tumours_is_refused_before_they_are_simulated(tmp_path, monkeypatch):
    from kerasgan.experiment.preparation import simulated

    monkeypatch.setenv("KERASGAN_CACHE", str(tmp_path))
    with pytest.raises(UserError, match="has no value in the label column 'idh', by which the split stratifies"):
        simulated(phantom_settings("phantom.tumours=[glioma, pituitary]", "split.stratify=idh"), quiet=True)
    assert not list(tmp_path.iterdir())


def test_the_command_simulates_the_tumours_it_is_given(tmp_path):
    from click.testing import CliRunner

    from kerasgan.cli.phantom import phantom

    words = [tmp_path / "heads", "--patients", 2, "--grid", 32, "--tumour", "pituitary", "--tumour", "meningioma"]
    result = CliRunner().invoke(phantom, [*map(str, words), "--quiet"], catch_exceptions=False)
    assert result.exit_code == 0
    with open(tmp_path / "heads" / "labels.csv", newline="") as file:
        assert sorted(row["tumour"] for row in csv.DictReader(file)) == ["meningioma", "pituitary"]
