"""Training objectives, one file per paper, with its equations in the paper's order: ``from asymkit.objectives import asymgan``."""
