"""CycleGAN, StarGAN and MUNIT code in the usual structure, with the usual names, for the guides in docs/ to be applied to.

Written anew, from names and signatures, around the networks of ``published``.
"""
