"""What a run shows: pages, pictures, figures, logs."""
