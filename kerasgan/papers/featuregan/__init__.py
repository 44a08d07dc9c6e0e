"""Features of a U-Net, generated for two grades of glioma by an AC-GAN, to train a classifier on.

Mehra, Soliman, Sahoo: "Data Augmentation using Feature Generation for Volumetric Medical Images", arXiv 2209.14097
(2022).

Where to read, in the order in which data pass: slices.py (what the U-Net learns from, 3.5), unet.py, losses.py and
segmentation.py (the network, eq. 3, a run), weights.py and tensorlayer.py (weights to begin with); extraction.py and
the store of features on disk (store.py, store_writing.py, reading.py, standardisation.py, 4.1.4); feature_networks.py,
acgan.py and generation.py (3.2: networks, eqs. 1 and 2, a run), synthesis.py (features that the discriminator tells
right); feature_classifier.py and classification.py (3.3: network, a run); study.py and published.py (Tables 2 and 3);
numbers: configs/featuregan.yaml.

Commands, published numbers and deviations stand in the modules of the three models: segmentation.py, generation.py,
classification.py.
"""
