import keras
import numpy as np
import pytest

from kerasgan.papers import settings_of
from kerasgan.papers.pairwise import gan, networks


def test_generator_of_figure_3():
    model = networks.generator("g", 128)
    assert model.count_params() == 1_542_337
    assert model.output_shape == (None, 128, 128, 1)
    filters = [layer.filters for layer in model.layers if hasattr(layer, "filters")]
    assert filters == [32, 64, 128, 256, 128, 64, 32, 1]
    assert sum(isinstance(layer, keras.layers.Concatenate) for layer in model.layers) == 3
    assert not any("norm" in type(layer).__name__.lower() for layer in model.layers)


def test_discriminator_of_figure_3():
    model = networks.discriminator("d", 128)
    assert model.count_params() == 2_762_689
    assert model.output_shape == (None, 8, 8, 1)
    convolutions = [layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D)]
    assert [(layer.filters, layer.strides[0]) for layer in convolutions] == [
        (64, 2),
        (128, 2),
        (256, 2),
        (512, 2),
        (1, 1),
    ]
    assert all(layer.kernel_size == (4, 4) for layer in convolutions)


def test_outputs_are_float32_in_range_under_mixed_precision():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = networks.generator("g", 32)
    finally:
        keras.config.set_dtype_policy("float32")
    made = model(np.random.default_rng(0).uniform(-1, 1, (2, 32, 32, 1)).astype("f4")).numpy()
    assert made.dtype == np.float32
    assert np.abs(made).max() <= 1
    assert model.get_layer("up2").compute_dtype == "bfloat16"
    assert model.get_layer("up1").compute_dtype == "float32", "the image is not rounded to 8 bits"


def test_the_model_takes_its_numbers_from_the_settings():
    overrides = ["data.size=32", "loss.l1_weight=7.0", "loss.mask_background=0.5", "training.learning_rate=0.003"]
    model = gan.build(("t1", "flair"), settings_of("pairwise", overrides=overrides))
    assert (model.l1_weight, model.mask_background) == (7.0, 0.5)
    for optimizer in model.optimizers.values():
        assert type(optimizer) is keras.optimizers.Adam  # III-A1
        assert float(optimizer.learning_rate.value) == pytest.approx(0.003)
        assert optimizer.beta_1 == 0.5
    assert [network.name for network in model.players["generators"]] == ["t1_to_flair", "flair_to_t1"]
