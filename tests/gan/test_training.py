import csv
import os
import signal

import keras
import numpy as np
import pytest
import tensorflow as tf
from toy import batches, numbers, toy

from kerasgan.errors import UserError
from kerasgan.gan import checkpoint
from kerasgan.gan.callbacks import Every, History
from kerasgan.gan.training import Diverged, Stopped, fit

STEPS = 5


def train(folder, model, epochs, resume=False, callbacks=(), data=batches, **options):
    options = dict(steps_per_epoch=STEPS, folder=folder, checkpoint_every=1, callbacks=callbacks) | options
    fit(model, data, epochs=epochs, resume=resume, **options)
    return numbers(model)


class At(keras.callbacks.Callback):
    """Does something once, after step `step` of epoch `epoch`."""

    def __init__(self, epoch, step, action):
        super().__init__()
        self.where, self.action, self.epoch = (epoch, step), action, None

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if (self.epoch, batch) == self.where:
            self.action()


class Killed(Exception):
    """Stands for a SIGKILL: nothing is saved on the way out."""


def kill():
    raise Killed


def assert_same(one, two):
    assert one.keys() == two.keys()
    for name in one:
        np.testing.assert_array_equal(one[name], two[name], err_msg=name)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    return train(tmp_path_factory.mktemp("whole"), toy(), epochs=4)


def test_killed_in_mid_epoch_and_resumed_ends_like_the_uninterrupted_run(tmp_path, uninterrupted):
    with pytest.raises(Killed):
        train(tmp_path, toy(), epochs=4, callbacks=[At(2, 3, kill)])
    assert_same(train(tmp_path, toy(seed=9), epochs=4, resume=True), uninterrupted)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("step", [0, 2, STEPS - 1])
def test_a_stopped_run_goes_on_from_the_very_step(tmp_path, uninterrupted, number, step):
    with pytest.raises(Stopped) as stopped:
        train(tmp_path, toy(), epochs=4, callbacks=[At(1, step, lambda: os.kill(os.getpid(), number))])
    where = stopped.value.position
    assert (where.epoch, where.step) == ((2, 0) if step == STEPS - 1 else (1, step + 1))
    assert stopped.value.signal_number == number
    words = "after epoch 2" if step == STEPS - 1 else f"in epoch 2 after step {step + 1}"
    assert str(stopped.value) == f"stopped {words}; the state is saved"
    assert_same(train(tmp_path, toy(seed=9), epochs=4, resume=True), uninterrupted)


def test_killed_while_the_checkpoint_is_written_it_goes_on_from_the_one_before(tmp_path, uninterrupted, monkeypatch):
    written, savez = [], np.savez

    def killed(*arguments, **arrays):
        if len(written) == 2:
            raise Killed
        written.append(1)
        savez(*arguments, **arrays)

    monkeypatch.setattr(np, "savez", killed)
    with pytest.raises(Killed):
        train(tmp_path, toy(), epochs=4)
    monkeypatch.undo()
    assert not (tmp_path / "latest.npz").exists()
    assert checkpoint.position_of(checkpoint.newest(tmp_path)).epoch == 2
    assert_same(train(tmp_path, toy(seed=9), epochs=4, resume=True), uninterrupted)


def test_signals_are_given_back(tmp_path):
    before = signal.getsignal(signal.SIGTERM)
    train(tmp_path, toy(), epochs=1)
    assert signal.getsignal(signal.SIGTERM) == before


def test_fewer_checkpoints_also_resume_exactly(tmp_path, uninterrupted):
    with pytest.raises(Killed):
        train(tmp_path, toy(), epochs=4, checkpoint_every=3, callbacks=[At(3, 1, kill)])
    assert_same(train(tmp_path, toy(), epochs=4, checkpoint_every=3, resume=True), uninterrupted)


def test_a_longer_run_continues_a_finished_one(tmp_path, uninterrupted):
    train(tmp_path, toy(), epochs=2)
    assert_same(train(tmp_path, toy(), epochs=4, resume=True), uninterrupted)


def test_resuming_a_finished_run_trains_nothing(tmp_path, uninterrupted):
    train(tmp_path, toy(), epochs=4)
    assert_same(train(tmp_path, toy(seed=9), epochs=4, resume=True), uninterrupted)


def test_nan_stops_and_keeps_the_last_good_state(tmp_path):
    good = train(tmp_path / "good", toy(), epochs=2)

    def poisoned(position):
        return (
            batches(position)
            .enumerate()
            .map(lambda n, batch: tf.where(n + position.epoch * STEPS == 2 * STEPS + 1, np.nan, batch))
        )

    with pytest.raises(Diverged, match="not finite in epoch 3, step 2"):
        train(tmp_path / "bad", toy(), epochs=4, data=poisoned)
    kept = toy()
    fit(kept, batches, steps_per_epoch=STEPS, epochs=2, folder=tmp_path / "bad", checkpoint_every=1, resume=True)
    assert_same(numbers(kept), good)


def test_a_state_that_the_next_step_proves_bad_is_taken_back(tmp_path):
    """The last update of an epoch is judged by the next epoch's first loss, after the state was saved."""

    def poisoned(position):
        return (
            batches(position)
            .enumerate()
            .map(lambda n, batch: tf.where(n + position.epoch * STEPS == 2 * STEPS, np.nan, batch))
        )

    good = train(tmp_path / "good", toy(), epochs=1)
    with pytest.raises(Diverged, match="epoch 3, step 1"):
        train(tmp_path / "bad", toy(), epochs=4, data=poisoned)
    kept = toy()
    fit(kept, batches, steps_per_epoch=STEPS, epochs=1, folder=tmp_path / "bad", checkpoint_every=1, resume=True)
    assert_same(numbers(kept), good)


def test_a_finished_run_that_diverges_when_lengthened_keeps_its_end(tmp_path):
    """Nothing came before it that could take its place."""
    good = train(tmp_path, toy(), epochs=2)
    with pytest.raises(Diverged, match="epoch 3, step 1"):
        train(tmp_path, toy(), epochs=3, resume=True, data=lambda position: batches(position).map(lambda b: b * np.nan))
    assert_same(train(tmp_path, toy(seed=9), epochs=2, resume=True), good)


def test_an_epoch_without_a_step_is_refused(tmp_path):
    with pytest.raises(UserError, match="lower the model's batch_size"):
        train(tmp_path, toy(), epochs=1, steps_per_epoch=0)


def test_best_is_the_epoch_with_the_largest_monitored_value(tmp_path):
    scores = {1: 0.5, 2: 0.9, 3: 0.7}
    states = {}
    model = toy()

    def judge(epoch):
        states[epoch] = numbers(model)
        return {"score": scores[epoch]}

    train(tmp_path, model, epochs=3, monitor="score", callbacks=[Every(1, 3, judge)])
    with np.load(tmp_path / "best.npz") as best:
        name = "generator/0/000"
        np.testing.assert_array_equal(best[name], states[2][name])


def test_a_worker_that_is_not_chief_writes_nothing(tmp_path):
    train(tmp_path, toy(), epochs=1, chief=False)
    assert not list(tmp_path.iterdir())


def test_history_of_a_killed_and_resumed_run_is_that_of_an_uninterrupted_one(tmp_path):
    def rows(folder):
        with (folder / "history.csv").open(newline="") as file:
            return list(csv.DictReader(file))

    def history(folder):
        folder.mkdir(exist_ok=True)
        every = Every(2, 4, lambda epoch: {"psnr": float(epoch)})
        return [every, History(folder / "history.csv", ["generator_loss", "critic_loss", "psnr"])]

    whole, parts = tmp_path / "whole", tmp_path / "parts"
    train(whole, toy(), epochs=4, callbacks=history(whole))
    with pytest.raises(Killed):
        train(parts, toy(), epochs=4, callbacks=[*history(parts), At(2, 1, kill)])
    stop = At(2, 3, lambda: os.kill(os.getpid(), signal.SIGTERM))
    with pytest.raises(Stopped):
        train(parts, toy(), epochs=4, resume=True, callbacks=[*history(parts), stop])
    train(parts, toy(), epochs=4, resume=True, callbacks=history(parts))
    assert rows(parts) == rows(whole)
    assert [row["epoch"] for row in rows(whole)] == ["1", "2", "3", "4"]
    assert [row["psnr"] for row in rows(whole)] == ["", "2", "", "4"]


def test_a_stop_in_the_last_step_is_heard_after_all_is_saved(tmp_path, uninterrupted):
    """What comes next, another stage or another run, must not begin."""
    with pytest.raises(Stopped) as stopped:
        train(tmp_path, toy(), epochs=4, callbacks=[At(3, STEPS - 1, lambda: os.kill(os.getpid(), signal.SIGTERM))])
    assert (stopped.value.position.epoch, stopped.value.position.step) == (4, 0)
    assert_same(train(tmp_path, toy(seed=9), epochs=4, resume=True), uninterrupted)
