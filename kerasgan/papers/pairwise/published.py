"""The numbers that Ge 2020 printed: mean and standard deviation over five runs, or run by run; accuracies in %."""

from collections.abc import Mapping

Statistic = tuple[float, float]  # mean, standard deviation

MEASURES = ("accuracy", "sensitivity", "specificity")

# Table 2: test set, after the vote.
TABLE_2: Mapping[str, Mapping[str, Statistic]] = {
    "Prop-A": {"accuracy": (88.82, 6.37), "sensitivity": (81.81, 11.13), "specificity": (92.17, 4.77)},
    "Prop-B": {"accuracy": (88.23, 6.57), "sensitivity": (79.99, 14.94), "specificity": (92.17, 4.77)},
}

# Tables 3 and 4: per run; then their mean and standard deviation as printed.
TABLE_3: Mapping[str, Mapping[str, tuple[float, ...]]] = {
    "Prop-A": {
        "accuracy": (88.23, 91.17, 79.41, 97.05, 88.23),
        "sensitivity": (81.81, 90.90, 63.63, 90.90, 81.81),
        "specificity": (91.30, 91.30, 86.95, 100.0, 91.30),
    },
    "Bas-1": {
        "accuracy": (85.29, 91.17, 85.29, 85.29, 82.35),
        "sensitivity": (63.63, 90.90, 72.72, 54.54, 63.63),
        "specificity": (95.65, 91.30, 91.30, 100.0, 91.30),
    },
}
TABLE_3_MEANS: Mapping[str, Mapping[str, Statistic]] = {
    "Prop-A": TABLE_2["Prop-A"],
    "Bas-1": {"accuracy": (85.88, 3.22), "sensitivity": (69.08, 13.79), "specificity": (93.91, 3.89)},
}
TABLE_4: Mapping[str, Mapping[str, tuple[float, ...]]] = {
    "Prop-B": {
        "accuracy": (88.23, 91.17, 79.41, 97.05, 85.29),
        "sensitivity": (81.81, 90.90, 54.54, 90.90, 81.81),
        "specificity": (91.30, 91.30, 91.30, 100.0, 86.95),
    },
    "Bas-2": {
        "accuracy": (85.29, 91.17, 73.52, 88.23, 82.25),  # as printed; 28 of 34 patients are 82.35 %
        "sensitivity": (72.72, 90.90, 36.36, 63.63, 72.72),
        "specificity": (91.30, 91.30, 91.30, 100.0, 86.95),
    },
}
TABLE_4_MEANS: Mapping[str, Mapping[str, Statistic]] = {
    "Prop-B": TABLE_2["Prop-B"],
    "Bas-2": {"accuracy": (84.09, 6.78), "sensitivity": (67.27, 19.92), "specificity": (92.17, 4.77)},
}

# Table 5: Prop-A with and without the mask enhancement of the classifier's input.
TABLE_5: Mapping[str, Mapping[str, Statistic]] = {
    "with mask": TABLE_2["Prop-A"],
    "without mask": {"accuracy": (81.15, 3.34), "sensitivity": (65.44, 9.95), "specificity": (88.69, 4.95)},
}

# What each case compares, and the name of its method without the mask enhancement.
METHODS = {"a": ("Prop-A", "Bas-1"), "b": ("Prop-B", "Bas-2")}
UNMASKED = "Prop-A without mask"
# Each method's row, in whichever table it stands.
MEANS: Mapping[str, Mapping[str, Statistic]] = {
    **TABLE_3_MEANS,
    **TABLE_4_MEANS,
    UNMASKED: TABLE_5["without mask"],
}

# Table 6: PSNR in dB and DAEF, for GANs trained with and without the tumour mask in the loss.
TABLE_6: Mapping[str, Mapping[str, Statistic]] = {
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

# Table 7: other methods' patients with mutation and wild-type, and accuracy; only Liang's are the paper's patients.
TABLE_7: Mapping[str, tuple[int, int, float]] = {
    "Liang et al. 2018": (55, 112, 84.60),
    "Yu et al. 2017": (76, 34, 80.00),
    "Zhang et al. 2018": (70, 33, 80.00),
    "Chang et al. 2018": (233, 263, 85.70),
}
