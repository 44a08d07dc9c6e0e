"""What Mukherjee 2022 prints: Tables 1 to 5, key by key.

Tables 1 and 3 are of the brain tumour dataset (Cheng et al.), 2 and 4 of BraTS 2020: (category, method) to the means of
SSIM, PSNR in dB, KL divergence and sharpness difference (SD) in dB, each generated image against its real one. The text
does not say how many images they are means of. Categories have this package's names ("t1e" is T1ce).
"""

from collections.abc import Mapping

Scores = tuple[float, float, float, float]  # SSIM, PSNR, KL divergence, SD

DCGAN_1, DCGAN_2, WGAN, LSGAN, INFOGAN = "DCGAN-1", "DCGAN-2", "WGAN", "LSGAN", "InfoGAN"
AGGRGAN_SSIM, AGGRGAN_PSNR = "AGGrGAN (SSIM)", "AGGrGAN (PSNR)"
STYLED = " + style transfer"  # after the name of a base model

TABLE_1: Mapping[tuple[str, str], Scores] = {
    ("glioma", DCGAN_1): (0.39, 17.33, 0.23, 28.52),
    ("glioma", DCGAN_1 + STYLED): (0.56, 17.80, 0.37, 29.68),
    ("glioma", DCGAN_2): (0.40, 15.55, 0.34, 28.04),
    ("glioma", DCGAN_2 + STYLED): (0.55, 16.85, 0.45, 29.73),
    ("glioma", WGAN): (0.42, 17.31, 0.36, 28.14),
    ("glioma", WGAN + STYLED): (0.52, 17.65, 0.45, 29.48),
    ("glioma", AGGRGAN_SSIM): (0.57, 17.85, 0.50, 29.78),
    ("glioma", AGGRGAN_PSNR): (0.55, 17.97, 0.44, 29.50),
    ("meningioma", DCGAN_1): (0.42, 16.18, 0.27, 28.97),
    ("meningioma", DCGAN_1 + STYLED): (0.49, 16.21, 0.63, 29.47),
    ("meningioma", DCGAN_2): (0.40, 15.61, 0.27, 28.26),
    ("meningioma", DCGAN_2 + STYLED): (0.51, 16.38, 0.42, 29.31),
    ("meningioma", WGAN): (0.46, 17.92, 0.40, 28.64),
    ("meningioma", WGAN + STYLED): (0.48, 17.59, 0.48, 29.09),
    ("meningioma", AGGRGAN_SSIM): (0.53, 17.13, 0.40, 29.61),
    ("meningioma", AGGRGAN_PSNR): (0.51, 17.49, 0.57, 29.56),
    ("pituitary", DCGAN_1): (0.37, 15.35, 0.38, 28.54),
    ("pituitary", DCGAN_1 + STYLED): (0.44, 15.83, 0.46, 28.66),
    ("pituitary", DCGAN_2): (0.37, 16.42, 0.34, 27.71),
    ("pituitary", DCGAN_2 + STYLED): (0.42, 16.53, 0.21, 28.34),
    ("pituitary", WGAN): (0.40, 16.91, 0.39, 28.11),
    ("pituitary", WGAN + STYLED): (0.42, 16.87, 0.28, 28.35),
    ("pituitary", AGGRGAN_SSIM): (0.47, 16.93, 0.34, 28.75),
    ("pituitary", AGGRGAN_PSNR): (0.44, 17.12, 0.19, 28.54),
}

TABLE_2: Mapping[tuple[str, str], Scores] = {
    ("t1", DCGAN_1): (0.47, 17.9, 5.05, 28.52),
    ("t1", DCGAN_1 + STYLED): (0.69, 19.69, 1.71, 28.91),
    ("t1", DCGAN_2): (0.68, 19.69, 3.83, 27.70),
    ("t1", DCGAN_2 + STYLED): (0.76, 20.61, 1.17, 29.05),
    ("t1", WGAN): (0.62, 20.62, 2.37, 27.51),
    ("t1", WGAN + STYLED): (0.76, 21.07, 1.34, 28.99),
    ("t1", AGGRGAN_SSIM): (0.77, 21.14, 1.16, 29.14),
    ("t1", AGGRGAN_PSNR): (0.74, 22.12, 1.10, 29.10),
    ("t1e", DCGAN_1): (0.48, 18.60, 3.93, 28.51),
    ("t1e", DCGAN_1 + STYLED): (0.72, 21.53, 1.76, 28.96),
    ("t1e", DCGAN_2): (0.65, 19.70, 1.53, 27.57),
    ("t1e", DCGAN_2 + STYLED): (0.79, 22.10, 1.23, 28.81),
    ("t1e", WGAN): (0.61, 20.20, 2.37, 27.52),
    ("t1e", WGAN + STYLED): (0.82, 22.85, 1.19, 29.12),
    ("t1e", AGGRGAN_SSIM): (0.83, 23.30, 1.11, 29.15),
    ("t1e", AGGRGAN_PSNR): (0.82, 23.68, 0.99, 29.07),
    ("t2", DCGAN_1): (0.49, 18.76, 3.70, 28.41),
    ("t2", DCGAN_1 + STYLED): (0.68, 19.71, 1.92, 28.86),
    ("t2", DCGAN_2): (0.69, 19.67, 3.54, 27.82),
    ("t2", DCGAN_2 + STYLED): (0.77, 20.63, 1.21, 29.55),
    ("t2", WGAN): (0.60, 21.14, 2.40, 27.46),
    ("t2", WGAN + STYLED): (0.77, 21.28, 1.25, 29.10),
    ("t2", AGGRGAN_SSIM): (0.80, 21.60, 1.20, 29.63),
    ("t2", AGGRGAN_PSNR): (0.78, 21.94, 1.15, 29.11),
    ("flair", DCGAN_1): (0.48, 17.81, 1.65, 29.05),
    ("flair", DCGAN_1 + STYLED): (0.65, 19.05, 1.34, 28.54),
    ("flair", DCGAN_2): (0.65, 21.27, 1.48, 27.62),
    ("flair", DCGAN_2 + STYLED): (0.76, 21.33, 1.27, 28.93),
    ("flair", WGAN): (0.54, 19.91, 2.06, 27.49),
    ("flair", WGAN + STYLED): (0.77, 21.04, 1.32, 29),
    ("flair", AGGRGAN_SSIM): (0.78, 21.90, 1.26, 29.11),
    ("flair", AGGRGAN_PSNR): (0.77, 21.77, 1.18, 29.35),
}

# Tables 3 and 4 also have AGGrGAN: their rows repeat AGGrGAN (SSIM) of Tables 1 and 2.
TABLE_3: Mapping[tuple[str, str], Scores] = {
    ("glioma", LSGAN): (0.48, 17.52, 0.26, 28.57),
    ("glioma", INFOGAN): (0.43, 17.22, 0.28, 28.63),
    ("meningioma", LSGAN): (0.45, 17.96, 0.25, 28.75),
    ("meningioma", INFOGAN): (0.43, 16.48, 0.31, 28.18),
    ("pituitary", LSGAN): (0.38, 16.61, 0.31, 27.68),
    ("pituitary", INFOGAN): (0.44, 16.75, 0.24, 27.80),
}

TABLE_4: Mapping[tuple[str, str], Scores] = {
    ("t1", LSGAN): (0.69, 20.17, 1.14, 27.53),
    ("t1", INFOGAN): (0.76, 21.35, 3.55, 27.82),
    ("t1e", LSGAN): (0.58, 20.31, 1.52, 27.49),
    ("t1e", INFOGAN): (0.72, 19.51, 1.87, 27.64),
    ("t2", LSGAN): (0.68, 20.16, 1.39, 27.60),
    ("t2", INFOGAN): (0.75, 21.56, 2.63, 27.75),
    ("flair", LSGAN): (0.63, 19.91, 1.49, 27.49),
    ("flair", INFOGAN): (0.68, 17.47, 2.08, 27.76),
}

# Table 5, of 300 generated images per class: (dataset, case) -> network -> accuracy in %.
TUMOUR_SET, BRATS = "brain tumor dataset", "BraTS 2020"
CASES = ("Case-1", "Case-2", "Case-3 (a)", "Case-3 (b)", "Case-3 (c)")
TABLE_5: Mapping[tuple[str, str], Mapping[str, float]] = {
    (TUMOUR_SET, "Case-1"): {"inceptionresnetv2": 44.43, "vgg19": 77.12, "resnet152v2": 58.45},
    (TUMOUR_SET, "Case-2"): {"inceptionresnetv2": 78.15, "vgg19": 81.23, "resnet152v2": 78.56},
    (TUMOUR_SET, "Case-3 (a)"): {"inceptionresnetv2": 87.29, "vgg19": 90.12, "resnet152v2": 92.24},
    (TUMOUR_SET, "Case-3 (b)"): {"inceptionresnetv2": 90.35, "vgg19": 92.70, "resnet152v2": 93.88},
    (TUMOUR_SET, "Case-3 (c)"): {"inceptionresnetv2": 90.11, "vgg19": 93.41, "resnet152v2": 92.47},
    (BRATS, "Case-1"): {"inceptionresnetv2": 59.05, "vgg19": 61.79, "resnet152v2": 53.12},
    (BRATS, "Case-2"): {"inceptionresnetv2": 86.17, "vgg19": 88.28, "resnet152v2": 85.65},
    (BRATS, "Case-3 (a)"): {"inceptionresnetv2": 88.57, "vgg19": 91.27, "resnet152v2": 88.18},
    (BRATS, "Case-3 (b)"): {"inceptionresnetv2": 89.72, "vgg19": 94.24, "resnet152v2": 92.80},
    (BRATS, "Case-3 (c)"): {"inceptionresnetv2": 90.20, "vgg19": 93.66, "resnet152v2": 92.03},
}
