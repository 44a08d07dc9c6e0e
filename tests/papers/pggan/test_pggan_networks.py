"""Networks of each resolution: sizes, and that growing changes nothing at alpha 0."""

from dataclasses import replace

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasgan.errors import UserError
from kerasgan.papers.pggan.layers import Fade
from kerasgan.papers.pggan.networks import Architecture, critic, generator, grow, settled

SIDES = (4, 8, 16, 32, 64)
PUBLISHED = Architecture(latent=512, base=8192, maximum=512, scale=1.0, slope=0.2, classes=2, class_from=64)
SMALL = replace(PUBLISHED, latent=12, scale=1 / 64, class_from=16)  # 8, 8, 8, 8, 4 channels


def shaken(network, seed=0):
    """The network with every number that is trained drawn anew, biases and embeddings too."""
    rng = np.random.default_rng(seed)
    for variable in network.trainable_variables:
        variable.assign(rng.standard_normal(variable.shape) * (0.3 if "bias" in variable.name else 1))
    return network


def set_alpha(network, alpha):
    for layer in network.layers:
        if isinstance(layer, Fade):
            layer.alpha.assign(alpha)


def given(side, own, count=8, seed=1):
    """Noise and images, with classes where the networks take them."""
    rng = np.random.default_rng(seed)
    noise = rng.uniform(-1, 1, (count, own.latent)).astype("float32")
    image = rng.uniform(-1, 1, (count, side, side, 1)).astype("float32")
    label = np.arange(count) % own.classes
    return ([noise, label], [image, label]) if own.conditional(side) else (noise, image)


def halved(image):
    n, side = image.shape[:2]
    return image.reshape(n, side // 2, 2, side // 2, 2, 1).mean(axis=(2, 4))


# ---- sizes ----


def test_channels_are_karrass():
    """Karras et al. 2018, Table 2."""
    found = [PUBLISHED.channels(side) for side in (2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)]
    assert found == [512, 512, 512, 512, 512, 256, 128, 64, 32, 16]
    quarter = replace(PUBLISHED, scale=1 / 256)
    assert [quarter.channels(side) for side in (4, 64, 256, 1024)] == [2, 1, 1, 1]


def by_hand(side, own):
    """Numbers to train, generator's and critic's."""
    width = own.channels
    made = own.latent * 16 * width(4) + 16 * width(4) + 9 * width(4) ** 2 + width(4)
    judge = 9 * (width(4) + 1) * width(4) + width(4) + 16 * width(4) * width(2) + width(2) + width(2) + 1
    for n in [8 << k for k in range(8) if 8 << k <= side]:
        made += 9 * width(n // 2) * width(n) + width(n) + 9 * width(n) ** 2 + width(n)
        judge += 9 * width(n) ** 2 + width(n) + 9 * width(n) * width(n // 2) + width(n // 2)
    for n in {side, max(side // 2, 4)}:
        made += width(n) + 1
        judge += 2 * width(n)
    if own.conditional(side):
        made += own.classes * width(own.class_from)
        judge += own.classes * width(2)
    return made, judge


def numbers(network):
    return sum(int(np.prod(variable.shape)) for variable in network.trainable_variables)


@pytest.mark.parametrize("side", SIDES)
def test_numbers_to_train(side):
    assert (numbers(generator(side, SMALL)), numbers(critic(side, SMALL))) == by_hand(side, SMALL)


def test_the_docstrings_numbers():
    assert [by_hand(side, PUBLISHED) for side in (4, 64, 256)] == [
        (6_562_817, 6_560_769),
        (22_492_418, 22_491_393),
        (23_045_186, 23_043_777),
    ]
    assert (numbers(generator(4, PUBLISHED)), numbers(critic(4, PUBLISHED))) == by_hand(4, PUBLISHED)


@pytest.mark.parametrize("side", SIDES)
def test_inputs_and_outputs(side):
    made, judge = generator(side, SMALL), critic(side, SMALL)
    noise, image = given(side, SMALL)
    assert made(noise).shape == (8, side, side, 1) and judge(image).shape == (8, 1)
    told = side >= 16
    assert [each.name for each in made.inputs] == ["noise", "label"][: 1 + told]
    assert [each.name for each in judge.inputs] == ["image", "label"][: 1 + told]


def test_first_images_and_verdicts_are_of_order_one():
    """Whatever the depth: what equalised learning rate and pixel norm are for."""
    keras.utils.set_random_seed(3)
    for side in (4, 64):
        noise, image = given(side, SMALL, count=64)
        assert 0.1 < np.std(generator(side, SMALL)(noise)) < 3
        assert 0.02 < np.std(critic(side, SMALL)(image)) < 3


# ---- growth ----


@pytest.mark.parametrize("class_from", [None, 4, 8, 16, 32, 64])
@pytest.mark.parametrize("side", SIDES[1:])
def test_a_stage_begins_as_the_one_before_ended(side, class_from):
    """Also where the condition enters, which is the case side == class_from."""
    own = replace(SMALL, class_from=class_from)
    for build, which in ((generator, 0), (critic, 1)):
        before, after = shaken(build(side // 2, own)), build(side, own)
        if class_from != side:
            shaken(after, seed=9)  # what is new may have any numbers, but for the critic's projection
        grow(before, after)
        large = given(side, own)[which]
        image = large[0] if own.conditional(side) else large
        small = halved(image) if build is critic else image
        expected = before([small, large[1]] if own.conditional(side // 2) else small).numpy()
        if build is generator:
            expected = expected.repeat(2, axis=1).repeat(2, axis=2)
        set_alpha(before, 1.0)
        set_alpha(after, 0.0)
        np.testing.assert_allclose(after(large), expected, atol=2e-5 * np.abs(expected).max())
        set_alpha(after, 1.0)
        assert np.abs(after(large) - expected).max() > 0.01 * np.abs(expected).max(), "the new block does something"


def test_any_growth_of_the_generator_is_continuous_where_the_class_enters():
    """Its embedding is in the block that is faded in, so that it need not be zero."""
    before, after = shaken(generator(8, SMALL)), shaken(generator(16, SMALL), seed=9)
    grow(before, after)
    set_alpha(after, 0.0)
    noise, label = given(16, SMALL)[0]
    np.testing.assert_array_equal(after([noise, label]), after([noise, 1 - label]))
    set_alpha(after, 1.0)
    assert np.abs(after([noise, label]) - after([noise, 1 - label])).max() > 0.01


def test_growth_copies_and_does_not_share():
    before, after = generator(4, SMALL), generator(8, SMALL)
    grow(before, after)
    shared = {layer.name for layer in before.layers if layer.weights}
    assert shared == {"map4_dense", "map4_conv", "image4"} < {layer.name for layer in after.layers}
    kept = after.get_layer("map4_conv").get_weights()
    shaken(before)
    np.testing.assert_array_equal(after.get_layer("map4_conv").get_weights()[0], kept[0])


def test_growth_goes_one_stage_at_a_time_and_to_the_same_shapes():
    for before, after in ((4, 16), (16, 8), (8, 8)):
        with pytest.raises(ValueError, match=f"of {before} pixels grows to {2 * before}, not to {after}"):
            grow(generator(before, SMALL), generator(after, SMALL))
    with pytest.raises(ValueError, match="shape"):
        grow(critic(4, SMALL), critic(8, replace(SMALL, scale=1 / 32)))


# ---- condition ----


def test_classes_that_are_not_told_apart_yet_make_the_same():
    noise, image = given(16, SMALL)
    for network, (data, label) in ((generator(16, SMALL), noise), (critic(16, SMALL), image)):
        np.testing.assert_array_equal(network([data, label]), network([data, 1 - label]))
        assert np.abs(shaken(network)([data, label]) - network([data, 1 - label])).max() > 0.01


def test_the_critics_condition_is_a_projection():
    """Its verdict moves by <embedding of y, features>, Miyato & Koyama 2018, eq. 3."""
    judge = shaken(critic(16, SMALL))
    image, label = given(16, SMALL)[1]
    features = keras.Model(judge.inputs, judge.get_layer("features_leaky").output)([image, label]).numpy()
    table = judge.get_layer("projection").get_weights()[0] / np.sqrt(SMALL.channels(2))
    expected = judge([image, 0 * label]).numpy()[:, 0] + features @ (table[1] - table[0])
    np.testing.assert_allclose(judge([image, 0 * label + 1])[:, 0], expected, rtol=1e-4, atol=1e-4)


def test_an_unknown_class_is_an_error():
    made = generator(16, SMALL)
    (noise, label), _ = given(16, SMALL)
    for wrong in (label + 1, label - 1):
        with pytest.raises(tf.errors.InvalidArgumentError, match="a class is an integer from 0 to 1"):
            made([noise, wrong])


# ---- delivery ----


@pytest.mark.parametrize("side", SIDES[:3])
def test_the_settled_generator_is_that_at_alpha_1(side, tmp_path):
    made = shaken(generator(side, SMALL))
    plain = settled(made)
    set_alpha(made, 1.0)
    noise = given(side, SMALL)[0]
    np.testing.assert_array_equal(plain(noise), made(noise))
    assert not any(isinstance(layer, Fade) for layer in plain.layers)
    assert f"image{side // 2}" not in {layer.name for layer in plain.layers}
    plain.save(tmp_path / "generator.keras")
    again = keras.saving.load_model(tmp_path / "generator.keras", compile=False, safe_mode=True)
    assert [each.name for each in again.inputs] == [each.name for each in made.inputs]
    np.testing.assert_array_equal(again(noise), plain(noise))


def test_a_generator_in_mid_fade_is_saved_with_its_alpha(tmp_path):
    made = shaken(generator(16, SMALL))
    set_alpha(made, 0.375)
    made.save(tmp_path / "generator.keras")
    again = keras.saving.load_model(tmp_path / "generator.keras", compile=False, safe_mode=True)
    assert float(again.get_layer("fade16").alpha) == 0.375
    noise = given(16, SMALL)[0]
    np.testing.assert_array_equal(again(noise), made(noise))


def test_the_settled_generator_is_exported_with_noise_and_label(tmp_path):
    plain = settled(shaken(generator(16, SMALL)))
    archive = keras.export.ExportArchive()
    archive.track(plain)
    signature = [tf.TensorSpec((None, 12), name="noise"), tf.TensorSpec((None,), tf.int32, name="label")]
    archive.add_endpoint("serve", lambda *given: {"image": plain(list(given))}, input_signature=signature)
    archive.write_out(str(tmp_path), verbose=False)
    serve = tf.saved_model.load(tmp_path).signatures["serving_default"]
    noise, label = given(16, SMALL, count=3)[0]
    served = serve(**{"noise": noise, "label": label.astype("int32")})["image"]
    np.testing.assert_allclose(served, plain([noise, label]), atol=1e-5)
    with pytest.raises(tf.errors.InvalidArgumentError, match="a class is an integer from 0 to 1"):
        serve(**{"noise": tf.constant(noise), "label": tf.constant([0, 1, 2])})


# ---- bad input ----


@pytest.mark.parametrize("wrong", [0, 2, 3, 48, 100, 8.0])
def test_a_resolution_that_is_no_power_of_two(wrong):
    for build in (generator, critic):
        with pytest.raises(UserError, match=rf"side is a power of two from 4 on .*, not {wrong}"):
            build(wrong, SMALL)
    with pytest.raises(UserError, match=f"the class is told is a power of two.*, not {wrong}"):
        replace(SMALL, class_from=wrong)
