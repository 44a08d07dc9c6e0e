"""One study, one module: every run that a paper's tables need, then the tables."""
