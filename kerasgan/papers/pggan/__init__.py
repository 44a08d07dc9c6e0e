"""A progressively grown GAN of neonatal brain MR images, judged by training a classifier on what it makes (GAN-train).

Alam, Hossain, Kobashi: "Synthetic Brain Image Generation for ADHD prediction based on Progressive Growing Generative
Adversarial Network". The network is that of Karras, Aila, Laine, Lehtinen: "Progressive Growing of GANs for Improved
Quality, Stability, and Variation", ICLR 2018, arXiv 1710.10196.

Where to read: layers.py (the pieces), networks.py (both players at a resolution, and how they grow), progressive.py
(eq. 2, the game of one resolution), training.py (a run), study.py (Table 1); numbers: configs/pggan.yaml.
Of the paper no DOI known.

Command:   kerasgan train pggan --data prepared/
Published: an SVM that learns from generated images finds 76.2 % of abnormal and 71.2 % of normal real ones, from
DCGAN's 58.4 and 61.3 %, from real ones 88.3 and 88.5 % (Table 1).

Deviations: none known. Beyond the steps, the batch, the rate of learning, the noise and the flip, the paper names no
number of the network: they are those of Karras et al., marked `assumed` in the YAML.
"""
