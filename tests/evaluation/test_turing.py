"""Answers to the Visual Turing Test, without a browser: see test_turing_browser.py for one."""

import json
import shutil
import unicodedata
from concurrent.futures import ThreadPoolExecutor

import pytest
from turing_rater import Rater, new_trial

from kerasgan.errors import UserError
from kerasgan.evaluation.turing.answers import record, session_of, sessions
from kerasgan.evaluation.turing.trial import open_trial


@pytest.fixture
def trial(tmp_path):
    return new_trial(tmp_path / "results")


def test_answers_go_forward_and_undo_goes_back(trial):
    rater = Rater(trial)
    first = rater.state()
    assert first == {"total": 6, "answered": 0, "image": trial.order("anna")[0], "last": None, "finished": False}
    second = rater.act("answer", first["image"], "real")
    assert (second["answered"], second["image"], second["last"]) == (1, trial.order("anna")[1], first["image"])
    third = rater.act("answer", second["image"], "synthetic")
    assert rater.act("undo", third["last"]) == second
    assert rater.act("undo", second["last"]) == first
    assert rater.act("undo", None, code=409) == first, "nothing is left to take back"
    rater.judge("s")
    assert session_of(trial, "Anna").answers == ("synthetic",), "the new answer counts, not the one taken back"


def test_a_new_server_goes_on_where_the_old_one_was(trial):
    rater = Rater(trial)
    rater.judge("r", "s", "s")
    assert Rater(open_trial(trial.folder)).state() == rater.state()
    assert rater.state()["answered"] == 3


def test_every_answer_is_on_disk_before_it_is_acknowledged(trial):
    rater, path = Rater(trial), trial.folder / "answers" / "anna.jsonl"
    for number, letter in enumerate("rs", 1):
        rater.judge(letter)
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        assert len(lines) == number
        assert lines[-1]["answer"] == {"r": "real", "s": "synthetic"}[letter]
        assert lines[-1]["rater"] == "Anna" and lines[-1]["trial"] == trial.key


def test_a_line_that_was_cut_off_does_not_count_and_the_next_one_does(trial):
    rater, path = Rater(trial), trial.folder / "answers" / "anna.jsonl"
    rater.judge("r", "s")
    whole = path.read_text()
    path.write_text(whole + whole.splitlines()[0][:40])
    assert rater.state()["answered"] == 2
    rater.judge("s")
    assert session_of(trial, "Anna").answers == ("real", "synthetic", "synthetic")


def test_a_line_that_is_missing_or_changed_is_noticed(trial):
    rater, path = Rater(trial), trial.folder / "answers" / "anna.jsonl"
    rater.judge("r", "s", "r")
    lines = path.read_text().splitlines(keepends=True)
    path.write_text(lines[0] + lines[2])
    with pytest.raises(UserError, match="line 2: the acts before it are missing or changed"):
        session_of(trial, "Anna")
    path.write_text(lines[0] + lines[1].replace("synthetic", "both"))
    with pytest.raises(UserError, match="line 2: the acts"):
        session_of(trial, "Anna")
    path.write_text('{"n": 0}\n')
    with pytest.raises(UserError, match="line 1: no act of a rater"):
        session_of(trial, "Anna")
    reason = rater.get(f"{rater.url}/state", headers={"Accept": "application/json"})
    assert reason.status_code == 400 and "line 1" in reason.json["error"]


def test_answers_to_another_test(trial, tmp_path):
    Rater(trial).judge("r")
    other = new_trial(tmp_path / "other", seed=2)
    shutil.copy(trial.folder / "answers" / "anna.jsonl", other.folder / "answers")
    with pytest.raises(UserError, match="answers to another test"):
        session_of(other, "Anna")


def test_two_windows_of_one_rater_count_an_image_once(trial):
    one, two = Rater(trial), Rater(trial, "anna")
    seen = one.state()
    now = one.act("answer", seen["image"], "real")
    assert two.act("answer", seen["image"], "synthetic", code=409) == now, "it is told what is next"
    two.act("undo", seen["image"])
    assert one.act("undo", seen["image"], code=409) == seen
    assert session_of(trial, "Anna").answers == ()


def test_many_windows_at_once_count_an_image_once(trial):
    for place, image in enumerate(trial.order("anna"), 1):
        with ThreadPoolExecutor(8) as pool:
            counted = [
                future.result()[1]
                for future in [pool.submit(record, trial, "Anna", "answer", image, "real") for _ in range(8)]
            ]
        assert counted.count(True) == 1
        assert len(session_of(trial, "Anna").answers) == place


def test_of_two_servers_that_write_at_once_the_first_line_counts(trial, monkeypatch):
    from kerasgan.evaluation.turing import answers

    append, image = answers._append, trial.order("anna")[0]

    def after_another(path, line):
        append(path, line | {"answer": "synthetic", "token": "another server's"})
        append(path, line)

    monkeypatch.setattr(answers, "_append", after_another)
    session, counted = record(trial, "Anna", "answer", image, "real")
    assert not counted and session.answers == ("synthetic",)


def test_raters_work_side_by_side(trial):
    anna, ben = Rater(trial), Rater(trial, "Ben")
    anna.judge("r", "r")
    ben.judge("s")
    anna.judge("r")
    assert {own.rater: own.answers for own in sessions(trial)} == {"Anna": ("real",) * 3, "Ben": ("synthetic",)}


@pytest.mark.parametrize("name", ["anna", "ANNA", " Anna ", "Anna\t"])
def test_capitals_and_spaces_around_do_not_make_another_rater(trial, name):
    record(trial, "Anna", "answer", trial.order("anna")[0], "real")
    assert session_of(trial, name).answers == ("real",)


def test_names_of_many_scripts(trial):
    for name in ("Zoë Müller-Lüdenscheid", "O'Brien", "李小龙", "अनन्या", "Dr. No", "rater_2"):
        session = session_of(trial, name)
        record(trial, name, "answer", session.current, "real")
        decomposed = unicodedata.normalize("NFD", name)
        assert session_of(trial, decomposed).answers == ("real",)
    assert len(sessions(trial)) == 6


def test_a_copy_of_a_raters_file_does_not_count_twice(trial):
    record(trial, "Anna", "answer", trial.order("anna")[0], "real")
    (trial.folder / "answers" / "Anna.jsonl").write_bytes((trial.folder / "answers" / "anna.jsonl").read_bytes())
    with pytest.raises(UserError, match=r"Anna\.jsonl is not how a rater's file is named, anna\.jsonl"):
        sessions(trial)


BAD_NAMES = [
    "",
    "   ",
    "../up",
    "a/b",
    "a\\b",
    "..",
    ".hidden",
    "-rf",
    "<b>x</b>",
    "a&b",
    'a"b',
    "a\0b",
    "a:b",
    "x" * 41,
]


@pytest.mark.parametrize("name", BAD_NAMES)
def test_bad_names_are_refused(trial, name):
    rater = Rater(trial)
    page = rater.get("/start", query_string={"rater": name})
    assert page.status_code == 400
    assert "no rater&#39;s name; expected 1 to 40 letters" in page.text
    assert "<b>x" not in page.text, "it is escaped"
    with pytest.raises(UserError, match="no rater's name"):
        record(trial, name, "answer", trial.order("anna")[0], "real")
    assert list((trial.folder / "answers").iterdir()) == []


def test_a_name_whose_file_would_be_longer_is_refused(trial):
    with pytest.raises(UserError, match=r"letters \(ß counts as ss\)"):
        record(trial, "ß" * 21, "answer", trial.order("anna")[0], "real")
    assert list((trial.folder / "answers").iterdir()) == []
    name = "ß" * 20
    record(trial, name, "answer", session_of(trial, name).current, "real")
    assert [own.rater for own in sessions(trial)] == [name]


def test_a_long_name_on_disk_does_not_block_the_others(trial):
    record(trial, "Anna", "answer", trial.order("anna")[0], "real")
    (trial.folder / "answers" / f"{'s' * 60}.jsonl").touch()
    assert [own.rater for own in sessions(trial)] == ["Anna"]


def test_an_unreadable_file_is_named(trial):
    (trial.folder / "answers" / "anna.jsonl").mkdir()
    with pytest.raises(UserError, match=r"answers/anna\.jsonl cannot be read \(Is a directory\)"):
        sessions(trial)
