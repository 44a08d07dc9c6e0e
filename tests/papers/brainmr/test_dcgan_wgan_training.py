"""Runs of DCGAN and WGAN on the tiny cohort."""

import html
import json

import keras
import numpy as np
import pytest
from conftest import undrawn
from PIL import Image

from kerasgan import experiment
from kerasgan.data.prepare import open_prepared
from kerasgan.errors import UserError
from kerasgan.experiment.tasks import TASKS
from kerasgan.gan import sampling
from kerasgan.gan.checkpoint import Position
from kerasgan.papers import latent, settings_of
from kerasgan.papers.brainmr import published
from kerasgan.report.mosaics import caption_of
from kerasgan.report.page import read_history


@pytest.fixture
def make(sagittal_folder, brainmr_overrides):
    def task(model="dcgan", sequence="t1", size=32, *more):
        settings = settings_of(model, overrides=[*brainmr_overrides, *more])
        target = TASKS[model].settled({"sequence": sequence, "size": size}, settings)
        return TASKS[model](settings, open_prepared(sagittal_folder, settings.data), target)

    return task


def test_published_counts_add_up():
    for accuracy, rr, rs, sr, ss in published.TABLE_1.values():
        assert rr + rs == sr + ss == 50
        assert accuracy == rr + ss
    assert len(published.TABLE_1) == 12


def test_only_high_grade_training_patients_are_learnt(make):
    task = make()
    train = set(task.prepared.manifest.partitions[0]["train"])
    learnt = {visit.patient for visit in task.visits["t1"]}
    grades = {visit.patient: visit.labels["grade"] for visit in task.prepared.manifest.visits}
    assert learnt == {patient for patient in train if grades[patient] == "HGG"}
    everyone = make("dcgan", "t1", 32, "study.held_out=false", "study.label=null")
    assert {visit.patient for visit in everyone.visits["t1"]} == set(grades)


def test_curves_compare_with_test_patients_where_none_validate(make, monkeypatch):
    def patients(task):
        return set(task.real.groups)

    task = make()
    first = task.prepared.manifest.partitions[0]
    assert patients(task) <= set(first["validation"])
    monkeypatch.setitem(first, "validation", [])
    again = type(task)(task.settings, task.prepared, {"sequence": "t1", "size": 32})
    assert patients(again) <= set(first["test"]) and patients(again)


def test_an_unknown_label_or_value_says_what_to_do(make):
    with pytest.raises(UserError, match=r"label column 'stage'.*study\.label=null"):
        make("dcgan", "t1", 32, "study.label=stage")
    with pytest.raises(UserError, match=r"grade=IV \(values there: HGG, LGG\)"):
        make("dcgan", "t1", 32, "study.value=IV", "study.held_out=false")


def test_concat_is_balanced_although_a_patient_lacks_t2(make):
    task = make("wgan", "concat", 16, "study.held_out=false", "study.label=null")
    counts = {name: sum(len(visit.slices) for visit in visits) for name, visits in task.visits.items()}
    assert counts["t2"] < counts["t1"]
    assert task.images == 4 * counts["t1"]


def test_smaller_images_are_means_of_blocks(make):
    whole, half = (make("dcgan", "t1", size).real.images for size in (32, 16))
    blocks = (whole[:, ::2, ::2] + whole[:, 1::2, ::2] + whole[:, ::2, 1::2] + whole[:, 1::2, 1::2]) / 4
    np.testing.assert_allclose(half, blocks, atol=1e-6)
    batch = next(iter(make("dcgan", "t1", 16).batches(Position()))).numpy()
    assert batch.shape == (4, 16, 16, 1) and -1 <= batch.min() < batch.max() <= 1


def test_a_resumed_run_sees_the_batches_that_follow(make):
    """Passes over the images are not epochs: the position counts steps."""
    task = make("wgan", "t1", 16)
    every = [batch.numpy() for batch in task.batches(Position()).take(12)]
    later = [batch.numpy() for batch in task.batches(Position(1, 3)).take(4)]
    for one, two in zip(every[8:], later, strict=True):
        np.testing.assert_array_equal(one, two)
    assert every[0].shape == (20, 16, 16, 1), "five critic steps of four images"


def test_wgans_critic_is_clipped_after_each_step_and_dcgans_is_not(make, tmp_path):
    for model, clipped in (("wgan", True), ("dcgan", False)):
        task = make(model, "t1", 16)
        gan = task.build()
        gan.critic_step(next(iter(task.batches(Position())))[:4])
        largest = max(float(np.abs(variable.numpy()).max()) for variable in gan.trainable_of("critic"))
        assert (largest <= 0.01 + 1e-9) is clipped


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("dcgan", "t1", 32, "dcgan.batch_size=500"), "a step takes 500; add patients, or lower dcgan.batch_size"),
        (("dcgan", "t1", 64), "sizes"),
        (("dcgan", "pd", 32), "pd"),
    ],
)
def test_bad_input(make, arguments, message):
    with pytest.raises(UserError, match=message):
        make(*arguments)


def test_what_a_run_leaves(noise_run):
    history = read_history(noise_run / "history.csv")
    assert history["epoch"].tolist() == [1, 2, 3]
    assert np.isfinite(history["kernel_distance"]).all()
    metrics = json.loads((noise_run / "metrics.json").read_text())
    assert "training patients with grade=HGG" in metrics["data"]
    with Image.open(noise_run / "training.gif") as animation:
        assert animation.n_frames == 3
    for name in ("figure.png", "interpolation.png", "samples/epoch_0003.png", "report.html"):
        assert (noise_run / name).is_file()
    caption = caption_of(noise_run / "samples" / "epoch_0003.png")
    assert "generator steps of" in caption and metrics["data"] in caption
    assert caption_of(noise_run / "training.gif").endswith("3 frames, from epoch 0001 to epoch 0003")
    assert html.escape(caption) in (noise_run / "report.html").read_text()


def test_pictures_name_what_they_show(make, tmp_path, monkeypatch):
    sheets = {}
    monkeypatch.setattr(latent, "image_sheet", lambda path, *given: sheets.update({path.name: given}))
    task = make("wgan", "t1", 16, "wgan.epochs=2", "wgan.steps_per_epoch=3", "wgan.batch_size=4")

    def sample(noise):  # each image even, of the first number of its noise
        return np.tile(noise[:, :1, None], (1, 16, 16))

    task.draw_samples(tmp_path, sample, 1)
    task._draw(tmp_path, sample)
    trained = f"wgan of t1 at 16x16 after 6 generator steps of 4 images; {task.describe()}"
    images, rows, columns, title = sheets["figure.png"]
    assert images.shape == (8, 8, 16, 16) and (rows, title) == ([""], trained)
    assert columns == ["synthetic", "real: held-out images"]
    assert (np.ptp(images[:, :4], axis=(2, 3)) == 0).all() and np.ptp(images[:, 4:], axis=(2, 3)).all()
    own = {image.tobytes() for image in task.real.images}
    assert all(image.tobytes() in own for image in images[:, 4:].reshape(-1, 16, 16))
    images, rows, columns, title = sheets["interpolation.png"]
    assert images.shape == (4, 8, 16, 16) and title.startswith(f"{trained}; ")
    assert rows == ["pair 1", "pair 2", "pair 3", "pair 4"] and (columns[0], columns[-1]) == ("0/7", "7/7")
    ends = sampling.noise(8, task.latent, task.training.seed)[:, 0].reshape(4, 2)
    np.testing.assert_allclose(images[:, [0, -1], 0, 0], ends, atol=1e-5)
    caption = caption_of(tmp_path / "samples" / "epoch_0001.png")
    assert caption.startswith("wgan of t1 at 16x16 after 3 generator steps of 4 images; ")


def test_the_averaged_generator_is_delivered(sagittal_folder, brainmr_overrides, tmp_path, noise_run):
    more = {"data": sagittal_folder, "run_dir": tmp_path / "run", "quiet": True}
    with undrawn():
        run = experiment.train(
            "dcgan", sequence="t1", size=32, overrides=[*brainmr_overrides, "dcgan.average=0.9"], **more
        )
    saved = np.load(run / "checkpoints" / "latest.npz")
    delivered = keras.saving.load_model(run / "generators" / "generator.keras", safe_mode=True).get_weights()
    for number, weights in enumerate(delivered):
        np.testing.assert_array_equal(weights, saved[f"averaged/0/{number:03}"])
    assert not np.array_equal(delivered[0], saved["generator/0/000"])


def test_a_resumed_deterministic_run_ends_with_the_same_bits(
    sagittal_folder, brainmr_overrides, tmp_path, deterministic
):
    def run(name, epochs, **more):
        asked = [*brainmr_overrides, "wgan.deterministic=true", f"wgan.epochs={epochs}", "wgan.steps_per_epoch=3"]
        asked += ["wgan.critic_steps=2"]
        more |= {"data": sagittal_folder, "overrides": asked, "run_dir": tmp_path / name, "quiet": True}
        with undrawn():
            folder = experiment.train("wgan", sequence="t1", size=16, **more)
        return (folder / "checkpoints" / "latest.npz"), folder / "generators" / "generator.keras"

    run("stopped", 1)
    for one, two in zip(run("stopped", 2, resume=True), run("whole", 2), strict=True):
        if one.suffix == ".npz":
            with np.load(one) as resumed, np.load(two) as whole:
                assert resumed.files == whole.files
                assert all(resumed[name].tobytes() == whole[name].tobytes() for name in whole.files)
        else:
            loaded = [keras.saving.load_model(path, compile=False).get_weights() for path in (one, two)]
            assert all(a.tobytes() == b.tobytes() for a, b in zip(*loaded, strict=True))


def test_all_takes_no_size():
    for task in (TASKS["dcgan"], TASKS["wgan"]):
        assert task.target("all") == task.target("ALL", None) == {"sequence": "all"}
        with pytest.raises(UserError, match="rows of the paper's sizes; leave out --size 128"):
            task.target("all", 128)
        assert task.target("t1") == {"sequence": "t1", "size": None}, "of the data, or of the run that is resumed"
        assert task.settled(task.target("t1"), settings_of("dcgan")) == {"sequence": "t1", "size": 128}


def test_a_size_that_cannot_be_is_refused_before_patients_are_simulated(tmp_path, monkeypatch):
    monkeypatch.setenv("KERASGAN_CACHE", str(tmp_path))
    with pytest.raises(UserError, match=r"images of 128 pixels cannot be made of those of data\.size, 64"):
        experiment.train("wgan", sequence="t1", size=128, profile="smoke", quiet=True)
    assert not list(tmp_path.iterdir())
    assert experiment.train("wgan", sequence="t1", profile="smoke", dry_run=True).parts == ("runs", "wgan", "t1-64")


def test_all_trains_the_rows_that_the_cohort_has(make):
    task = make()
    members = type(task).members({"sequence": "all"}, settings_of("dcgan"), task.prepared)
    rows = [(member["sequence"], member["size"]) for member in members]
    assert rows == [("t1", 128), ("t1e", 128), ("t2", 128), ("flair", 128), ("concat", 128), ("concat", 64)]
    smaller = type(task).members({"sequence": "all"}, task.settings, task.prepared)
    assert [member["size"] for member in smaller] == [32] * 5 + [16]
