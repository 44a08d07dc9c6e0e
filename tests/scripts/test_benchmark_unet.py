"""scripts/benchmark unet: the same network and step in PyTorch."""

import numpy as np
import pytest
from benchmarks import unet
from comparing import FIRST_EPSILON, SIZE, assert_same_first_step, tensors_of

from kerasgan.papers import settings_of


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
