"""scripts/benchmark: ratios, counts of operations, the machine, and the table that it prints."""

import importlib.util
import itertools
import math
import os
import platform
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from benchmarks import __main__ as command
from benchmarks import classifier, machine, noise, operations, plain_keras, progressive, step
from benchmarks.timing import Ratio, in_turns, rate, times_as_fast
from benchmarks.ways import compared
from conftest import narrow

from kerasgan.gan.layers import UpConv2D
from kerasgan.papers import settings_of
from kerasgan.papers.pairwise import networks
from kerasgan.threads import usable_cores

SCRIPTS = Path(__file__).parents[2] / "scripts"

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


def test_a_row_says_how_many_times_as_fast_kerasgan_is():
    seconds = {"kerasgan": np.array([1.0, 2.0, 4.0]), "Keras alone": np.array([2.0, 2.0, 2.0])}
    ours, theirs = compared(seconds, 8, "steps/s", "fp32", {"Keras alone": "at least 1.1"})
    assert command.cells("step", ours) == ("step", "kerasgan, fp32", "4 steps/s", "", "")
    assert command.cells("step", theirs)[2:] == ("4 steps/s", "1.00 times as fast (0.75 to 1.50)", "at least 1.1")


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


# ---- the command ----


@pytest.fixture
def small(monkeypatch):
    """Narrow networks and fewer critic steps, which --quick leaves as they were published."""
    streams = ("filters=[4,8,8]", "downsample_after=[1,2]", "dense=[8]")
    more = {classifier: [f"classifier.network.{own}" for own in streams], noise: ["wgan.critic_steps=2"]}
    for benchmark, own in more.items():
        smaller = partial(lambda own, model, overrides: settings_of(model, overrides=[*overrides, *own]), own)
        monkeypatch.setattr(benchmark, "settings_of", smaller)
    with narrow():
        players = {"generator": networks.generator.__defaults__, "discriminator": networks.discriminator.__defaults__}
        monkeypatch.setattr(plain_keras.generator, "__defaults__", players["generator"])
        if importlib.util.find_spec("torch"):
            from benchmarks import pytorch

            monkeypatch.setattr(progressive, "PRECISIONS", {"float32": "fp32"})  # test_benchmark_pggan.py has the other
            for name, filters in players.items():
                monkeypatch.setattr(getattr(pytorch, name.capitalize()).__init__, "__defaults__", filters)
        yield


@pytest.mark.slow
@pytest.mark.usefixtures("small")
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


def test_a_table_of_some_benchmarks_says_so(capsys, monkeypatch):
    monkeypatch.setattr(command, "BENCHMARKS", {name: lambda quick: [] for name in ("step", "unet", "style")})
    command.main(["style", "step"])
    assert capsys.readouterr().out.splitlines()[0].endswith("; step, style alone")
    command.main([])
    assert "alone" not in capsys.readouterr().out


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


def test_without_an_environment_it_says_how_to_make_one(tmp_path):
    (tmp_path / "scripts").mkdir()
    script = shutil.copy(SCRIPTS / "benchmark", tmp_path / "scripts")
    asked = subprocess.run(
        [script], capture_output=True, text=True, env={**os.environ, "PYTHON": "python3.99"}, check=False
    )
    assert asked.returncode == 2
    assert asked.stderr.startswith("kerasgan is not installed for python3.99: scripts/environment bench makes .venv")
    assert asked.stderr.count("\n") == 1
