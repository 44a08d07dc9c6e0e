"""Translating a whole volume: from one NIfTI file to another through a generator, axial slices, fp32."""

import tempfile
from pathlib import Path

import numpy as np

from benchmarks import phantoms
from benchmarks.timing import Row, in_turns
from kerasgan.data.volumes import read_volume, write_volume
from kerasgan.papers import settings_of
from kerasgan.papers.pairwise import networks
from kerasgan.papers.pairwise.quality import translator
from kerasgan.papers.pairwise.synthesis import translate_volume


def rows(quick: bool) -> list[Row]:
    """Seconds a volume, as `kerasgan translate` takes for each after the first."""
    grid, rounds = (64, 1) if quick else (240, 7)
    settings = settings_of("pairwise", overrides=("data.size=32",) if quick else ())
    translate = translator(networks.generator("t1_to_t1e", settings.data.size))
    with tempfile.TemporaryDirectory() as folder:
        source = phantoms.cohort(Path(folder) / "cohort", 1, grid).visits[0].images["t1"]
        shape = read_volume(source).data.shape

        def run() -> None:
            volume = read_volume(source)
            made = translate_volume(translate, volume, ("axial",), settings.data)
            write_volume(Path(folder) / "made.nii.gz", made, volume.geometry, np.float32)

        seconds = in_turns({"translate": run}, rounds)["translate"]
    return [Row(f"{' x '.join(map(str, shape))}, axial, fp32", float(np.median(seconds)), "s/volume")]
