"""AsymmetricGAN (Tang and Sebe, Asymmetric GANs for Image-to-Image Translation), its two frameworks.

:mod:`.unsupervised` has Eq. 1–8, many domains; :mod:`.supervised` Eq. 9–12, one image with another's skeleton. Each has
``Translators``, ``Weights``, ``generator_terms`` and ``discriminator_terms``.
"""

from asymkit.objectives.asymmetricgan import supervised, unsupervised

__all__ = ["supervised", "unsupervised"]
