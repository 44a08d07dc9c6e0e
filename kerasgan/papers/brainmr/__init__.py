"""DCGAN against WGAN on whole-brain slices, judged by a physician in a Visual Turing Test.

Han, Hayashi, Rundo, Araki, Shimoda, Muramatsu, Furukawa, Mauri, Nakayama: "GAN-based Synthetic Brain MR Image
Generation", IEEE ISBI 2018, doi 10.1109/ISBI.2018.8363678.

Where to read: networks.py (3.2.2), training.py (3.2.2, a run), published.py (Table 1), study.py (its comparison with
ours); the test itself: kerasgan/evaluation/turing; numbers: configs/brainmr.yaml.

Command:   kerasgan train wgan --sequence t1 --size 128 --data prepared/
Published: a physician tells DCGAN's T1 images from real ones with 70 % accuracy, WGAN's with 64 % (Table 1; 50 % is
           chance).

Deviations: in eq. (1) as printed the generator minimises log(1 - D(G(z))); as in Radford's DCGAN, to which the paper
refers, it maximises log D(G(z)) instead. What the paper leaves open is marked `assumed` in the YAML. The published
accuracies are one physician's; a run cannot print its own until somebody has taken the test (`kerasgan turing`).
"""
