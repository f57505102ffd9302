"""What the examples share: data, checkpoints, pictures and reports. No trainer: the loops are in the examples."""
