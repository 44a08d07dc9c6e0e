"""Strided and transposed convolutions in every form, against Keras's own."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasgan.errors import UserError
from kerasgan.gan.transposed import (
    FORMS,
    StridedConv2D,
    TransposedConv2D,
    fastest_form,
    strided_convolution,
    transposed_convolution,
)

LAYERS = {TransposedConv2D: keras.layers.Conv2DTranspose, StridedConv2D: keras.layers.Conv2D}
EXACT_FORMS = [form for form in FORMS if form != "auto"]


def reference(cls, filters, kernel_size, dtype):
    return LAYERS[cls](filters, kernel_size, 2, "same", dtype=dtype)


def random_case(cls, kernel_size, seed):
    """Images, weights and the gradient of the outputs, of any size, odd and even."""
    rng = np.random.default_rng([kernel_size, seed])
    batch, height, width, channels, filters = rng.integers(1, (4, 9, 9, 6, 6))
    ends = (filters, channels) if cls is TransposedConv2D else (channels, filters)
    weights = [rng.normal(size=(kernel_size, kernel_size, *ends)), rng.normal(size=filters)]
    size = (2 * height, 2 * width) if cls is TransposedConv2D else ((height + 1) // 2, (width + 1) // 2)
    return rng.normal(size=(batch, height, width, channels)), weights, rng.normal(size=(batch, *size, filters))


def outputs_and_gradients(layer, images, weights, upstream):
    """Output, then the gradients by image, kernel and bias, all of them as float64 arrays."""
    images = tf.constant(images)
    layer.build(images.shape)
    layer.set_weights(weights)
    with tf.GradientTape() as tape:
        tape.watch(images)
        outputs = layer(images)
        loss = tf.reduce_sum(tf.cast(outputs, "float64") * upstream)
    gradients = tape.gradient(loss, [images, *(v.value for v in layer.trainable_variables)])
    return [np.asarray(values, "float64") for values in (outputs, *gradients)]


def worst(actual, expected):
    """The largest error of each array relative to the array's largest number."""
    return max(np.abs(a - e).max() / np.abs(e).max() for a, e in zip(actual, expected, strict=True))


@pytest.mark.parametrize("kernel_size", [2, 4, 6])
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("cls", LAYERS)
def test_equals_keras(cls, form, kernel_size):
    for seed in range(4):
        images, weights, upstream = random_case(cls, kernel_size, seed)
        filters = weights[1].size
        expected = outputs_and_gradients(reference(cls, filters, kernel_size, "float64"), images, weights, upstream)
        for dtype, tolerance in (("float64", 1e-12), ("float32", 1e-5)):
            layer = cls(filters, kernel_size, form, dtype=dtype)
            actual = outputs_and_gradients(layer, images.astype(dtype), weights, upstream)
            assert worst(actual, expected) < tolerance


def test_cases_are_odd_and_even():
    sizes = {n % 2 for seed in range(4) for n in random_case(StridedConv2D, 4, seed)[0].shape[1:3]}
    assert sizes == {0, 1}


@pytest.mark.parametrize("form", EXACT_FORMS)
@pytest.mark.parametrize("cls", LAYERS)
def test_mixed_bfloat16_is_as_exact_as_keras(cls, form):
    images, weights, upstream = random_case(cls, 4, seed=2)
    filters = weights[1].size
    expected = outputs_and_gradients(reference(cls, filters, 4, "float64"), images, weights, upstream)
    layer = cls(filters, 4, form, dtype="mixed_bfloat16")
    actual = outputs_and_gradients(layer, images.astype("float32"), weights, upstream)
    assert layer(images).dtype == "bfloat16"
    assert {variable.dtype for variable in layer.trainable_variables} == {"float32"}
    assert worst(actual, expected) < 2**-6  # bfloat16 rounds to 2**-9


@pytest.mark.parametrize("form", EXACT_FORMS)
def test_one_pixel_by_hand(form):
    # SAME cuts one row and column off either end of a 4 x 4 kernel laid over 2 x 2 pixels.
    kernel = np.arange(16.0).reshape(4, 4)
    layer = TransposedConv2D(1, 4, form)
    layer.build((None, 1, 1, 1))
    layer.set_weights([kernel[:, :, None, None], np.array([0.5])])
    expected = np.array([[3 * 5, 3 * 6], [3 * 9, 3 * 10]]) + 0.5
    np.testing.assert_array_equal(layer(np.full((1, 1, 1, 1), 3.0))[0, :, :, 0], expected)


@pytest.mark.parametrize("form", EXACT_FORMS)
@pytest.mark.parametrize("convolution", [strided_convolution, transposed_convolution])
def test_gradients_have_gradients(convolution, form):
    rng = np.random.default_rng(3)
    points = tf.constant(rng.normal(size=(2, 4, 6, 3)))
    kernel = tf.constant(rng.normal(size=(4, 4, 3, 3)))

    def second_order(apply):
        with tf.GradientTape() as outer:
            outer.watch([points, kernel])
            with tf.GradientTape() as tape:
                tape.watch([points, kernel])
                loss = tf.reduce_sum(tf.sin(apply(points, kernel)))
            first = tape.gradient(loss, [points, kernel])
            penalty = sum(tf.reduce_sum(each**2) for each in first)
        return outer.gradient(penalty, [points, kernel])

    def plain(points, kernel):
        if convolution is strided_convolution:
            return tf.nn.conv2d(points, kernel, 2, "SAME")
        return tf.nn.conv2d_transpose(points, kernel, (2, 8, 12, 3), 2, "SAME")

    for found, expected in zip(second_order(lambda *a: convolution(*a, form)), second_order(plain), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("cls", LAYERS)
def test_unknown_batch_and_size(cls, form):
    inputs = keras.Input((None, None, 3))
    layer, plain = cls(2, 4, form), reference(cls, 2, 4, "float32")
    model = keras.Model(inputs, layer(inputs))
    assert model.output_shape == (None, None, None, 2)
    plain.build((None, None, None, 3))
    plain.set_weights(layer.get_weights())

    @tf.function(input_signature=[tf.TensorSpec((None, None, None, 3))])
    def outputs_and_gradient(images):
        with tf.GradientTape() as tape:
            outputs = model(images)
        return outputs, tape.gradient(outputs, layer.kernel.value)

    for shape in ((1, 4, 6, 3), (3, 1, 7, 3)):
        images = tf.constant(np.random.default_rng(0).normal(size=shape), "float32")
        with tf.GradientTape() as tape:
            outputs = plain(images)
        expected = outputs, tape.gradient(outputs, plain.kernel.value)
        for these, those in zip(outputs_and_gradient(images), expected, strict=True):
            np.testing.assert_allclose(these, those, atol=1e-4)


def test_gradients_compile_with_xla():
    images = tf.random.stateless_normal((2, 4, 6, 3), seed=(0, 1))
    layers = [cls(2, 4, form) for form in EXACT_FORMS for cls in LAYERS]
    for layer in layers:
        layer(images)
    variables = [v.value for layer in layers for v in layer.trainable_variables]

    def gradients():
        with tf.GradientTape() as tape:
            loss = tf.add_n([tf.reduce_sum(layer(images) ** 2) for layer in layers])
        return tape.gradient(loss, variables)

    compiled = tf.function(gradients, jit_compile=True)()
    for actual, expected in zip(compiled, gradients(), strict=True):
        np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-4)


def network():
    inputs = keras.Input((4, 4, 12))
    outputs = TransposedConv2D(10, 4, use_bias=False, activation="relu")(inputs)
    outputs = TransposedConv2D(2, 4, bias_initializer="ones", form="phases", name="last")(outputs)
    return keras.Model(inputs, StridedConv2D(3, 4, kernel_initializer="he_normal", form="patches")(outputs))


IMAGES = np.random.default_rng(0).normal(size=(2, 4, 4, 12)).astype("float32")


def test_exports_as_saved_model(tmp_path):
    model = network()
    model.export(tmp_path / "export", verbose=False)
    served = tf.saved_model.load(tmp_path / "export")  # a name keeps its variables alive
    np.testing.assert_allclose(served.serve(IMAGES), model(IMAGES), atol=1e-6)


def test_keras_file_restores_the_layers(tmp_path):
    model = network()
    model.save(tmp_path / "model.keras")
    restored = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(restored(IMAGES), model(IMAGES))
    assert [each.get_config() for each in restored.layers] == [each.get_config() for each in model.layers]


@pytest.mark.parametrize("cls", LAYERS)
def test_weights_are_those_of_keras(cls):
    layers = [cls(5, 4, kernel_initializer=keras.initializers.GlorotUniform(3)), LAYERS[cls](5, 4, 2, "same")]
    layers[1].kernel_initializer = keras.initializers.GlorotUniform(3)
    for layer in layers:
        layer.build((None, 4, 4, 3))
    mine, theirs = layers
    assert [v.name for v in mine.weights] == [v.name for v in theirs.weights] == ["kernel", "bias"]
    for these, those in zip(mine.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_array_equal(these, those)
    assert mine.compute_output_shape((None, 8, 6, 3)) == theirs.compute_output_shape((None, 8, 6, 3))


def test_auto_takes_the_form_that_was_fastest():
    dcgan = [(256, 4), (128, 8), (64, 16), (32, 32), (1, 64)]
    forms = [fastest_form(4, channels, size, size) for channels, size in dcgan]
    assert forms == ["patches", "patches", "strided", "strided", "phases"]
    assert fastest_form(4, 256, None, 4) == fastest_form(6, 1, 64, 64) == "strided"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"kernel_size": 5}, "kernel_size is a positive even integer, not 5"),
        ({"kernel_size": (4, 4)}, r"kernel_size is a positive even integer, not \(4, 4\)"),
        ({"form": "phase"}, "unknown form 'phase'; did you mean 'phases'?"),
    ],
)
@pytest.mark.parametrize("cls", LAYERS)
def test_bad_arguments_are_named(cls, arguments, message):
    with pytest.raises(UserError, match=f"{cls.__name__}: {message}"):
        cls(**{"filters": 2, "kernel_size": 4, **arguments})
