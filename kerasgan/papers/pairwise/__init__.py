"""Pairwise GANs that translate between MR modalities, to enlarge the training set of a glioma classifier.

Ge, Gu, Jakola, Yang: "Enlarged Training Dataset by Pairwise GANs for Molecular-Based Brain Tumor Classification",
IEEE Access 8 (2020), doi 10.1109/ACCESS.2020.2969805.

Where to read: networks.py (II-B2, Figure 3), gan.py (eqs. 1 to 5, Algorithm 1), training.py (a run), synthesis.py
(II-B1, whole volumes and missing modalities), cases.py and enlarging.py (III-A2, Figure 6), classifier.py (II-C, II-D),
quality.py and autoencoder.py (III-E2, Table 6), published.py (Tables 2 to 7), study.py (their comparison with ours);
numbers: configs/pairwise.yaml.

Command:   kerasgan train pairwise --pair t1 t1e --data prepared/
Published: with the mask, PSNR 24.39 dB on the whole image and 26.14 dB in the tumour (Table 6).

Deviations: eq. (5) as printed has the generators maximise the loss, its L1 term included; as the text before eq. (1)
aims at, they minimise ||D(fake) - 1||^2 plus the weighted L1. DAEF's features are of the encoder's last layer: the
decoder's, which III-E2 names, has not the 512 channels that it gives. What the paper leaves open is marked `assumed` in
the YAML. The paper's patients (TCGA-GBM and TCGA-LGG) do not come with the package; without --data a run uses simulated
heads, and says so.
"""
