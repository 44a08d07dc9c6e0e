"""A run of the feature classifier: real features, synthetic ones that are added, held-out ones it is judged by."""

import csv
import json

import keras
import numpy as np
import pytest
from handmade import SHAPE, pieces, settings, store, values
from sklearn.metrics import roc_auc_score

from kerasgan import experiment
from kerasgan.errors import UserError
from kerasgan.experiment.runs import open_run
from kerasgan.gan.checkpoint import Position
from kerasgan.papers.featuregan.classification import FeatureClassifierTask, accuracy_table
from kerasgan.papers.featuregan.feature_classifier import accuracies, probability
from kerasgan.papers.featuregan.reading import Joined, batches_in_order
from kerasgan.papers.featuregan.store import FeatureSlice
from kerasgan.report.page import read_history


def synthetic_pieces(count, classes=("LGG", "HGG")):
    return [
        FeatureSlice(name=f"synthetic_{i}", patient="", label=classes[i % 2], subset="synthetic") for i in range(count)
    ]


@pytest.fixture(scope="module")
def separable(tmp_path_factory):
    """Not to be written to."""
    return store(tmp_path_factory.mktemp("separable") / "features", pieces(train=96))


@pytest.fixture(scope="module")
def synthetic(separable, tmp_path_factory):
    """By hand, as if made from `separable`. Not to be written to."""
    return store(tmp_path_factory.mktemp("synthetic") / "s", synthetic_pieces(20), seed=9, data=separable.hash)


@pytest.fixture
def make(separable, featuregan_overrides):
    def task(*words, **target):
        own = settings(featuregan_overrides, *words)
        return FeatureClassifierTask(own, separable, FeatureClassifierTask.target(**target))

    return task


@pytest.fixture(scope="module")
def run(separable, featuregan_overrides, tmp_path_factory):
    """A finished baseline. Not to be written to."""
    words = [*featuregan_overrides, "feature_classifier.epochs=12", "feature_classifier.learning_rate=0.01"]
    more = {"data": separable.folder, "overrides": words, "quiet": True}
    return experiment.train("feature-classifier", run_dir=tmp_path_factory.mktemp("classifier") / "baseline", **more)


# ---- a run ----


def test_it_learns_features_that_can_be_told_apart(run):
    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics["count"] == 0 and metrics["held_out"] == {"LGG": 8, "HGG": 8} and metrics["data"] == "by hand"
    assert metrics["network"]["balanced"] > 0.85
    assert metrics["linear"]["balanced"] == 1
    history = read_history(run / "history.csv")
    assert history["loss"][-1] < history["loss"][0]
    assert history["test_total"][-1] == pytest.approx(metrics["network"]["total"])
    assert history["test_HGG"][-1] == pytest.approx(metrics["network"]["class1"])
    assert history["test_LGG"][-1] == pytest.approx(metrics["network"]["class0"])


def test_curves_name_the_classes(make):
    assert make().panels["accuracy per class"] == ["test_LGG", "test_HGG"]
    swapped = make("study.negative=HGG", "study.positive=LGG")
    assert swapped.panels["accuracy per class"] == ["test_HGG", "test_LGG"]
    truth = swapped.truth
    found = swapped.validate(lambda: np.ones(len(truth)))
    assert found == {"test_LGG": 1, "test_HGG": 0, "test_total": truth.mean(), "test_balanced": 0.5}


def test_predictions_are_those_of_the_delivered_network_on_real_held_out_slices(run, separable):
    with (run / "predictions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    held_out = separable.indices("test")
    assert [row["slice"] for row in rows] == [separable.extraction.slices[i].name for i in held_out]
    assert rows[1]["patient"] == "p12-1" and rows[1]["grade"] == "HGG"
    network = keras.saving.load_model(run / "classifier.keras", compile=False, safe_mode=True)
    scored = separable.manifest.channels["train"].standardise(separable.read(held_out))
    expected = probability(network, scored).numpy()
    found = np.array([float(row["probability of HGG"]) for row in rows])
    np.testing.assert_allclose(found, expected, atol=1e-5)
    truth = np.array([row["grade"] == "HGG" for row in rows]).astype(int)
    metrics = json.loads((run / "metrics.json").read_text())
    patients = np.array([row["patient"] for row in rows])
    means = [found[patients == name].mean() for name in np.unique(patients)]
    classes = [truth[patients == name][0] for name in np.unique(patients)]
    auc = {"auc": roc_auc_score(truth, found), "patient_auc": roc_auc_score(classes, means)}
    assert metrics["network"] == pytest.approx(accuracies(truth, (found > 0.5).astype(int)) | auc)


def test_the_table_stands_beside_the_published_one(run, featuregan_overrides):
    text = (run / "quality.md").read_text()
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("|")]
    assert rows[0][1:] == ["HGG", "LGG", "total", "balanced", "AUC, slices", "AUC, patients"]
    assert [row[0] for row in rows[2:]] == ["classifier", "linear, down-sampled features", "Mehra et al., Table 3"]
    assert rows[-1][1:] == ["0.95", "0.05", "0.61", "–", "–", "–"]
    share = {"class0": 0.25, "class1": 0.75, "total": 0.5, "balanced": 0.5, "auc": 0.6, "patient_auc": 0.7}
    own = {
        "count": 7,
        "added": {"LGG": 4, "HGG": 3},
        "patients": 2,
        "held_out": {"LGG": 1, "HGG": 1},
        "network": share,
    }
    table = accuracy_table(own, settings(featuregan_overrides))
    cells = [cell.strip() for cell in table.splitlines()[2].split("|")[2:-1]]
    assert cells == ["0.750", "0.250", "0.500", "0.500", "0.600", "0.700"]
    assert "Table 3" not in table
    assert "7 synthetic features (4 LGG and 3 HGG), on 1 LGG and 1 HGG real held-out slices of 2 patients." in table


def test_more_epochs_need_no_other_words(run, separable, featuregan_overrides, synthetic, tmp_path):
    """A run with synthetic features goes on by --resume and its folder alone."""
    folder = tmp_path / "run"
    words = {"run_dir": folder, "quiet": True}
    data = {"data": separable.folder, "synthetic": synthetic.folder, "count": 5}
    begin = {"overrides": [*featuregan_overrides, "feature_classifier.epochs=1"]}
    experiment.train("feature-classifier", **words, **begin, **data)
    assert open_run(folder).target["count"] == 5
    experiment.train("feature-classifier", **words, resume=True, overrides=["feature_classifier.epochs=2"])
    assert len(read_history(folder / "history.csv")["epoch"]) == 2
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["count"] == 5 and "linear" not in metrics
    with pytest.raises(UserError, match=r"with 5 synthetic features of s, not of .* with 6 synthetic"):
        experiment.train("feature-classifier", **words, resume=True, synthetic=synthetic.folder, count=6)


# ---- what it learns from ----


def test_batches_are_standardised_real_and_synthetic_features(make, synthetic, separable):
    task = make(synthetic=synthetic.folder, count=6)
    assert task.count == 102 and "51 LGG and 51 HGG features to learn, 6 of them synthetic" in task.describe()
    batches = list(task.batches(Position()).take(task.steps_per_epoch()))
    features, labels = (np.concatenate([batch[name] for batch in batches]) for name in ("feature", "label"))
    assert len(features) == 102 and labels.sum() == 51
    expected = np.concatenate([values(pieces(96, 0)), values(synthetic_pieces(20), 9)[:6]])
    standard = separable.manifest.channels["train"]
    order = np.argsort(features[:, 0, 0, 0])
    wanted = values(separable.extraction.slices)[:96], expected[96:]
    wanted = standard.standardise(np.concatenate(wanted))
    wanted = wanted[np.argsort(wanted[:, 0, 0, 0])]
    np.testing.assert_allclose(np.sort(features[order], axis=0), np.sort(wanted, axis=0), atol=1e-5)


@pytest.mark.parametrize(("added", "wanted"), [("positive", {1}), ("negative", {0}), ("both", {0, 1})])
def test_classes_that_are_added(make, synthetic, separable, added, wanted):
    task = make(f"feature_classifier.added={added}", synthetic=synthetic.folder, count=4)
    assert set(task.labels[task.indices[96:]]) == wanted
    names = [synthetic.extraction.slices[i - separable.count].name for i in task.indices[96:]]
    step = 1 if added == "both" else 2
    assert names == [f"synthetic_{i * step + int(added == 'positive')}" for i in range(4)], "the first ones"


def test_all_synthetic_features_unless_they_are_counted(make, synthetic):
    assert FeatureClassifierTask.target(synthetic=synthetic.folder)["count"] == 20
    assert make(synthetic=synthetic.folder).added == 20
    assert make(synthetic=synthetic.folder, count=0).added == 0


def test_synthetic_features_of_one_class(make, separable, tmp_path):
    """A discriminator that tells one class alone leaves such a set."""
    one = store(tmp_path / "one", synthetic_pieces(8, ("HGG", "HGG")), data=separable.hash)
    assert make(synthetic=one.folder, count=8).describe().count("48 LGG and 56 HGG") == 1


def test_more_than_there_are(make, synthetic):
    with pytest.raises(UserError, match=r"has 20 features of the classes to add, 21 are wanted; generate more"):
        make(synthetic=synthetic.folder, count=21)
    with pytest.raises(UserError, match=r"has 10 features of the classes to add, 11 are wanted"):
        make("feature_classifier.added=positive", synthetic=synthetic.folder, count=11)


def test_a_count_of_nothing(make):
    with pytest.raises(UserError, match="3 synthetic features are to be added: give their folder with --synthetic"):
        make(count=3)


def test_synthetic_features_made_anew(featuregan_overrides, separable, synthetic):
    target = FeatureClassifierTask.target(synthetic=synthetic.folder) | {"synthetic_hash": "0"}
    with pytest.raises(UserError, match="has been made anew since the run began"):
        FeatureClassifierTask(settings(featuregan_overrides), separable, target)


def test_features_of_another_gan(make, tmp_path):
    other = store(tmp_path / "other", synthetic_pieces(8))
    with pytest.raises(UserError, match="was not generated from"):
        make(synthetic=other.folder, count=2)


def test_held_out_features_of_one_class(featuregan_overrides, tmp_path):
    slices = pieces(16, 0) + [piece for piece in pieces(0, 16) if piece.label == "HGG"]
    one = store(tmp_path / "one", slices)
    with pytest.raises(UserError, match="has no test feature of class LGG; both classes are needed"):
        FeatureClassifierTask(settings(featuregan_overrides), one, FeatureClassifierTask.target())


def test_joined_stores_read_their_own_rows(separable, synthetic):
    joined = Joined(separable, synthetic)
    indices = np.array([separable.count + 3, 0, separable.count, 7, separable.count - 1, separable.count + 19])
    own, added = values(separable.extraction.slices), values(synthetic.extraction.slices, 9)
    expected = np.stack([added[3], own[0], added[0], own[7], own[-1], added[19]])
    np.testing.assert_array_equal(joined.read(indices), expected)
    (batch,) = batches_in_order(joined, indices, 8)
    np.testing.assert_array_equal(batch["features"], expected)
    np.testing.assert_array_equal(batch["index"], indices)
    assert joined.shape == SHAPE and joined.read(indices[1:2]).shape == (1, *SHAPE)


def test_the_linear_baseline_learns_means_of_real_features(make, synthetic):
    """Whatever is added."""
    assert make().linear_baseline() == make(synthetic=synthetic.folder).linear_baseline()
    assert make("linear.grid=2").linear_baseline()["total"] == 1
