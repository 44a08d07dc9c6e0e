"""Three GANs' images aggregated by edge strength, then given the style of real ones.

Mukherjee, Saha, Kaplun, Sinitca, Sarkar: "Brain tumor image generation using an aggregation of GAN models with style
transfer", Scientific Reports 12 (2022), doi 10.1038/s41598-022-12646-y.

Where to read: networks.py (the five models), training.py (a run), infogan.py (its own step), categories.py (what a
class is), aggregation.py (Algorithm 1), style.py (eqs. 12 to 16) with vgg19.py (its network) and lbfgs.py (its
optimizer), making.py (a class's images, from noise to style), classification.py and cnns.py (Table 5), published.py
(Tables 1 to 5), study.py (their comparison with ours); numbers: configs/aggrgan.yaml.

Command:   kerasgan train aggrgan --class glioma --data prepared/
Published: images of gliomas with an SSIM of 0.57 to real ones, against 0.39 to 0.42 of the three GANs alone; T1ce
           images of BraTS 2020 with 0.83 against 0.48 to 0.65 (Tables 1 and 2).

Deviations: eq. (11) is printed with +k, by which the critic would raise its gradient without bound; as in Wu et al.
2018 the critic pays for it. For WGAN's networks the paper refers to Wu et al.; here they are DCGAN-2's generator and
its mirror without batch normalisation and dropout, with the fully connected layers that the paper names. Algorithm 1's
`flag` is reset before its first loop, not inside. GANs learn from 80 % of the patients, those that Case 3 of Table 5
trains on: the paper does not say that its test images were kept from the GANs. What the paper leaves open is marked
`assumed` in the YAML.
"""
