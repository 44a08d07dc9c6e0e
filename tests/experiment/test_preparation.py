"""Data that several commands want at once."""

import threading
import time

from filelock import FileLock

from kerasgan.experiment import preparation
from kerasgan.papers import settings_of

TINY = ["phantom.patients=6", "phantom.grid=48", "data.size=32", "data.min_gap=1", "split.stratify=null"]


def test_a_cohort_that_another_command_makes_is_waited_for(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("KERASGAN_CACHE", str(tmp_path))
    settings = settings_of("pairwise", overrides=TINY)
    simulated = []
    with FileLock(f"{preparation.prepared_folder(settings).parent}.lock"):
        other = threading.Thread(target=lambda: simulated.append(preparation.simulated(settings)))
        other.start()
        said = ""
        while "waiting for another command, which is making" not in said:
            assert other.is_alive()
            said += capsys.readouterr().err
            time.sleep(0.01)
        assert not preparation.prepared_folder(settings).parent.exists()
    other.join()
    assert simulated[0].folder == preparation.prepared_folder(settings)
    said = capsys.readouterr().err
    assert "simulating 6 patients into" in said and f"simulated data: --data {simulated[0].folder}" in said
