"""scripts/benchmark acgan: the same networks and step in PyTorch; the features that are read from disk."""

import itertools

import numpy as np
import pytest
import tensorflow as tf
from benchmarks import acgan
from comparing import FIRST_EPSILON, assert_same_latent_step, latent_weights, tensors_of

from kerasgan.papers import settings_of


@pytest.mark.parametrize("layout", ["channels_last", "contiguous_format"])
def test_the_acgan_and_its_step_in_pytorch_are_the_same(layout, monkeypatch):
    torch = pytest.importorskip("torch")
    from benchmarks.pytorch_acgan import Training

    shape, width = (15, 8, 6), 8
    settings = settings_of("acgan", overrides=["acgan.dropout=0", "acgan.learning_rate=0.0002"])
    model = acgan.our_model(shape, width, settings)
    training = Training(shape, width, settings.acgan, getattr(torch, layout))
    random = np.random.default_rng(5)
    for variable in (*model.generator.trainable_variables, *model.critic.trainable_variables):
        scale = 0.1 if variable.name in ("bias", "beta") else 0.0
        variable.assign(variable + random.normal(scale=scale, size=variable.shape))
    noise_ = random.normal(size=(16, settings.acgan.latent)).astype("float32")
    wanted = random.integers(0, 2, 16)
    monkeypatch.setattr(model, "noise", lambda count: tf.constant(noise_))
    monkeypatch.setattr(model, "wanted", lambda count: tf.constant(wanted, tf.int32))
    monkeypatch.setattr(training, "noise", lambda count: torch.from_numpy(noise_))
    monkeypatch.setattr(training, "wanted", lambda count: torch.from_numpy(wanted))
    networks_ = [(model.generator, training.generator), (model.critic, training.critic)]
    pairs = [list(zip(latent_weights(o), acgan_parameters(t), strict=True)) for o, t in networks_]
    before = [[array for array, _ in each] for each in pairs]
    for array, parameter in itertools.chain(*pairs):
        parameter.data.copy_(torch.from_numpy(array))
    for ours, theirs in networks_:
        assert sum(p.numel() for p in theirs.parameters()) == sum(map(np.size, ours.trainable_variables))
    for optimizer in training.optimizers:
        optimizer.param_groups[0]["eps"] = FIRST_EPSILON
    batch = acgan.random_batch(shape, 16)
    losses = training.train_step(*training.prepare(batch))
    logs = model.train_step(tensors_of(batch))
    assert losses == pytest.approx([float(logs["generator_loss"]), float(logs["critic_loss"])], rel=1e-4)
    moved = [(latent_weights(o), [p.detach().numpy() for p in acgan_parameters(t)]) for o, t in networks_]
    assert_same_latent_step(moved, before, settings.acgan.learning_rate)


def acgan_parameters(network):
    """PyTorch's parameters in Keras's order."""
    if hasattr(network, "project"):
        ordered = [network.project, *itertools.chain(*zip(network.norms, network.up, strict=True))]
    else:
        hidden = itertools.chain(*zip(network.down[1:], network.norms, strict=True))
        ordered = [network.down[0], *hidden, network.source, network.classes]
    return [p for module in ordered for p in module.parameters()]


def test_the_acgan_that_is_fed_trains_on_the_features_on_disk(tmp_path):
    block, shape, dtype, width, count, steps, _ = acgan.QUICK_STORES[0]
    store = acgan.feature_store(tmp_path, block, shape, dtype, count)
    assert store.indices("train").size == count and store.read(range(count)).min() >= 0
    task = acgan.AcganTask(settings_of("acgan"), store, {"width": width})
    model = task.build()
    model.make_train_function()
    for number, call in enumerate(acgan.feeding_calls(task, model, steps).values(), 1):
        call()
        assert int(model.optimizers["critic"].iterations) == number * steps
