"""Unpaired translation between several domains by one model: unequal generators against StarGAN."""
