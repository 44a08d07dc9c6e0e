"""What the command line does, as functions.

from kerasgan import experiment
run = experiment.train("pairwise", pair=("t1", "t1e"), data="prepared/")
experiment.translate(run, "PATIENT_t1.nii.gz", "t1e.nii.gz", source="t1", target="t1e")
"""

from kerasgan.startup import load_tensorflow

load_tensorflow()  # before the modules below import it

from kerasgan.data.check import check_cohort
from kerasgan.data.cohort import read_cohort
from kerasgan.data.indexers import index_to_csv
from kerasgan.experiment.aggregating import aggregate
from kerasgan.experiment.comparison import evaluate_images, train_image_encoder
from kerasgan.experiment.conversion import convert_tensorlayer
from kerasgan.experiment.enlarging import enlarge
from kerasgan.experiment.export import export
from kerasgan.experiment.features import extract_features, generate_features
from kerasgan.experiment.gan_train import evaluate_gan_train
from kerasgan.experiment.generation import generate
from kerasgan.experiment.memorisation import evaluate_memorisation
from kerasgan.experiment.preparation import prepare
from kerasgan.experiment.radiomics import evaluate_radiomics
from kerasgan.experiment.studies.aggrgan import reproduce_aggrgan
from kerasgan.experiment.studies.brainmr import reproduce_brainmr
from kerasgan.experiment.studies.featuregan import reproduce_featuregan
from kerasgan.experiment.studies.pairwise import reproduce_pairwise
from kerasgan.experiment.studies.pggan import reproduce_pggan
from kerasgan.experiment.training import train
from kerasgan.experiment.translation import fill_missing, translate, translate_folder
from kerasgan.experiment.turing import turing, turing_report
from kerasgan.phantom import simulate_cohort

__all__ = [
    "aggregate",
    "check_cohort",
    "convert_tensorlayer",
    "enlarge",
    "evaluate_gan_train",
    "evaluate_images",
    "evaluate_memorisation",
    "evaluate_radiomics",
    "export",
    "extract_features",
    "fill_missing",
    "generate",
    "generate_features",
    "index_to_csv",
    "prepare",
    "read_cohort",
    "reproduce_aggrgan",
    "reproduce_brainmr",
    "reproduce_featuregan",
    "reproduce_pairwise",
    "reproduce_pggan",
    "simulate_cohort",
    "train",
    "train_image_encoder",
    "translate",
    "translate_folder",
    "turing",
    "turing_report",
]
