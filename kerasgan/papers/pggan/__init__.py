"""A progressively grown GAN of neonatal brain MR images, judged by training a classifier on what it makes (GAN-train).

Alam, Hossain, Kobashi: "Synthetic Brain Image Generation for ADHD prediction based on Progressive Growing Generative
Adversarial Network". The network is that of Karras, Aila, Laine, Lehtinen: "Progressive Growing of GANs for Improved
Quality, Stability, and Variation", ICLR 2018, arXiv 1710.10196.

Where to read: layers.py (the pieces), networks.py (both players at a resolution, and how they grow), progressive.py
(eq. 2, the game of one resolution), training.py (a run), study.py (Table 1); numbers: configs/pggan.yaml.
There is no DOI known for the paper.

Command:   kerasgan train pggan --data prepared/
Published: an SVM that learns from generated images finds 76.2 % of abnormal and 71.2 % of normal real ones, from
DCGAN's 58.4 and 61.3 %, from real ones 88.3 and 88.5 % (Table 1).

Deviations: the gradient penalty takes points between real and generated images (Gulrajani et al. 2017), where eq. (2)
prints generated ones; all patches are learnt, where 4.1 draws an unknown number of images; the DCGAN of the comparison
is one network per class. Beyond the steps, the batch, the rate of learning, the noise, the flip and the first 4x4
pixels, the paper names no number of network and training: they are those of Karras et al., marked `assumed` in the
YAML.
"""
