"""scripts/benchmarks/progressive.py: that PyTorch's networks are the same as ours."""

import numpy as np
import pytest
from benchmarks import progressive

from kerasgan.papers import settings_of

torch = pytest.importorskip("torch")

from benchmarks.pytorch_progressive import Training  # noqa: E402

SMALL = ["data.size=16", "data.frame=null", "network.scale=0.02", "network.latent=8", "network.class_from=8"]


def copy(layer, module):
    kernel, bias = layer.get_weights()
    kernel = kernel.transpose(3, 2, 0, 1) if kernel.ndim == 4 else kernel.T
    with torch.no_grad():
        module.weight.copy_(torch.from_numpy(kernel.copy()))
        module.bias.copy_(torch.from_numpy(bias))


@pytest.mark.parametrize("side", [4, 8, 16])
def test_pytorchs_networks_make_and_judge_the_same(side):
    settings = settings_of("pggan", overrides=SMALL)
    ours = progressive.our_model(side, settings)
    theirs = Training(side, progressive.architecture(settings), settings.pggan, torch.channels_last)
    rng = np.random.default_rng(3)
    for variable in ours.generator.trainable_variables + ours.critic.trainable_variables:
        variable.assign(rng.standard_normal(variable.shape))
    made, judge = ours.generator.get_layer, ours.critic.get_layer
    copy(made("map4_dense"), theirs.generator.dense)
    copy(judge("features"), theirs.critic.features)
    copy(judge("verdict"), theirs.critic.verdict)
    groups = (theirs.generator, made, {"up": "map{}_up", "conv": "map{}_conv", "image": "image{}"})
    others = (theirs.critic, judge, {"down": "map{}_down", "conv": "map{}_conv", "from_image": "from{}"})
    for network, layer, names in (groups, others):
        for attribute, name in names.items():
            for number, module in getattr(network, attribute).items():
                copy(layer(name.format(number)), module)
    if side >= 8:
        for network, layer in ((theirs.generator, made("map8_class")), (theirs.critic, judge("projection"))):
            network.table.data.copy_(torch.from_numpy(layer.get_weights()[0]))
    assert sum(p.numel() for p in theirs.players[1]) == sum(v.numpy().size for v in ours.generator.trainable_variables)
    assert sum(p.numel() for p in theirs.players[0]) == sum(v.numpy().size for v in ours.critic.trainable_variables)

    assert float(ours.set_alpha()) == theirs.alpha
    noise, (images, labels) = rng.uniform(-1, 1, (4, 8)).astype("float32"), progressive.random_batch(side, 4)
    image, label = theirs.prepare(images, labels)
    with torch.no_grad():
        drawn = theirs.generator(torch.from_numpy(noise), label, theirs.alpha).permute(0, 2, 3, 1)
        verdicts = theirs.critic(image, label, theirs.alpha)
    told = side >= 8
    expected = ours.generator([noise, labels] if told else noise).numpy()
    np.testing.assert_allclose(drawn, expected, atol=1e-5 * np.abs(expected).max())
    expected = ours.critic([images, labels] if told else images).numpy()
    np.testing.assert_allclose(verdicts, expected, atol=1e-5 * np.abs(expected).max())


def test_quick_rows_are_finite(monkeypatch):
    monkeypatch.setattr(progressive, "PRECISIONS", {"mixed_bfloat16": "bf16"})
    found = progressive.rows(quick=True)
    assert [row.unit for row in found] == 3 * ["steps/s"] + ["s"] + 3 * ["GB"]
    assert all(0 < row.value < np.inf for row in found)
    assert [row.ratio is None for row in found] == [True, False, False, *4 * [True]]
