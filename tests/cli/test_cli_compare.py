"""kerasgan evaluate fid, kid, is, prdc, swd, ssim-diversity, c2st, memorisation, encoder: to numbers and files."""

import json
from functools import partial

import command_line
import numpy as np
import pytest
from PIL import Image
from scipy.linalg import sqrtm

from kerasgan import experiment
from kerasgan.data.imagesets import read_images, to_png
from kerasgan.errors import UserError
from kerasgan.evaluation.features import Backbone
from kerasgan.experiment import comparison
from kerasgan.experiment.images import image_set
from kerasgan.metrics.inception_score import inception_score
from kerasgan.metrics.sliced_wasserstein import sliced_wasserstein_by_level

run = partial(command_line.result, "evaluate")
sentence = partial(command_line.sentence, "evaluate")


def pictures(folder, count, seed, size=16, mean=0.0):
    folder.mkdir()
    images = np.random.default_rng(seed).normal(mean, 0.3, (count, size, size))
    for number, image in enumerate(images):
        to_png(image).save(folder / f"{number:03d}.png")
    return folder


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    top = tmp_path_factory.mktemp("pictures")
    return pictures(top / "real", 24, 1), pictures(top / "synthetic", 20, 2, mean=0.1)


@pytest.fixture(scope="module")
def encoder(prepared_folder, tmp_path_factory):
    path = tmp_path_factory.mktemp("encoder") / "encoder.keras"
    words = ["--real", prepared_folder, "--sequence", "flair", "--size", 16, "--features", 4, "--epochs", 3]
    return path, run("encoder", *words, "--out", path, "--quiet").stdout


def test_fid_in_pixels_and_its_json(folders, tmp_path):
    real, synthetic = folders
    out = tmp_path / "new" / "fid.json"
    words = ["--real", real, "--synthetic", synthetic, "--backbone", "pixels:4", "--quiet", "--out", out]
    output = run("fid", *words).stdout
    assert "Real: images in real: 24 images in 24 groups, 16x16 pixels" in output
    assert "Backbone: pixels" in output and "shrunk to 4x4" in output
    assert "a covariance is singular" not in output
    result = json.loads(out.read_text())
    assert (result["kind"], result["seed"], result["preprocessing"][:13]) == ("fid", 1, "shrunk to 4x4")
    features = [read_images(own).images.reshape(-1, 4, 4, 4, 4).mean(axis=(2, 4)).reshape(-1, 16) for own in folders]
    one, two = (np.cov(own, rowvar=False) for own in features)
    difference = features[0].mean(axis=0) - features[1].mean(axis=0)
    expected = difference @ difference + np.trace(one + two - 2 * sqrtm(one @ two).real)
    assert result["numbers"]["FID"]["value"] == pytest.approx(expected, abs=1e-4)
    assert "a covariance is singular" in run("fid", *words[:4], "--backbone", "pixels").stdout


def test_kid_states_its_subsets(folders, tmp_path):
    words = ["--real", folders[0], "--synthetic", folders[1], "--backbone", "pixels", "--out", tmp_path / "kid.json"]
    output = run("kid", *words, "--subsets", 7).stdout
    assert "seed 1, subsets 7, subset size 10" in output, "half of the smaller set"
    assert run("kid", *words, "--subsets", 7, "--seed", 2).stdout != output
    run("kid", *words, "--subset-size", 20, "--subsets", 1)
    assert json.loads((tmp_path / "kid.json").read_text())["settings"] == {"subsets": 1, "subset_size": 20}
    assert "--subset-size 21 takes 21 or more" in sentence("kid", *words, "--subset-size", 21)


def test_prdc_with_an_encoder(prepared_folder, folders, encoder):
    path, output = encoder
    assert "Encoder of 16x16 images to 4 features, trained for 3 epochs" in output
    card = json.loads(path.with_suffix(".json").read_text())
    assert card["patients"] == len(set(image_set(prepared_folder, sequence="flair", subset="train").groups))
    words = ["--real", prepared_folder, "--sequence", "flair", "--size", 16, "--synthetic", folders[1]]
    output = run("prdc", *words, "--backbone", path, "--k", 3).stdout
    assert "encoder, 4 features; encoder.keras, sha256" in output
    assert ", FLAIR, 16x16 pixels" in output
    for name in ("precision", "recall", "density", "coverage"):
        assert f"| {name} " in output
    assert "neighbour 20 takes 21 or more" in sentence("prdc", *words, "--backbone", path, "--k", 20)


def test_swd_by_level_and_its_json(tmp_path):
    real, synthetic = pictures(tmp_path / "a", 6, 1, size=32), pictures(tmp_path / "b", 6, 2, size=32, mean=0.3)
    out = tmp_path / "swd.json"
    output = run("swd", "--real", real, "--synthetic", synthetic, "--seed", 3, "--out", out).stdout
    assert "Real: images in a: 6 images in 6 groups, 32x32 pixels" in output
    assert "Synthetic: images in b: 6 images" in output and "Backbone: none" in output
    assert "seed 3, images 6, patch 7, patches of an image 128, directions 512" in output
    sets = [read_images(folder).images for folder in (real, synthetic)]
    expected = {f"{pixels} px": value for pixels, value in sliced_wasserstein_by_level(*sets, seed=3).items()}
    assert list(expected) == ["32 px", "16 px"]
    expected["mean of levels"] = np.mean(list(expected.values()))
    numbers = json.loads(out.read_text())["numbers"]
    assert {name: own["value"] for name, own in numbers.items()} == pytest.approx(expected)
    assert {name: own["x 1000"] / 1000 for name, own in numbers.items()} == pytest.approx(expected)
    same = run("swd", "--real", real, "--synthetic", real).stdout
    assert "| mean of levels | 0.000 " in same


def test_swd_takes_as_many_of_each_of_a_power_of_two(folders, tmp_path):
    words = ["--real", folders[0], "--synthetic", folders[1]]
    shown = run("swd", *words).stdout
    assert "| 16 px" in shown and "images 20, patch 7" in shown
    odd = pictures(tmp_path / "odd", 3, 1, size=24)
    assert "24x24 pixels have no pyramid down to 16x16" in sentence("swd", "--real", odd, "--synthetic", odd)
    with pytest.raises(UserError, match="leave out the backbone pixels"):
        experiment.evaluate_images("swd", real=folders[0], synthetic=folders[1], backbone="pixels")


def test_inception_score_of_a_named_classifier(folders, tmp_path, monkeypatch):
    asked = []

    def classifier(name):
        """Of two classes, by the mean: (n, 2)."""
        asked.append(name)

        def probability(images, quiet):
            first = 1 / (1 + np.exp(-20 * images.mean(axis=(1, 2))))
            return np.stack([first, 1 - first], axis=1)

        return Backbone("by the mean", "as they are", probability)

    monkeypatch.setattr(comparison, "classifier_of", classifier)
    out = tmp_path / "is.json"
    words = ["--real", folders[0], "--synthetic", folders[1], "--backbone", "inception:random", "--out", out]
    output = run("is", *words, "--splits", 2, "--seed", 5).stdout
    assert asked == ["inception:random"] and "Backbone: by the mean" in output and "seed 5, splits 2" in output
    assert "none is an MR image" in output
    result = json.loads(out.read_text())
    images = read_images(folders[1]).images[np.random.default_rng(5).permutation(20)]
    probability = classifier("")
    expected = inception_score(probability.features(images), 2)
    found = result["numbers"]["inception score"]
    assert (found["synthetic"], found["synthetic std over parts"]) == pytest.approx(expected)
    assert 1 <= found["real"] <= 2
    assert "--splits 21 takes 21 or more" in sentence("is", *words, "--splits", 21)


def test_inception_score_wants_a_classifier(folders):
    words = ["--real", folders[0], "--synthetic", folders[1], "--backbone"]
    assert "there is no classifier 'pixels'; expected inception, inception:FILE" in sentence("is", *words, "pixels")
    said = sentence("is", *words, "inception:none.h5")
    assert "there is no file none.h5; expected InceptionV3 weights as in inception_v3_weights_tf_dim" in said
    assert "notop" not in said


def test_ssim_diversity_has_real_beside_synthetic(prepared_folder):
    words = ["--real", prepared_folder, "--sequence", "t1", "--synthetic", prepared_folder, "--pairs", 50]
    output = run("ssim-diversity", *words).stdout
    assert "MS-SSIM, 2 scales" in output and "seed 1, pairs 50" in output
    line = next(line for line in output.splitlines() if line.startswith("| SSIM"))
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    assert cells[1:4] == cells[4:7], "the same set, the same pairs"


def test_c2st_tells_dark_from_bright(tmp_path):
    real, synthetic = pictures(tmp_path / "a", 40, 1), pictures(tmp_path / "b", 40, 2, mean=0.5)
    out = tmp_path / "c2st.json"
    words = ["--real", real, "--synthetic", synthetic, "--repeats", 1, "--epochs", 12, "--out", out, "--quiet"]
    output = run("c2st", *words).stdout
    assert "seed 1, repeats 1, epochs 12" in output
    numbers = json.loads(out.read_text())["numbers"]
    assert numbers["CNN, real and synthetic"]["accuracy"] > 0.9
    assert numbers["1-NN, real and synthetic"]["p"] < 0.01
    assert numbers["CNN, two halves of real"]["p"] > 0.05
    assert numbers["CNN, real and synthetic"]["tested on"] == 40
    assert len(json.loads(out.read_text())["details"]["1-NN, two halves of real"]["accuracies"]) == 1


def test_c2st_says_that_pictures_may_be_of_one_patient(folders, tmp_path):
    words = ["--real", folders[0], "--synthetic", folders[1], "--repeats", 1, "--epochs", 1, "--quiet"]
    output = run("c2st", *words).stdout
    assert "Each real image is a group of its own" in output and "Too few patients" not in output


def test_c2st_says_that_patients_are_too_few(prepared_folder, folders, tmp_path):
    out = tmp_path / "c2st.json"
    words = ["--real", prepared_folder, "--sequence", "t1", "--size", 16, "--synthetic", folders[1], "--out", out]
    output = run("c2st", *words, "--subset", "all", "--count", 20, "--repeats", 1, "--epochs", 1, "--quiet").stdout
    assert "Each real image is a group of its own" not in output and "Too few patients" in output
    assert json.loads(out.read_text())["numbers"]["1-NN, two halves of real"]["p if all were right"] > 0.05


def test_c2st_refuses_a_patient_on_both_sides(prepared_folder):
    words = ["--real", prepared_folder, "--synthetic", prepared_folder, "--sequence", "t1"]
    assert "10 patients, BraTS2021_00000 among them, are in both" in sentence("c2st", *words)


def test_memorisation_finds_the_copies_and_draws_them(prepared_folder, tmp_path):
    training = image_set(prepared_folder, sequence="t1", subset="train")
    copied = tmp_path / "copied"
    copied.mkdir()
    for number in range(5):
        to_png(training.images[number]).save(copied / f"{number}.png")
    out = tmp_path / "memorisation.json"
    words = ["--real", prepared_folder, "--sequence", "t1", "--synthetic", copied, "--out", out, "--pairs", 3]
    output = run("memorisation", *words).stdout
    assert "No number here is a guarantee of privacy." in output
    result = json.loads(out.read_text())
    assert result["numbers"]["synthetic"]["share below percentile 1"] == 1
    found = {row["synthetic"]: row["training"] for row in result["details"]["nearest"]}
    assert found == {f"{number}.png": training.names[number] for number in range(5)}
    assert result["sets"]["held out"]["groups"] == len(
        set(image_set(prepared_folder, sequence="t1", subset="test").groups)
    )
    with Image.open(out.with_suffix(".png")) as picture:
        assert picture.size[0] > 400


def test_memorisation_of_pictures_needs_held_out_ones(folders, tmp_path):
    words = ["--real", folders[0], "--synthetic", folders[1]]
    assert "give --held-out" in sentence("memorisation", *words)
    held_out = pictures(tmp_path / "held", 10, 3)
    assert "Held out: images in held: 10 images" in run("memorisation", *words, "--held-out", held_out).stdout
    assert "does not end in .json" in sentence("memorisation", *words, "--out", tmp_path / "m.png")


@pytest.fixture(scope="module")
def greedy_run(sagittal_folder, brainmr_overrides, tmp_path_factory):
    """A run that has learnt all patients."""
    overrides = [*brainmr_overrides, "study.held_out=false", "dcgan.epochs=1", "dcgan.steps_per_epoch=1"]
    more = {"data": sagittal_folder, "overrides": overrides, "quiet": True}
    return experiment.train("dcgan", sequence="t1", size=16, run_dir=tmp_path_factory.mktemp("greedy") / "run", **more)


def test_memorisation_refuses_a_gan_that_has_learnt_the_held_out_patients(greedy_run, sagittal_folder, tmp_path):
    made = experiment.generate(greedy_run, tmp_path / "made", count=4, quiet=True)
    words = ["--real", sagittal_folder, "--sequence", "t1", "--size", 16, "--count", 4]
    for synthetic in (greedy_run, made):
        said = sentence("memorisation", *words, "--synthetic", synthetic)
        assert "has learnt the test patients" in said and "train one with --set study.held_out=true" in said
    others = pictures(tmp_path / "others", 6, 3)
    output = run("memorisation", *words, "--synthetic", made, "--held-out", others).stdout
    assert "Nothing says whether the GAN has learnt the held-out patients" in output


def test_memorisation_takes_a_gan_that_has_not(noise_run, sagittal_folder, tmp_path):
    made = experiment.generate(noise_run, tmp_path / "made", count=4, quiet=True)
    words = ["--real", sagittal_folder, "--sequence", "t1", "--count", 4]
    for synthetic in (noise_run, made):
        assert "Nothing says" not in run("memorisation", *words, "--synthetic", synthetic).stdout
    known = json.loads((made / "images.json").read_text())
    assert known["learnt"]["subsets"] == ["train"]
    known["learnt"]["subsets"] = ["train", "validation"]  # as aggrgan's
    (made / "images.json").write_text(json.dumps(known))
    assert "has learnt validation patients too" in run("memorisation", *words, "--synthetic", made).stdout
    known["learnt"]["partition"] = 2
    (made / "images.json").write_text(json.dumps(known))
    assert "give --partition 2" in sentence("memorisation", *words, "--synthetic", made)


def test_memorisation_refuses_held_out_training_patients(prepared_folder, folders):
    words = ["--real", prepared_folder, "--synthetic", folders[1], "--subset", "all", "--size", 16]
    assert "are in both" in sentence("memorisation", *words)


def test_sizes_that_differ_are_one_sentence(prepared_folder, folders):
    words = ["--real", prepared_folder, "--synthetic", folders[1], "--backbone", "pixels"]
    assert "real images have 32x32, the synthetic images have 16x16 pixels; expected one size: give --size" in sentence(
        "fid", *words
    )


@pytest.mark.parametrize(
    ("kind", "words", "message"),
    [
        ("fid", ["--count", 30], "30 images wanted, 24 there"),
        ("fid", ["--count", 1], "has 1 images; a Fréchet distance takes 2 or more"),
        ("fid", ["--backbone", "inceptoin"], "did you mean 'inception'"),
        ("prdc", ["--backbone", "nowhere.keras"], "there is no file nowhere.keras"),
        ("c2st", ["--count", 3], "halves by patient take 4 or more"),
    ],
)
def test_bad_input_is_one_sentence(folders, kind, words, message):
    words = words if "--backbone" in words else [*words, "--backbone", "pixels"]
    assert message in sentence(kind, "--real", folders[0], "--synthetic", folders[1], *words)


def test_images_too_small_for_ssim(tmp_path):
    words = ["--real", pictures(tmp_path / "a", 3, 1, size=8), "--synthetic", pictures(tmp_path / "b", 3, 1, size=8)]
    assert "8x8 pixels are too small for SSIM; expected 11x11 or more" in sentence("ssim-diversity", *words)


def test_the_python_function_names_what_it_does_not_know(folders):
    with pytest.raises(UserError, match="there is no comparison 'fd'; did you mean 'fid'"):
        experiment.evaluate_images("fd", real=folders[0], synthetic=folders[1])
    with pytest.raises(UserError, match="prdc has no setting 'kk'; did you mean 'k'"):
        experiment.evaluate_images("prdc", real=folders[0], synthetic=folders[1], backbone="pixels", kk=3)
    with pytest.raises(UserError, match="leave out the backbone pixels"):
        experiment.evaluate_images("ssim-diversity", real=folders[0], synthetic=folders[1], backbone="pixels")


def test_the_same_seed_gives_the_same_text(folders):
    words = ["--real", folders[0], "--synthetic", folders[1], "--backbone", "pixels", "--count", 15]
    one, two, other = (run("prdc", *words, "--seed", seed).stdout for seed in (3, 3, 4))
    assert one == two != other
