"""Ops in PyTorch's own operations: the plain formulas, and the hand-written forms for every device but CUDA."""
