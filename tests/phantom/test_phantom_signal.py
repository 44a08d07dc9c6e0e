import numpy as np
import pytest

from kerasgan.phantom.shapes import Field
from kerasgan.phantom.signal import SEQUENCES, TISSUES, Scan, acquire, draw_scan, rician, signal

# PD (1 - exp(-TR/T1)) exp(-TE/T2) and its inversion recovery form, worked out by hand from the tables.
GOLDEN = [
    ("t1", "white", 0.30676),  # 0.77 * 0.45172 * 0.88194
    ("t1e", "white", 0.30676),
    ("t2", "white", 0.21869),  # 0.77 * 0.99755 * 0.28471
    ("flair", "white", 0.17256),  # 0.77 * 0.89248 * 0.25110
    ("t1e", "enhancing", 0.62749),  # R1 = 3.2567 /s, R2 = 11.973 /s: 0.88 * 0.80374 * 0.88716
    ("flair", "csf", 0.0),
]


@pytest.mark.parametrize(("sequence", "tissue", "expected"), GOLDEN)
def test_signal_equals_the_equations_by_hand(sequence, tissue, expected):
    assert signal(SEQUENCES[sequence], TISSUES[tissue]) == pytest.approx(expected, abs=2e-4)


@pytest.mark.parametrize(
    ("sequence", "bright_to_dark"),
    [
        ("t1", ["white", "pallidum", "grey", "tumour", "necrosis", "csf"]),
        ("t1e", ["plexus", "enhancing", "vessel", "white", "grey", "necrosis", "csf"]),
        ("t2", ["csf", "necrosis", "microcystic", "oedema", "grey", "white", "pallidum"]),
        ("flair", ["oedema", "tumour", "grey", "white", "microcystic", "csf"]),
    ],
)
def test_tissues_rank_as_in_radiology(sequence, bright_to_dark):
    values = [signal(SEQUENCES[sequence], TISSUES[name]) for name in bright_to_dark]
    assert values == sorted(values, reverse=True)
    assert min(-np.diff(values)) > 0


def test_only_tissue_that_agent_reaches_changes_with_contrast():
    for name, tissue in TISSUES.items():
        change = signal(SEQUENCES["t1e"], tissue) / signal(SEQUENCES["t1"], tissue)
        if tissue.agent:
            assert change > 1.5, name
        else:
            assert change == 1, name


def test_rician_noise_has_rayleigh_background_and_gaussian_signal():
    rng = np.random.default_rng(0)
    background = rician(np.zeros(200_000, np.float32), 2.0, rng)
    assert background.mean() == pytest.approx(2 * np.sqrt(np.pi / 2), rel=0.01)
    assert background.std() == pytest.approx(2 * np.sqrt(2 - np.pi / 2), rel=0.01)
    bright = rician(np.full(200_000, 50, np.float32), 2.0, rng)
    # For a strong signal the mean rises by sigma^2 / (2 A) (Gudbjartsson and Patz 1995, equation 5).
    assert bright.mean() == pytest.approx(50 + 4 / 100, abs=0.02)
    assert bright.std() == pytest.approx(2, rel=0.01)


def plain_scan(gain=1000.0, noise=0.0, blur=(0.0, 0.0, 0.0)):
    return Scan(gain, noise, blur, bias=Field(np.zeros((4, 4, 4), np.float32), 50.0))


def image(scan, fractions, water=0.0):
    n = len(next(iter(fractions.values())))
    region = np.ones((n, 1, 1), bool)
    where = np.zeros((3, n), np.float32)
    rng = np.random.default_rng(0)
    return acquire(SEQUENCES["t2"], scan, fractions, np.full(n, water, np.float32), where, region, 1.0, rng)


def test_mixed_voxels_add_the_signals_of_their_tissues():
    values = image(plain_scan(), {"white": np.float32([1, 0, 0.25]), "grey": np.float32([0, 1, 0.75])})
    grey = 1000 * signal(SEQUENCES["t2"], TISSUES["grey"]) / signal(SEQUENCES["t2"], TISSUES["white"])
    np.testing.assert_allclose(values, [1000, grey, 250 + 0.75 * grey], atol=1)
    assert values.dtype == np.int16


def test_water_brightens_t2():
    white = {"white": np.ones(3, np.float32)}
    np.testing.assert_array_equal(image(plain_scan(), white, water=1.0), [1030] * 3)


def test_blurring_spreads_a_bright_voxel_and_keeps_its_sum():
    spot = np.zeros(9, np.float32)
    spot[4] = 1
    values = image(plain_scan(blur=(1.0, 0.0, 0.0)), {"white": spot})
    assert values[4] < 500
    assert values[3] == values[5] > 200
    assert values[0] == 1  # the brain is never the 0 of the background
    assert values[1:8].sum() == pytest.approx(1000, abs=10)


def test_scans_differ_in_gain_and_some_have_thick_slices():
    scans = [draw_scan(np.random.default_rng(seed)) for seed in range(60)]
    gains = [scan.gain for scan in scans]
    assert max(gains) > 3 * min(gains)
    assert 6 <= sum(scan.blur[2] > 0.9 for scan in scans) <= 30
