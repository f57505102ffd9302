"""Triton kernels of the ops, for tensors on NVIDIA GPUs; :mod:`asymkit.ops.backend` selects them."""
