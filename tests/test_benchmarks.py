"""scripts/benchmark: that it compares the same networks, steps and slices, counts rightly, and prints its table."""

import itertools
import math
import os
import platform
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasgan.data.indexers import index
from kerasgan.data.prepare import prepare_slices
from kerasgan.data.splits import partition_patients
from kerasgan.data.volumes import read_volumes
from kerasgan.gan.layers import UpConv2D
from kerasgan.papers import settings_of
from kerasgan.papers.pairwise import gan, networks
from kerasgan.threads import usable_cores

SCRIPTS = Path(__file__).parents[1] / "scripts"
sys.path.insert(0, str(SCRIPTS))

from benchmarks import __main__ as command  # noqa: E402
from benchmarks import acgan, feeding, machine, noise, operations, plain_keras, step, unet  # noqa: E402
from benchmarks import classifier as classifying  # noqa: E402
from benchmarks import prepare as preparing  # noqa: E402
from benchmarks.timing import Ratio, in_turns, rate, times_as_fast  # noqa: E402

SIZE = 32
# PyTorch's Adam adds epsilon after correcting the second moment, Keras's before: at step 1, sqrt(1 - beta_2) of it.
FIRST_EPSILON = 1e-7 / math.sqrt(1 - 0.999)
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


# ---- timing ----


def test_ratios_are_taken_round_by_round():
    ours, theirs = np.array([1.0, 2.0, 4.0]), np.array([2.0, 2.0, 2.0])  # 2, 1 and 1/2 times as fast
    assert times_as_fast(ours, theirs) == Ratio(median=1.0, lower=0.75, upper=1.5)


def test_a_rate_is_of_the_median_round():
    assert rate(12, np.array([2.0, 100.0, 3.0])) == 4.0


def test_calls_take_turns_after_one_that_is_not_measured():
    made = []
    seconds = in_turns({name: lambda name=name: made.append(name) for name in "abc"}, rounds=2)
    assert "".join(made) == "abc" + "abc" + "bca"
    assert {name: taken.shape for name, taken in seconds.items()} == {"a": (2,), "b": (2,), "c": (2,)}
    assert all((taken >= 0).all() for taken in seconds.values())


def test_the_machine_is_described_without_its_name():
    text = machine.describe()
    assert f"tensorflow {tf.__version__}" in text and f"{usable_cores()} cores" in text
    assert platform.node() not in text


# ---- operations ----


def test_multiplications_of_a_small_network_by_hand():
    image = keras.Input((4, 4, 2))
    x = keras.layers.Conv2D(3, 4, strides=2, padding="same")(image)  # 2 x 2 pixels, 4 x 4 taps, 2 x 3 channels
    x = UpConv2D(5, 4)(keras.layers.ReLU()(x))  # 2 x 2 pixels, 5 x 5 taps, 3 x 5 channels
    assert operations.multiplications(keras.Model(image, x)) == [4 * 16 * 6, 4 * 25 * 15]


@pytest.mark.parametrize("size", [3, 4, 5])
def test_an_up_convolution_reads_as_many_distinct_pixels_as_counted(size):
    image = keras.Input((8, 8, 1))
    before = (size - 1) // 2
    # Of the pixels that the outputs 10 and 11 read in the enlarged image, the distinct ones in the small image.
    distinct = sum(len({(output - before + tap) // 2 for tap in range(size)}) for output in (10, 11))
    assert operations.multiplications(keras.Model(image, UpConv2D(1, size)(image))) == [64 * distinct**2]


def test_least_operations_of_the_published_networks_by_hand():
    g = [2_097_152, 33_554_432, 33_554_432, 33_554_432, 52_428_800, 104_857_600, 104_857_600, 6_553_600]
    d = [4_194_304, 134_217_728, 134_217_728, 134_217_728, 524_288]
    # Generator: forward, kernels, inputs. Discriminator: 2 forward, 2 x kernels and 2 x inputs for its own loss, and
    # the inputs once more for the generators'. No gradient of an image but the last. Two directions, * and +.
    pair = 2 * 2 * (sum(g) + sum(g) + sum(g[1:]) + 2 * sum(d) + 2 * sum(d) + 2 * sum(d[1:]) + sum(d))
    generator, discriminator = networks.generator("g", 128), networks.discriminator("d", 128)
    assert step.minimal_operations(generator, discriminator) == pair == 15_821_963_264


def test_matrix_products_count_what_they_compute(monkeypatch):
    shapes = []
    multiply = tf.matmul
    monkeypatch.setattr(tf, "matmul", lambda a, b: (shapes.append((a.shape, b.shape)), multiply(a, b)))
    for size, (count, call) in operations.matrix_products("bfloat16", quick=True).items():
        call()
        assert set(shapes) == {((size, size), (size, size))} and count == len(shapes) * 2 * size**3


# ---- the same networks, steps and slices ----


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


def flat(weights):
    return np.concatenate([array.ravel() for array in weights])


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


def to_torch(array):
    return array.transpose(3, 2, 0, 1).copy() if array.ndim == 4 else array


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


def assert_same_first_step(ours, theirs, before, rate):
    """Adagrad's first step is the rate in the gradient's direction; a gradient of rounding errors may have any."""
    moves, other_moves = flat(ours) - flat(before), flat(theirs) - flat(before)
    assert np.mean(np.abs(moves - other_moves) > 0.05 * rate) < 1e-3
    assert np.mean(np.abs(moves)) > 0.5 * rate


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


def assert_same_latent_step(pairs, before, rate):
    """Both optimizers' first step is a multiple of the rate in the gradient's direction, which rounding may turn."""
    for (ours, theirs), start in zip(pairs, before, strict=True):
        assert np.mean(np.abs(flat(ours) - flat(theirs)) > 0.1 * rate) < 2e-3
        assert np.mean(np.abs(flat(ours) - flat(start))) > 0.5 * rate


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


def latent_weights(network):
    """The trainable arrays, kernels in PyTorch's layout: (in, out, h, w) where transposed, else (out, in, h, w)."""
    return [
        array.transpose(3, 2, 0, 1).copy() if array.ndim == 4 else array.T.copy()
        for array in map(np.array, network.trainable_variables)
    ]


def latent_parameters(network):
    """PyTorch's parameters in Keras's order: each layer, then its normalisation."""
    first, last = ("project", "image") if hasattr(network, "project") else (None, "verdict")
    layers = [network.project, *network.up] if first else [*network.down]
    norms = [*network.norms] if first else [None, *network.norms]
    ordered = [module for pair in zip(layers, norms, strict=True) for module in pair if module is not None]
    return [p for module in (*ordered, getattr(network, last)) for p in module.parameters()]


@pytest.mark.parametrize("layout", ["channels_last", "contiguous_format"])
def test_the_unet_and_its_step_in_pytorch_are_the_same_turned_by_180_degrees(layout):
    torch = pytest.importorskip("torch")
    from benchmarks.pytorch_unet import Training

    overrides = ["unet.kernels=he_normal", "unet.learning_rate=0.001", *unet.SMALL]
    settings = settings_of("unet", overrides=overrides)
    model, training = unet.our_model(settings), Training(settings.unet, 1, getattr(torch, layout))
    pairs = unet_pairs(model.network, training.network)
    random, before = np.random.default_rng(5), []
    for variable, parameter in pairs:
        if variable.name == "bias":
            variable.assign(random.normal(scale=0.1, size=variable.shape))
        before.append(turned(variable.numpy()))
        parameter.data.copy_(torch.from_numpy(before[-1]))
    assert sum(p.numel() for p in training.network.parameters()) == model.network.count_params()
    batch = unet.random_batch(2, SIZE)
    image, mask = training.prepare({name: array[:, ::-1, ::-1].copy() for name, array in batch.items()})
    with torch.no_grad():
        outputs = training.network(image).permute(0, 2, 3, 1).numpy()[:, ::-1, ::-1]
    np.testing.assert_allclose(outputs, model.network(batch["image"]), atol=1e-5)
    training.optimizer.param_groups[0]["eps"] = FIRST_EPSILON
    logs = model.train_step(tensors_of(batch))
    assert training.train_step(image, mask) == pytest.approx(
        [float(logs[k]) for k in ("loss", "dice", "iou")], rel=1e-4
    )
    ours, theirs = [turned(variable.numpy()) for variable, _ in pairs], [p.detach().numpy() for _, p in pairs]
    assert_same_first_step(ours, theirs, before, settings.unet.learning_rate)


def unet_pairs(network, theirs):
    """Each array of ours with PyTorch's parameter of it."""
    blocks = [(f"conv{level}", block) for level, block in enumerate(theirs.encoders, 1)]
    blocks += [(f"uconv{4 - k}", block) for k, block in enumerate(theirs.decoders)]
    layers = [(f"{name}_{k}", each) for name, block in blocks for k, each in enumerate((block.first, block.second), 1)]
    layers += [(f"deconv{4 - k}", up) for k, up in enumerate(theirs.ups)] + [("uconv1", theirs.logits)]
    return [
        pair
        for name, module in layers
        for pair in zip(network.get_layer(name).trainable_variables, (module.weight, module.bias), strict=True)
    ]


def turned(array):
    """A kernel in PyTorch's layout, turned by 180 degrees; a bias as it is."""
    return array[::-1, ::-1].transpose(3, 2, 0, 1).copy() if array.ndim == 4 else array


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


def tensors_of(batch):
    return {name: tf.constant(array) for name, array in batch.items()}


def test_the_plain_loop_makes_the_same_slices(brats_folder):
    settings = preparing.prepare_settings(quick=True).data
    visit = index(brats_folder, "brats").visits[0]
    volumes = read_volumes(dict(visit.images) | {"segmentation": visit.segmentation})
    segmentation = volumes.pop("segmentation").data
    ours, _ = prepare_slices(volumes, segmentation, settings)
    theirs = preparing.plain_examples(visit, settings)
    assert len(theirs) == len(ours) == 6
    for piece, example in zip(ours, theirs, strict=True):
        for modality, image in piece.images.items():
            np.testing.assert_allclose(plain_image(example, modality, np.float32, settings.size), image, atol=1e-5)
        label = plain_image(example, "segmentation", np.uint8, settings.size)
        np.testing.assert_array_equal(label > 0, piece.segmentation > 0)


def plain_image(example, name, dtype, size):
    return np.frombuffer(example.features.feature[name].bytes_list.value[0], dtype).reshape(size, size)


def test_fed_batches_are_all_full():
    settings = settings_of("pairwise")
    patients = {str(number): "all" for number in range(feeding.PATIENTS)}
    train = partition_patients(patients, settings.split)[0]["train"]
    slices = len(train) * len(settings.data.views) * settings.data.slices_per_view
    assert slices % settings.training.batch_size == 0


# ---- the command ----


@pytest.mark.slow
def test_quick_prints_a_table_of_finite_numbers(tmp_path, capsys, monkeypatch):
    monkeypatch.delitem(command.BENCHMARKS, "style")  # has tests of its own, and VGG-19's size whatever the image's
    command.main(["--quick", "--out", str(tmp_path / "table.md")])
    printed = capsys.readouterr().out
    assert (tmp_path / "table.md").read_text(encoding="utf-8") == printed
    head, _, header, _, *lines = printed.splitlines()
    assert head.endswith("--quick, so the numbers mean nothing")
    assert [cell.strip() for cell in header.strip("|").split("|")] == list(command.HEADER)
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert [name for name, _ in itertools.groupby(row[0] for row in rows)] == list(command.BENCHMARKS)
    for _, what, measured, ratio, _ in rows:
        numbers = [float(measured.split()[0]), *([float(ratio.split()[0])] if ratio else [])]
        assert all(map(math.isfinite, numbers)), what
    assert {"kerasgan, fp32", "kerasgan, bf16", "Keras alone, fp32"} <= {row[1] for row in rows}


def test_an_unknown_benchmark_is_named(capsys):
    with pytest.raises(SystemExit):
        command.main(["stpe"])
    assert (
        "no benchmark stpe; there are step, classifier, dcgan, wgan, pggan, unet, acgan, feeding, prepare, "
        "translate, style" in capsys.readouterr().err
    )


def test_the_script_runs():
    environment = {**os.environ, "PYTHON": sys.executable}
    asked = subprocess.run(
        [SCRIPTS / "benchmark", "--help"], capture_output=True, text=True, env=environment, check=True
    )
    assert "--quick" in asked.stdout
