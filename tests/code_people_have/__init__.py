"""CycleGAN, StarGAN, MUNIT, AsymmetricGAN, CUT and pix2pix code in the usual structure, for the guides in docs/.

Written anew, from names and signatures, around the networks of ``published``.
"""
