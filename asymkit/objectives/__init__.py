"""One file per paper, its equations in the paper's order: ``from asymkit.objectives import asymgan``."""
