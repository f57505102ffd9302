"""Fused Triton kernels of the ops, chosen inside each op for tensors on NVIDIA GPUs."""
