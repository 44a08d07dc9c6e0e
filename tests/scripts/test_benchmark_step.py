"""scripts/benchmark step: the same networks and steps in plain Keras and in PyTorch."""

import numpy as np
import pytest
import tensorflow as tf
from benchmarks import plain_keras, step
from comparing import FIRST_EPSILON, SIZE, flat, to_torch

from kerasgan.papers import settings_of
from kerasgan.papers.pairwise import gan

NETWORKS = ("generator_m", "generator_n", "discriminator_m", "discriminator_n")


@pytest.fixture(scope="module")
def settings():
    return settings_of("pairwise", overrides=[f"data.size={SIZE}"])


@pytest.fixture(scope="module")
def batch():
    return step.random_batch(2, SIZE)


@pytest.fixture
def model(settings):
    """kerasgan's model, with biases that are not 0, so that a lost one shows."""
    model = gan.build(("t1", "t1e"), settings)
    random = np.random.default_rng(5)
    for player in model.players:
        for variable in model.trainable_of(player):
            if variable.name == "bias":
                variable.assign(random.normal(scale=0.1, size=variable.shape))
    return model


def test_the_plain_generator_is_the_same_network(model, batch):
    plain = plain_keras.generator("plain", SIZE)
    assert plain.count_params() == model.generator_m.count_params()
    plain.set_weights(model.generator_m.get_weights())
    np.testing.assert_allclose(plain(batch["m"]), model.generator_m(batch["m"]), atol=1e-5)


def test_the_plain_step_moves_the_weights_as_ours_does(model, settings, batch):
    plain = plain_keras.build(settings)
    for name in NETWORKS:
        getattr(plain, name).set_weights(getattr(model, name).get_weights())
    before = {name: getattr(model, name).get_weights() for name in NETWORKS}
    tensors = {name: tf.constant(images) for name, images in batch.items()}
    losses, plain_losses = model.train_step(tensors), plain.train_step(tensors)
    assert float(plain_losses["generator_loss"]) == pytest.approx(float(losses["generator_loss"]), rel=1e-5)
    for name in NETWORKS:
        moves, plain_moves = (flat(getattr(each, name).get_weights()) - flat(before[name]) for each in (model, plain))
        # Adam's first step is the rate in the gradient's direction; a gradient of rounding errors may have any sign.
        assert np.mean(np.abs(moves - plain_moves) > 0.02 * settings.training.learning_rate) < 1e-4
        assert np.mean(np.abs(moves)) > 0.5 * settings.training.learning_rate


@pytest.fixture
def torch_model(model, settings):
    """The model in PyTorch, with the weights of `model`."""
    torch = pytest.importorskip("torch")
    from benchmarks.pytorch import PairwiseGAN

    theirs = PairwiseGAN(settings, torch.channels_last, bfloat16=False)
    for name in NETWORKS:
        arrays = getattr(model, name).get_weights()
        parameters = list(getattr(theirs, name).parameters())
        with torch.no_grad():
            for parameter, array in zip(parameters, arrays, strict=True):
                parameter.copy_(torch.from_numpy(to_torch(array)))
    return theirs


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_in_pytorch_are_the_same(model, torch_model, batch, name):
    ours, theirs = getattr(model, name), getattr(torch_model, name)
    assert sum(parameter.numel() for parameter in theirs.parameters()) == ours.count_params()
    outputs = theirs(torch_model.prepare(batch)["m"]).detach().permute(0, 2, 3, 1).numpy()
    np.testing.assert_allclose(outputs, ours(batch["m"]), atol=1e-5)


def test_losses_and_moves_in_pytorch_are_the_same(model, torch_model, settings, batch):
    tensors = torch_model.prepare(batch)
    losses = [loss.item() for loss in torch_model.losses(**tensors)]
    logs = model.train_step({name: tf.constant(images) for name, images in batch.items()})
    names = ("generator_loss", "discriminator_n_loss", "discriminator_m_loss")
    assert losses == pytest.approx([float(logs[name]) for name in names], rel=1e-5)
    for optimizer in torch_model.optimizers:
        optimizer.param_groups[0]["eps"] = FIRST_EPSILON
    torch_model.train_step(tensors)
    for name in NETWORKS:
        theirs = flat([parameter.detach().numpy() for parameter in getattr(torch_model, name).parameters()])
        ours = flat([to_torch(array) for array in getattr(model, name).get_weights()])
        assert np.mean(np.abs(ours - theirs) > 0.02 * settings.training.learning_rate) < 1e-4
