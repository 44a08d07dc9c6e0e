"""The AC-GAN: one step of linear players by hand, its parts, and that it learns two classes."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops
from scipy.special import expit, log_softmax, softmax

from kerasgan.errors import UserError
from kerasgan.experiment.devices import strategy_for
from kerasgan.gan import checkpoint
from kerasgan.gan.checkpoint import Position
from kerasgan.papers.featuregan.acgan import ACGAN, class_accuracy, class_loss
from kerasgan.papers.featuregan.feature_networks import discriminator, generator

NORM = {"slope": 0.2, "momentum": 0.9, "epsilon": 1e-5}
RATE = 0.1


def toy(seed=1, objective="non_saturating", optimizer=keras.optimizers.SGD, rate=RATE):
    """Linear players: 3 numbers of noise and a class to 8 numbers, and these to 1 and 2 logits."""
    keras.utils.set_random_seed(seed)
    noise, label, feature = keras.Input((3,)), keras.Input((), dtype="int32"), keras.Input((2, 2, 2))
    given = layers.Concatenate()([noise, ops.one_hot(label, 2)])
    made = keras.Model([noise, label], layers.Reshape((2, 2, 2))(layers.Dense(8)(given)))
    flat = layers.Flatten()(feature)
    judge = keras.Model(feature, [layers.Dense(1)(flat), layers.Dense(2)(flat)])
    model = ACGAN(made, judge, latent_size=3, objective=objective, seed=seed)
    model.compile({player: optimizer(rate) for player in model.players})
    return model


def batch(count=6, seed=3):
    rng = np.random.default_rng(seed)
    feature = rng.normal(0.5, 1, (count, 2, 2, 2)).astype("float32")
    return {"feature": tf.constant(feature), "label": tf.constant(np.arange(count) % 2, tf.int32)}


def step(model, data):
    """The values of one step alone."""
    for mean in model.loss_means:
        mean.reset_state()
    return {name: float(value) for name, value in model.train_step(data).items()}


def numbers(model):
    return checkpoint.values(model.state())


# ---- one step in NumPy: linear heads, descent at RATE ----


def judged(features, judge):
    source_kernel, source_bias, class_kernel, class_bias = judge
    return (features @ source_kernel + source_bias)[:, 0], features @ class_kernel + class_bias


def head_gradients(features, source_slope, class_slope):
    """Of the heads' kernels and biases, from the slopes of a sum over rows by the logits."""
    by_kernels = [features.T @ source_slope[:, None], features.T @ class_slope]
    return [by_kernels[0], source_slope.sum(keepdims=True), by_kernels[1], class_slope.sum(axis=0)]


def class_terms(logits, label):
    """Mean of -log P(c), its slope by the logits, and the accuracy."""
    rows, one_hot = np.arange(len(label)), np.eye(2)[label]
    loss = -log_softmax(logits, axis=1)[rows, label].mean()
    return loss, (softmax(logits, axis=1) - one_hot) / len(label), np.mean(logits.argmax(axis=1) == label)


def step_by_hand(model, data, noise, wanted, objective):
    judge = [w.astype(float) for w in model.critic.get_weights()]
    kernel, bias = (w.astype(float) for w in model.generator.get_weights())
    real, label = data["feature"].numpy().reshape(-1, 8).astype(float), data["label"].numpy()
    given = np.concatenate([noise, np.eye(2)[wanted]], axis=1)
    fake, count = given @ kernel + bias, len(real)

    (real_source, real_classes), (fake_source, fake_classes) = judged(real, judge), judged(fake, judge)
    real_loss, real_slope, real_accuracy = class_terms(real_classes, label)
    fake_loss, fake_slope, fake_accuracy = class_terms(fake_classes, wanted)
    critic_loss = -np.log(expit(real_source)).mean() - np.log(1 - expit(fake_source)).mean() + real_loss + fake_loss
    of_real = head_gradients(real, (expit(real_source) - 1) / count, real_slope)
    of_fake = head_gradients(fake, expit(fake_source) / count, fake_slope)
    judge = [w - RATE * (a + b) for w, a, b in zip(judge, of_real, of_fake, strict=True)]

    source, classes = judged(fake, judge)
    class_part, slope, _ = class_terms(classes, wanted)
    if objective == "minimax":
        source_part, source_slope = np.log(1 - expit(source)).mean(), -expit(source) / count
    else:
        source_part, source_slope = -np.log(expit(source)).mean(), (expit(source) - 1) / count
    by_fake = source_slope[:, None] * judge[0][:, 0] + slope @ judge[2].T
    values = {
        "generator_loss": source_part + class_part,
        "critic_loss": critic_loss,
        "class_accuracy_real": real_accuracy,
        "class_accuracy_fake": fake_accuracy,
    }
    return values, judge, [kernel - RATE * given.T @ by_fake, bias - RATE * by_fake.sum(axis=0)]


@pytest.mark.parametrize("objective", ["non_saturating", "minimax"])
def test_a_step_by_hand(objective):
    model, data = toy(objective=objective), batch()
    noise, wanted = np.random.default_rng(4).normal(size=(6, 3)), np.array([0, 1, 1, 0, 1, 1])
    model.noise = lambda size: tf.constant(noise, tf.float32)
    model.wanted = lambda size: tf.constant(wanted, tf.int32)
    values, judge, made = step_by_hand(model, data, noise, wanted, objective)
    found = step(model, data)
    assert set(found) == set(values)
    for name, value in values.items():
        assert found[name] == pytest.approx(value, rel=1e-5), name
    for expected, weight in zip(judge + made, model.critic.get_weights() + model.generator.get_weights(), strict=True):
        np.testing.assert_allclose(weight, expected, atol=1e-6)


def test_class_loss_and_accuracy_by_hand():
    logits = tf.constant([[0.0, 0.0], [2.0, 0.0], [0.0, 3.0]])
    label = tf.constant([0, 1, 1])
    expected = np.mean([np.log(2), np.log(1 + np.exp(2)), np.log(1 + np.exp(-3))])
    assert float(class_loss(label, logits)) == pytest.approx(expected, rel=1e-6)
    assert float(class_accuracy(label, logits)) == pytest.approx(2 / 3)
    assert float(class_loss(label, 1e4 * logits)) < 1e4, "finite where the softmax has rounded to 0"


def test_losses_stay_float32_for_small_floats():
    logits = tf.cast([[0.5, 0.25]], tf.bfloat16)
    assert class_loss(tf.constant([1]), logits).dtype == tf.float32
    assert toy(objective="minimax").source_loss(logits).dtype == tf.float32


def test_the_critics_step_leaves_the_generator_alone():
    model, data = toy(), batch()
    before = model.generator.get_weights()
    fake = model.generator([model.noise(6), model.wanted(6)])
    model.critic_step(data["feature"], data["label"], fake, model.wanted(6))
    for expected, found in zip(before, model.generator.get_weights(), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_wanted_classes_and_noise_are_drawn_anew_from_the_seed():
    one, same, other = toy(5), toy(5), toy(6)
    drawn = [[model.wanted(4000).numpy() for _ in range(2)] for model in (one, same, other)]
    np.testing.assert_array_equal(drawn[0], drawn[1])
    assert not np.array_equal(drawn[0][0], drawn[0][1]) and not np.array_equal(drawn[0], drawn[2])
    assert set(drawn[0][0]) == {0, 1} and abs(np.mean(drawn[0]) - 0.5) < 0.03
    assert not np.array_equal(one.noise(4), one.noise(4))
    assert abs(float(tf.math.reduce_std(one.noise(4000))) - 1) < 0.05


def test_same_seed_makes_the_same_steps():
    values = [[step(model, batch()) for _ in range(3)] for model in (toy(2), toy(2), toy(3))]
    assert values[0] == values[1] != values[2]


def test_a_restored_model_goes_on_as_the_one_that_was_saved(tmp_path):
    model, other = toy(1, optimizer=keras.optimizers.Adam), toy(2, optimizer=keras.optimizers.Adam)
    step(model, batch())
    checkpoint.save(tmp_path / "latest.npz", model.state(), Position(3, 2))
    assert checkpoint.restore(tmp_path / "latest.npz", other.state()) == Position(3, 2)
    expected, found = numbers(model), numbers(other)
    assert any("optimizer" in name for name in expected) and any("seed" in v.path for v in model.state().values())
    for name in expected:
        np.testing.assert_array_equal(found[name], expected[name], err_msg=name)
    for _ in range(3):
        assert step(other, batch()) == step(model, batch())


def test_dropout_continues_after_a_restart(tmp_path):
    """The seeds of the critic's dropout and all running statistics are in the state."""
    models = [learner(seed) for seed in (1, 2)]
    data = next(iter(classes()))
    step(models[0], data)
    checkpoint.save(tmp_path / "latest.npz", models[0].state(), Position())
    checkpoint.restore(tmp_path / "latest.npz", models[1].state())
    first, second = (step(model, data) for model in models)
    assert first == pytest.approx(second, rel=1e-5)


def test_two_replicas_make_the_same_update_as_one_device():
    data = {"feature": batch()["feature"], "label": tf.constant([0, 1, 1, 0, 1, 0])}
    dataset = tf.data.Dataset.from_tensors(data).repeat()
    models = []
    for strategy in ("none", "mirrored"):
        with strategy_for(strategy).scope():
            model = toy(objective="minimax")
        model.noise, model.wanted = lambda size: tf.ones((size, 3)), lambda size: tf.ones((size,), tf.int32)
        model.fit(dataset, steps_per_epoch=3, verbose=0, shuffle=False)
        models.append(numbers(model))
    trained = [name for name in models[0] if name.startswith(("generator/0", "critic/0"))]
    assert len(trained) == 6
    for name in trained:
        np.testing.assert_allclose(models[1][name], models[0][name], atol=1e-5, err_msg=name)


def test_an_unknown_objective():
    with pytest.raises(UserError, match=r"no objective 'minmax'.*minimax"):
        toy(objective="minmax")


# ---- two separable classes, the real networks ----


def learner(seed=1):
    keras.utils.set_random_seed(seed)
    made = generator((4, 4, 6), width=16, latent=8, **NORM)
    judge = discriminator((4, 4, 6), width=16, dropout=0.5, **NORM)
    model = ACGAN(made, judge, latent_size=8, seed=seed)
    model.compile({player: keras.optimizers.Adam(0.002, beta_1=0.5) for player in model.players})
    return model


def classes():
    """Class 1 has its first three channels high, class 0 its last three."""
    pattern = tf.constant([[-1.0, -1, -1, 1, 1, 1], [1.0, 1, 1, -1, -1, -1]])

    def features(number):
        label = tf.range(32, dtype=tf.int32) % 2
        noise = tf.random.stateless_normal((32, 4, 4, 6), tf.stack([number, 7]), stddev=0.5)
        return {"feature": tf.gather(pattern, label)[:, None, None] + noise, "label": label}

    return tf.data.Dataset.counter(dtype=tf.int64).map(features)


def test_the_class_head_agrees_with_the_condition_after_training(tmp_path):
    model = learner()
    model.fit(classes(), steps_per_epoch=300, epochs=1, verbose=0, shuffle=False)
    noise = np.random.default_rng(1).standard_normal((200, 8)).astype("float32")
    wanted = np.arange(200) % 2
    fake = model.generator([noise, wanted]).numpy()
    _, logits = model.critic(fake)
    assert float(class_accuracy(wanted, logits)) > 0.9
    # Not only in the critic's eyes: the first three channels against the last three.
    contrast = fake[..., :3].mean(axis=(1, 2, 3)) - fake[..., 3:].mean(axis=(1, 2, 3))
    assert np.mean((contrast > 0) == wanted) > 0.9
    # The same noise, the other class.
    assert np.abs(fake - model.generator([noise, 1 - wanted])).max(axis=(1, 2, 3)).min() > 0.1

    model.generator.save(tmp_path / "generator.keras")
    again = keras.saving.load_model(tmp_path / "generator.keras", compile=False, safe_mode=True)
    np.testing.assert_array_equal(again([noise, wanted]), fake)


def test_a_step_in_mixed_precision_is_finite():
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = learner()
    finally:
        keras.config.set_dtype_policy(before)
    weights = model.generator.get_weights()
    values = step(model, next(iter(classes())))
    assert np.isfinite(list(values.values())).all() and 0 < values["critic_loss"] < 20
    assert any(not np.array_equal(a, b) for a, b in zip(weights, model.generator.get_weights(), strict=True))
    assert {weight.dtype for weight in model.generator.get_weights()} == {np.dtype("float32")}
