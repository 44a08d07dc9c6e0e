"""features, convert, train unet, acgan, feature-classifier on the command line."""

from functools import partial

import numpy as np
import pytest
from command_line import run, sentence


@pytest.fixture(scope="module")
def sets(featuregan_overrides):
    return [word for override in featuregan_overrides for word in ("--set", override)]


@pytest.fixture(scope="module")
def widths(features_folder, sets, tmp_path_factory):
    """Two AC-GANs, trained by one command. Not to be written to."""
    folder = tmp_path_factory.mktemp("widths") / "all"
    short = ["--set", "acgan.epochs=1"]
    run(
        "train", "acgan", "--width", "all", "--features", features_folder, "--run-dir", folder, "--quiet", *sets, *short
    )
    return folder


def test_from_a_unet_to_the_classifier(unet_run, features_folder, widths, sets, tmp_path):
    """The paper's chain, as the README has it."""
    output = run("features", "extract", unet_run, "--out", tmp_path / "five", "--block", 5, "--quiet")
    assert "4x4x8" not in output and "2x2x8 float32; BraTS folders in" in output and "HGG" in output
    again = run("features", "extract", unet_run, "--out", features_folder, "--quiet")
    assert again.startswith(f"{features_folder}: 56 HGG, 24 LGG; 4x4x8 float32")
    assert {path.name for path in widths.iterdir() if path.is_dir()} == {"width-4", "width-6"}
    words = ["features", "generate", widths / "width-6", "--out", tmp_path / "made", "--count", 24, "--seed", 3]
    assert "synthetic, by an AC-GAN of width 6, seed 3, from BraTS folders in" in run(*words, "--quiet")
    common = ["--features", features_folder, "--synthetic", tmp_path / "made", "--count", 2, *sets]
    output = run("train", "feature-classifier", *common, "--dry-run", "--run-dir", tmp_path / "run")
    assert "2 of them synthetic" in output and "with 2 synthetic features of made" in output
    assert not (tmp_path / "run").exists()


def test_a_group_of_widths_is_not_begun_twice(widths, features_folder, sets):
    words = ["train", "acgan", "--width", "all", "--features", features_folder, "--run-dir", widths, *sets]
    assert "holds runs; go on with the group by --resume" in sentence(*words)
    run(*words, "--set", "acgan.epochs=1", "--resume", "--quiet")


def test_the_width_is_the_studys_unless_it_is_given(features_folder, sets, tmp_path):
    words = ["train", "acgan", "--features", features_folder, "--run-dir", tmp_path / "run", "--dry-run", *sets]
    assert "would train AC-GAN of width 6 into" in run(*words)
    assert "would train AC-GAN of width 3 into" in run(*words, "--width", 3)


def test_a_unet_is_checked_without_training_it(graded_folder, sets, tmp_path):
    words = ["train", "unet", "--data", graded_folder, "--run-dir", tmp_path / "run", "--dry-run", *sets]
    output = run(*words)
    assert "8 visits, 64 FLAIR slices to learn; 2 visits, 16 slices held out; weights to begin with: random" in output
    assert "would train U-Net into" in output and "2 epochs of 8 steps" in output
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["train", "acgan", "--width", "wide"], "--width expects a number of channels, such as 64, 256 or 512, or all"),
        (["train", "acgan", "--features", "nowhere"], "there is no folder nowhere; make it by"),
        (["train", "acgan", "--set", "acgan.epoch=3"], "did you mean 'acgan.epochs'"),
        (["train", "unet", "--set", "data.size=100"], "data.size must be a multiple of 16"),
        (["train", "unet", "--set", "study.modalities=[t1,t2]"], "modalities must be one, or the four"),
        (["train", "unet", "--set", "study.validate_on=validation"], "split.validation is 0"),
        (["train", "unet", "--set", "study.positive=LGG"], "negative and positive must differ"),
        (["train", "unet", "--set", "study.partition=2"], "study.partition must be one of split.partitions: 1 to 1"),
        (["train", "acgan", "--set", "sweep.width=3"], "width must be one of widths: 64, 256, 512"),
        (["train", "acgan", "--set", "sweep.counts=[5,3]"], "counts must ascend from 0"),
        (["train", "feature-classifier", "--synthetic", "."], "were made from real ones: give these too, with --featu"),
        (["train", "feature-classifier", "--count", "3"], "give their folder with --synthetic"),
        (["features", "extract", "nowhere", "--out", "x"], "there is no folder nowhere"),
        (["features", "generate", "nowhere", "--out", "x"], "there is no folder nowhere"),
    ],
)
def test_bad_input_is_one_sentence(tmp_path, monkeypatch, words, message):
    monkeypatch.chdir(tmp_path)
    assert message in sentence(*words)
    assert not list(tmp_path.iterdir())


def test_wrong_blocks_and_prepared_folders(unet_run, graded_folder, tmp_path):
    out = tmp_path / "out"
    assert "the U-Net has no block 'encoder6'" in sentence(
        "features", "extract", unet_run, "--out", out, "--block", "encoder6"
    )
    assert "is no manifest of features" in sentence("train", "acgan", "--features", graded_folder, "--dry-run")


# ---- convert ----


def object_npz(path, count):
    params = np.empty(count, object)
    for number in range(count):
        params[number] = np.zeros((3, 3, 4, 64), np.float32)
    np.savez(path, params=params)
    return path


def test_a_checkpoint_to_keras_and_back(tmp_path, monkeypatch):
    """With narrow layers: the published ones take 138 MB."""
    from kerasgan.experiment import conversion
    from kerasgan.papers.featuregan.tensorlayer import layer_shapes, read_checkpoint, write_checkpoint

    narrow, rng = (3, 5, 4, 6, 7), np.random.default_rng(0)
    monkeypatch.setattr(conversion, "read_checkpoint", partial(read_checkpoint, filters=narrow))
    monkeypatch.setattr(conversion, "unet", partial(conversion.unet, filters=narrow))
    arrays = [rng.random(shape, np.float32) for pair in layer_shapes(4, narrow).values() for shape in pair]
    write_checkpoint(arrays, tmp_path / "u_net.npz")
    words = ["convert", "tensorlayer", tmp_path / "u_net.npz", "--out", tmp_path / "u_net.keras", "--size", 16]
    assert run(*words).strip() == str(tmp_path / "u_net.keras")
    assert "exists; give another --out, or --force" in sentence(*words)
    run("convert", "tensorlayer", tmp_path / "u_net.keras", "--out", tmp_path / "back.npz")
    back = read_checkpoint(tmp_path / "back.npz", narrow)
    assert all(np.array_equal(one, two) for one, two in zip(back, arrays, strict=True))
    run(*words, "--force", "--channels", 1, "--first-channels", "mean")
    run("convert", "tensorlayer", tmp_path / "u_net.keras", "--out", tmp_path / "one.npz")
    one = read_checkpoint(tmp_path / "one.npz", narrow)
    np.testing.assert_allclose(one[0], arrays[0].mean(axis=2, keepdims=True), rtol=1e-6)
    np.testing.assert_array_equal(one[1], arrays[1])


@pytest.mark.parametrize(
    ("make", "out", "message"),
    [
        (
            lambda path: object_npz(path, 45),
            "x.keras",
            "holds 45 arrays, not 46; the first that does not fit is number 2",
        ),
        (lambda path: path.write_bytes(b"PK"), "x.keras", "is not a whole npz file"),
        (lambda path: np.savez(path, weights=np.zeros(3)), "x.keras", "expected `params`"),
        (lambda path: path.touch(), "x.npz", "expected one file .npz and one .keras, came u.npz and x.npz"),
    ],
)
def test_files_that_are_no_checkpoint(make, out, message, tmp_path):
    make(tmp_path / "u.npz")
    assert message in sentence("convert", "tensorlayer", tmp_path / "u.npz", "--out", tmp_path / out)
    assert [path.name for path in tmp_path.iterdir()] == ["u.npz"]
