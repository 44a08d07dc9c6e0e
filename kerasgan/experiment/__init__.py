"""What the command line does, as functions.

from kerasgan import experiment
run = experiment.train("pairwise", pair=("t1", "t1e"), data="prepared/")
experiment.translate(run, "PATIENT_t1.nii.gz", "t1e.nii.gz", source="t1", target="t1e")
"""

from kerasgan.startup import load_tensorflow

load_tensorflow()  # before the modules below import it

from kerasgan.experiment.export import export
from kerasgan.experiment.preparation import prepare, simulated
from kerasgan.experiment.training import train
from kerasgan.experiment.translation import fill_missing, translate, translate_folder

__all__ = ["export", "fill_missing", "prepare", "simulated", "train", "translate", "translate_folder"]
