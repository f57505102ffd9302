"""AsymmetricGAN (Tang and Sebe): Tables 11 to 13, Figures 2, 9 and 10: gestures, supervised, at 256²."""

from __future__ import annotations

from papers.asymmetricgan import FIGURE, REAL, TABLE
from papers.registry import Arm, figures, printed

ASYMMETRIC = Arm("AsymmetricGAN", "asymmetricgan_gesture")
SYMMETRIC = ASYMMETRIC.named("SymmetricGAN", reconstructor_width=64)
PIX2PIX = ASYMMETRIC.named("pix2pix", method="pix2pix")

GESTURES = ("skeletons", "VGG", "people", "Inception", "ResNet-50")
OTHERS = "SymmetricGAN is GestureGAN's structure with this paper's losses; the other rivals are left out"

EXHIBITS = (
    TABLE(
        11,
        "Symmetric against asymmetric generators",
        ["ntu-hand-digit"],
        (SYMMETRIC, ASYMMETRIC),
        ["gesture_scores", "gesture_people", "gesture_parameters"],
        printed(
            "ntu-hand-digit",
            ("PSNR (dB)", REAL, "FID", "FRD", "parameters of Gᵗ", "parameters of Gʳ"),
            {
                "SymmetricGAN": ("32.5740", "27.9", "6.8711", "1.7519", "11.388M", "11.388M"),
                "AsymmetricGAN": ("32.6686", "29.7", "6.7132", "1.7341", "11.388M", "0.046M"),
            },
        ),
        needs=GESTURES,
    ),
    TABLE(
        12,
        "Gesture translation",
        ["ntu-hand-digit", "senz3d"],
        (PIX2PIX, SYMMETRIC, ASYMMETRIC),
        ["gesture_scores", "gesture_people"],
        {
            name: figures(("PSNR (dB)", REAL, "FID", "FRD"), rows)
            for name, rows in {
                "ntu-hand-digit": {
                    "PG²": ("28.2403", "3.5", "24.2093", "2.6319"),
                    "SAMG": ("28.0185", "2.6", "31.2841", "2.7453"),
                    "DPIG": ("30.6487", "7.1", "6.7661", "2.6184"),
                    "PoseGAN": ("29.5471", "9.3", "9.6725", "2.5846"),
                    "GestureGAN": ("32.6091", "26.1", "7.5860", "2.5223"),
                    "AsymmetricGAN": ("32.6686", "29.7", "6.7132", "1.7341"),
                },
                "senz3d": {
                    "PG²": ("26.5138", "2.8", "31.7333", "3.0933"),
                    "SAMG": ("26.9545", "2.3", "38.1758", "3.1006"),
                    "DPIG": ("26.9451", "6.9", "26.2713", "3.0846"),
                    "PoseGAN": ("27.3014", "8.6", "24.6712", "3.0467"),
                    "GestureGAN": ("27.9749", "22.6", "18.4595", "2.9836"),
                    "AsymmetricGAN": ("31.5624", "28.1", "12.4326", "2.2011"),
                },
            }.items()
        },
        needs=GESTURES,
        note=OTHERS,
    ),
    TABLE(
        13,
        "Gesture recognition with generated images",
        ["ntu-hand-digit", "senz3d"],
        (PIX2PIX, SYMMETRIC, ASYMMETRIC),
        ["augmentation"],
        {
            name: figures(
                ("top-1, trained on real", "top-1, trained on real + generated"),
                {"AsymmetricGAN": (real, ours), "GestureGAN": (real, theirs)},
            )
            for name, real, theirs, ours in (
                ("ntu-hand-digit", "15.000%", "96.667%", "97.333%"),
                ("senz3d", "34.343%", "99.747%", "99.797%"),
            )
        },
        needs=GESTURES[:2],
        note="the classifier is a small network here, the paper's a pre-trained ResNet-50; translators see no photo of the test part",
    ),
    FIGURE(2, "Supervised framework", note="a diagram; examples/asymmetricgan_gesture.py is the method"),
    FIGURE(
        9,
        "Gestures beside the truth",
        ["ntu-hand-digit"],
        (SYMMETRIC, ASYMMETRIC),
        ["gesture_grid"],
        needs=GESTURES[:2],
    ),
    FIGURE(
        10,
        "One photo to many skeletons",
        ["ntu-hand-digit", "senz3d"],
        [ASYMMETRIC],
        ["gesture_table"],
        needs=GESTURES[:2],
    ),
)
