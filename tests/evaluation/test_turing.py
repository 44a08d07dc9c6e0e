"""The Visual Turing Test on disk and behind its pages, without a browser: see test_turing_browser.py for one."""

import json
import re
import shutil
import socket
import unicodedata
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binomtest

import kerasgan.evaluation.turing as package
from kerasgan.data.imagesets import ImageSet
from kerasgan.errors import UserError
from kerasgan.evaluation.turing.answers import record, session_of, sessions
from kerasgan.evaluation.turing.server import create_app, serve
from kerasgan.evaluation.turing.summary import HEADER, Counts, summarise
from kerasgan.evaluation.turing.trial import balanced, create_trial, open_trial

BASE = "http://127.0.0.1:8765"
SEQUENCES = ("t1", "t1e", "t2", "flair")


def images(n, seed, *, size=8, sequences=("",), patients=None, origin="some"):
    """Noise; the sequences and patients take turns."""
    noise = np.random.default_rng(seed).uniform(-1, 1, (n, size, size)).astype(np.float32)
    names = tuple(f"{origin} {i}" for i in range(n))
    groups = names if patients is None else tuple(f"patient {i // len(sequences) % patients}" for i in range(n))
    return ImageSet(noise, names, groups, tuple(sequences[i % len(sequences)] for i in range(n)), origin)


def new_trial(folder, count=3, seed=1, real=1, **other):
    return create_trial(
        folder, images(20, real, origin="hospital", **other), images(20, 2, origin="network"), count, seed
    )


@pytest.fixture
def trial(tmp_path):
    return new_trial(tmp_path / "results")


class Rater:
    """The pages as one rater's browser sees them."""

    def __init__(self, trial, name="Anna"):
        self.client = create_app(trial).test_client()
        self.url = f"/rate/{name}"
        self.responses = []

    def get(self, url, **more):
        self.responses.append(self.client.get(url, base_url=BASE, **more))
        return self.responses[-1]

    def act(self, act, image=None, answer=None, code=200):
        sent = {"act": act, "image": image, "answer": answer}
        headers = {"Origin": BASE, "Accept": "application/json"}
        response = self.client.post(f"{self.url}/act", base_url=BASE, json=sent, headers=headers)
        self.responses.append(response)
        assert response.status_code == code, response.text
        return response.json

    def state(self):
        return self.get(f"{self.url}/state").json

    def judge(self, *answers):
        for letter in answers:
            self.act("answer", self.state()["image"], {"r": "real", "s": "synthetic"}[letter])


# ---- the test on disk -----------------------------------------------------------------------------------------------


def test_the_order_is_random_and_the_same_for_the_same_test_and_name(tmp_path):
    trial = new_trial(tmp_path / "a", count=10)
    order = trial.order("anna")
    assert sorted(order) == sorted(item.id for item in trial.items)
    assert order == open_trial(tmp_path / "a").order("anna") != trial.order("ben")
    again = new_trial(tmp_path / "a", count=10)
    assert again.order("anna") == order, "the same command goes on with it"


def test_the_order_does_not_follow_from_seed_and_name(tmp_path):
    one, two = (
        [own.number[image] for image in own.order("anna")]
        for own in (new_trial(tmp_path / "a", count=10), new_trial(tmp_path / "b", count=10))
    )
    assert one != two, "real images come first in every test, so that places would tell them"


def test_ids_are_random_and_say_nothing(tmp_path):
    one, two = new_trial(tmp_path / "a"), new_trial(tmp_path / "b")
    assert not set(one.number) & set(two.number), "they do not follow from seed or pixels"
    assert all(re.fullmatch("[0-9a-f]{16}", image) for image in one.number)


def test_pixels_have_eight_bits_of_the_whole_range(tmp_path):
    grey = np.linspace(-1, 1, 256, dtype=np.float32).reshape(1, 16, 16)
    one = ImageSet(grey, ("a",), ("a",), ("",), "real")
    two = ImageSet(grey[:, ::-1] * 2, ("b",), ("b",), ("",), "synthetic")
    trial = create_trial(tmp_path / "results", one, two, 1, 1)
    assert trial.pixels.dtype == np.uint8
    assert trial.pixels[0].ravel().tolist() == list(range(256))
    assert (trial.pixels[1].min(), trial.pixels[1].max()) == (0, 255), "beyond [-1, 1] is clipped"


def test_sequences_come_in_equal_shares():
    drawn = balanced(images(80, 1, sequences=SEQUENCES), 10, seed=3)
    assert sorted(Counter(drawn.sequences).values()) == [2, 2, 3, 3]
    assert Counter(balanced(images(80, 1, sequences=SEQUENCES), 8, seed=3).sequences) == dict.fromkeys(SEQUENCES, 2)
    # Few of one sequence among many of another
    mixed = images(40, 1, sequences=("t1",) * 9 + ("t2",))
    assert Counter(balanced(mixed, 6, seed=1).sequences) == {"t1": 3, "t2": 3}


def test_the_odd_image_goes_to_a_sequence_by_seed():
    gains = {max(Counter(balanced(images(80, 1, sequences=SEQUENCES), 5, s).sequences).items(), key=lambda p: p[1])[0]
             for s in range(30)}  # fmt: skip
    assert gains == set(SEQUENCES)


def test_images_come_from_as_many_patients_as_there_are():
    drawn = balanced(images(80, 1, patients=5), 10, seed=1)
    assert set(Counter(drawn.groups).values()) == {2}
    assert len(set(drawn.names)) == 10


def test_too_few_images(tmp_path):
    with pytest.raises(UserError, match="hospital has 20 images, 21 are needed; give a smaller --count"):
        new_trial(tmp_path / "results", count=21)
    few = images(20, 1, origin="hospital", sequences=("t1",) * 19 + ("t2",))
    with pytest.raises(UserError, match="hospital has 1 images of t2, 2 are needed"):
        create_trial(tmp_path / "results", few, images(20, 2), 4, 1)
    assert not (tmp_path / "results").exists()


def test_sizes_that_differ(tmp_path):
    with pytest.raises(UserError, match=r"real images have 8x8 pixels, the synthetic ones 4x4.*--size"):
        create_trial(tmp_path / "results", images(5, 1), images(5, 2, size=4), 2, 1)


def test_sequences_that_differ(tmp_path):
    with pytest.raises(UserError, match=r"real images are of flair, t1, t1e, t2, the synthetic ones of t1.*--sequence"):
        create_trial(tmp_path / "r", images(8, 1, sequences=SEQUENCES), images(8, 2, sequences=("t1",)), 4, 1)


def test_an_image_that_is_in_both_sets(tmp_path):
    with pytest.raises(UserError, match="hospital and network share an image"):
        create_trial(tmp_path / "r", images(3, 1, origin="hospital"), images(3, 1, origin="network"), 3, 1)


def test_the_same_test_is_gone_on_with(trial):
    again = new_trial(trial.folder)
    assert again.items == trial.items and again.key == trial.key


@pytest.mark.parametrize(
    ("other", "sentence"),
    [
        ({"seed": 2}, "of seed 1 instead of 2"),
        ({"count": 4}, "of number of images 6 instead of 8"),
        ({"real": 9}, "a test of other images"),
    ],
)
def test_the_folder_of_another_test(trial, other, sentence):
    before = (trial.folder / "trial.json").read_bytes()
    with pytest.raises(UserError, match=sentence):
        new_trial(trial.folder, **other)
    assert (trial.folder / "trial.json").read_bytes() == before


def test_the_folder_of_a_test_of_another_size(trial):
    sets = (images(20, 1, size=4, origin="hospital"), images(20, 2, size=4, origin="network"))
    with pytest.raises(UserError, match="of size 8x8 instead of 4x4"):
        create_trial(trial.folder, *sets, 3, 1)


def test_what_it_is_made_from_is_kept(tmp_path):
    sources = {"generator": "ab", "size": 8}
    create_trial(tmp_path / "r", images(4, 1), images(4, 2), 2, 1, sources)
    assert open_trial(tmp_path / "r").made_from == sources


def test_a_folder_of_something_else_is_kept(tmp_path):
    (tmp_path / "note.txt").write_text("mine")
    with pytest.raises(UserError, match="holds no Visual Turing Test"):
        new_trial(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["note.txt"]


def test_damaged_folders(trial):
    np.save(trial.folder / "images.npy", trial.pixels[::-1])
    with pytest.raises(UserError, match="other images than"):
        open_trial(trial.folder)
    (trial.folder / "images.npy").write_bytes(b"nothing")
    with pytest.raises(UserError, match="is damaged"):
        open_trial(trial.folder)
    (trial.folder / "trial.json").write_text('{"items": 3}')
    with pytest.raises(UserError, match="is damaged"):
        open_trial(trial.folder)


# ---- answers --------------------------------------------------------------------------------------------------------


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
