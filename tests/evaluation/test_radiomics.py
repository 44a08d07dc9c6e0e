"""Features of shapes whose numbers are known, and the forest on signals whose strength is known."""

import numpy as np
import pytest

from kerasgan.evaluation import forest, radiomics
from kerasgan.evaluation.forest import best_threshold, cross_validated, fit_predict, most_important

SIZE = 96
ROWS, COLUMNS = np.mgrid[:SIZE, :SIZE] - (SIZE - 1) / 2


def ellipse(vertical, horizontal, up=0.0, right=0.0):
    return ((ROWS + up) / vertical) ** 2 + ((COLUMNS - right) / horizontal) ** 2 < 1


HEAD = ellipse(45, 45)  # a diameter of 90


def noisy(seed=0):
    """A head of grey noise on black."""
    noise = np.random.default_rng(seed).normal(0, 0.1, HEAD.shape)
    return np.where(HEAD, np.clip(noise, -0.7, 0.7), -1)


def measured(tumour, **images):
    images = images or {"t1": noisy()}
    names, values = radiomics.features({name: image[None] for name, image in images.items()}, tumour[None])
    return dict(zip(names, values[0], strict=True))


def test_a_disc():
    found = measured(ellipse(9, 9))
    assert found["area"] == pytest.approx((9 / 45) ** 2, rel=0.03)
    assert found["major axis"] == pytest.approx(18 / 90, rel=0.03)
    assert found["perimeter"] == pytest.approx(np.pi * 18 / 90, rel=0.06)
    assert found["circularity"] == pytest.approx(1, abs=0.1)
    assert found["eccentricity"] == pytest.approx(0, abs=0.05)
    assert found["solidity"] > 0.95
    assert found["components"] == found["largest component"] == 1
    assert found["off the midline"] == pytest.approx(0, abs=1e-9)
    assert found["across the midline"] == 0.5
    assert found["nearest to the border"] == pytest.approx((45 - 9) / 90, abs=0.02)


def test_an_ellipse():
    found = measured(ellipse(8, 16))
    assert found["eccentricity"] == pytest.approx(np.sqrt(1 - (8 / 16) ** 2), abs=0.01)
    assert found["major axis"] == pytest.approx(32 / 90, rel=0.03)
    assert found["minor axis"] == pytest.approx(16 / 90, rel=0.03)
    assert found["extent"] == pytest.approx(np.pi / 4, abs=0.03), "of its bounding box"


def test_position():
    found = measured(ellipse(6, 6, up=20, right=-15))
    assert found["up"] == pytest.approx(20 / 90, rel=0.02)
    assert found["right"] == pytest.approx(-15 / 90, rel=0.02)
    assert found["off the midline"] == pytest.approx(15 / 90, rel=0.02)
    assert found["off the centre"] == pytest.approx(25 / 90, rel=0.02)
    assert found["across the midline"] == 0
    assert found["nearest to the border"] == pytest.approx((45 - 25 - 6) / 90, abs=0.02)


def test_two_pieces():
    found = measured(ellipse(9, 9, right=20) | ellipse(3, 3, right=-20))
    assert found["components"] == 2
    assert found["largest component"] == pytest.approx(0.9, abs=0.02)


def test_intensities_are_deviations_of_the_rest_of_the_head():
    tumour = ellipse(10, 10)
    known = np.random.default_rng(1).normal(0, 0.1, HEAD.shape)
    found = measured(tumour, t1=np.where(tumour, 0.3 + known / 4, noisy()))
    assert found["t1 mean"] == pytest.approx(3, abs=0.2), "0.3 above a median of 0, in standard deviations of 0.1"
    assert found["t1 std"] == pytest.approx(0.25, abs=0.03)
    assert found["t1 p90"] - found["t1 p10"] == pytest.approx(2.56 * 0.25, abs=0.1), "of a normal distribution"
    assert found["t1 skewness"] == pytest.approx(0, abs=0.4)
    assert found["t1 contrast to the rest"] == pytest.approx(3, abs=0.2)
    assert found["t1 inner - outer rim"] == pytest.approx(3, abs=0.3)
    assert found["t1 inner rim - core"] == pytest.approx(0, abs=0.2)


def test_a_bright_rim_and_a_blurred_edge():
    tumour, core = ellipse(14, 14), ellipse(12.4, 12.4)
    ring = np.where(tumour & ~core, 0.4, noisy())
    assert measured(tumour, t1e=ring)["t1e inner rim - core"] == pytest.approx(4, abs=0.5)
    distance = np.hypot(ROWS, COLUMNS)
    sharp = noisy() + 0.4 * tumour
    blurred = noisy() + np.where(HEAD, 0.4 * np.clip((22 - distance) / 16, 0, 1), 0)
    assert measured(tumour, t1=sharp)["t1 edge sharpness"] > 1.5 * measured(tumour, t1=blurred)["t1 edge sharpness"]


def test_texture():
    tumour = ellipse(12, 12)
    flat = measured(tumour, t1=np.where(tumour, 0.0, noisy()))
    assert (flat["t1 texture contrast"], flat["t1 homogeneity"], flat["t1 entropy"]) == (0, 1, 0)
    checkered = np.where(tumour, 0.2 * ((ROWS + COLUMNS) % 2 - 0.5), noisy())
    found = measured(tumour, t1=checkered)
    # Deviations of -1 and +1 are grey levels 6 and 10 of 16: 4 apart up and across, 0 apart along the diagonals.
    assert found["t1 texture contrast"] == pytest.approx(16 / 2, rel=0.05)
    assert found["t1 entropy"] == pytest.approx(2, abs=0.05), "four pairs of levels, equally often"


def test_pairs_of_modalities():
    tumour, enhancing = ellipse(14, 14), ellipse(7, 7)
    t1 = noisy()
    found = measured(tumour, t1=t1, t1e=t1 + 0.5 * enhancing)
    assert found["t1e - t1 share above"] == pytest.approx(0.25, abs=0.02)
    assert found["t1e - t1 share below"] == 0
    assert found["t1e - t1 mean"] == pytest.approx(5 * 0.25, rel=0.1)
    assert found["t1e - t1 p90"] == pytest.approx(5, rel=0.1)
    assert measured(tumour, t2=t1, flair=np.where(HEAD, -t1, -1))["flair - t2 correlation"] == pytest.approx(-1)


def test_neither_the_size_of_the_image_nor_its_scale_counts():
    tumour, image = ellipse(10, 14, up=12, right=9), noisy()
    once = measured(tumour, t1=image)
    twice = measured(np.kron(tumour, np.ones((2, 2))) > 0, t1=np.kron(image, np.ones((2, 2))))
    for name in ("area", "eccentricity", "major axis", "up", "right", "t1 mean", "t1 p90"):
        assert twice[name] == pytest.approx(once[name], rel=0.02, abs=0.005), name
    scaled = measured(tumour, t1=np.where(HEAD, 0.5 * image + 0.1, -1))
    for name, value in once.items():
        assert scaled[name] == pytest.approx(value, rel=1e-6, abs=1e-9, nan_ok=True), name


def test_a_mirrored_head_differs_in_its_side_alone():
    tumour = ellipse(10, 14, up=12, right=9)
    image = noisy() + 0.3 * tumour
    once, mirrored = measured(tumour, t1=image), measured(tumour[:, ::-1], t1=image[:, ::-1])
    assert mirrored.pop("right") == pytest.approx(-once.pop("right"))
    for name, value in once.items():
        assert mirrored[name] == pytest.approx(value, rel=1e-6, abs=1e-9), name


def test_the_head_is_the_largest_piece_without_holes():
    image = noisy()
    image[ellipse(5, 5)] = -1  # a dark ventricle
    image[:3, :3] = 0.5  # a spot in the corner
    np.testing.assert_array_equal(radiomics.head_of({"t1": image}), HEAD)


@pytest.mark.parametrize("pixels", [[(40, 40)], [(40, 40), (50, 50)], [(40, 40), (40, 41), (40, 42)]])
def test_the_smallest_tumours_have_features(pixels):
    tumour = np.zeros_like(HEAD)
    tumour[tuple(zip(*pixels, strict=True))] = True
    found = measured(tumour)
    assert found["area"] == pytest.approx(len(pixels) / HEAD.sum(), rel=0.01)
    assert np.isfinite(found["t1 mean"])


def test_an_image_of_one_colour_and_a_tumour_that_fills_the_image():
    found = measured(np.ones_like(HEAD), t1=np.full(HEAD.shape, 0.3))
    assert np.isnan(found["t1 skewness"])
    assert found["t1 std"] == 0


def test_a_slice_without_tumour_is_refused():
    with pytest.raises(ValueError, match="slice 0 has no tumour"):
        measured(np.zeros_like(HEAD))


def test_slices_to_visit():
    values = np.array([[1.0, 0.1], [3.0, 0.3], [np.nan, 0.5]])
    found = radiomics.of_visit(["t1 mean", "up"], values, ["axial", "axial", "coronal"])
    assert found["t1 mean"] == 2
    assert found["t1 mean (max)"] == 3
    assert found["t1 mean (std)"] == 1
    assert found["up (axial)"] == pytest.approx(0.2)
    assert found["up (coronal)"] == 0.5
    assert np.isnan(found["up (sagittal)"])


def test_visits_to_patients_with_missing_modalities():
    vectors = [{"a": 1.0, "b": 5.0}, {"a": 4.0, "c": np.nan}, {"a": 3.0}]
    names, values = radiomics.table(vectors, ["p", "q", "p"])
    assert names == ["a", "b", "c"]
    np.testing.assert_array_equal(values, [[2, 5, np.nan], [4, np.nan, np.nan]])


# ---- the forest -----------------------------------------------------------------------------------------------------


@pytest.fixture
def few_trees(monkeypatch):
    monkeypatch.setattr(forest, "TREES", 100)


def cohort(strength, count=60, features=8, seed=0):
    """A third positive, whose second feature is `strength` deviations higher; a feature with gaps, an empty one."""
    rng = np.random.default_rng(seed)
    truth = (np.arange(count) % 3 == 0).astype(int)
    values = rng.normal(size=(count, features))
    values[:, 1] += strength * truth
    values[::4, 2] = np.nan
    values[:, 3] = np.nan
    return values, truth


def test_a_strong_signal_is_found(few_trees):
    found = cross_validated(*cohort(6), folds=3, repeats=2, seed=1, quiet=True)
    assert len(found.folds) == 6
    assert len(found.repeats) == 2
    assert min(repeat["auc"] for repeat in found.repeats) > 0.97
    assert min(repeat["balanced_accuracy"] for repeat in found.repeats) > 0.9
    assert found.repeats[0]["n"] == 60
    assert sum(fold["n"] for fold in found.folds[:3]) == 60
    names = list("abcdefgh")
    important = most_important(names, found.importance, 3)
    assert next(iter(important)) == "b"
    assert len(important) == 3
    assert found.importance.sum() == pytest.approx(1)


def test_noise_is_no_signal(few_trees):
    aucs = [
        cross_validated(*cohort(0, seed=seed), folds=3, repeats=1, seed=1, quiet=True).repeats[0]["auc"]
        for seed in range(4)
    ]
    assert np.mean(aucs) == pytest.approx(0.5, abs=0.12)


def test_same_seed_same_numbers_another_seed_others(few_trees):
    one, two, other = (cross_validated(*cohort(1), folds=2, repeats=1, seed=s, quiet=True) for s in (1, 1, 2))
    assert one.folds == two.folds
    np.testing.assert_array_equal(one.importance, two.importance)
    assert not np.array_equal(one.importance, other.importance)


def test_a_patient_is_judged_by_forests_that_have_not_seen_it(few_trees):
    values, truth = cohort(0)
    truth = np.random.default_rng(5).permutation(truth)
    own, _, _ = fit_predict(values, truth, values, 1)
    assert own[truth == 1].min() > own[truth == 0].max(), "it remembers what it has seen"
    found = cross_validated(values, truth, folds=3, repeats=1, seed=1, quiet=True)
    assert found.repeats[0]["auc"] < 0.75


def test_missing_where_none_was_missing_in_training(few_trees):
    values, truth = cohort(6)
    test = values[:6].copy()
    test[:, 0] = np.nan
    score, decision, _ = fit_predict(values, truth, test, 1)
    np.testing.assert_array_equal(decision, truth[:6])
    assert ((score >= 0) & (score <= 1)).all()


@pytest.mark.parametrize(
    ("truth", "score", "expected"),
    [
        ([0, 0, 1, 1], [0.1, 0.2, 0.6, 0.8], 0.4),
        ([1, 1, 1, 0], [0.9, 0.8, 0.7, 0.65], 0.675),  # 0.5 would call all of them positive
        ([0, 1], [0.3, 0.3], 0.3),
    ],
)
def test_best_threshold(truth, score, expected):
    assert best_threshold(np.array(truth), np.array(score)) == pytest.approx(expected)
