"""Feature spaces by name, and the encoder that one trains oneself."""

import json
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasgan.data.imagesets import ImageSet
from kerasgan.errors import UserError
from kerasgan.evaluation import features
from kerasgan.evaluation.applications import URL
from kerasgan.evaluation.encoder import EncoderSettings, train_encoder
from kerasgan.evaluation.features import backbone


def heads(count=64, size=32, seed=1, origin="discs"):
    """Discs of different places, sizes and greys on black: mostly background, as heads are."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:size, :size] / (size - 1) * 2 - 1
    radii, greys = rng.uniform(0.3, 0.6, count), rng.uniform(-0.4, 0.8, count)
    places = rng.uniform(-0.3, 0.3, (count, 2))
    images = np.stack(
        [
            np.where((rows - y) ** 2 + (columns - x) ** 2 < radius**2, grey, -1)
            for (y, x), radius, grey in zip(places, radii, greys, strict=True)
        ]
    ).astype(np.float32)
    names = tuple(f"i{number}" for number in range(count))
    return ImageSet(images, names, tuple(f"p{number // 4}" for number in range(count)), ("t1",) * count, origin)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    path = tmp_path_factory.mktemp("encoder") / "encoder.keras"
    return path, train_encoder(heads(size=16), path, EncoderSettings(features=6, epochs=50, batch_size=8), quiet=True)


def test_the_encoder_learns(trained):
    _, card = trained
    images = heads(size=16).images
    assert card.loss_of_background == pytest.approx(np.square(images + 1).mean(), rel=1e-5)
    assert card.loss < 0.5 * np.square(images - images.mean(axis=0)).mean()
    assert card.loss < 0.25 * card.loss_of_background


def test_its_card_says_what_it_is_from(trained):
    path, card = trained
    known = json.loads(path.with_suffix(".json").read_text())
    assert (known["data"], known["images"], known["patients"], known["size"]) == ("discs", 64, 16, 16)
    assert known["settings"] == {"features": 6, "epochs": 50, "batch_size": 8, "seed": 1}
    assert known["images_sha256"] == card.images_sha256
    assert "64 images of 16 patients (discs)" in card.markdown()


def test_same_seed_same_encoder_and_other_images_other_hash(tmp_path):
    few = heads(20, 16)
    cards, weights = [], []
    for name, images, seed in (("a", few, 3), ("b", few, 3), ("c", heads(20, 16, 2), 4)):
        settings = EncoderSettings(features=3, epochs=2, seed=seed)
        cards.append(train_encoder(images, tmp_path / f"{name}.keras", settings, quiet=True))
        weights.append(keras.saving.load_model(tmp_path / f"{name}.keras").get_weights())
    for one, two, other in zip(*weights, strict=True):
        np.testing.assert_array_equal(one, two)
        assert not one.any() or not np.array_equal(one, other)
    assert cards[0] == cards[1]
    assert cards[0].images_sha256 != cards[2].images_sha256


def test_an_encoder_is_a_backbone(trained):
    path, _ = trained
    space = backbone(str(path))
    images = heads(40, 16).images
    expected = keras.saving.load_model(path)(images[..., None], training=False)
    np.testing.assert_allclose(space.features(images), expected, rtol=1e-4, atol=1e-5)
    assert space.name.startswith("encoder, 6 features; encoder.keras, sha256 ")


@pytest.mark.parametrize("images", [heads(4, 20), replace(heads(4), images=np.zeros((4, 32, 24), np.float32))])
def test_an_encoder_wants_squares_of_a_multiple_of_8(images, tmp_path):
    with pytest.raises(UserError, match="a multiple of 8: give --size"):
        train_encoder(images, tmp_path / "encoder.keras", EncoderSettings(), quiet=True)


def test_an_encoder_ends_in_keras(tmp_path):
    with pytest.raises(UserError, match=r"encoder\.h5 does not end in \.keras"):
        train_encoder(heads(4), tmp_path / "encoder.h5", EncoderSettings(), quiet=True)


def test_images_of_another_size(trained):
    with pytest.raises(UserError, match="takes images of 16x16 pixels, these have 32x32; give --size 16"):
        backbone(str(trained[0])).features(heads(4, 32).images)


def test_pixels():
    images = heads(3, 8).images
    np.testing.assert_array_equal(backbone("pixels").features(images), images.reshape(3, 64))
    small = backbone("pixels:2")
    np.testing.assert_allclose(small.features(images)[0, 0], images[0, :4, :4].mean(), rtol=1e-5)
    assert "shrunk to 2x2" in small.preprocessing


def test_features_that_are_not_numbers():
    with pytest.raises(UserError, match="not finite"):
        backbone("pixels").features(np.full((1, 4, 4), np.nan, np.float32))


def test_files_that_are_no_backbone(tmp_path):
    broken = tmp_path / "broken.keras"
    broken.write_bytes(b"PK nothing")
    picture = tmp_path / "picture.keras"
    keras.Sequential([keras.Input((8, 8, 3)), keras.layers.GlobalAveragePooling2D()]).save(picture)
    for name, message in {
        "inceptoin": "did you mean 'inception'",
        "pixels:big": "expected a size in pixels",
        str(tmp_path / "none.keras"): "there is no file",
        f"inception:{tmp_path / 'none.h5'}": "there is no file .*expected InceptionV3 weights",
        f"vgg16:{tmp_path / 'none.h5'}": "there is no file .*expected VGG16 weights as in vgg16_weights_tf_dim",
        str(broken): r"cannot be read \(.*\); expected an encoder",
        str(picture): r"maps \(None, 8, 8, 3\) to \(None, 3\)",
    }.items():
        with pytest.raises(UserError, match=message):
            backbone(name)


def test_weights_that_cannot_be_downloaded_are_never_replaced(monkeypatch):
    def offline(*_, **__):
        raise Exception("URL fetch failure")  # as Keras does

    monkeypatch.setattr(keras.applications, "InceptionV3", offline)
    with pytest.raises(
        UserError, match=rf"URL fetch failure.*from https://.*/{features.INCEPTION} and .*inception:FILE"
    ):
        backbone("inception")


def test_the_weights_that_errors_name_are_those_that_keras_asks_for(monkeypatch):
    """They are neither downloaded nor read."""
    asked = []
    monkeypatch.setattr("keras.src.utils.file_utils.get_file", lambda *call, **_: asked.append(call[1]))
    monkeypatch.setattr(keras.Model, "load_weights", lambda model, path: None)
    names = [backbone("inception").name, features.classifier("inception").name, features.vgg16(size=224).name]
    assert asked == [URL + features.INCEPTION, URL + features.CLASSES, URL + features.VGG16]
    assert all("ImageNet weights of keras.applications" in name for name in names)


def test_vgg16_is_its_second_fully_connected_layer(tmp_path):
    """At 32x32 pixels, 34 instead of 134 million parameters."""
    images = heads(3, 16).images
    space = features.vgg16("random", size=32)
    found = space.features(images)
    assert found.shape == (3, 4096) and (found >= 0).all() and found.any(axis=1).all()
    assert "4096 features; random weights, seed 1" in space.name and "resized to 32x32" in space.preprocessing
    # As by the application's own preprocessing of 0 to 255.
    keras.utils.set_random_seed(1)
    network = keras.applications.VGG16(weights=None, input_shape=(32, 32, 3))
    fc2 = keras.Model(network.inputs, network.layers[-2].output)
    levels = tf.image.grayscale_to_rgb(tf.image.resize((images[..., None] + 1) * 127.5, (32, 32)))
    expected = fc2(keras.applications.vgg16.preprocess_input(levels), training=False).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4 * expected.max())
    path = tmp_path / "own.weights.h5"
    network.save_weights(path)
    own = features.vgg16(str(path), size=32)
    np.testing.assert_array_equal(own.features(images), found)
    assert "own.weights.h5, sha256 " in own.name
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(UserError, match="does not fit VGG16 with its top"):
        features.vgg16(str(path), size=32)


def test_inception_with_local_weights(tmp_path):
    network = keras.applications.InceptionV3(include_top=False, weights=None, input_shape=(299, 299, 3), pooling="avg")
    path = tmp_path / "inception.weights.h5"
    network.save_weights(path)
    images = heads(2, 32).images
    space = backbone(f"inception:{path}")
    found = space.features(images)
    assert found.shape == (2, 2048)
    # As by the application's own preprocessing of 0 to 255.
    resized = tf.image.grayscale_to_rgb(tf.image.resize((images[..., None] + 1) * 127.5, (299, 299)))
    expected = network(keras.applications.inception_v3.preprocess_input(resized), training=False)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-5)
    assert "InceptionV3" in space.name and "inception.weights.h5, sha256 " in space.name
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(UserError, match="does not fit InceptionV3"):
        backbone(f"inception:{path}")


def test_a_classifier_gives_probabilities_and_is_random_by_name_alone(tmp_path, monkeypatch):
    asked = []

    def small(weights, input_shape, **options):
        """In place of Inception: a softmax of the means of four corners."""
        asked.append((weights, input_shape, options))
        image = keras.Input(input_shape)
        x = keras.layers.Flatten()(keras.layers.AveragePooling2D(149)(image))
        return keras.Model(image, keras.layers.Dense(5, activation="softmax")(x))

    monkeypatch.setattr(keras.applications, "InceptionV3", small)
    space = features.classifier("inception:random")
    found = space.features(heads(3, 16).images)
    assert found.shape == (3, 5) and np.ptp(found) > 0
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-5)
    assert space.name == "Keras InceptionV3, probabilities of 1000 ImageNet classes; random weights, seed 1"
    assert "resized to 299x299" in space.preprocessing
    assert asked == [(None, (299, 299, 3), {})], "with its top"
    path = tmp_path / "own.weights.h5"
    small(None, (299, 299, 3)).save_weights(path)
    assert "own.weights.h5, sha256 " in features.classifier(f"inception:{path}").name
    for name, message in {
        f"inception:{tmp_path / 'none.h5'}": f"expected InceptionV3 weights as in {Path(features.CLASSES).name} from",
        "vgg16": "there is no classifier 'vgg16'; expected inception, inception:FILE, inception:random",
        "encoder.keras": "there is no classifier",
    }.items():
        with pytest.raises(UserError, match=message):
            features.classifier(name)
