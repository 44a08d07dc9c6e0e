"""What Alam et al. print."""

# Table 1, GAN-train by the data that the classifier learnt from: sensitivity, specificity, harmonic mean.
TABLE_1 = {"PGGAN": (0.762, 0.712, 0.736), "DCGAN": (0.584, 0.613, 0.598), "Real data": (0.883, 0.885, 0.883)}
