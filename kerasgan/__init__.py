"""kerasgan: GAN-made brain MR images, from published papers, in Keras 3 / TensorFlow.

`from kerasgan import experiment` gives in Python what the command line does. Importing the package itself costs
nothing: TensorFlow is loaded by the first function that needs it.
"""

__version__ = "0.1.0"
