"""A Visual Turing Test of noise, and a rater who takes it."""

import numpy as np

from kerasgan.data.imagesets import ImageSet
from kerasgan.evaluation.turing.server import create_app
from kerasgan.evaluation.turing.trial import create_trial

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
