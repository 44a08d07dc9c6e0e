from dataclasses import replace

import h5py
import keras
import numpy as np
import pytest

from kerasgan.errors import UserError
from kerasgan.evaluation.applications import URL
from kerasgan.papers.aggrgan import classification, cnns
from kerasgan.papers.aggrgan.classification import CaseSettings, Labelled, Result, cases, divided, joined
from kerasgan.papers.aggrgan.published import BRATS, CASES, TABLE_5, TUMOUR_SET

PATIENTS = CaseSettings(split="patient", test=0.2, validation=0.2, augmented=4, shift=0.1, zoom=0.1)
SLICES = replace(PATIENTS, split="slice")
CLASSES = ("glioma", "meningioma", "pituitary")


def labelled(labels, groups, first=0, classes=CLASSES):
    """Images of 4x4 pixels, each of its own number: `first`, first + 1, ... thousandths above -1."""
    numbers = first + np.arange(len(labels))
    images = np.broadcast_to(numbers[:, None, None] / 1000 - 1, (len(labels), 4, 4)).astype(np.float32)
    return Labelled(images, np.array(labels), tuple(groups), classes)


def numbers_of(part):
    return np.rint((part.images[:, 0, 0] + 1) * 1000).astype(int).tolist()


def patients(prefix, each, slices, first):
    """`each` patients of each class with `slices` images each."""
    labels = np.repeat(np.arange(3), each * slices)
    return labelled(labels, [f"{prefix}{i // slices}" for i in range(len(labels))], first)


LEARNT = patients("learnt", 10, 4, first=0)  # 40 images of each class
TEST = patients("test", 3, 4, first=200)  # 12 of each
# 10 of each, one styled by an image of each patient that was learnt from
GENERATED = labelled(np.repeat(np.arange(3), 10), [f"learnt{i}" for i in range(30)], first=300)


def parts(case):
    return case.train, case.validation, case.test


# ---- cases ----


@pytest.mark.parametrize("seed", range(5))
def test_no_patient_is_on_two_sides(seed):
    for name, case in cases(LEARNT, TEST, GENERATED, PATIENTS, seed).items():
        train, validation, test = (set(part.groups) for part in parts(case))
        assert not train & validation
        if name != "Case-1":  # which tests what was generated after its training images
            assert not test & (train | validation)


@pytest.mark.parametrize("seed", range(5))
def test_patients_of_many_classes_stay_together(seed):
    """As in BraTS, where the classes are sequences: uneven numbers of slices, all of each patient's classes."""
    rng = np.random.default_rng(seed)
    labels = np.concatenate([np.arange(3).repeat(count) for count in rng.integers(1, 9, 40)])
    groups = np.cumsum(np.diff(labels, prepend=0) < 0)
    whole = labelled(labels, [f"p{group}" for group in groups])
    rest, apart = divided(whole, 0.2, "patient", rng)
    assert not set(rest.groups) & set(apart.groups)
    assert sorted(numbers_of(rest) + numbers_of(apart)) == numbers_of(whole)
    np.testing.assert_allclose(apart.counts() / whole.counts(), 0.2, atol=0.03)


def test_counts_by_patient():
    found = cases(LEARNT, TEST, GENERATED, PATIENTS, seed=1)
    assert tuple(found) == CASES
    counts = {name: [part.counts().tolist() for part in parts(case)] for name, case in found.items()}
    # 52 real images per class in patients of 4: 0.2 x 52 = 10.4, nearer to 12 than to 8
    assert counts["Case-1"] == [[40] * 3, [12] * 3, [10] * 3]
    assert counts["Case-3 (a)"] == [[32] * 3, [8] * 3, [12] * 3]
    # with their generated image patients have 5: 0.2 x 50 = 10
    assert counts["Case-3 (b)"] == [[40] * 3, [10] * 3, [12] * 3]
    train, validation, test = np.array(counts["Case-3 (c)"])
    assert (train + validation == 40 + 3 * 4).all() and (test == 12).all()
    assert (np.abs(validation - 0.2 * 52) <= 4).all()
    assert (np.sum(counts["Case-2"], axis=0) == 40 + 12 + 10).all()
    assert (np.abs(np.array(counts["Case-2"][2]) - 0.2 * 62) <= 2.5).all()


def test_counts_by_slice():
    learnt = labelled(np.repeat(np.arange(3), [24, 15, 20]), ["one"] * 59)
    test = labelled(np.repeat(np.arange(3), [6, 5, 5]), ["one"] * 16, first=100)
    found = cases(learnt, test, GENERATED, SLICES, seed=1)
    counts = {name: [part.counts().tolist() for part in parts(case)] for name, case in found.items()}
    assert counts == {
        "Case-1": [[16] * 3, [4] * 3, [10] * 3],  # 20 of each class at most, of which 20 % are 4
        "Case-2": [[19] * 3, [5] * 3, [6] * 3],  # of 30 together 6; of the other 24 4.8
        "Case-3 (a)": [[13] * 3, [3] * 3, [4] * 3],  # of 20 real ones 4; of the other 16 3.2
        "Case-3 (b)": [[21] * 3, [5] * 3, [4] * 3],  # 16 + 10, of which 5.2
        "Case-3 (c)": [[22] * 3, [6] * 3, [4] * 3],  # 16 + 3 x 4, of which 5.6
    }


@pytest.mark.parametrize("settings", [PATIENTS, SLICES])
def test_each_case_has_the_images_that_it_names(settings):
    found = cases(LEARNT, TEST, GENERATED, settings, seed=3)
    sets = {name: [set(numbers_of(part)) for part in parts(case)] for name, case in found.items()}
    real, generated = {*numbers_of(LEARNT), *numbers_of(TEST)}, set(numbers_of(GENERATED))
    for name, (train, validation, test) in sets.items():
        if name != "Case-3 (c)":  # whose transforms have numbers of others
            assert not train & validation and not (train | validation) & test
    assert sets["Case-1"][0] | sets["Case-1"][1] == real and sets["Case-1"][2] == generated
    assert set.union(*sets["Case-2"]) == real | generated
    assert sets["Case-2"][2] & real and sets["Case-2"][2] & generated
    a, b, c = (sets[name] for name in CASES[2:])
    assert a[2] == b[2] == c[2]
    assert a[0] | a[1] | a[2] == real
    assert b[0] | b[1] == a[0] | a[1] | generated
    assert c[0] | c[1] >= a[0] | a[1] and not (c[0] | c[1]) & generated
    assert (a[2] == set(numbers_of(TEST))) == (settings is PATIENTS)


def test_generated_images_follow_their_reference_in_case_2():
    case = cases(LEARNT, TEST, GENERATED, PATIENTS, seed=1, names=["Case-2"])["Case-2"]
    side = {group: k for k, part in enumerate(parts(case)) for group in part.groups}
    reference = dict(zip(numbers_of(GENERATED), GENERATED.groups, strict=True))
    for k, part in enumerate(parts(case)):
        for number in set(numbers_of(part)) & set(reference):
            assert side[reference[number]] == k


def test_classes_are_cut_down_to_the_smallest():
    whole = labelled([0] * 9 + [1] * 4 + [2] * 6, ["p"] * 19)
    first, other = (classification.balanced(whole, "real", np.random.default_rng(seed)) for seed in (1, 2))
    assert first.counts().tolist() == other.counts().tolist() == [4, 4, 4]
    assert numbers_of(first) != numbers_of(other)
    assert numbers_of(first) == sorted(set(numbers_of(first)))
    assert set(numbers_of(first)) >= {9, 10, 11, 12}
    assert [whole.labels[number] for number in numbers_of(first)] == first.labels.tolist()


@pytest.mark.parametrize("settings", [PATIENTS, SLICES])
def test_the_seed_alone_decides_a_case(settings):
    whole = cases(LEARNT, TEST, GENERATED, settings, seed=1)
    for name in CASES:
        alone = cases(LEARNT, TEST, GENERATED, settings, seed=1, names=[name])[name]
        for own, expected in zip(parts(alone), parts(whole[name]), strict=True):
            np.testing.assert_array_equal(own.images, expected.images)
            assert own.groups == expected.groups
    other = cases(LEARNT, TEST, GENERATED, settings, seed=2)
    assert numbers_of(other["Case-2"].test) != numbers_of(whole["Case-2"].test)


def test_a_patient_larger_than_the_share_is_set_apart_rather_than_nobody():
    two = labelled([0, 0, 0, 1, 1, 1] * 2, ["p"] * 6 + ["q"] * 6, classes=CLASSES[:2])
    rest, apart = divided(two, 0.2, "patient", np.random.default_rng(0))
    assert rest.counts().tolist() == apart.counts().tolist() == [3, 3]


def test_a_class_without_images_is_named():
    with pytest.raises(UserError, match="real test images: none is of class 'meningioma'"):
        cases(LEARNT, TEST.take(np.flatnonzero(TEST.labels != 1)), GENERATED, PATIENTS, seed=1)
    with pytest.raises(UserError, match="generated: none is of class 'pituitary'"):
        cases(LEARNT, TEST, GENERATED.take(np.flatnonzero(GENERATED.labels < 2)), SLICES, seed=1)


def test_a_class_that_a_part_lacks_is_named_with_its_case():
    """The only patient of class 1 whom GANs learnt from cannot be in training and in validation."""
    of_one = (LEARNT.labels != 1) | (np.array(LEARNT.groups) == "learnt10")
    match = r"Case-3 \(a\): the train part has no image of class 'meningioma'; add patients of it, or try another seed"
    with pytest.raises(UserError, match=match):
        cases(LEARNT.take(np.flatnonzero(of_one)), TEST, GENERATED, PATIENTS, seed=1, names=["Case-3 (a)"])


def test_leaks_are_refused_by_patient_only():
    with pytest.raises(UserError, match="patient learnt0 is among those that GANs learnt from and those of the test"):
        cases(LEARNT, replace(TEST, groups=("learnt0", *TEST.groups[1:])), GENERATED, PATIENTS, seed=1)
    leaking = replace(GENERATED, groups=("test0", *GENERATED.groups[1:]))
    with pytest.raises(UserError, match="in the style of patient test0, whom it tests"):
        cases(LEARNT, TEST, leaking, PATIENTS, seed=1)
    assert set(cases(LEARNT, TEST, leaking, PATIENTS, seed=1, names=CASES[:2])) == set(CASES[:2])
    assert set(cases(LEARNT, TEST, leaking, SLICES, seed=1)) == set(CASES)


def test_sets_of_other_classes_are_not_joined():
    with pytest.raises(ValueError, match="expected sets of the same classes"):
        joined([LEARNT, replace(TEST, classes=("a", "b", "c"))])


# ---- transforms ----


def pixel(row, column, height=5, width=7):
    image = np.full((1, height, width), -1, np.float32)
    image[0, row, column] = 1
    return image


class Drawn:
    """A generator whose draws are known."""

    def __init__(self, value):
        self.value = np.array(value)

    def integers(self, low, high, shape):
        assert ((low <= self.value) & (self.value < high)).all()
        return np.broadcast_to(self.value, shape)

    def uniform(self, low, high, count):
        return np.full(count, self.value)


def test_a_flip_exchanges_left_and_right():
    np.testing.assert_array_equal(classification.flipped(pixel(1, 2)), pixel(1, 4))


def test_a_shift_moves_by_whole_pixels_and_lets_background_in():
    # At 40 % of 5x7 a pixel may go two rows and three columns either way: corners 0 to 4 and 0 to 6.
    np.testing.assert_array_equal(classification.shifted(pixel(1, 2), 0.4, Drawn([1, 0])), pixel(2, 5))
    np.testing.assert_array_equal(classification.shifted(pixel(1, 2), 0.4, Drawn([2, 3])), pixel(1, 2))
    gone = classification.shifted(pixel(1, 2), 0.4, Drawn([4, 3]))
    np.testing.assert_array_equal(gone, np.full((1, 5, 7), -1))


def test_shifts_reach_all_offsets_within_their_bounds():
    images = np.repeat(pixel(10, 10, 21, 21), 300, axis=0)
    places = np.argwhere(classification.shifted(images, 0.1, np.random.default_rng(0)) == 1)
    assert len(places) == 300 and {tuple(place) for place in places[:, 1:]} == {
        (y, x) for y in range(8, 13) for x in range(8, 13)
    }


def test_a_zoom_enlarges_about_the_centre():
    image = classification.zoomed(pixel(2, 3), 1, Drawn(2.0))  # a pixel becomes a tent of twice its width
    tent = np.array([0, 0.5, 1, 0.5, 0])
    np.testing.assert_allclose(image[0, :, 1:6], 2 * np.outer(tent, tent) - 1)
    assert (image[0, :, [0, 6]] == -1).all()
    half = classification.zoomed(np.ones((1, 8, 8), np.float32), 1, Drawn(0.5))[0]
    np.testing.assert_array_equal(half == 1, np.pad(np.ones((4, 4), bool), 2))
    assert (half[0] == -1).all() and half.dtype == np.float32


def test_zoom_factors_are_drawn_anew_within_their_bounds():
    ramp = np.tile(np.linspace(-0.5, 0.5, 41, dtype=np.float32), (50, 41, 1))
    found = classification.zoomed(ramp, 0.1, np.random.default_rng(0))
    factors = ramp[0, 0, 25] / found[:, 20, 25]
    assert 0.9 <= factors.min() < 0.93 and 1.07 < factors.max() <= 1.1


def test_augmented_images_are_as_many_of_each_class_and_keep_their_patients():
    images = np.random.default_rng(0).uniform(-1, 1, (12, 4, 4)).astype(np.float32)
    whole = Labelled(images, np.repeat(np.arange(3), 4), tuple(f"p{i}" for i in range(12)), CLASSES)
    found = classification.augmented(whole, replace(PATIENTS, shift=0, zoom=0), np.random.default_rng(1))
    assert found.counts().tolist() == [12, 12, 12]
    for kind in range(3):  # flips, shifts by nothing, zooms by nothing
        own = found.take(np.arange(12 * kind, 12 * kind + 12))
        assert sorted(own.groups) == sorted(whole.groups)  # four of four, each once
        sources = whole.take(np.array([whole.groups.index(group) for group in own.groups]))
        assert own.labels.tolist() == sources.labels.tolist()
        expected = sources.images[:, :, ::-1] if kind == 0 else sources.images
        np.testing.assert_allclose(own.images, expected, atol=1e-6)
    more = classification.augmented(whole, replace(PATIENTS, augmented=6), np.random.default_rng(1))
    times = [more.groups[:18].count(f"p{i}") for i in range(12)]
    assert set(times) == {1, 2} and sum(times) == 18


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
