from dataclasses import astuple, replace

import numpy as np
import pytest

from kerasgan.phantom import signal
from kerasgan.phantom.anatomy import draw_brain
from kerasgan.phantom.tumour import ENHANCING, NECROTIC, OEDEMA, PROFILES, draw_glioma, profile

VOXEL = 4.0
SURE = {
    # Profiles that leave nothing to chance.
    "ring": replace(PROFILES["wildtype", "HGG"], enhances=1.0, necrosis=1.0, frontal=1.0),
    "mismatch": replace(PROFILES["mutant", "LGG"], enhances=0.0, mismatch=1.0, frontal=1.0),
}


@pytest.fixture(scope="module")
def brain():
    return draw_brain(np.random.default_rng(5))


@pytest.fixture(scope="module")
def head(brain):
    axes = [np.arange(-80, 80, VOXEL), np.arange(-120, 88, VOXEL), np.arange(-67, 88, VOXEL)]
    points = np.float32(np.stack(np.meshgrid(*axes, indexing="ij")).reshape(3, -1))
    points = points[:, brain.outline(points) < 0]
    return points, brain.tissues(points, VOXEL)


def lesion(brain, look, seed=0):
    return draw_glioma(np.random.default_rng(seed), SURE[look], brain)


@pytest.mark.parametrize("look", SURE)
def test_invaded_tissue_still_adds_up_to_one(brain, head, look):
    points, healthy = head
    tissue, labels = lesion(brain, look).invade(points, healthy, VOXEL, brain)
    np.testing.assert_allclose(sum(tissue.values()), 1, atol=1e-5)
    assert min(share.min() for share in tissue.values()) > -1e-6
    assert labels.dtype == np.uint8
    assert set(np.unique(labels)) <= {0, NECROTIC, OEDEMA, ENHANCING}


def test_a_ring_enhancing_tumour_has_shells_in_order(brain, head):
    points, healthy = head
    glioma = lesion(brain, "ring")
    tissue, labels = glioma.invade(points, healthy, VOXEL, brain)
    distance = np.sqrt(((points - glioma.lobules[0, :3, None]) ** 2).sum(0))
    mean = [distance[labels == label].mean() for label in (NECROTIC, ENHANCING, OEDEMA)]
    assert mean == sorted(mean)
    for name, label in (("necrosis", NECROTIC), ("enhancing", ENHANCING), ("oedema", OEDEMA)):
        assert tissue[name][labels == label].mean() > 3 * tissue[name][labels != label].mean(), name


def test_the_mismatch_sign_is_bright_on_t2_and_dark_on_flair_within_a_rim(brain, head):
    points, healthy = head
    tissue, labels = lesion(brain, "mismatch").invade(points, healthy, VOXEL, brain)
    inner, rim = tissue["microcystic"] > 0.7, (labels > 0) & (tissue["microcystic"] < 0.05)

    def relative(name, where):
        image = sum(v * signal.signal(signal.SEQUENCES[name], signal.TISSUES[k]) for k, v in tissue.items())
        return image[where].mean() / signal.signal(signal.SEQUENCES[name], signal.TISSUES["white"])

    assert relative("t2", inner) > 2
    assert relative("flair", inner) < 1 < relative("flair", rim)


def test_tumours_stay_out_of_ventricles_the_other_half_and_the_cerebellum(brain, head):
    points, healthy = head
    for seed in range(4):
        glioma = lesion(brain, "ring", seed)
        tissue, labels = glioma.invade(points, healthy, VOXEL, brain)
        np.testing.assert_array_equal(tissue["ventricle"], healthy["ventricle"])
        side = np.sign(glioma.lobules[0, 0])
        assert not labels[points[0] * side < -25].any()
        assert not labels[(points[2] < -35) & (points[1] < -50)].any()


def test_oedema_spreads_in_white_matter_and_spares_cortex(brain, head):
    points, healthy = head
    tissue, _ = lesion(brain, "ring").invade(points, healthy, VOXEL, brain)
    core = sum(tissue[name] for name in ("necrosis", "enhancing", "tumour"))
    affected = (core == 0) & (tissue["oedema"] > 0.02)
    white, grey = affected & (healthy["white"] > 0.9), affected & (healthy["grey"] > 0.9)
    assert tissue["oedema"][white].mean() > 2 * tissue["oedema"][grey].mean()


def test_mass_effect_pushes_tissue_away_and_keeps_the_surface(brain, head):
    points, _ = head
    glioma = replace(lesion(brain, "ring"), push=0.5)
    before = glioma.displace(points, brain)
    seat = glioma.lobules[0, :3, None]
    was, now = (np.sqrt(((p - seat) ** 2).sum(0)) for p in (before, points))
    near = now < glioma.radius
    assert (was[near] <= now[near]).all()
    assert (now - was).max() > 2
    surface = brain.outline(points) > -1
    assert (now - was)[surface].max() < 0.5
    np.testing.assert_array_equal(replace(glioma, push=0.0).displace(points, brain), points)


# ---- what the label means -------------------------------------------------------------------------------------------


def test_without_strength_all_classes_look_the_same():
    assert len({profile(idh, grade, 0.0) for idh, grade in PROFILES}) == 1
    for key, own in PROFILES.items():
        assert astuple(profile(*key, 1.0)) == pytest.approx(astuple(own))


def test_strength_lies_between():
    half, none, full = (profile("mutant", "LGG", s) for s in (0.5, 0.0, 1.0))
    assert half.oedema == pytest.approx((none.oedema + full.oedema) / 2)
    assert full.enhances < half.enhances < none.enhances


@pytest.fixture(scope="module")
def drawn(brain):
    """90 tumours of each IDH status, of its more frequent grade."""
    looks = {"mutant": PROFILES["mutant", "LGG"], "wildtype": PROFILES["wildtype", "HGG"]}
    return {
        idh: [draw_glioma(np.random.default_rng([n, idh == "mutant"]), look, brain) for n in range(90)]
        for idh, look in looks.items()
    }


def auc(high, low):
    """Probability that one of `high` exceeds one of `low`, ties half."""
    high, low = np.asarray(high, float)[:, None], np.asarray(low, float)
    return (high > low).mean() + 0.5 * (high == low).mean()


def test_signs_of_mutation_are_as_frequent_as_the_profile_says(drawn):
    for idh, key in (("mutant", ("mutant", "LGG")), ("wildtype", ("wildtype", "HGG"))):
        gliomas, look = drawn[idh], PROFILES[key]
        # Three standard errors of a proportion of 90.
        for sign in ("frontal", "enhances"):
            share, p = np.mean([getattr(g, sign) for g in gliomas]), getattr(look, sign)
            assert abs(share - p) < 3 * np.sqrt(p * (1 - p) / 90) + 0.01, sign
        assert np.median([g.oedema for g in gliomas]) == pytest.approx(look.oedema, rel=0.25)
    assert sum(g.mismatch for g in drawn["mutant"]) > 5 * sum(g.mismatch for g in drawn["wildtype"])


def test_classes_overlap_in_every_sign(drawn):
    for sign, low, high in (("enhances", 0.8, 0.97), ("oedema", 0.85, 0.995), ("margin", 0.8, 0.99)):
        values = {idh: [getattr(g, sign) for g in gliomas] for idh, gliomas in drawn.items()}
        assert low < auc(values["wildtype"], values["mutant"]) < high, sign


def test_necrosis_and_mismatch_presuppose_enhancement_or_its_absence(drawn):
    for glioma in drawn["mutant"] + drawn["wildtype"]:
        assert glioma.enhances or not glioma.necrotic
        assert not (glioma.enhances and glioma.mismatch)


def test_seats_are_inside_the_brain_on_both_sides(brain, drawn):
    seats = np.float32([g.lobules[0, :3] for g in drawn["wildtype"]]).T
    assert brain.outline(seats).max() < -5
    assert 0.25 < (seats[0] > 0).mean() < 0.75
