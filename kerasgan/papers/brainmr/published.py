"""What Han 2018 publishes: Table 1, of one physician, 50 real and 50 synthetic images each."""

# (model, sequence, size) -> accuracy in %, real as real, real as synthetic, synthetic as real, synthetic as synthetic.
TABLE_1 = {
    ("dcgan", "t1", 128): (70, 26, 24, 6, 44),
    ("dcgan", "t1e", 128): (71, 24, 26, 3, 47),
    ("dcgan", "t2", 128): (64, 22, 28, 8, 42),
    ("dcgan", "flair", 128): (54, 12, 38, 8, 42),
    ("dcgan", "concat", 128): (77, 34, 16, 7, 43),
    ("dcgan", "concat", 64): (54, 13, 37, 9, 41),
    ("wgan", "t1", 128): (64, 20, 30, 6, 44),
    ("wgan", "t1e", 128): (55, 13, 37, 8, 42),
    ("wgan", "t2", 128): (58, 19, 31, 11, 39),
    ("wgan", "flair", 128): (62, 16, 34, 4, 46),
    ("wgan", "concat", 128): (66, 31, 19, 15, 35),
    ("wgan", "concat", 64): (53, 18, 32, 15, 35),
}
