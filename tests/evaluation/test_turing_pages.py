"""The Visual Turing Test's pages: no hint, who may ask, and what they say of the results."""

import json
import re
import shutil
import socket
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binomtest
from turing_rater import BASE, Rater, new_trial

import kerasgan.evaluation.turing as package
from kerasgan.errors import UserError
from kerasgan.evaluation.turing.answers import record, session_of, sessions
from kerasgan.evaluation.turing.server import create_app, serve
from kerasgan.evaluation.turing.summary import HEADER, Counts, summarise
from kerasgan.evaluation.turing.trial import open_trial


@pytest.fixture
def trial(tmp_path):
    return new_trial(tmp_path / "results")


# ---- no hint --------------------------------------------------------------------------------------------------------


def test_what_is_sent_does_not_depend_on_the_truth(trial, tmp_path):
    """The same acts in the same test with each image's truth turned round get the same bytes until the end."""
    turned = tmp_path / "turned"
    shutil.copytree(trial.folder, turned)
    known = json.loads((turned / "trial.json").read_text())
    for item in known["items"]:
        item["real"] = not item["real"]
    (turned / "trial.json").write_text(json.dumps(known))
    raters = [Rater(open_trial(folder)) for folder in (trial.folder, turned)]
    for rater in raters:
        for url in ("/", "/start?rater=Anna", rater.url, f"{rater.url}/break", f"{rater.url}/summary"):
            rater.get(url)
        for letter in "rrssrs":
            rater.get(f"/image/{rater.state()['image']}")
            rater.judge(letter)
        rater.act("undo", rater.state()["last"])
        rater.judge("s")
        rater.get(rater.url)
    one, two = ([(r.status_code, list(r.headers), r.data) for r in rater.responses] for rater in raters)
    assert one == two
    sent = b"".join(response.data for response in raters[0].responses)
    for item in trial.items:
        assert item.name.encode() not in sent and item.sha256.encode() not in sent
    assert b"hospital" not in sent and b"network" not in sent


def test_all_images_are_sent_alike(trial):
    rater = Rater(trial)
    found = [rater.get(f"/image/{image}") for image in trial.number]
    assert len({tuple(response.headers) for response in found}) == 1, "type, length, all of them"
    assert found[0].headers["Cache-Control"] == "no-store"
    for item, response in zip(trial.items, found, strict=True):
        sent = np.frombuffer(response.data, np.uint8).reshape(8, 8)
        np.testing.assert_array_equal(sent, trial.pixels[trial.number[item.id]])
    assert rater.get("/image/0123456789abcdef").status_code == 404


def test_pages_need_nothing_from_elsewhere(trial):
    folder = Path(package.__file__).parent
    files = [*folder.glob("templates/*"), *folder.glob("static/*")]
    assert len(files) == 8
    for path in files:
        assert not re.search(
            r"https?:|//\w|@import|url\((?!_for)", re.sub(r"^\s*//.*", "", path.read_text(), flags=re.M)
        ), path
    page = Rater(trial).get("/rate/Anna")
    assert "default-src 'self'" in page.headers["Content-Security-Policy"]


# ---- who may ask ----------------------------------------------------------------------------------------------------


def test_another_host_is_refused(trial):
    client = create_app(trial).test_client()
    assert client.get("/", base_url="http://evil.example:8765").status_code == 400
    assert client.get("/", base_url="http://localhost:8765").status_code == 200


@pytest.mark.parametrize(
    "origin", [None, "null", "http://evil.example", "http://127.0.0.1:9999", "https://127.0.0.1:8765"]
)
def test_posts_from_another_page_are_refused(trial, origin):
    client = create_app(trial).test_client()
    sent = {"act": "answer", "image": trial.order("anna")[0], "answer": "real"}
    headers = {"Origin": origin} if origin else {}
    assert client.post("/rate/Anna/act", base_url=BASE, json=sent, headers=headers).status_code == 403
    assert sessions(trial) == []


@pytest.mark.parametrize(
    "sent", [b"", b"{", b"[]", b"3", b'{"act": 3}', b'{"act": "answer", "image": {}}', b"{}", b" " * 10_001]
)
def test_posts_that_are_no_acts_are_refused(trial, sent):
    client = create_app(trial).test_client()
    headers = {"Origin": BASE, "Content-Type": "application/json"}
    response = client.post("/rate/Anna/act", base_url=BASE, data=sent, headers=headers)
    assert response.status_code in (400, 409, 413)
    assert sessions(trial) == []


def test_unknown_acts_and_answers_do_not_count(trial):
    rater, image = Rater(trial), trial.order("anna")[0]
    rater.act("answer", image, "maybe", code=409)
    rater.act("answer", trial.order("anna")[3], "real", code=409)
    rater.act("answer", None, "real", code=409)
    rater.act("erase", image, code=409)
    rater.act("finish", code=409)
    assert not (trial.folder / "answers" / "anna.jsonl").exists()


def test_a_port_in_use(trial):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(
            UserError,
            match=rf"port {port} of 127\.0\.0\.1 cannot be had \(Address already in use\); give another --port",
        ):
            serve(trial, port, pytest.fail)


# ---- results --------------------------------------------------------------------------------------------------------


def all_answers(trial, name, answer):
    """Judge all images with `answer(item)`, and finish."""
    for image in session_of(trial, name).order:
        record(trial, name, "answer", image, answer(trial.items[trial.number[image]]))
    assert record(trial, name, "finish")[1]


def truth(item):
    return "real" if item.real else "synthetic"


def test_the_summary_comes_when_the_rater_has_finished_and_then_nothing_changes(trial):
    rater = Rater(trial)
    rater.judge(*"rrrrrr")
    back = rater.get(f"{rater.url}/summary")
    assert (back.status_code, back.headers["Location"]) == (303, "/rate/Anna")
    rater.act("undo", rater.state()["last"])
    rater.act("finish", code=409)
    rater.judge("s")
    done = rater.act("finish")
    assert done["finished"] and done["last"] is None
    rater.act("undo", trial.order("anna")[-1], code=409)
    rater.act("finish", code=409)
    assert rater.get(rater.url).headers["Location"] == "/rate/Anna/summary"
    page = rater.get(f"{rater.url}/summary").text
    last_is_real = trial.items[trial.number[trial.order("anna")[-1]]].real
    counts = [2, 1, 3, 0] if last_is_real else [3, 0, 2, 1]
    assert list(map(int, re.findall(r"<td>(\d+)</td>", page.split("numbers")[0]))) == counts
    assert "Fleiss" not in page


def test_counts_by_hand(trial):
    all_answers(trial, "right", truth)
    all_answers(trial, "wrong", lambda item: "synthetic" if item.real else "real")
    all_answers(trial, "trusting", lambda item: "real")
    found = summarise(trial)
    assert {name: tuple(own) for name, own in found.finished.items()} == {
        "right": (3, 0, 0, 3),
        "wrong": (0, 3, 3, 0),
        "trusting": (3, 0, 3, 0),
    }
    assert [own.accuracy for own in found.finished.values()] == [1, 0.5, 0]
    # Real: 2 of 3 say real; synthetic: 2 of 3 say real. Agreement 1/3, by chance (2/3)^2 + (1/3)^2.
    assert found.kappa == pytest.approx((1 / 3 - 5 / 9) / (4 / 9))
    assert tuple(found.pooled) == (6, 3, 6, 3)


def test_rows_and_published_rows(trial):
    all_answers(trial, "A", truth)
    all_answers(trial, "B", truth)
    record(trial, "C", "answer", session_of(trial, "C").current, "real")
    published = [("Physician", 70, 26, 24, 6, 44)]
    rows = summarise(trial).rows(published)
    assert all(len(row) == len(HEADER) for row in rows)
    assert rows[0] == ["A", "6", "100.0", "61.0 to 100.0", "0.031", "3", "0", "0", "3"]
    assert rows[2] == ["all 2 raters", "12", "100.0", "–", "–", "6", "0", "0", "6"]
    assert rows[3][:2] == ["C", "1 of 6"]
    assert rows[4] == ["Physician", "100", "70.0", "60.4 to 78.1", "< 0.001", "26", "24", "6", "44"]
    assert "1.000 (1: they agree" in summarise(trial).agreement


def test_counts_are_those_of_scipy():
    counts = Counts(23, 27, 10, 40)
    expected = binomtest(63, 100)
    interval = expected.proportion_ci(method="wilson")
    assert (counts.total, counts.right, counts.accuracy) == (100, 63, 0.63)
    assert counts.p == pytest.approx(expected.pvalue)
    assert counts.interval == pytest.approx((interval.low, interval.high))


def test_agreement_needs_two_finished_raters_and_two_answers(trial):
    assert summarise(trial).pooled is None and summarise(trial).agreement == ""
    all_answers(trial, "A", lambda item: "real")
    assert summarise(trial).agreement == ""
    all_answers(trial, "B", lambda item: "real")
    assert "undefined" in summarise(trial).agreement


def test_names_are_escaped_on_pages(trial):
    page = Rater(trial, "O'Brien").get("/rate/O'Brien").text
    assert "<span>O&#39;Brien</span>" in page
