"""scripts/benchmark classifier: the same network and step in plain Keras and in PyTorch."""

import keras
import numpy as np
import pytest
from benchmarks import classifier as classifying
from comparing import SIZE, assert_same_first_step, tensors_of, to_torch

from kerasgan.papers import settings_of


@pytest.fixture
def classifier_settings():
    """Two small streams."""
    network = ("filters=[4, 6, 8]", "downsample_after=[2, 3]", "dense=[8, 8]")
    overrides = ["modalities=[t1, flair]", *(f"network.{line}" for line in network)]
    return settings_of("pairwise", overrides=[f"classifier.{line}" for line in overrides]).classifier


@pytest.fixture
def classifier(classifier_settings):
    """kerasgan's classifier, none of whose weights is at its start, so that a lost one shows."""
    keras.utils.set_random_seed(7)
    model = classifying.our_model(SIZE, classifier_settings)
    random = np.random.default_rng(5)
    for variable in model.network.trainable_variables:
        if variable.name != "kernel":
            variable.assign(variable + random.normal(scale=0.01, size=variable.shape))
    return model


@pytest.fixture
def labelled(classifier_settings):
    return classifying.random_batch(classifier_settings.modalities, 4, SIZE)


def plain_weights(network):
    """In the plain network's form: the attention of each stream is a dense layer of its own."""
    weights = [(variable.name, np.array(variable)) for variable in network.variables]
    return [each for name, array in weights for each in (array[..., None] if name == "attention" else [array])]


def test_the_plain_classifier_and_its_step_are_the_same(classifier, classifier_settings, labelled):
    plain = classifying.plain_model(SIZE, classifier_settings)
    before = plain_weights(classifier.network)
    plain.set_weights(before)
    assert plain.count_params() == classifier.network.count_params()
    images, *_ = data = classifying.plain_data(labelled, classifier_settings)
    np.testing.assert_allclose(plain(images), classifier.network(images)["logits"], atol=1e-6)
    logs, plain_logs = classifier.train_step(tensors_of(labelled)), plain.train_step(data)
    assert float(plain_logs["loss"]) == pytest.approx(float(logs["loss"]), rel=1e-5)
    rate = classifier_settings.stage1.learning_rates[0]
    assert_same_first_step(plain_weights(classifier.network), plain.get_weights(), before, rate)


def test_the_classifier_and_its_step_in_pytorch_are_the_same(classifier, classifier_settings, labelled):
    pytest.importorskip("torch")
    from benchmarks.pytorch_classifier import Training

    training = Training(SIZE, classifier_settings, bfloat16=False)
    pairs = torch_pairs(classifier.network, training.network, classifier_settings)
    before = [array for array, _ in pairs]
    for array, parameter in pairs:
        parameter.data.copy_(parameter.new_tensor(array))
    parameters = list(training.network.parameters())
    assert sum(p.numel() for p in parameters) == sum(map(np.size, classifier.network.trainable_variables))
    loss = training.train_step(*training.prepare(labelled))
    assert loss == pytest.approx(float(classifier.train_step(tensors_of(labelled))["loss"]), rel=1e-5)
    theirs = [parameter.detach().numpy() for _, parameter in pairs]
    ours = [array for array, _ in torch_pairs(classifier.network, training.network, classifier_settings)]
    assert_same_first_step(ours, theirs, before, classifier_settings.stage1.learning_rates[0])


def torch_pairs(network, theirs, settings):
    """Each trainable array of ours in PyTorch's layout, with the parameter that it belongs to."""
    pairs = [(np.array(network.get_layer("attention").attention), theirs.attention)]
    for name, stream in zip(settings.modalities, theirs.streams, strict=True):
        for level, (convolution, norm) in enumerate(zip(stream.convolutions, stream.norms, strict=True), 1):
            layer = network.get_layer(f"{name}_norm{level}")
            pairs.append((to_torch(np.array(network.get_layer(f"{name}_conv{level}").kernel)), convolution.weight))
            pairs += [(np.array(layer.gamma), norm.weight), (np.array(layer.beta), norm.bias)]
    dense = [*(f"dense{level}" for level in range(1, len(theirs.dense) + 1)), "logits"]
    for name, linear in zip(dense, (*theirs.dense, theirs.logits), strict=True):
        layer = network.get_layer(name)
        pairs += [(np.array(layer.kernel).T, linear.weight), (np.array(layer.bias), linear.bias)]
    return pairs
