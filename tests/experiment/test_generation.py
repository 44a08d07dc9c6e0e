"""`generate`, and the folders of images that it writes and others bring."""

import json
import shutil

import keras
import nibabel
import numpy as np
import pytest
from PIL import Image

from kerasgan import experiment
from kerasgan.data import imagesets
from kerasgan.data.prepare import open_prepared
from kerasgan.errors import UserError
from kerasgan.experiment.generation import generated, learnt_by
from kerasgan.experiment.images import image_set
from kerasgan.gan import sampling


@pytest.mark.parametrize(("kind", "bits"), [("png", 8), ("png", 16), ("npz", 8), ("nifti", 8)])
def test_written_images_are_read_back(noise_run, tmp_path, kind, bits):
    out = experiment.generate(noise_run, tmp_path / "out", count=70, seed=3, kind=kind, bits=bits, quiet=True)
    found, made = imagesets.read_images(out), generated(noise_run, 70, 3)
    step = 2 / (2**bits - 1) if kind == "png" else 1e-6
    np.testing.assert_allclose(found.images, made.images, atol=step / 2 + 1e-6)
    assert found.origin == made.origin
    about = json.loads((out / "images.json").read_text())
    assert (about["count"], about["seed"], about["model"], about["sequence"]) == (70, 3, "dcgan", "t1")
    assert 0 <= about["clipped_share_of_pixels"] <= 1


def test_same_seed_same_bytes(noise_run, tmp_path):
    first, second, other = (
        experiment.generate(noise_run, tmp_path / name, count=count, seed=seed, quiet=True)
        for name, count, seed in (("a", 5, 1), ("b", 66, 1), ("c", 5, 2))
    )
    names = [path.name for path in sorted(first.glob("*.png"))]
    assert names == [f"image_{n:06d}.png" for n in range(5)]
    assert all((first / name).read_bytes() == (second / name).read_bytes() for name in names)
    assert any((first / name).read_bytes() != (other / name).read_bytes() for name in names)


def test_nifti_slices_lie_in_the_view_of_the_training_data(noise_run, tmp_path):
    out = experiment.generate(noise_run, tmp_path / "out", count=1, kind="nifti", quiet=True)
    volume = nibabel.load(out / "image_000000.nii.gz")
    assert volume.shape == (1, 32, 32), "sagittal: one voxel from left to right"
    assert nibabel.aff2axcodes(volume.affine) == ("R", "A", "S")


def test_a_folder_that_is_not_empty_is_kept(noise_run, tmp_path):
    (tmp_path / "note.txt").write_text("mine")
    with pytest.raises(UserError, match="is not empty"):
        experiment.generate(noise_run, tmp_path, count=1, quiet=True)
    assert [path.name for path in tmp_path.iterdir()] == ["note.txt"]


def test_a_run_of_a_translator_makes_no_images_from_noise(finished_run, tmp_path):
    with pytest.raises(UserError, match="a run of pairwise, which makes no images from noise"):
        experiment.generate(finished_run, tmp_path / "out", count=1, quiet=True)


@pytest.mark.parametrize("damage", [b"", b"no archive", "cut", "changed"])
def test_a_damaged_generator_is_one_sentence(noise_run, tmp_path, damage):
    run = tmp_path / "run"
    shutil.copytree(noise_run, run)
    path = run / "generators" / "generator.keras"
    whole = path.read_bytes()
    half = len(whole) // 2
    cases = {"cut": whole[:half], "changed": whole[:half] + bytes(64) + whole[half + 64 :]}
    path.write_bytes(cases.get(damage, damage))
    with pytest.raises(UserError, match=r"generator\.keras cannot be read \(.+\); restore the file") as error:
        experiment.generate(run, tmp_path / "out", count=1, quiet=True)
    assert "\n" not in str(error.value)


def test_images_say_what_was_learnt(noise_run, classes_folder, aggrgan_overrides, tmp_path, sagittal_folder):
    made = experiment.generate(noise_run, tmp_path / "made", count=1, quiet=True)
    learnt = learnt_by(made)
    assert learnt == learnt_by(noise_run)
    assert learnt["data_hash"] == open_prepared(sagittal_folder).hash
    about = {name: learnt[name] for name in ("held_out", "partition", "label", "value", "sequence")}
    assert about == {"held_out": True, "partition": 1, "label": "grade", "value": "HGG", "sequence": "t1"}
    more = {"data": classes_folder, "overrides": aggrgan_overrides, "quiet": True}
    other = learnt_by(experiment.train("dcgan2", category="mutant", run_dir=tmp_path / "run", **more))
    assert other["held_out"] and (other["partition"], other["label"], other["sequence"]) == (1, "idh", "t1e")


def test_images_of_a_class_of_a_run(pggan_run, patches_folder, tmp_path):
    """The generator's own numbers from uniform noise; the same noise in both classes."""
    made = {name: generated(pggan_run, 70, 3, name).images for name in ("wildtype", "mutant")}
    network = keras.saving.load_model(pggan_run / "generators" / "generator.keras", safe_mode=True)
    vectors = sampling.noise(70, 6, 3, sampling.uniform)
    for label, images in enumerate(made.values()):
        expected = network([vectors, np.full(70, label)]).numpy()[..., 0]
        np.testing.assert_allclose(images, np.clip(expected, -1, 1), atol=1e-5)
    assert not np.allclose(*made.values())
    np.testing.assert_array_equal(generated(pggan_run, 5, 3, "mutant").images, made["mutant"][:5])
    assert not np.array_equal(generated(pggan_run, 5, 4, "mutant").images, made["mutant"][:5])

    out = experiment.generate(pggan_run, tmp_path / "out", count=3, seed=3, category="mutant", quiet=True)
    about = json.loads((out / "images.json").read_text())
    assert (about["class"], about["sequence"], about["model"]) == ("mutant", "t1", "pggan")
    assert about["origin"].startswith("pggan mutant, seed 3, trained on BraTS folders in")
    np.testing.assert_allclose(imagesets.read_images(out).images, made["mutant"][:3], atol=1 / 255 + 1e-6)
    learnt = learnt_by(out)
    assert (learnt["held_out"], learnt["partition"], learnt["sequence"]) == (True, 1, "t1")
    assert learnt["data_hash"] == open_prepared(patches_folder).hash


def test_a_class_is_named_where_there_are_some_and_only_there(pggan_run, noise_run, tmp_path):
    out = tmp_path / "out"
    with pytest.raises(
        UserError, match=r"images of wildtype or mutant; name one of these classes: .* --class wildtype"
    ):
        experiment.generate(pggan_run, out, count=1, quiet=True)
    with pytest.raises(UserError, match="name one of these classes, not glioma"):
        experiment.generate(pggan_run, out, count=1, category="glioma", quiet=True)
    with pytest.raises(UserError, match="a run of dcgan, whose generator knows no classes; leave out mutant"):
        experiment.generate(noise_run, out, count=1, category="mutant", quiet=True)
    assert not out.exists()
    with pytest.raises(UserError, match="name one of these classes"):
        image_set(pggan_run, count=2)
    both = [image_set(run, count=2, category="mutant") for run in (pggan_run, noise_run)]
    assert both[0].images.shape == (2, 16, 16) and "mutant" in both[0].origin and "mutant" not in both[1].origin


def test_a_network_that_is_told_no_class_knows_none(pggan_run, tmp_path):
    """The generator of the stage before, as a run with network.class_from=null delivers it."""
    run = shutil.copytree(pggan_run, tmp_path / "run")
    shutil.copy(run / "stages" / "0008.keras", run / "generators" / "generator.keras")
    config = (run / "config.yaml").read_text()
    (run / "config.yaml").write_text(config.replace("class_from: 16", "class_from: null"))
    assert generated(run, 3, 1).images.shape == (3, 8, 8)
    with pytest.raises(UserError, match="knows no classes; leave out mutant"):
        generated(run, 3, 1, "mutant")


def picture(path, levels, mode=None):
    Image.fromarray(np.asarray(levels), mode).save(path)


def test_pictures_by_hand(tmp_path):
    picture(tmp_path / "a.png", np.array([[0, 255], [51, 204]], np.uint8))
    picture(tmp_path / "b.png", np.array([[0, 65535], [13107, 52428]], np.uint16))
    picture(tmp_path / "c.png", np.repeat(np.array([[[0], [255]], [[51], [204]]], np.uint8), 3, axis=2))
    found = imagesets.read_images(tmp_path)
    np.testing.assert_allclose(found.images, [[[-1, 1], [-0.6, 0.6]]] * 3, atol=1e-6)
    assert found.names == ("a.png", "b.png", "c.png") == found.groups


def test_pictures_that_are_refused(tmp_path):
    with pytest.raises(UserError, match=r"holds no \.png images"):
        imagesets.read_images(tmp_path)
    picture(tmp_path / "a.png", np.zeros((4, 4), np.uint8))
    picture(tmp_path / "b.png", np.zeros((4, 6), np.uint8))
    with pytest.raises(UserError, match=r"b\.png has 4x6 pixels, a\.png 4x4; expected images of one size"):
        imagesets.read_images(tmp_path)
    colour = np.zeros((4, 4, 3), np.uint8)
    colour[0, 0, 0] = 9
    picture(tmp_path / "b.png", colour)
    with pytest.raises(UserError, match=r"b\.png is a colour picture; expected grey"):
        imagesets.read_images(tmp_path)
    (tmp_path / "b.png").write_bytes(b"no picture")
    with pytest.raises(UserError, match=r"b\.png cannot be read as a picture"):
        imagesets.read_images(tmp_path)


def test_sources(noise_run, sagittal_folder, tmp_path):
    run = image_set(noise_run, count=6, seed=2, size=16)
    assert run.images.shape == (6, 16, 16) and set(run.sequences) == {"t1"}
    real = image_set(sagittal_folder, sequence="T1CE", subset="test", where="grade=HGG")
    patients = {visit.patient for visit in experiment_visits(sagittal_folder) if visit.labels["grade"] == "HGG"}
    assert set(real.sequences) == {"t1e"} and set(real.groups) <= patients
    everything = image_set(sagittal_folder)
    assert set(everything.sequences) == {"t1", "t1e", "t2", "flair"}
    assert len(image_set(sagittal_folder, count=7, seed=1)) == 7
    with pytest.raises(UserError, match="give --count"):
        image_set(noise_run)
    with pytest.raises(UserError, match="images are synthetic"):
        image_set(noise_run, count=2, real=True)
    with pytest.raises(UserError, match=r"100000 images wanted"):
        image_set(sagittal_folder, count=100000)


def test_a_draw_is_that_of_the_whole_set_and_reads_few_visits_at_once(sagittal_folder, monkeypatch):
    prepared = open_prepared(sagittal_folder)
    sets = [
        imagesets.of_visits(prepared, imagesets.visits_with(prepared, name, "train", 1), name)
        for name in imagesets.sequences_of(prepared, None)
    ]
    expected = imagesets.resized(imagesets.joined(sets).sample(9, 3), 16)
    read, arrays_of = [], imagesets.arrays_of

    def counted(prepared, visits, modalities):
        read.append(len(visits))
        return arrays_of(prepared, visits, modalities)

    monkeypatch.setattr(imagesets, "arrays_of", counted)
    monkeypatch.setattr(imagesets, "AT_ONCE", 2)
    found = image_set(sagittal_folder, subset="train", size=16, count=9, seed=3)
    np.testing.assert_array_equal(found.images, expected.images)
    assert (found.names, found.groups, found.sequences) == (expected.names, expected.groups, expected.sequences)
    assert max(read) == 2 and len(read) <= 9


def experiment_visits(folder):
    return open_prepared(folder).manifest.visits
