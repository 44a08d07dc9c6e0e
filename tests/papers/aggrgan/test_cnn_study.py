"""The CNN study's networks, trainings and results."""

from dataclasses import replace

import h5py
import keras
import numpy as np
import pytest

from kerasgan.errors import UserError
from kerasgan.evaluation.applications import URL
from kerasgan.papers.aggrgan import classification, cnns
from kerasgan.papers.aggrgan.classification import Labelled, Result
from kerasgan.papers.aggrgan.published import BRATS, TABLE_5, TUMOUR_SET

CLASSES = ("glioma", "meningioma", "pituitary")


# ---- networks ----


def assert_probabilities(network, size):
    images = np.random.default_rng(0).uniform(-1, 1, (2, size, size, 1)).astype(np.float32)
    found = network(images, training=False).numpy()
    assert found.shape == (2, 4) and found.dtype == np.float32 and (found > 0).all()
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-5)
    assert np.abs(found[0] - found[1]).max() > 0
    fixed = [weight for weight in network.weights if "moving_" in weight.path]
    assert network.non_trainable_weights == fixed


@pytest.mark.parametrize(("name", "least"), [("inceptionresnetv2", 75), ("vgg19", 32), ("resnet152v2", 32)])
def test_each_network_is_built_at_its_smallest_size_with_the_weights_that_errors_name(name, least, monkeypatch):
    """Keras asks for this file; it is neither downloaded nor read."""
    asked = []
    monkeypatch.setattr("keras.src.utils.file_utils.get_file", lambda *call, **_: asked.append(call))
    monkeypatch.setattr(keras.Model, "load_weights", lambda model, path: None)
    loaded = cnns.load_cnn(name, "imagenet", least, least, 4, seed=5)
    address = cnns.APPLICATIONS[name].address
    assert asked == [(address.split("/")[-1], URL + address)]
    assert loaded.weights == "ImageNet weights of keras.applications"
    assert_probabilities(loaded.network, least)


@pytest.mark.parametrize(("name", "least"), [("vgg19", 32), ("small", 16)])
def test_random_weights_are_seeded_and_named(name, least):
    first, again, other = (cnns.load_cnn(name, "random", least, least, 4, seed=seed) for seed in (5, 5, 6))
    assert first.weights == "random weights, seed 5" and other.weights == "random weights, seed 6"
    assert_probabilities(first.network, least)
    kernels = [loaded.network.get_weights()[-2] for loaded in (first, again, other)]
    assert (kernels[0] == kernels[1]).all() and (kernels[0] != kernels[2]).all()


def test_without_a_download_the_file_and_its_address_are_named(monkeypatch):
    def fails(**_):
        raise Exception("URL fetch failure on the address: None")

    monkeypatch.setattr(keras.applications, "ResNet152V2", fails)
    file = "resnet152v2_weights_tf_dim_ordering_tf_kernels_notop.h5"
    with pytest.raises(
        UserError, match=rf"had \(URL fetch failure.*get {file} from https://.*/{file} and give its path"
    ):
        cnns.load_cnn("resnet152v2", "imagenet", 32, 32, 3, seed=0)


def test_small_network_has_the_parameters_of_its_docstring():
    for size, classes in ((16, 3), (64, 4)):
        assert f"{cnns.small_cnn(size, size, classes).count_params():,}" in cnns.small_cnn.__doc__


def test_grey_levels_reach_the_network_as_it_expects_them(monkeypatch):
    seen = {}

    def stand_in(**_):
        return keras.layers.Flatten(name="stand_in")

    for name, application in cnns.APPLICATIONS.items():
        monkeypatch.setattr(keras.applications, application.name, stand_in)
        network = cnns.load_cnn(name, "random", 75, 75, 2, seed=0).network
        image = np.full((1, 75, 75, 1), 0.6, np.float32)
        seen[name] = keras.Model(network.input, network.get_layer("stand_in").output)(image).numpy()[0, :3]
    np.testing.assert_allclose(seen["vgg19"], np.array([204, 204, 204]) - [103.939, 116.779, 123.68], atol=1e-3)
    for name in ("inceptionresnetv2", "resnet152v2"):
        np.testing.assert_allclose(seen[name], [0.6] * 3, atol=1e-6)


def test_unknown_networks_and_small_images_are_refused():
    with pytest.raises(UserError, match=r"no network 'vgg16'; did you mean 'vgg19'\?"):
        cnns.load_cnn("vgg16", "random", 64, 64, 3, seed=0)
    for name, least in (("inceptionresnetv2", 75), ("vgg19", 32), ("resnet152v2", 32), ("small", 16)):
        with pytest.raises(UserError, match=rf"{name} takes .* at least {least}x{least} .* data\.size={least}"):
            cnns.load_cnn(name, "random", least, least - 1, 3, seed=0)


def write_weights(path, network, change=None):
    """A weights file in the layout of keras.applications' own."""
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [layer.name.encode() for layer in network.layers]
        for layer in network.layers:
            group = file.create_group(layer.name)
            arrays = (change or {}).get(layer.name, layer.get_weights())
            names = [f"{layer.name}_{part}_1:0" for part in "Wb"][: len(arrays)]
            group.attrs["weight_names"] = [name.encode() for name in names]
            for name, array in zip(names, arrays, strict=True):
                group[name] = array
    return str(path)


def test_local_files_are_loaded_or_refused(tmp_path):
    keras.utils.set_random_seed(7)
    original = keras.applications.VGG19(include_top=False, weights=None)
    loaded = cnns.load_cnn("vgg19", write_weights(tmp_path / "own.h5", original), 32, 32, 3, seed=0)
    assert loaded.weights.startswith("own.h5, sha256 ")
    for own, expected in zip(loaded.network.get_layer("vgg19").get_weights(), original.get_weights(), strict=True):
        np.testing.assert_array_equal(own, expected)
    kernel, bias = original.get_layer("block3_conv2").get_weights()
    (tmp_path / "text.h5").write_text("no weights")
    files = {
        write_weights(tmp_path / "shape.h5", original, {"block3_conv2": [kernel[..., :8], bias]}): "block3_conv2",
        write_weights(tmp_path / "count.h5", original, {"block5_conv1": []}): "expected 16 layers, found 15",
        str(tmp_path / "text.h5"): "file signature not found",
        str(tmp_path / "no.h5"): "there is no file .*no.h5; expected VGG19 weights as in",
    }
    for file, words in files.items():
        with pytest.raises(UserError, match=words) as error:
            cnns.load_cnn("vgg19", file, 32, 32, 3, seed=0)
        assert file in str(error.value) and cnns.APPLICATIONS["vgg19"].address in str(error.value)


# ---- training ----

FIT = {"epochs": 8, "batch_size": 32, "learning_rate": 1e-3, "seed": 1, "quiet": True}


def stripes(count, seed, shuffled=False):
    """Three classes of 16x16 pixels: noisy stripes, level, upright or diagonal, each with a phase of its own."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:16, :16]
    labels = np.arange(count) % 3
    waves = np.stack([y, x, x + y])[labels] * (np.pi / 2) + rng.uniform(0, 2 * np.pi, (count, 1, 1))
    images = np.clip(0.5 * np.sin(waves) + rng.normal(0, 0.2, waves.shape), -1, 1).astype(np.float32)
    groups = tuple(f"p{i // 2}" for i in range(count))
    return Labelled(images, rng.permutation(labels) if shuffled else labels, groups, CLASSES)


def toy(shuffled=False):
    return classification.Case("Case-1", *(stripes(n, n, shuffled) for n in (192, 60, 120)))


@pytest.fixture(scope="module")
def learnt():
    return classification.train_and_test(toy(), "small", "imagenet", **FIT)


def test_small_network_learns_three_classes(learnt):
    assert learnt.accuracy > 0.9 and min(learnt.by_class.values()) > 0.8
    assert learnt.images == (192, 60, 120) and len(learnt.by_patient) == 60
    assert (learnt.case, learnt.network, learnt.classes) == ("Case-1", "small", CLASSES)
    assert learnt.weights == "random weights, seed 1"
    assert np.sum(learnt.confusion, axis=1).tolist() == [40, 40, 40]


def test_same_seed_gives_the_same_decisions(learnt):
    assert classification.train_and_test(toy(), "small", "random", **FIT) == learnt


def test_shuffled_labels_are_at_chance():
    found = classification.train_and_test(toy(shuffled=True), "small", "random", **FIT)
    low, high = found.interval
    assert low < 1 / 3 < high


def test_the_epoch_of_the_lowest_validation_loss_is_kept():
    """With validation labels that training contradicts ever more, the first epoch is the best, and its weights stay."""
    case = toy()
    wrong = replace(case.validation, labels=(case.validation.labels + 1) % 3)
    first, long = (
        classification.train_and_test(replace(case, validation=wrong), "small", "random", **FIT | {"epochs": epochs})
        for epochs in (1, 5)
    )
    assert long.best_epoch == first.best_epoch == 1 and long.epochs == 5
    assert long.confusion == first.confusion


def test_a_network_of_keras_applications_is_trained_whole():
    network = cnns.load_cnn("vgg19", "random", 32, 32, 3, seed=0).network
    before = network.get_weights()
    images, labels = np.repeat(np.repeat(stripes(4, 0).images, 2, axis=1), 2, axis=2), np.arange(4) % 3
    options = {"epochs": 1, "batch_size": 4, "learning_rate": 1e-4, "seed": 0, "quiet": True}
    cnns.train(network, (images, labels), (images, labels), title="trial", **options)
    assert all((old != new).any() for old, new in zip(before, network.get_weights(), strict=True))


def test_training_that_diverges_is_told():
    case = toy()
    broken = replace(case.train, images=np.full_like(case.train.images, np.nan))
    with pytest.raises(UserError, match="Case-1, small: training has diverged"):
        classification.train_and_test(replace(case, train=broken), "small", "random", **FIT | {"epochs": 1})


# ---- results ----

RESULT = Result(
    case="Case-3 (b)",
    network="vgg19",
    weights="random weights, seed 1",
    classes=CLASSES,
    confusion=((8, 1, 1), (0, 10, 0), (3, 0, 7)),
    images=(100, 25, 30),
    by_patient=((3, 3),) * 5 + ((2, 3),) * 5,
    epochs=20,
    best_epoch=17,
)


def test_measures_by_hand():
    assert RESULT.accuracy == pytest.approx(25 / 30)
    assert RESULT.by_class == {"glioma": 0.8, "meningioma": 1.0, "pituitary": 0.7}
    # Of ten patients drawn, k have 3 of 3, the others 2 of 3; P(k <= 1) = 0.011, P(k <= 2) = 0.055, and so on top.
    assert RESULT.interval == pytest.approx((22 / 30, 28 / 30))
    one = replace(RESULT, by_patient=((25, 30),))
    assert one.interval == pytest.approx((25 / 30, 25 / 30))
    assert classification._by_patient(np.array([True, False, True]), ("b", "a", "b")) == ((0, 1), (2, 2))
    decisions = np.array([0, 0, 2, 1, 1, 0])
    found = classification._confusion(np.array([0, 1, 2, 1, 0, 2]), decisions, 3)
    assert found == ((1, 1, 0), (1, 1, 0), (1, 0, 1))


def test_table_has_the_printed_beside_ours_in_the_papers_order():
    small = replace(RESULT, network="small")
    first = replace(RESULT, case="Case-1")
    table = classification.classification_table([small, RESULT, first], TUMOUR_SET, ["split by patient"])
    assert [row[:4] for row in table.rows] == [
        ["Case-1", "vgg19", "77.12", "83.33"],
        ["Case-3 (b)", "vgg19", "92.70", "83.33"],
        ["Case-3 (b)", "small", "–", "83.33"],
    ]
    assert all(len(row) == len(table.header) for row in table.rows)
    assert table.rows[0][4:] == [
        "73.3 to 93.3",
        "glioma 80.0, meningioma 100.0, pituitary 70.0",
        "100, 25, 30 of 10 patients",
        "17 of 20",
        "random weights, seed 1",
    ]
    assert "split by patient" in table.markdown() and "Mukherjee 2022" in table.csv("phantom")
    other = classification.classification_table([RESULT], BRATS)
    assert other.rows[0][2] == f"{TABLE_5[BRATS, 'Case-3 (b)']['vgg19']:.2f}" and BRATS in other.title
