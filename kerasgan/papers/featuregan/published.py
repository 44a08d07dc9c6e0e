"""What Mehra et al. print."""

# Table 2 without its row names, which the available text lacks: Dice or IoU, training or validation, is not known.
TABLE_2 = (0.74, 0.79)

# Class accuracy of 4800 generated features, as the discriminator tells it, by ngf = ndf (4.2.3); none for 256.
CLASS_ACCURACY = {64: 0.76, 512: 0.823}

# Table 3: the baseline and the set with so many synthetic features; accuracies of HGG, LGG, all.
TABLE_3 = {0: (0.95, 0.05, 0.61), 1158: (0.569, 0.384, 0.524)}
