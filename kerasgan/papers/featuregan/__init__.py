"""Features of a U-Net, generated for two grades of glioma by an AC-GAN.

Mehra, Soliman, Sahoo: arXiv 2209.14097 (2022).

Where to read: unet.py (the network whose blocks are the features), tensorlayer.py (its published weights), losses.py
(what it is fine-tuned with).
"""
