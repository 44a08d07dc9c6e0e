"""The engine: adversarial models, losses, penalties, layers, optimizers, training. Knows nothing of MRI or papers."""
