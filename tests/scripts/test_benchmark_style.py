"""scripts/benchmark style: that PyTorch and SciPy minimise the same objective from the same image, and its rows."""

import numpy as np
import pytest
import tensorflow as tf
from benchmarks import style as benchmark
from benchmarks.timing import Ratio

from kerasgan.papers.aggrgan.style import Objective, features
from kerasgan.papers.aggrgan.vgg19 import load_vgg19


@pytest.fixture(scope="module")
def vgg():
    """Weights with biases that show."""
    loaded = load_vgg19("random", seed=1)
    rng = np.random.default_rng(5)
    arrays = [w + (rng.normal(scale=5, size=w.shape) if w.ndim == 1 else 0) for w in loaded.network.get_weights()]
    loaded.network.set_weights(arrays)
    return loaded


@pytest.fixture(scope="module")
def work(vgg):
    return benchmark.Work(vgg, size=24, batch=2, others=1, iterations=2)


@pytest.fixture(scope="module")
def ours(work):
    """kerasgan's losses of the image that the others take."""
    return work.ours().losses[:, 0]


@pytest.fixture(scope="module")
def torch_objective(work):
    pytest.importorskip("torch")
    from benchmarks import pytorch_style

    (content, style, _), *_ = work.pairs()
    return pytorch_style.Objective(
        pytorch_style.Features(work.vgg.network, benchmark.WEIGHTS), content, style, benchmark.WEIGHTS
    )


def test_the_objective_and_its_gradient_in_pytorch_are_the_same(work, torch_objective):
    import torch

    (content, style, _), *_ = work.pairs()
    start = content + np.random.default_rng(0).normal(scale=5, size=content.shape)
    ours = Objective(features(work.vgg.network, benchmark.WEIGHTS), benchmark.WEIGHTS)
    expected, gradient = ours(tf.constant(start.reshape(1, -1)), ours.targets(content[None], style[None]))
    image = torch.tensor(start, dtype=torch.float32, requires_grad=True)
    loss = torch_objective(image)
    loss.backward()
    assert loss.item() == pytest.approx(float(expected[0]), rel=1e-4)
    difference = image.grad.numpy().ravel() - gradient[0].numpy()
    assert np.linalg.norm(difference) < 1e-4 * np.linalg.norm(gradient[0])


@pytest.mark.parametrize("line_search", ["strong_wolfe", None])
def test_pytorchs_loop_starts_where_ours_does_and_ends_at_the_loss_to_reach(work, ours, torch_objective, line_search):
    from benchmarks.pytorch_style import losses

    (content, *_), *_ = work.pairs()
    found = losses(torch_objective, content, 5, line_search)
    assert found[0] == pytest.approx(ours[0], rel=1e-4)
    target = (found[0] + min(found)) / 2
    ended = losses(torch_objective, content, 5, line_search, target)
    assert ended[-1] <= target < min(ended[:-1])
    assert len(ended) < len(found)


def test_scipys_loop_starts_where_ours_does_and_ends_at_the_loss_to_reach(work, ours):
    (*_, target), *_ = work.pairs()
    assert target == ours[-1]
    (found,) = benchmark.with_scipy(work, features(work.vgg.network, benchmark.WEIGHTS))
    assert found[0] == pytest.approx(ours[0], rel=1e-4)
    assert found[-1] <= target < min(found[:-1])


def test_rows_are_seconds_an_image_with_ratios_of_all_but_ours(work, monkeypatch):
    def seconds(calls, rounds):
        return {name: np.full(rounds, 4.0 if name == benchmark.OURS else 6.0) for name in calls}

    monkeypatch.setattr(benchmark, "in_turns", seconds)
    rate, ours, *others = benchmark._rows(work, rounds=2)
    assert (rate.value, rate.unit) == (2 * 2 / 4, "iterations of an image/s")
    assert (ours.value, ours.unit, ours.ratio) == (4 / 2, "s/image", None)
    assert all((row.value, row.unit, row.ratio) == (6, "s/image", Ratio(3, 3, 3)) for row in others)
    assert all(row.expected == "at least 1.5" for row in others if "PyTorch" in row.what)
