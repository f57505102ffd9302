"""Async-GAN (Zheng et al., TMM 2022): Tables I to X, Figures 1 to 10, and the digits of §IV-F.

Sizes are height × width here; the paper prints 1024 × 512. Its CycleGAN-512 and -1024 have one stage more in both networks, as
the high-resolution networks here, which have discriminators of two scales beside.
"""

from __future__ import annotations

from functools import partial

from papers.registry import Arm, Exhibit, figures, printed

TABLE, FIGURE = (partial(Exhibit, "asyncgan", kind) for kind in ("table", "figure"))

WIDE = (512, 1024)
CYCLEGAN = Arm("CycleGAN-256", "asyncgan", {"schedule": "sync"}, preset="cyclegan")
CYCLEGAN_512 = Arm("CycleGAN-512", "asyncgan", {"schedule": "sync", "size": (512, 512)})
CYCLEGAN_1024 = CYCLEGAN_512.named("CycleGAN-1024", size=WIDE)
MUNIT = Arm("MUNIT", "asyncgan_munit", {"schedule": "sync", "size": 256})
MUNIT_512 = MUNIT.named("MUNIT-512", size=(512, 512))
MUNIT_1024 = MUNIT_512.named("MUNIT-1024", size=WIDE)
ASYNC = Arm("Async-GAN", "asyncgan", {"size": WIDE})
ASYNC_512 = ASYNC.named("Async-GAN", size=(512, 512))
UNPAIRED = (CYCLEGAN, CYCLEGAN_512, CYCLEGAN_1024, MUNIT, MUNIT_512, MUNIT_1024, ASYNC)
SHOWN = (CYCLEGAN_1024, MUNIT_1024, ASYNC)

SCORED = ("scorer", "Inception", "LPIPS")
PAIRED = ("SSIM", "PSNR (dB)", "LPIPS", "FID")
QUALITY = (*PAIRED, "per-class accuracy", "class IoU")
OVER_Z = ("BicycleGAN", "Async-GAN(w/o z)", "Async-GAN(w/ z)")
OWN_MUNIT = "MUNIT is a compact one of our own"

EXHIBITS = (
    FIGURE(1, "Shannon entropy of both domains", ["cityscapes"], (), ["entropy"]),
    FIGURE(2, "Key ideas", note="a diagram; docs/asyncgan.md and examples/asyncgan.py are the method"),
    TABLE(
        1,
        "Label → photo",
        ["cityscapes"],
        UNPAIRED,
        ["paired", "quality", "photo_scores"],
        printed(
            "cityscapes",
            QUALITY,
            {
                "CycleGAN-256": ("0.8347", "14.87", "0.5451", "77.11", "25.1%", "8.3%"),
                "CycleGAN-512": ("0.8328", "15.03", "0.5134", "84.93", "36.3%", "22.1%"),
                "CycleGAN-1024": ("0.8415", "15.12", "0.4617", "71.64", "42.6%", "27.7%"),
                "MUNIT": ("0.7744", "13.80", "0.5481", "71.85", "28.8%", "17.1%"),
                "MUNIT-512": ("0.8156", "14.61", "0.4804", "78.25", "35.6%", "21.6%"),
                "MUNIT-1024": ("0.8254", "14.98", "0.4615", "84.16", "40.6%", "26.5%"),
                "StarGAN-v2": ("0.8415", "15.56", "0.4417", "78.73", "55.6%", "41.7%"),
                "Async-GAN": ("0.8396", "15.67", "0.4374", "72.10", "58.1%", "47.7%"),
                "Pix2pixHD (paired)": ("0.8528", "16.09", "0.4366", "59.38", "67.4%", "58.6%"),
            },
        ),
        WIDE,
        SCORED,
        OWN_MUNIT,
    ),
    TABLE(
        2,
        "Defogging",
        ["foggy-cityscapes"],
        UNPAIRED,
        ["paired", "quality", "photo_scores"],
        printed(
            "foggy-cityscapes",
            QUALITY,
            {
                "CycleGAN-256": ("0.8413", "20.16", "0.4136", "78.98", "56.8%", "32.4%"),
                "CycleGAN-512": ("0.8604", "22.76", "0.3712", "67.54", "63.1%", "38.9%"),
                "CycleGAN-1024": ("0.8656", "23.24", "0.3604", "71.87", "69.3%", "44.1%"),
                "MUNIT": ("0.8517", "21.25", "0.3917", "84.62", "47.8%", "28.7%"),
                "MUNIT-512": ("0.8692", "22.42", "0.3667", "73.61", "69.2%", "42.1%"),
                "MUNIT-1024": ("0.8701", "23.41", "0.3535", "64.62", "71.1%", "46.2%"),
                "StarGAN-v2": ("0.8812", "26.12", "0.3426", "59.75", "79.1%", "54.9%"),
                "Async-GAN": ("0.8891", "26.48", "0.3313", "62.10", "85.8%", "59.3%"),
                "Pix2pixHD (paired)": ("0.9051", "27.18", "0.3414", "59.38", "84.9%", "57.9%"),
            },
        ),
        WIDE,
        SCORED,
        OWN_MUNIT,
    ),
    TABLE(
        3,
        "Night → day",
        ["bdd100k-night"],
        UNPAIRED,
        ["quality", "photo_scores"],
        printed(
            "bdd100k-night",
            QUALITY[3:],
            {
                "night images themselves": ("101.2", "39.8%", "14.1%"),
                "CycleGAN-256": ("80.82", "19.4%", "10.3%"),
                "CycleGAN-512": ("76.45", "37.8%", "14.6%"),
                "CycleGAN-1024": ("73.87", "41.4%", "16.7%"),
                "MUNIT": ("61.83", "19.7%", "9.60%"),
                "MUNIT-512": ("59.76", "34.6%", "13.2%"),
                "MUNIT-1024": ("61.83", "38.5%", "14.0%"),
                "StarGAN-v2": ("51.67", "45.4%", "25.6%"),
                "Async-GAN": ("41.92", "65.1%", "31.6%"),
            },
        ),
        needs=SCORED,
        note=OWN_MUNIT,
    ),
    TABLE(
        4,
        "Portrait → photo",
        ["apdrawing"],
        (CYCLEGAN, CYCLEGAN_512, MUNIT, MUNIT_512, ASYNC_512),
        ["paired", "quality"],
        printed(
            "apdrawing",
            PAIRED,
            {
                "CycleGAN-256": ("0.8329", "12.62", "0.4578", "125.4"),
                "CycleGAN-512": ("0.8387", "13.21", "0.4315", "111.5"),
                "MUNIT": ("0.8199", "12.85", "0.4636", "139.6"),
                "MUNIT-512": ("0.8376", "13.16", "0.4227", "105.2"),
                "StarGAN-v2": ("0.8494", "13.64", "0.4175", "98.56"),
                "Async-GAN": ("0.8524", "13.54", "0.4165", "121.1"),
                "Pix2pixHD (paired)": ("0.8553", "13.47", "0.4346", "135.4"),
            },
        ),
        (512, 512),
        note=OWN_MUNIT,
    ),
    TABLE(
        5,
        "What the intermediate domains lead to",
        ["cityscapes"],
        [Arm(name, "asyncgan", {"size": WIDE}, keeps_phases=True) for name in ("1st", "2nd", "3rd")],
        ["phases"],
        printed(
            "cityscapes",
            ("FID", "SSIM", "PSNR (dB)", "LPIPS"),
            {
                "1st": ("93.61", "0.7923", "14.92", "0.5367"),
                "2nd": ("82.50", "0.8178", "15.35", "0.4812"),
                "3rd": ("72.10", "0.8396", "15.67", "0.4374"),
            },
        ),
        WIDE,
        note="which three moments are meant the paper does not say; here: the first, the middle and the last end of a phase",
    ),
    TABLE(
        6,
        "The period T, with N = 100",
        ["cityscapes"],
        [ASYNC.named(f"N = 100, T = {period}", period=period) for period in (5, 15, 30, 10)],
        ["quality", "photo_scores"],
        printed(
            "cityscapes",
            ("FID", "class IoU"),
            {
                "N = 100, T = 5": ("76.3", "41.9%"),
                "N = 100, T = 15": ("78.1", "45.1%"),
                "N = 100, T = 30": ("82.8", "39.2%"),
                "N = 100, T = 10": ("72.1", "47.7%"),
            },
        ),
        WIDE,
        SCORED,
    ),
    TABLE(
        7,
        "Synchronous against asynchronous (*)",
        ["cityscapes"],
        (
            CYCLEGAN,
            CYCLEGAN.named("CycleGAN-256*", schedule="async"),
            MUNIT,
            MUNIT.named("MUNIT*", schedule="async"),
            CYCLEGAN_1024,
            ASYNC,
        ),
        ["paired", "quality", "photo_scores"],
        printed(
            "cityscapes",
            QUALITY,
            {
                "CycleGAN-256": ("0.8347", "14.87", "0.5451", "77.11", "25.1%", "8.3%"),
                "CycleGAN-256*": ("0.8109", "14.28", "0.5102", "65.51", "31.6%", "18.3%"),
                "MUNIT": ("0.7744", "13.80", "0.5481", "71.85", "28.8%", "17.1%"),
                "MUNIT*": ("0.7729", "14.17", "0.4963", "81.89", "37.6%", "24.5%"),
                "CycleGAN-1024": ("0.8415", "15.12", "0.4617", "71.64", "42.6%", "27.7%"),
                "Async-GAN": ("0.8396", "15.67", "0.4374", "72.10", "58.1%", "47.7%"),
            },
        ),
        WIDE,
        SCORED,
        OWN_MUNIT,
    ),
    TABLE(
        8,
        "Diversity with a latent z of 128",
        ["cityscapes", "facades"],
        (ASYNC_512.named("Async-GAN(w/o z)"), ASYNC_512.named("Async-GAN(w/ z)", aux_channels=128)),
        ["quality", "diversity"],
        {
            name: figures(("FID", "LPIPS over z"), dict(zip(OVER_Z, cells, strict=True)))
            for name, cells in {
                "cityscapes": (("89.42", "0.1456"), ("72.10", "0.1087"), ("60.41", "0.1521")),
                "facades": (("62.95", "0.1543"), ("65.61", "0.1402"), ("51.24", "0.1902")),
            }.items()
        },
        note="without z one input has one translation here, and no diversity; how the paper's row without z is above 0 it does not say",
    ),
    TABLE(
        9,
        "Both directions",
        ["cityscapes"],
        (Arm("AsymGAN", "asymgan", {"method": "base", "injection": "concat", "spatial": True, "size": 128}), *SHOWN),
        ["photo_scores", "label_scores"],
        printed(
            "cityscapes",
            (
                *("per-pixel accuracy", "per-class accuracy", "class IoU"),
                *("label per-pixel accuracy", "label per-class accuracy", "label class IoU"),
            ),
            {
                "AsymGAN": ("79.4%", "31.4%", "24.5%", "74.9%", "27.6%", "21.6%"),
                "CycleGAN-1024": ("81.1%", "42.6%", "27.7%", "79.4%", "38.1%", "30.1%"),
                "MUNIT-1024": ("79.7%", "40.6%", "26.5%", "76.6%", "34.6%", "28.5%"),
                "Async-GAN": ("86.2%", "58.1%", "47.7%", "81.6%", "44.7%", "32.6%"),
            },
        ),
        WIDE,
        SCORED,
        OWN_MUNIT,
    ),
    TABLE(
        10,
        "Symmetric domains",
        ["summer2winter", "woman2man"],
        (CYCLEGAN.named("CycleGAN"), CYCLEGAN.named("Async-CycleGAN", schedule="async")),
        ["quality", "poor_quality"],
        {
            "summer2winter": figures(
                ("first direction FID", "second direction FID"),
                {"CycleGAN": ("56.26", "62.47"), "Async-CycleGAN": ("51.64", "64.86")},
            ),
            "woman2man": figures(
                ("first direction FID", "second direction FID"),
                {"CycleGAN": ("34.35", "29.82"), "Async-CycleGAN": ("31.73", "26.14")},
            ),
        },
        note="the paper gives red and blue values, forward and backward; side A is the rich one here",
    ),
    *(
        FIGURE(number, title, [name], SHOWN, ["rich_grid", "segmented"], needs=SCORED, note=OWN_MUNIT)
        for number, title, name in (
            (3, "Label → photo, and its segmentation", "cityscapes"),
            (4, "Defogging", "foggy-cityscapes"),
            (5, "Night → day, and its segmentation", "bdd100k-night"),
        )
    ),
    FIGURE(6, "Portrait → photo", ["apdrawing"], (CYCLEGAN_512, MUNIT_512, ASYNC_512), ["rich_grid"], note=OWN_MUNIT),
    FIGURE(7, "Intermediate domains in both directions", ["cityscapes"], [ASYNC], ["run_pictures"]),
    FIGURE(
        8,
        "Sampled z, label → photo",
        ["cityscapes"],
        [ASYNC_512.named("Async-GAN(w/ z)", aux_channels=128)],
        ["run_pictures"],
    ),
    FIGURE(
        9,
        "Only (F, D_y) trained in the joint phase; and no reconstruction term, in the text",
        ["cityscapes"],
        (
            ASYNC,
            ASYNC.named("(F, D_y) only", joint="easy"),
            ASYNC.named("without reconstruction", weights__pseudo=0.0),
        ),
        ["rich_grid", "poor_grid", "photo_scores"],
        printed("cityscapes", ("class IoU",), {"Async-GAN": ("47.7%",), "without reconstruction": ("28.3%",)}),
        needs=SCORED,
    ),
    FIGURE(10, "Aerial map → photo, label → facade", ["maps", "facades"], (CYCLEGAN, ASYNC_512), ["rich_grid"]),
    TABLE(
        "digits",
        "§IV-F: SVHN → MNIST, read by a classifier of real MNIST",
        ["svhn-mnist"],
        (Arm("CycleGAN", "asyncgan_digits"), Arm("Async-GAN", "asyncgan_digits")),
        ["digits"],
        printed(
            "svhn-mnist",
            ("accuracy, rich to poor",),
            {"CycleGAN": ("26.1%",), "GcGAN": ("33.3%",), "Async-GAN": ("38.8%",)},
        ),
        note="no table in the paper; figures of its text",
    ),
)
