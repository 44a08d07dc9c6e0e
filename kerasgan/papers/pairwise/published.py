"""The numbers that Ge 2020 printed, mean and standard deviation over five runs."""

# Table 6, PSNR in dB and DAEF, for GANs trained with and without the tumour mask in the loss.
TABLE_6 = {
    "with mask": {
        "psnr": (24.39, 0.06),
        "psnr_tumour": (26.14, 0.13),
        "daef": (132.40, 17.05),
        "daef_tumour": (275.96, 7.93),
    },
    "without mask": {
        "psnr": (25.99, 0.07),
        "psnr_tumour": (25.69, 0.10),
        "daef": (137.25, 16.33),
        "daef_tumour": (277.00, 8.18),
    },
}
