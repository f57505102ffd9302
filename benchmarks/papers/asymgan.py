"""AsymGAN (Li et al., TIP 2019): Tables I to III, Figures 1 to 12.

Sizes: §IV-D and §V train on 128², Fig. 10 on 64². Cityscapes' tables do not say theirs; the FCNs that score them saw 256².
"""

from __future__ import annotations

from functools import partial

from papers.registry import Arm, Exhibit, printed

TABLE, FIGURE = (partial(Exhibit, "asymgan", kind) for kind in ("table", "figure"))

SEGMENTATION = ("per-pixel accuracy", "per-class accuracy", "class IoU")

CYCLEGAN = Arm("CycleGAN baseline", "asymgan", {"method": "cyclegan", "size": 128})
BASE = CYCLEGAN.named("Ours-w/o-ex", method="base", injection="concat", spatial=True)
EXTENDED = CYCLEGAN.named("Ours", method="extended")
BOTH = (CYCLEGAN, BASE, EXTENDED)

SMALL = EXTENDED.named("+all", size=64)
ABLATIONS = (
    SMALL.named("w/o all", method="base"),
    SMALL.named("w/o adv", weights__adversarial_resampled=0, weights__adversarial_encoded=0),
    SMALL.named("w/o perception", weights__content=0, weights__style=0),
    SMALL.named("w/o TV", weights__total_variation=0),
    SMALL,
)
VECTOR = "a spatial z in the base version, as §IV-A; the extended one has a vector"

EXHIBITS = (
    TABLE(
        1,
        "Segmentation scores, photo → label",
        ["cityscapes"],
        BOTH,
        ["label_scores"],
        printed(
            "cityscapes",
            SEGMENTATION,
            {
                "CoGAN": ("45.0%", "11.0%", "8.0%"),
                "SimGAN": ("47.0%", "11.0%", "7.0%"),
                "DualGAN": ("49.3%", "11.2%", "7.6%"),
                "AugCGAN": ("52.3%", "17.8%", "13.3%"),
                "Cycle GAN": ("58.0%", "22.0%", "16.0%"),
                "CycleGAN baseline": ("58.4%", "21.2%", "15.7%"),
                "Ours-w/o-ex": ("74.9%", "27.6%", "21.6%"),
                "Ours": ("63.1%", "22.1%", "16.1%"),
            },
        ),
        note=VECTOR,
    ),
    TABLE(
        2,
        "FCN scores, label → photo with a sampled z",
        ["cityscapes"],
        (Arm("real photos"), *BOTH),
        ["photo_scores"],
        printed(
            "cityscapes",
            SEGMENTATION,
            {
                "FCN-8s-256 on real photos": ("80.0%", "26.0%", "21.2%"),
                "FCN-8s-256: CycleGAN baseline": ("53.9%", "17.7%", "12.6%"),
                "FCN-8s-256: Ours-w/o-ex": ("64.0%", "24.0%", "16.9%"),
                "real photos": ("87.9%", "70.9%", "59.4%"),
                "AugCGAN": ("46.8%", "17.0%", "11.4%"),
                "CycleGAN baseline": ("60.9%", "24.4%", "17.9%"),
                "Ours-w/o-ex": ("74.3%", "30.4%", "22.9%"),
                "Ours": ("79.4%", "31.4%", "24.5%"),
            },
        ),
        needs=["scorer"],
        note="rows without a network's name are those of the paper's own FCN-32s-256",
    ),
    TABLE(
        3,
        "MOS of label → photo: correctness, realness, richness",
        ["cityscapes"],
        BOTH,
        ["mos"],
        printed(
            "cityscapes",
            ("correctness", "realness", "richness"),
            {
                "CycleGAN baseline": ("2.91", "2.85", "2.87"),
                "Ours-w/o-ex": ("3.62", "3.51", "3.47"),
                "Ours": ("3.74", "3.48", "3.52"),
            },
        ),
        needs=["people", "VGG"],
        note="the paper asked 45",
    ),
    FIGURE(1, "Overview of AsymGAN", note="a diagram; its pictures are Figures 3, 4 and 8 again"),
    FIGURE(2, "The main framework", note="a diagram; docs/asymgan.md and examples/asymgan.py are the method"),
    FIGURE(3, "Generation quality in both directions", ["cityscapes"], BOTH, ["rich_grid", "poor_grid"]),
    FIGURE(4, "Sampled z, label → photo", ["cityscapes"], [BASE, EXTENDED], ["run_pictures", "diversity"]),
    FIGURE(
        5,
        "Diversity over a sampled z, on real and on generated labels, and interpolation",
        ["helen"],
        (
            CYCLEGAN,
            CYCLEGAN.named("Cycle GAN with dropout", dropout=0.5),
            EXTENDED.named("z in every norm, as AugCGAN's", injection="cin_all"),
            EXTENDED,
        ),
        ["run_pictures", "diversity", "same_z"],
        note="AugCGAN itself, with a z for each domain, and DualGAN are not among the examples",
    ),
    FIGURE(6, "Encoded z of photos, and interpolation", ["helen"], [EXTENDED], ["run_pictures"]),
    FIGURE(7, "Encoded z of paintings, and interpolation", ["vangogh2photo"], [EXTENDED], ["run_pictures"]),
    FIGURE(
        8,
        "Sensitivity to crops and resizes, in both loops",
        ["cityscapes"],
        BOTH,
        ["changed_pictures", "sensitivity", "leak"],
        note="the leak, how much of x is hidden in G(x), is ours",
    ),
    FIGURE(9, "Sensitivity to a small disturbance of G(x)", ["helen"], BOTH, ["changed_pictures", "sensitivity"]),
    FIGURE(
        10,
        "Without the adversarial, perceptual and total variation terms, 64²",
        ["edges2shoes-3k", "helen"],
        ABLATIONS,
        ["run_pictures", "diversity", "same_z"],
        needs=["VGG"],
    ),
    FIGURE(
        11,
        "Applications, 128²",
        [
            *("facades", "maps", "photo-sketch", "night2day", "edges2shoes-3k", "hair2bald"),
            *("monet2photo", "vangogh2photo", "ukiyoe2photo", "photo2monet", "photo2vangogh", "photo2ukiyoe"),
        ],
        [EXTENDED],
        ["run_pictures"],
        needs=["VGG"],
    ),
    FIGURE(
        12,
        "How z enters F: concat, concat to all, CIN",
        ["helen"],
        (
            EXTENDED.named("concat", injection="concat"),
            EXTENDED.named("concat to all", injection="concat_all"),
            EXTENDED.named("CIN", injection="cin"),
        ),
        ["run_pictures", "diversity"],
    ),
)
