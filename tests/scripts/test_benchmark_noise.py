"""scripts/benchmark dcgan, wgan: the same networks and steps in plain Keras and in PyTorch."""

import itertools

import numpy as np
import pytest
import tensorflow as tf
from benchmarks import noise
from comparing import SIZE, assert_same_latent_step, latent_weights

from kerasgan.papers import settings_of


@pytest.fixture(params=["dcgan", "wgan"])
def from_noise(request):
    """A GAN's name, its small settings, and kerasgan's model of it with biases that are not 0."""
    overrides = [f"data.size={SIZE}", "network.filters=[12, 8, 4]", f"{request.param}.batch_size=4"]
    settings = settings_of(request.param, overrides=overrides)
    model = noise.our_model(request.param, settings)
    for optimizer in model.optimizers.values():
        optimizer.epsilon = 1e-20  # PyTorch's RMSprop adds it to the root, Keras's beneath
    random = np.random.default_rng(5)
    for variable in (*model.generator.trainable_variables, *model.critic.trainable_variables):
        scale = 0.1 if variable.name in ("bias", "beta") else 0.0
        variable.assign(variable + random.normal(scale=scale, size=variable.shape))
    return request.param, settings, model


def reals_of(model, settings):
    return noise.random_batch(settings.data.size, 4 * model.critic_steps)


def test_the_plain_gan_from_noise_and_its_step_are_the_same(from_noise):
    name, settings, model = from_noise
    plain = noise.PlainGAN(name, settings)
    players = [(getattr(model, each), getattr(plain, each)) for each in ("generator", "critic")]
    before = [ours.get_weights() for ours, _ in players]
    for (ours, theirs), weights in zip(players, before, strict=True):
        assert theirs.count_params() == ours.count_params()
        theirs.set_weights(weights)
    for optimizer in (plain.generator_optimizer, plain.critic_optimizer):
        optimizer.epsilon = 1e-20
    reals = tf.constant(reals_of(model, settings))
    loss, plain_loss = (float(each.train_step(reals)["generator_loss"]) for each in (model, plain))
    assert plain_loss == pytest.approx(loss, rel=1e-3)
    pairs = [(ours.get_weights(), theirs.get_weights()) for ours, theirs in players]
    assert_same_latent_step(pairs, before, getattr(settings, name).learning_rate)


def test_the_gan_from_noise_and_its_step_in_pytorch_are_the_same(from_noise, monkeypatch):
    torch = pytest.importorskip("torch")
    from benchmarks.pytorch_noise import Training

    name, settings, model = from_noise
    training = Training(name, settings, torch.channels_last)
    drawn = [np.random.default_rng(i).normal(size=(4, settings.network.latent)).astype("float32") for i in range(6)]
    ours, theirs = map(tf.constant, drawn), map(torch.from_numpy, drawn)
    monkeypatch.setattr(model, "noise", lambda count: next(ours))
    monkeypatch.setattr(training, "noise", lambda count: next(theirs))
    for optimizer in training.optimizers:
        optimizer.param_groups[0]["eps"] = 1e-20
    networks_ = [(model.generator, training.generator), (model.critic, training.critic)]
    pairs = [list(zip(latent_weights(ours), latent_parameters(theirs), strict=True)) for ours, theirs in networks_]
    before = [[array for array, _ in each] for each in pairs]
    for keras_network, network in networks_:
        assert sum(p.numel() for p in network.parameters()) == sum(map(np.size, keras_network.trainable_variables))
    for array, parameter in itertools.chain(*pairs):
        parameter.data.copy_(torch.from_numpy(array))
    reals = reals_of(model, settings)
    losses = training.train_step(training.prepare(reals))
    logs = model.train_step(tf.constant(reals))
    assert losses == pytest.approx([float(logs["generator_loss"]), float(logs["critic_loss"])], rel=1e-3)
    moved = [
        (latent_weights(ours), [p.detach().numpy() for p in latent_parameters(theirs)]) for ours, theirs in networks_
    ]
    assert_same_latent_step(moved, before, getattr(settings, name).learning_rate)


def latent_parameters(network):
    """PyTorch's parameters in Keras's order: each layer, then its normalisation."""
    first, last = ("project", "image") if hasattr(network, "project") else (None, "verdict")
    layers = [network.project, *network.up] if first else [*network.down]
    norms = [*network.norms] if first else [None, *network.norms]
    ordered = [module for pair in zip(layers, norms, strict=True) for module in pair if module is not None]
    return [p for module in (*ordered, getattr(network, last)) for p in module.parameters()]
