"""What the examples share: data, reports, and the run around a loop. No trainer: forward, losses and steps are in the examples."""
