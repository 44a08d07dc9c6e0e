import keras
import numpy as np
import pytest
from toy import numbers, toy

from kerasgan.errors import UserError
from kerasgan.gan import checkpoint
from kerasgan.gan.checkpoint import Position


def test_restore_brings_everything_back(tmp_path):
    path = tmp_path / "deep" / "latest.npz"
    model = toy(seed=1)
    model.train_step(np.ones((8, 2, 2, 2), np.float32))
    checkpoint.save(path, model.state(), Position(3, 2, 0.5))
    other = toy(seed=2)
    assert checkpoint.restore(path, other.state()) == Position(3, 2, 0.5)
    before, after = numbers(model), numbers(other)
    assert any("optimizer" in name for name in before)
    assert any("seed" in variable.path for variable in model.state().values())
    for name in before:
        np.testing.assert_array_equal(after[name], before[name], err_msg=name)
    assert [entry.name for entry in path.parent.iterdir()] == ["latest.npz"]


@pytest.mark.parametrize("change", ["drop", "add", "reshape"])
def test_another_models_checkpoint_is_refused_and_changes_nothing(tmp_path, change):
    path = tmp_path / "latest.npz"
    model = toy()
    state = dict(model.state())
    name = next(name for name in state if "optimizer" in name and state[name].shape)
    if change == "drop":
        state.pop(name)
    elif change == "add":
        state["one/too/many"] = state[name]
    else:
        state[name] = next(v for v in state.values() if v.shape != state[name].shape)
    checkpoint.save(path, state, Position())
    other = toy(seed=2)
    before = numbers(other)
    with pytest.raises(UserError, match=r"another model|has shape"):
        checkpoint.restore(path, other.state())
    assert all(np.array_equal(before[name], value) for name, value in numbers(other).items())


def test_unreadable_and_missing_files(tmp_path):
    path = tmp_path / "latest.npz"
    with pytest.raises(UserError, match="does not exist"):
        checkpoint.restore(path, toy().state())
    model = toy()
    checkpoint.save(path, model.state(), Position())
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(UserError, match="not a readable checkpoint"):
        checkpoint.restore(path, model.state())
    with pytest.raises(UserError, match="not a readable checkpoint"):
        checkpoint.position_of(path)
    np.savez(path, **checkpoint.values(model.state()))
    with pytest.raises(UserError, match=r"not a readable checkpoint .*position"):
        checkpoint.read(path)


def test_a_failed_save_keeps_the_last_one(tmp_path, monkeypatch):
    path = tmp_path / "latest.npz"
    model = toy()
    checkpoint.save(path, model.state(), Position(1))
    before = path.read_bytes()

    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(OSError, match="No space"):
        checkpoint.save(path, model.state(), Position(2))
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["latest.npz"]


def test_a_network_is_restored_with_its_random_state(tmp_path):
    def network():
        x = inputs = keras.Input((3,))
        x = keras.layers.Dropout(0.5)(keras.layers.Dense(2)(x))
        return keras.Model(inputs, x)

    learnt, fresh = network(), network()
    for _ in range(3):
        learnt(np.ones((1, 3), np.float32), training=True)  # moves the random numbers' state
    state = {f"player/0/{i:03}": variable for i, variable in enumerate(learnt.variables)}
    checkpoint.save(tmp_path / "latest.npz", state | {"other/0/000": keras.Variable(1.0)}, Position())
    checkpoint.restore_network(fresh, tmp_path / "latest.npz", "player/0")
    for one, two in zip(learnt.variables, fresh.variables, strict=True):
        np.testing.assert_array_equal(one, two)
    with pytest.raises(UserError, match="another network than other/0"):
        checkpoint.restore_network(fresh, tmp_path / "latest.npz", "other/0")
