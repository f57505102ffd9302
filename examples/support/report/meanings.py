"""What the letters and figures of a report mean, for whoever reads one without the papers."""

from __future__ import annotations

import re
from collections.abc import Iterable

from support.report.health import WAITS

LETTERS = {
    r"\bG\(x\)": "x is a rich image and y a poor one. G translates from rich to poor, F from poor to rich.",
    r"\bF\(x\)": "x is a rich image and y a poor one. F translates from rich to poor, G from poor to rich.",
    r"\bz\b": "z is the latent code: it says which of the many rich images of a poor one is meant.",
    r"\bE\(x\)": "E is the encoder, which gives the z of a rich image.",
    r"\bl_y\b": "x and y are photos of one hand, l_x and l_y their skeletons.",
    "Gᵗ": "Gᵗ is the translator, to the pose of a skeleton.",
    "Gʳ": "Gʳ is the reconstructor.",
}
"""By a pattern that finds them in captions, in the order in which they are explained."""

ERROR = "mean absolute error in [-1, 1]; lower is better"

FIGURES = {
    "rich_cycle_l1": f"rich images against themselves after translation to poor and back: {ERROR}",
    "poor_cycle_l1": f"poor images against themselves after translation to rich and back: {ERROR}",
    "(rich|poor)_decoded_l1": f"images against what is decoded from their own content and style: {ERROR}",
    "z_cycle_l1": "sampled z against those that the encoder finds in the translations; lower is better, near 0.80 z is ignored",
    "z_diversity": "mean difference of translations of one poor image with two z, in parts of the value range; at 0 z is ignored",
    "checkerboard_.*": "how strongly neighbouring pixels alternate; translations (fake) should not have more than real images",
    "entropy_.*": "Shannon entropy of pixel values; translations (fake) should have about that of real images",
    "accuracy_.*": "part of the images that a classifier puts into their domain; 1 is best; real images are the measure of fake ones",
    "psnr_of_copying_x_db": "PSNR of the untranslated x, which translations should surpass",
    "psnr_.*": "PSNR against the real photo, in decibels; higher is better",
    "done": "part of the training that is over",
    "steps": "taken in training",
    "seconds": "of training",
    "waiting_for_data": f"part of the time in which training waited for images; above {WAITS} it needs more --workers",
    "skipped_steps": "left out, because a loss or a gradient was not finite",
    "broken_files": "images that could not be read",
    "images_per_second": "in training, lately",
    "discriminator_.*": "loss of a discriminator, unweighted, at the last step; near 0 for long, the discriminator has won",
}
"""By a pattern of their names, of which the first that fits counts; what none fits is a loss of the generators."""

LOSS = "loss of the generators, unweighted, at the last step"


def letters(captions: Iterable[str]) -> str:
    """What the letters in captions stand for."""
    text = "\n".join(captions)
    return " ".join(said for pattern, said in LETTERS.items() if re.search(pattern, text))


def meaning(name: str) -> str:
    """What a figure is, in a line."""
    return next((said for pattern, said in FIGURES.items() if re.fullmatch(pattern, name)), LOSS)
