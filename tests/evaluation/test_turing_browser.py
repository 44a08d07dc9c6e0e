"""The pages of the Visual Turing Test, driven in headless Chromium as raters would."""

import shutil
import socket
import subprocess
import sys

import numpy as np
import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.actions.wheel_input import ScrollOrigin
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

from kerasgan.data.imagesets import ImageSet
from kerasgan.evaluation.turing.answers import session_of
from kerasgan.evaluation.turing.trial import create_trial

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(
    not (CHROMIUM and DRIVER), reason="no chromium and chromedriver: apt-get install chromium chromium-driver"
)

SERVE = """
import sys
from pathlib import Path
from kerasgan.evaluation.turing.server import serve
from kerasgan.evaluation.turing.trial import open_trial
serve(open_trial(Path(sys.argv[1])), int(sys.argv[2]), lambda address: print(address, flush=True))
"""


class Server:
    """A server of its own process, which can be killed and started again on its port."""

    def __init__(self, folder):
        self.folder = folder
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.start()

    def start(self):
        words = [sys.executable, "-c", SERVE, str(self.folder), str(self.port)]
        self.process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.address = self.process.stdout.readline().strip()
        assert self.address == f"http://127.0.0.1:{self.port}/"

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


class Page:
    """What a rater sees and does."""

    def __init__(self, browser):
        self.browser = browser

    def __getitem__(self, name):
        return self.browser.find_element(By.ID, name)

    def wait(self, condition):
        return WebDriverWait(self.browser, 20, poll_frequency=0.05).until(lambda _: condition())

    def ready(self):
        self.wait(lambda: self.script("return document.body.dataset.ready") == "true")

    def script(self, code, *arguments):
        return self.browser.execute_script(code, *arguments)

    def enter(self, address, name):
        self.browser.get(address)
        self["rater"].send_keys(name, Keys.ENTER)
        self.wait(lambda: self.browser.find_elements(By.ID, "view"))
        self.ready()

    @property
    def answered(self):
        return int(self["bar"].get_attribute("value"))

    def key(self, key):
        """Press a key and wait until the answer is taken."""
        before = self.answered
        self.browser.find_element(By.TAG_NAME, "body").send_keys(key)
        self.wait(lambda: self.answered != before)
        self.ready()

    def click(self, name):
        before = self.answered
        self[name].click()
        self.wait(lambda: self.answered != before)
        self.ready()

    def told(self):
        self.wait(lambda: self["notice"].is_displayed())
        self.ready()
        return self["notice"].text

    def shades(self):
        """Grey values of a row of the canvas, of that through the centres of the third row of blocks."""
        code = """
            const view = document.getElementById("view");
            const row = view.getContext("2d").getImageData(0, Math.floor(view.height * 5 / 8), view.width, 1).data;
            return Array.from(row).filter((_, i) => i % 4 === 0);
        """
        return np.array(self.script(code))

    def cells(self, table):
        return [
            [cell.text for cell in row.find_elements(By.TAG_NAME, "td")]
            for row in self[table].find_elements(By.TAG_NAME, "tr")
        ]


def grey(n, seed, origin):
    """Blocks of mid grey to white, so that a canvas without an image is darker than any of them."""
    blocks = np.random.default_rng(seed).uniform(0, 1, (n, 4, 4)).astype(np.float32).repeat(4, 1).repeat(4, 2)
    names = tuple(f"{origin} {i}" for i in range(n))
    return ImageSet(blocks, names, names, ("",) * n, origin)


@pytest.fixture(scope="module")
def browser():
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    # --no-sandbox: Chromium refuses to run as root, which containers are, with its sandbox.
    for word in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1200,900"):
        options.add_argument(word)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def trial(tmp_path_factory):
    folder = tmp_path_factory.mktemp("turing") / "results"
    return create_trial(folder, grey(9, 1, "hospital"), grey(9, 2, "network"), 3, 1)


@pytest.fixture(scope="module")
def server(trial):
    started = Server(trial.folder)
    yield started
    started.kill()


@pytest.fixture
def page(browser):
    return Page(browser)


def test_a_whole_session(trial, server, page):
    """Keys, buttons, undo, a killed server, a break, the end; the answers that count are those that were meant."""
    page.enter(server.address, "Anna")
    assert page["progress"].text == "1 of 6" and not page["undo"].is_enabled()

    page.key("r")
    page.click("synthetic")
    assert page["progress"].text == "3 of 6"
    page.key("u")
    page.click("real")
    assert session_of(trial, "Anna").answers == ("real", "real")

    server.kill()
    page["synthetic"].click()
    assert "server does not answer" in page.told()
    assert page["progress"].text == "3 of 6"
    server.start()
    page.key("s")
    assert not page["notice"].is_displayed()
    assert session_of(trial, "Anna").answers == ("real", "real", "synthetic")

    page["break"].click()
    assert page["saved"].text.startswith("3 of 6 images are judged, and every answer is saved")
    page["continue"].click()
    page.wait(lambda: page.browser.find_elements(By.ID, "view"))
    page.ready()
    assert page["progress"].text == "4 of 6"

    for key in "SsR":
        page.key(key)
    assert page["end"].is_displayed() and not page["real"].is_enabled()
    page.click("undo")
    assert not page["end"].is_displayed() and page["progress"].text == "6 of 6"
    page.key("s")
    page["finish"].click()
    page.wait(lambda: page.browser.find_elements(By.ID, "counts"))

    answers = ("real", "real", "synthetic", "synthetic", "synthetic", "synthetic")
    session = session_of(trial, "Anna")
    assert session.answers == answers and session.finished
    counts = {(real, answer): 0 for real in (True, False) for answer in ("real", "synthetic")}
    for image, answer in zip(trial.order("anna"), answers, strict=True):
        counts[trial.items[trial.number[image]].real, answer] += 1
    rr, rs, sr, ss = map(str, counts.values())
    assert page.cells("counts")[1:] == [[rr, rs], [sr, ss]]
    right = int(rr) + int(ss)
    assert f"{100 * right / 6:.1f} % ({right} of 6)" in page["numbers"].text


def test_a_second_rater_has_another_order_and_then_there_is_agreement(trial, server, page):
    assert session_of(trial, "Anna").finished, "the first rater's session"
    page.enter(server.address, "Ben")
    for _ in range(6):
        page.key("r")
    page["finish"].click()
    page.wait(lambda: page.browser.find_elements(By.ID, "kappa"))
    assert page.cells("counts")[1:] == [["3", "0"], ["3", "0"]]
    assert [row[0] for row in page.cells("raters")[1:]] == ["Anna", "Ben", "all 2 raters"]
    assert "Fleiss' kappa of the 2 raters" in page["kappa"].text
    assert trial.order("anna") != trial.order("ben")


def test_two_windows_of_one_rater(trial, server, page):
    browser = page.browser
    page.enter(server.address, "Cleo")
    first = browser.current_window_handle
    browser.switch_to.new_window("window")
    page.enter(server.address, "cleo")
    page.key("r")
    browser.close()
    browser.switch_to.window(first)
    page["synthetic"].click()
    assert "Another window of yours was quicker" in page.told()
    assert page["progress"].text == "2 of 6"
    assert session_of(trial, "Cleo").answers == ("real",), "the first answer counts, once"
    page.key("s")
    assert session_of(trial, "Cleo").answers == ("real", "synthetic")


def test_keys_that_are_held_or_belong_to_the_browser_answer_nothing(trial, server, page):
    page.enter(server.address, "Dora")
    for more in ({"repeat": True}, {"ctrlKey": True}, {"metaKey": True}, {"altKey": True}):
        page.script("document.dispatchEvent(new KeyboardEvent('keydown', {key: 'r', ...arguments[0]}))", more)
    # A double click: the second one comes before the next image has been seen.
    page.script("document.getElementById('real').click(); document.getElementById('real').click()")
    page.wait(lambda: page.answered)
    page.ready()
    assert session_of(trial, "Dora").answers == ("real",)


def test_window_level_zoom_and_reset(trial, server, page):
    page.enter(server.address, "Eve")
    shown = trial.pixels[trial.number[trial.order("eve")[0]]]
    plain, lit = page.shades(), page.shades() > 0
    side = lit.sum()
    # The middles of the four blocks, which no interpolation reaches
    blocks = np.flatnonzero(lit)[0] + (side * np.array([1, 3, 5, 7])) // 8
    assert plain[blocks].tolist() == shown[9, [1, 5, 9, 13]].tolist(), "as they are"
    assert (plain[lit].min(), plain[lit].max()) == (shown[9].min(), shown[9].max()), "interpolation adds no extremes"
    assert abs(np.flatnonzero(lit).mean() - (len(lit) - 1) / 2) <= 1, "centred"

    ActionChains(page.browser).drag_and_drop_by_offset(page["view"], -100, 0).perform()
    assert page["window-value"].text == "156" and page["level-value"].text == "128"
    narrow = page.shades()
    expected = np.clip(255 * ((plain[blocks] - 127.5) / 155 + 0.5), 0, 255)
    np.testing.assert_allclose(narrow[blocks], expected, atol=0.51, err_msg="the linear function of DICOM")
    ActionChains(page.browser).drag_and_drop_by_offset(page["view"], 0, -60).perform()
    assert page["level-value"].text == "68"
    assert page.shades().sum() > narrow.sum(), "up is brighter"

    page.script("arguments[0].value = 200; arguments[0].dispatchEvent(new Event('input'))", page["level"])
    assert page["level-value"].text == "200"

    page.browser.find_element(By.TAG_NAME, "body").send_keys("0")
    assert [page[name].text for name in ("window-value", "level-value", "zoom-value")] == ["256", "128", "100 %"]
    np.testing.assert_array_equal(page.shades(), plain)

    ActionChains(page.browser).scroll_from_origin(ScrollOrigin.from_element(page["view"]), 0, -300).perform()
    page.wait(lambda: page["zoom-value"].text != "100 %")
    assert (page.shades() > 0).sum() > lit.sum(), "larger"
    page["reset"].click()
    moved = ActionChains(page.browser).key_down(Keys.SHIFT).drag_and_drop_by_offset(page["view"], 80, 0)
    moved.key_up(Keys.SHIFT).perform()
    np.testing.assert_array_equal(np.flatnonzero(page.shades()), np.flatnonzero(lit) + 80)
    ActionChains(page.browser).double_click(page["view"]).perform()
    np.testing.assert_array_equal(page.shades(), plain)
    assert session_of(trial, "Eve").answers == (), "none of this is an answer"


def test_bad_names_come_back_with_the_reason(server, page):
    page.browser.get(server.address)
    page["rater"].send_keys("<img src=x>/..", Keys.ENTER)
    page.wait(lambda: page.browser.find_elements(By.CSS_SELECTOR, ".notice"))
    text = page.browser.find_element(By.CSS_SELECTOR, ".notice").text
    assert "is no rater's name" in text and "<img src=x>" in text, "as text, not as an element"
    assert not page.browser.find_elements(By.TAG_NAME, "img")


def test_nothing_is_asked_of_another_host_and_no_script_fails(server, page):
    page.browser.get_log("browser")  # of the tests before, one of which kills the server
    page.enter(server.address, "Finn")
    page.key("r")
    loaded = page.script("return performance.getEntriesByType('resource').map((entry) => entry.name)")
    assert len(loaded) >= 6 and all(name.startswith(server.address) for name in loaded)
    assert page.browser.get_log("browser") == []
