import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasgan.errors import UserError
from kerasgan.gan.layers import FORMS, UpConv2D, fastest_form

EXACT_FORMS = [form for form in FORMS if form != "auto"]


def reference(kernel_size, filters, dtype, **kwargs):
    return keras.Sequential(
        [
            keras.layers.UpSampling2D(2, dtype=dtype),
            keras.layers.Conv2D(filters, kernel_size, padding="same", dtype=dtype, **kwargs),
        ]
    )


def outputs_and_gradients(layer, images, weights, upstream):
    """Output, then the gradients by image, kernel and bias, all of them as float64 arrays."""
    images = tf.constant(images)
    layer(images)
    layer.set_weights(weights)
    with tf.GradientTape() as tape:
        tape.watch(images)
        outputs = layer(images)
        loss = tf.reduce_sum(tf.cast(outputs, "float64") * upstream)
    gradients = tape.gradient(loss, [images, *(v.value for v in layer.trainable_variables)])
    return [np.asarray(values, "float64") for values in (outputs, *gradients)]


def random_case(kernel_size, seed):
    rng = np.random.default_rng([kernel_size, seed])
    batch, height, width, channels, filters = rng.integers(1, (4, 9, 9, 6, 6))
    images = rng.normal(size=(batch, height, width, channels))
    weights = [rng.normal(size=(kernel_size, kernel_size, channels, filters)), rng.normal(size=filters)]
    upstream = rng.normal(size=(batch, 2 * height, 2 * width, filters))
    return images, weights, upstream


def worst(actual, expected):
    """The largest error of each array relative to the array's largest number."""
    return max(np.abs(a - e).max() / np.abs(e).max() for a, e in zip(actual, expected, strict=True))


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("form", EXACT_FORMS)
@pytest.mark.parametrize("kernel_size", range(1, 8))
def test_equals_upsampling_and_convolution(kernel_size, form, seed):
    images, weights, upstream = random_case(kernel_size, seed)
    filters = weights[1].size
    expected = outputs_and_gradients(reference(kernel_size, filters, "float64"), images, weights, upstream)
    for dtype, tolerance in (("float64", 1e-12), ("float32", 1e-5)):
        layer = UpConv2D(filters, kernel_size, form=form, dtype=dtype)
        actual = outputs_and_gradients(layer, images.astype(dtype), weights, upstream)
        assert worst(actual, expected) < tolerance


@pytest.mark.parametrize("form", EXACT_FORMS)
@pytest.mark.parametrize("kernel_size", [3, 4])
def test_mixed_bfloat16_is_as_exact_as_the_reference(kernel_size, form):
    images, weights, upstream = random_case(kernel_size, seed=2)
    filters = weights[1].size
    expected = outputs_and_gradients(reference(kernel_size, filters, "float64"), images, weights, upstream)
    layer = UpConv2D(filters, kernel_size, form=form, dtype="mixed_bfloat16")
    actual = outputs_and_gradients(layer, images.astype("float32"), weights, upstream)
    assert layer(images).dtype == "bfloat16"
    assert {variable.dtype for variable in layer.trainable_variables} == {"float32"}
    assert worst(actual, expected) < 2**-6  # bfloat16 rounds to 2**-9


@pytest.mark.parametrize("form", EXACT_FORMS)
def test_taps_are_summed_before_they_are_rounded(form):
    # The first output of a single pixel 1 sums the four taps in the middle; 1 + 2**-9 would be 1 in bfloat16.
    kernel = np.zeros((4, 4, 1, 1))
    kernel[1, 1], kernel[1, 2] = 1 + 2**-9, -1
    layer = UpConv2D(1, 4, form=form, use_bias=False, dtype="mixed_bfloat16")
    layer.build((None, 1, 1, 1))
    layer.set_weights([kernel])
    assert float(layer(np.ones((1, 1, 1, 1)))[0, 0, 0, 0]) == 2**-9


def test_one_pixel_by_hand():
    # The pixel 3 becomes a 2x2 block of 3; SAME of a 4x4 kernel pads one before and two behind, so output (i, j)
    # sums the taps (1 - i, 1 - j) to (2 - i, 2 - j).
    kernel = np.arange(16.0).reshape(4, 4)
    expected = [[3 * (5 + 6 + 9 + 10), 3 * (4 + 5 + 8 + 9)], [3 * (1 + 2 + 5 + 6), 3 * (0 + 1 + 4 + 5)]]
    for form in EXACT_FORMS:
        layer = UpConv2D(1, 4, form=form)
        layer.build((None, 1, 1, 1))
        layer.set_weights([kernel[:, :, None, None], np.array([0.5])])
        np.testing.assert_allclose(layer(np.full((1, 1, 1, 1), 3.0))[0, :, :, 0], np.array(expected) + 0.5)


@pytest.mark.parametrize("form", EXACT_FORMS)
@pytest.mark.parametrize("kernel_size", [3, 4])
def test_unknown_batch_and_size(kernel_size, form):
    inputs = keras.Input((None, None, 3))
    model = keras.Model(inputs, UpConv2D(2, kernel_size, form=form)(inputs))
    assert model.output_shape == (None, None, None, 2)
    plain = reference(kernel_size, 2, "float32")
    call = tf.function(model, input_signature=[tf.TensorSpec((None, None, None, 3))])
    for shape in ((1, 4, 5, 3), (3, 1, 7, 3)):
        images = np.random.default_rng(0).normal(size=shape).astype("float32")
        plain(images)
        plain.set_weights(model.get_weights())
        np.testing.assert_allclose(call(images), plain(images), atol=1e-5)


def test_gradients_compile_with_xla():
    images = tf.random.stateless_normal((2, 4, 5, 3), seed=(0, 1))
    layers = [UpConv2D(2, kernel_size, form=form) for form in EXACT_FORMS for kernel_size in (3, 4)]
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


def test_exports_as_saved_model(tmp_path):
    inputs = keras.Input((None, None, 3))
    outputs = UpConv2D(16, 4)(inputs)
    outputs = UpConv2D(16, 3)(outputs)
    model = keras.Model(inputs, UpConv2D(2, 4, activation="tanh")(outputs))
    model.export(tmp_path / "export", verbose=False)
    images = np.random.default_rng(0).normal(size=(2, 3, 4, 3)).astype("float32")
    served = tf.saved_model.load(tmp_path / "export")  # a name keeps its variables alive
    np.testing.assert_allclose(served.serve(images), model(images), atol=1e-6)


def test_keras_file_restores_the_layer(tmp_path):
    layer = UpConv2D(
        5, 4, activation="relu", bias_initializer="ones", kernel_initializer="he_normal", form="transposed", name="up"
    )
    model = keras.Sequential([keras.Input((4, 4, 3)), layer])
    model.save(tmp_path / "model.keras")
    restored = keras.saving.load_model(tmp_path / "model.keras")
    images = np.random.default_rng(0).normal(size=(2, 4, 4, 3)).astype("float32")
    np.testing.assert_array_equal(restored(images), model(images))
    assert restored.layers[0].get_config() == layer.get_config()


def test_weights_are_those_of_a_convolution():
    initializer = keras.initializers.GlorotUniform(seed=3)
    layer = UpConv2D(5, 4, kernel_initializer=initializer)
    layer.build((None, 4, 4, 3))
    plain = keras.layers.Conv2D(5, 4, kernel_initializer=keras.initializers.GlorotUniform(seed=3))
    plain.build((None, 4, 4, 3))
    assert [v.name for v in layer.weights] == [v.name for v in plain.weights] == ["kernel", "bias"]
    for mine, theirs in zip(layer.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_bias_can_be_left_out():
    layer = UpConv2D(5, 4, use_bias=False)
    layer.build((None, 4, 4, 3))
    assert [v.name for v in layer.weights] == ["kernel"]
    assert not np.any(layer(np.zeros((1, 4, 4, 3))))


def test_output_shape():
    layer = UpConv2D(5, 4)
    assert layer.compute_output_shape((None, 8, 6, 3)) == (None, 16, 12, 5)
    assert layer.compute_output_shape((2, None, 6, 3)) == (2, None, 12, 5)
    assert layer(np.zeros((2, 8, 6, 3))).shape == (2, 16, 12, 5)


def test_auto_takes_the_form_that_was_fastest():
    assert [fastest_form(4, filters) for filters in (128, 64, 32, 4, 1)] == ["split"] * 3 + ["phase", "transposed"]
    assert [fastest_form(3, filters) for filters in (64, 4, 1)] == ["transposed"] * 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"filters": 0}, "filters is a positive integer, not 0"),
        ({"kernel_size": (4, 4)}, r"kernel_size is a positive integer, not \(4, 4\)"),
        ({"form": "transpose"}, "unknown form 'transpose'; did you mean 'transposed'?"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(UserError, match=message):
        UpConv2D(**{"filters": 2, "kernel_size": 4, **arguments})


def test_images_need_their_channels():
    layer = UpConv2D(5, 4)
    layer.build((None, 4, 4, 3))
    with pytest.raises(ValueError, match="expected axis -1 of input shape to have value 3"):
        layer(np.zeros((1, 4, 4, 2)))
