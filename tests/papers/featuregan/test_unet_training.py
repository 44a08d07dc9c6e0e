"""A run of the U-Net: what it learns from, what it is measured by, what it leaves behind."""

import json
import shutil
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasgan import experiment
from kerasgan.data import pipeline, records
from kerasgan.data.prepare import Prepared, open_prepared
from kerasgan.errors import UserError
from kerasgan.gan import checkpoint
from kerasgan.gan.checkpoint import Position
from kerasgan.metrics.overlap import hard_dice, iou
from kerasgan.papers import settings_of
from kerasgan.papers.featuregan import losses, segmentation, study
from kerasgan.papers.featuregan.segmentation import (
    UnetTask,
    augmentation,
    by_patient,
    objective,
    predictor,
    quality_table,
)
from kerasgan.papers.featuregan.standardisation import Standard
from kerasgan.papers.featuregan.tensorlayer import from_keras, layer_shapes, write_checkpoint
from kerasgan.papers.featuregan.unet import unet
from kerasgan.report.page import read_history

FILTERS = (4, 4, 6, 8, 8)


@pytest.fixture
def settings(featuregan_overrides):
    return lambda *more: settings_of("unet", overrides=[*featuregan_overrides, *more])


@pytest.fixture
def prepared(graded_folder):
    return open_prepared(graded_folder)


@pytest.fixture
def task(settings, prepared):
    return UnetTask(settings(), prepared, {})


def stored(prepared, subset):
    """Images (n, 32, 32) in [0, 1] and tumours of a subset, by way of the pipeline of the other papers."""
    visits = prepared.visits(subset, 1, ("flair",))
    found = pipeline.arrays_of(prepared, visits, ("flair",))
    return (found["flair"] + 1) / 2, found["tumour"]


# ---- the slices ----


def test_every_slice_in_the_range_is_a_sample_and_masks_are_binary(task, prepared):
    visits = prepared.visits("train", 1, ("flair",))
    assert task.count == sum(len(visit.slices) for visit in visits) == 8 * len(visits)
    images, tumours = stored(prepared, "train")
    found = list(task.learnt.batches(10))
    np.testing.assert_allclose(np.concatenate([image for image, _ in found])[..., 0], images, atol=1e-6)
    np.testing.assert_array_equal(np.concatenate([mask for _, mask in found]), tumours)
    labels = next(iter(pipeline.slices_of(prepared, visits, ("flair",)).batch(200)))["segmentation"]
    assert set(np.unique(labels)) == {0, 4}, "labels of the cohort, of which none is 1"
    batch = next(iter(task.batches(Position())))
    assert set(np.unique(batch["mask"])) == {0, 1} and batch["mask"].dtype == tf.float32


def test_slices_from_one_on(task):
    whole = np.concatenate([image for image, _ in task.held_out.batches(5)])
    np.testing.assert_array_equal(np.concatenate([image for image, _ in task.held_out.batches(4, 6)]), whole[6:])
    assert len(task.held_out.patients) == len(whole) == task.held_out.count


def test_z_score_is_of_the_training_slices_alone(task, prepared, settings, tmp_path):
    images, _ = stored(prepared, "train")
    assert task.standard.mean == pytest.approx([images.mean(dtype=float)], rel=1e-5)
    assert task.standard.deviation == pytest.approx([images.std(dtype=float)], rel=1e-5)
    shutil.copytree(prepared.folder, tmp_path / "changed")
    changed = open_prepared(tmp_path / "changed")
    for visit in changed.visits("test", 1, ("flair",)):
        white = {name: np.ones((32, 32), np.float32) for name in visit.ranges}
        piece = records.Slice("axial", 0, white, np.zeros((32, 32), np.uint8))
        records.write_shard(changed.shard(visit), [piece] * len(visit.slices))
    other = UnetTask(settings(), changed, {})
    assert next(other.held_out.batches())[0].min() == 1, "held-out slices have changed"
    assert other.standard == task.standard


def test_z_score_of_all_samples(settings, prepared):
    task = UnetTask(settings("unet.standardised_by=all"), prepared, {})
    images = np.concatenate([stored(prepared, subset)[0] for subset in ("train", "test")])
    assert task.standard.mean == pytest.approx([images.mean(dtype=float)], rel=1e-5)
    assert task.standard.deviation == pytest.approx([images.std(dtype=float)], rel=1e-5)


def test_channels_are_the_modalities_in_their_order(settings, prepared):
    four = UnetTask(settings("study.modalities=[flair,t1,t1e,t2]"), prepared, {})
    batch, own = next(four.learnt.batches(3))[0], next(iter(four.learnt.examples()))["image"]
    visit = four.learnt.visits[0]
    found = pipeline.arrays_of(prepared, [visit], ("flair", "t1", "t1e", "t2"))
    assert batch.shape == (3, 32, 32, 4) and own.dtype == tf.uint16
    for channel, name in enumerate(("flair", "t1", "t1e", "t2")):
        np.testing.assert_allclose(batch[..., channel], (found[name][:3] + 1) / 2, atol=1e-6)
    assert len(four.standard.mean) == 4 and four.network().input_shape == (None, 32, 32, 4)


def test_image_and_mask_are_augmented_together(task):
    """A square beside the centre, of which image and mask are the same."""
    square = np.zeros((32, 32, 1), np.uint8)
    square[4:14, 6:18] = 1
    pictures = {"image": np.uint16(records.WHITE) * square[None], "mask": square[None]}
    task.learnt = SimpleNamespace(examples=lambda: tf.data.Dataset.from_tensor_slices(pictures).repeat(24))
    task.count, task.standard = 24, Standard(mean=[0.0], deviation=[1.0])
    batches = list(task.batches(Position()).take(3))
    images = np.concatenate([batch["image"] for batch in batches]) > 0.5
    masks = np.concatenate([batch["mask"] for batch in batches])
    assert len(masks) == 24 and set(np.unique(masks)) == {0, 1}
    assert hard_dice(images, masks).min() > 0.9
    assert np.median(iou(masks, np.repeat(square[None], 24, axis=0))) < 0.7, "they have moved"
    assert len({mask.tobytes() for mask in masks}) == 24


def test_the_elastic_distortion_scales_with_the_slices(settings):
    table = settings().unet.augmentation
    whole, half = augmentation(table, 240), augmentation(table, 120)
    assert (whole.elastic_alpha, whole.elastic_sigma) == (720, 24)
    assert (half.elastic_alpha, half.elastic_sigma) == (180, 12)
    assert (half.rotation, half.shift, half.shear, half.zoom) == (20, 0.1, 0.05, 0.1)
    assert half.flip_horizontally == half.flip_vertically == 0.5


# ---- who cannot be learnt from ----


def changed(prepared, change):
    """The same folder, of whose visits the manifest says something else."""
    visits = [each.model_copy(update=change(each)) for each in prepared.manifest.visits]
    return Prepared(prepared.folder, prepared.manifest.model_copy(update={"visits": visits}))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda v: {"sources": {"flair": v.sources["flair"]}}, r"has no segmentation.*prepare the cohort again"),
        (lambda v: {"labels": {"grade": "HGG"}}, r"every train patient of partition 1 has grade=HGG; both classes"),
        (lambda v: {"labels": {"grade": "IV"}}, r"'IV' in the label column 'grade'; expected 'HGG' or 'LGG'"),
        (lambda v: {"labels": {}}, r"no value in the label column 'grade'.*--set study.label"),
    ],
)
def test_a_visit_that_cannot_be_used(settings, prepared, change, message):
    with pytest.raises(UserError, match=message):
        UnetTask(settings(), changed(prepared, change), {})


# ---- what it is measured by ----


def masks_and_probabilities():
    rng = np.random.default_rng(0)
    mask = (rng.random((6, 8, 8)) < 0.3).astype(np.float32)
    probability = rng.random((6, 8, 8)).astype(np.float32)
    mask[0], probability[0] = 0, 0.4 * probability[0]  # both empty
    mask[1] = 0
    probability[2] *= 0.4  # nothing predicted
    probability[3] = 0.9 * mask[3] + 0.05  # all right
    return mask, probability


@pytest.mark.parametrize("loss", ["soft_dice", "squared_soft_dice"])
def test_the_graphs_measures_are_those_of_the_metrics(loss):
    mask, probability = masks_and_probabilities()
    network = lambda image, training: tf.constant(probability[..., None])  # noqa: E731
    found = objective(loss, 1e-3)(network, {"image": None, "mask": tf.constant(mask[..., None])})
    assert float(found["dice"]) == pytest.approx(hard_dice(probability, mask).mean(), rel=1e-6)
    assert float(found["iou"]) == pytest.approx(iou(probability, mask).mean(), rel=1e-6)
    expected = getattr(losses, loss)(tf.constant(probability[..., None]), tf.constant(mask[..., None]), 1e-3)
    assert float(found["loss"]) == pytest.approx(float(expected), rel=1e-6)
    sets = hard_dice(probability, mask)
    assert (sets[0], sets[1], sets[2], sets[3]) == (1, 0, 0, 1)


def test_the_soft_dice_loss_of_each_slice():
    mask, probability = masks_and_probabilities()
    image = keras.Input((8, 8, 1))
    predict = predictor(keras.Model(image, keras.layers.Activation("linear")(image)), 1e-5)
    shown, loss = predict(probability[..., None], mask > 0)
    np.testing.assert_array_equal(shown, probability)
    sums = [each.sum((1, 2), dtype=float) for each in (probability * mask, probability, mask)]
    np.testing.assert_allclose(loss, 1 - (2 * sums[0] + 1e-5) / (sums[1] + sums[2] + 1e-5), rtol=1e-5)


def test_overlap_of_a_patients_volume_by_hand():
    counts = np.array([[10, 6, 4], [0, 2, 0], [5, 5, 5], [0, 0, 0]])  # true, predicted, common
    found = by_patient(counts, np.array(["a", "b", "a", "c"]))
    np.testing.assert_allclose(found["dice"], [2 * 9 / (15 + 11), 0, 1])
    np.testing.assert_allclose(found["iou"], [9 / (15 + 11 - 9), 0, 1])


def test_metrics_are_those_of_the_delivered_network(unet_run, prepared):
    metrics = json.loads((unet_run / "metrics.json").read_text())
    images, tumours = stored(prepared, "test")
    standard = json.loads((unet_run / "standard.json").read_text())
    network = keras.saving.load_model(unet_run / "unet.keras", safe_mode=True)
    scored = (images - standard["mean"][0]) / standard["deviation"][0]
    probability = network.predict(scored[..., None].astype(np.float32), verbose=0)[..., 0]
    dice = hard_dice(probability, tumours)
    assert metrics["delivered"]["dice"] == pytest.approx(dice.mean(), abs=1e-3)
    shown = tumours.any((1, 2))
    assert 0 < shown.sum() < len(shown), "there are slices with and without tumour"
    assert metrics["slices_with_tumour"]["dice"] == pytest.approx(dice[shown].mean(), abs=1e-3)
    volumes = [hard_dice(probability[None, at : at + 8], tumours[None, at : at + 8])[0] for at in (0, 8)]
    assert metrics["patients"]["dice"] == pytest.approx([np.mean(volumes), np.std(volumes)], abs=1e-3)


# ---- a run ----


def test_a_run_folder_holds_what_is_needed(unet_run):
    found = {str(path.relative_to(unet_run)) for path in unet_run.rglob("*") if path.is_file()}
    for name in ("unet.keras", "standard.json", "figure7.png", "samples/epoch_0002.png", "report.html", "curves.png"):
        assert name in found
    table = (unet_run / "quality.md").read_text()
    for part in ("Data: BraTS folders in", "soft Dice loss", "hard Dice", "IoU", "on the 2 held-out patients", "0.74"):
        assert part in table
    assert "; weights to begin with: random. " in table and "squared" not in table
    assert set(read_history(unet_run / "history.csv")) == {
        "epoch",
        *(f"{prefix}{name}" for prefix in ("", "validation_") for name in ("loss", "dice", "iou")),
        "validation_patient_iou",
    }


def test_the_table_names_the_file_of_the_first_weights_and_another_loss(settings, prepared, unet_run):
    measured = {"loss": 0.25, "dice": 0.5, "iou": 0.4}
    metrics = {"best": {"training": measured, "validation": {**measured, "loss": 0.375}}, "delivered": measured}
    metrics |= {"slices_with_tumour": measured, "patients": {"dice": [0.5, 0.1], "iou": [0.4, 0.1]}}
    words = (f"unet.weights={unet_run / 'unet.keras'}", "unet.loss=squared_soft_dice")
    task = UnetTask(settings(*words), prepared, {})
    table = quality_table(metrics, 2, task.training)
    assert "; weights to begin with: unet.keras. " in table and str(unet_run) not in table
    assert task.describe().endswith("weights to begin with: unet.keras")
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines() if line.startswith("|")]
    assert rows[2][:3] == ["soft Dice loss", "0.250 (squared soft Dice)", "0.375"]
    assert rows[3][:3] == ["hard Dice", "0.500", "0.500"]
    assert study.unet_table(metrics | {"blind": False}, "squared_soft_dice").rows[0][1] == rows[2][1]
    assert study.unet_table(metrics | {"blind": False}, "soft_dice").rows[0][1] == "0.250"
    flattered = study.unet_table(metrics | {"blind": False, "chosen_on_held_out": True}, "soft_dice")
    assert flattered.notes[0].startswith("The epoch that is delivered was chosen by the very patients")
    assert next(iter(task.panels)) == "squared soft Dice loss, in validation soft Dice"
    assert next(iter(UnetTask(settings(), prepared, {}).panels)) == "soft Dice loss"


def test_pictures_say_what_is_outlined_after_how_many_steps(task, tmp_path, monkeypatch):
    titles = {}
    monkeypatch.setattr(segmentation, "segmentation_grid", lambda path, rows, title: titles.update({path.name: title}))
    task.draw(tmp_path / "a.png", lambda image, mask: (image[..., 0], np.zeros(len(image))), 3)
    steps = f"U-Net after {3 * task.steps_per_epoch()} steps of {task.training.batch_size} slices; "
    assert titles["a.png"].startswith(steps) and titles["a.png"].endswith(", FLAIR of held-out patients")


def test_the_best_epoch_has_the_largest_overlap(unet_run):
    position = checkpoint.position_of(unet_run / "checkpoints" / "best.npz")
    history = read_history(unet_run / "history.csv")["validation_patient_iou"]
    assert position.best == pytest.approx(history.max(), rel=1e-4)
    assert position.epoch == history.argmax() + 1


def test_an_epoch_that_predicts_no_tumour_is_never_the_best(task, monkeypatch):
    # Two patients of 3 slices, one with tumour, of which a network finds half, and one wrong pixel in the others.
    seeing = np.array([[10, 5, 5], [0, 1, 0], [0, 1, 0]] * 2)
    blind = seeing * (1, 0, 0)
    patients = np.repeat(["a", "b"], 3)
    monkeypatch.setattr(task, "validation", SimpleNamespace(patients=patients))
    scores = []
    for counts in (seeing, blind):
        true, predicted, common = counts.T.astype(float)
        union = true + predicted - common
        overlap = np.where(union > 0, common / np.maximum(union, 1), 1.0)
        found = {"counts": counts, "loss": 1 - overlap, "dice": overlap, "iou": overlap}
        monkeypatch.setattr(task, "measured", lambda predict, slices, found=found: found)
        scores.append(task.validate(None))
    assert scores[0]["validation_iou"] < scores[1]["validation_iou"] == pytest.approx(2 / 3)
    assert scores[0][task.monitor] == pytest.approx(5 / 12) and scores[1][task.monitor] == 0


@pytest.mark.parametrize("keep", ["best", "latest"])
def test_the_epoch_that_is_kept_is_delivered(keep, settings, prepared, unet_run, tmp_path):
    task = UnetTask(settings(f"unet.keep={keep}"), prepared, {})
    shutil.copy(unet_run / "history.csv", tmp_path)
    model, wanted = task.build(), {}
    for number, name in enumerate(("best", "latest")):
        model.network.set_weights([weight + number / 100 for weight in model.network.get_weights()])
        checkpoint.save(tmp_path / "checkpoints" / f"{name}.npz", model.state(), Position(2))
        wanted[name] = model.network.get_weights()
    task.finish(tmp_path)
    network = keras.saving.load_model(tmp_path / "unet.keras", compile=False, safe_mode=True)
    for own, expected in zip(network.get_weights(), wanted[keep], strict=True):
        np.testing.assert_array_equal(own, expected)


def test_it_learns(settings, prepared):
    task = UnetTask(settings("unet.learning_rate=0.01"), prepared, {})
    model = task.build()
    batches, found = task.batches(Position()), []
    for _ in range(2):
        found.append(model.fit(batches, steps_per_epoch=40, verbose=0, shuffle=False).history["loss"][0])
    predict = predictor(model.network, task.training.smooth)
    assert found[1] < found[0]
    measured = task.measured(predict, task.held_out)
    patients = by_patient(measured["counts"], task.held_out.patients)
    assert patients["dice"].min() > 0.5


# ---- weights to begin with ----


def arrays(channels, filters=FILTERS):
    rng = np.random.default_rng(3)
    shapes = [shape for pair in layer_shapes(channels, filters).values() for shape in pair]
    return [rng.normal(0, 0.1, shape).astype(np.float32) for shape in shapes]


def test_training_begins_with_the_weights_of_a_checkpoint(settings, prepared, tmp_path):
    given = arrays(4)
    write_checkpoint(given, tmp_path / "u_net.npz")
    for how, first in (("keep", given[0][:, :, :1]), ("repeat", given[0].sum(2, keepdims=True))):
        words = (f"unet.weights={tmp_path / 'u_net.npz'}", f"unet.first_channels={how}")
        found = from_keras(UnetTask(settings(*words), prepared, {}).build().network)
        np.testing.assert_allclose(found[0], first, rtol=1e-6)
        for own, expected in zip(found[1:], given[1:], strict=True):
            np.testing.assert_array_equal(own, expected)


def test_training_begins_with_the_weights_of_another_run(settings, prepared, unet_run):
    task = UnetTask(settings(f"unet.weights={unet_run / 'unet.keras'}"), prepared, {})
    expected = from_keras(keras.saving.load_model(unet_run / "unet.keras", compile=False))
    for own, other in zip(from_keras(task.build().network), expected, strict=True):
        np.testing.assert_array_equal(own, other)


def wider(folder):
    write_checkpoint(arrays(4, (4, 4, 6, 9, 8)), folder / "w.npz")
    return folder / "w.npz"


def keras_of_other_width(folder):
    unet((32, 32), 1, (5, 4, 6, 8, 8)).save(folder / "w.keras")
    return folder / "w.keras"


def other_network(folder):
    image = keras.Input((2,))
    keras.Model(image, keras.layers.Dense(1)(image), name="regression").save(folder / "w.keras")
    return folder / "w.keras"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (wider, r"w\.npz.*weights of conv4_1.*expected \(3, 3, 6, 8\), came \(3, 3, 6, 9\)"),
        (keras_of_other_width, r"w\.keras: weights of conv1_1 have shape \(3, 3, 1, 5\)"),
        (other_network, r"w\.keras holds another network, regression"),
        (lambda folder: folder / "none.keras", r"there is no file .*none\.keras"),
        (lambda folder: folder / "none.npz", r"there is no file .*none\.npz"),
    ],
)
def test_wrong_weights_are_one_sentence_and_leave_no_run(make, message, featuregan_overrides, graded_folder, tmp_path):
    words = [*featuregan_overrides, f"unet.weights={make(tmp_path)}"]
    with pytest.raises(UserError, match=message) as caught:
        experiment.train("unet", data=graded_folder, overrides=words, run_dir=tmp_path / "run", quiet=True)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_weights_that_are_not_there_are_missed_before_patients_are_simulated(tmp_path, monkeypatch):
    monkeypatch.setenv("KERASGAN_CACHE", str(tmp_path))
    monkeypatch.setattr("kerasgan.experiment.training.simulated", None)
    for model, words in (("unet", {}), ("acgan", {"width": 8})):
        with pytest.raises(UserError, match=r"there is no file none\.npz"):
            experiment.train(model, overrides=["unet.weights=none.npz"], run_dir=tmp_path / "run", quiet=True, **words)
    assert not list(tmp_path.iterdir())


def test_slices_know_their_patients(task):
    assert sorted({*task.held_out.patients}) == sorted({visit.patient for visit in task.held_out.visits})
    assert not {*task.learnt.patients} & {*task.held_out.patients}
