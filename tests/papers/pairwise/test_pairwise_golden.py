"""`PairwiseGAN` against `reference.py`, which computes Algorithm 1 in NumPy and was written from the paper alone.

Both run in float64. What the package keeps in float32 under every policy (the generators' last layer, the verdicts, the
losses) is float32 here too, so losses agree to about 1e-7, and so do gradients, relative to the terms that they are
sums of.
"""

from functools import partial

import keras
import numpy as np
import pytest
import reference
import tensorflow as tf

from kerasgan.papers.pairwise import networks
from kerasgan.papers.pairwise.gan import PairwiseGAN

SIZE, BATCH, STEPS = 16, 2, 2
GENERATOR_FILTERS = (3, 9, 5)  # 9, 3 and 1 filters up: each takes another form of the up-convolution
DISCRIMINATOR_FILTERS = (3, 4)
NETWORKS = ("G_m", "G_n", "D_m", "D_n")
PLAYERS = {"generators": {"G_m", "G_n"}, "discriminator_n": {"D_n"}, "discriminator_m": {"D_m"}}
LOSS = {"l1_weight": 100.0, "mask_background": 1 / 3}
# Exact in float32, to which Keras rounds both: for a beta_2 of 0.999 that alone is 6e-6 of a step.
RATE, BETA_1, BETA_2 = 2**-7, 0.5, 1 - 2**-10
# Two Adams, by epsilon. With Keras's own, every weight moves by about the rate however large its gradient, and where
# a gradient nearly cancels its rounding error is blown up: the worst of 6444 weights is 9e-5 of the rate off. With one
# of the size of the gradients a step grows with the gradient, so that a loss of half the size shows too, and the worst
# weight, 3e-6 of the rate off, is where float32 weights round. A step moves the median weight by 0.7 and 0.03 rates.
KERAS_EPSILON, LARGE_EPSILON = 1e-7, 2**-4
TOLERANCE = {KERAS_EPSILON: 1e-3 * RATE, LARGE_EPSILON: 1e-4 * RATE}
SAME = 1e-5 * RATE  # the package against itself: float32 that was summed in another order


def package_model(epsilon=LARGE_EPSILON, learning=tuple(PLAYERS), **loss):
    """The package's model with the same random weights at each call; players that are not `learning` have rate 0."""
    rates = {player: RATE if player in learning else 0.0 for player in PLAYERS}
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float64")
    try:
        generators = [networks.generator(name, SIZE, GENERATOR_FILTERS) for name in NETWORKS[:2]]
        discriminators = [networks.discriminator(name, SIZE, DISCRIMINATOR_FILTERS) for name in NETWORKS[2:]]
        model = PairwiseGAN(generators, discriminators, **LOSS | loss)
        model.compile({player: keras.optimizers.Adam(rates[player], BETA_1, BETA_2, epsilon) for player in PLAYERS})
    finally:
        keras.config.set_dtype_policy(before)
    rng = np.random.default_rng(3)  # with these weights no ReLU is 0 for every pixel, so every weight moves
    for network in (*generators, *discriminators):
        for variable in network.trainable_variables:
            scale = np.sqrt(2 / np.prod(variable.shape[:-1])) if variable.name == "kernel" else 0.1
            variable.assign(rng.normal(scale=scale, size=variable.shape))
    return model


def weights_of(model):
    """Network, by the name that it was built with -> "layer/kernel" or "layer/bias" -> array."""
    return {
        network.name: {"/".join(v.path.split("/")[-2:]): v.numpy() for v in network.trainable_variables}
        for own in model.players.values()
        for network in own
    }


def flat(weights):
    return np.concatenate([array.ravel() for array in weights.values()])


def batch_of(seed):
    """Slices in [-1, 1] and a tumour mask of 30 % of the pixels."""
    rng = np.random.default_rng(seed)
    m, n = rng.uniform(-1, 1, (2, BATCH, SIZE, SIZE, 1))
    return {"m": m, "n": n, "tumour": (rng.random(m.shape) < 0.3).astype(m.dtype)}


def package_step(model, batch):
    """One step of the package; the losses that it reports."""
    model.reset_metrics()
    logs = model.train_step({name: tf.constant(array) for name, array in batch.items()})
    return {name: float(value) for name, value in logs.items()}


@pytest.fixture(scope="module", autouse=True)
def on_cpu():
    with tf.device("CPU:0"):  # GPUs round the factors of float32 convolutions to ten bits (TF32)
        yield


@pytest.fixture(scope="module", params=[KERAS_EPSILON, LARGE_EPSILON], ids=["keras_epsilon", "large_epsilon"])
def trained(request):
    """(epsilon, initial weights, package, reference) after both made two steps; a side is (losses, weights)."""
    model = package_model(request.param)
    initial, theirs = weights_of(model), weights_of(model)
    adam = partial(reference.Adam, RATE, BETA_1, BETA_2, request.param)
    golden = reference.PairwiseGAN(theirs, adam, **LOSS)
    batches = [batch_of(seed) for seed in range(STEPS)]
    package_losses = [package_step(model, batch) for batch in batches]
    golden_losses = [golden.train_step(batch["m"], batch["n"], batch["tumour"]) for batch in batches]
    return request.param, initial, (package_losses, weights_of(model)), (golden_losses, golden.weights)


def test_losses_equal_the_reference(trained):
    _, _, (package_losses, _), (golden_losses, _) = trained
    for package, golden in zip(package_losses, golden_losses, strict=True):
        assert package == pytest.approx(golden, rel=1e-6)


@pytest.mark.parametrize("network", NETWORKS)
def test_weights_equal_the_reference(trained, network):
    epsilon, initial, (_, package), (_, golden) = trained
    assert package[network].keys() == golden[network].keys()
    for name, expected in golden[network].items():
        np.testing.assert_allclose(package[network][name], expected, rtol=0, atol=TOLERANCE[epsilon], err_msg=name)
        assert np.all(expected != initial[network][name]), f"{name} has weights that nothing was shown about"


@pytest.mark.parametrize("network", ["G_m", "G_n", "D_n"])
def test_gradients_of_the_reference_are_finite_differences(network):
    batch = batch_of(seed=0)
    x_m, x_n, mask = batch["m"], batch["n"], np.where(batch["tumour"] == 1, 1, 1 / 3)
    fixed = {n: nodes_of(arrays) for n, arrays in weights_of(package_model()).items()}

    def loss(nodes):
        if network == "D_n":
            return reference.discriminator_loss(nodes, x_n, x_m)
        now = fixed | {network: nodes}
        fake_n, fake_m = reference.generator(now["G_m"], x_m), reference.generator(now["G_n"], x_n)
        l1 = reference.l1_loss(fake_n, fake_m, x_m, x_n, mask)
        return reference.generator_loss(now["D_m"], now["D_n"], fake_n, fake_m, l1, l1_weight=2.0)

    arrays = {name: node.value for name, node in fixed[network].items()}
    gradients = reference.gradients(loss(fixed[network]), fixed[network])
    rng, h = np.random.default_rng(1), 1e-6
    for name, array in arrays.items():
        direction = rng.normal(size=array.shape)
        ahead, behind = (loss(nodes_of(arrays | {name: array + s * h * direction})).value for s in (1, -1))
        slope = np.sum(gradients[name] * direction)
        assert slope == pytest.approx((ahead - behind) / (2 * h), rel=1e-6, abs=1e-8), name


def nodes_of(arrays):
    return {name: reference.Node(array) for name, array in arrays.items()}


@pytest.mark.parametrize("player", PLAYERS)
def test_a_player_moves_its_own_networks_as_if_alone(player):
    # All of a step's gradients belong to the fakes of step 3, so no player's update may depend on another's.
    # Little L1, so that the generators listen to the discriminators.
    together, alone = package_model(l1_weight=1.0), package_model(l1_weight=1.0, learning=[player])
    initial = weights_of(together)
    for model in (together, alone):
        package_step(model, batch_of(seed=0))
    for network, weights in weights_of(alone).items():
        expected = weights_of(together)[network] if network in PLAYERS[player] else initial[network]
        np.testing.assert_allclose(flat(weights), flat(expected), rtol=0, atol=SAME)
        assert (network in PLAYERS[player]) == np.any(flat(weights) != flat(initial[network]))


def test_generators_are_deaf_to_verdicts_on_real_images():
    # Without L1, x_n reaches G_m through D_n(x_n) alone, a term of eq. (3) that no generator can change.
    batch = batch_of(seed=0)
    after = []
    for changed in (batch, batch | {"n": batch_of(seed=1)["n"]}):
        model = package_model(l1_weight=0.0)
        package_step(model, changed)
        after.append({network: flat(weights) for network, weights in weights_of(model).items()})
    np.testing.assert_allclose(after[0]["G_m"], after[1]["G_m"], rtol=0, atol=SAME)
    for network in ("G_n", "D_m", "D_n"):
        assert np.abs(after[0][network] - after[1][network]).max() > 1e-3 * RATE
