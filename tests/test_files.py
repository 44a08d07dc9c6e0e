import pytest

from kerasgan.files import write_text, written_aside


def test_a_file_appears_when_its_block_ends(tmp_path):
    path = tmp_path / "new" / "a.txt"
    with written_aside(path) as aside:
        aside.write_text("whole")
        assert not path.exists()
        assert aside.suffix == ".txt"
        assert aside.parent == path.parent
    assert path.read_text() == "whole"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_a_block_that_fails_changes_nothing(tmp_path, error):
    path = tmp_path / "a.txt"
    write_text(path, "before")

    def fail(target):
        with written_aside(target) as aside:
            aside.write_text("half")
            raise error

    with pytest.raises(error):
        fail(path)
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_too(tmp_path):
    with written_aside(tmp_path / "3") as aside:
        (aside / "variables").mkdir(parents=True)
        (aside / "model.pb").write_text("x")
    assert sorted(path.name for path in (tmp_path / "3").iterdir()) == ["model.pb", "variables"]

    def fail():
        with written_aside(tmp_path / "4") as aside:
            (aside / "variables").mkdir(parents=True)
            raise OSError

    with pytest.raises(OSError):  # noqa: PT011 (nothing more to say about it)
        fail()
    assert [path.name for path in tmp_path.iterdir()] == ["3"]
