"""Image metrics, one per file: arrays in, numbers out."""
