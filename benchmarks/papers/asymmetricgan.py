"""AsymmetricGAN (Tang and Sebe): Tables 1 to 10, Figures 1 and 3 to 8: many domains, unsupervised.

Sizes: Table 10's counts are those of 128², which the examples have too; Facades has 256². "All" of Tables 5, 8 and 9
is S3 without sharing with two discriminators, the preset ``all``; the preset ``baseline`` is S2 with one.
"""

from __future__ import annotations

from functools import partial

from papers.registry import Arm, Exhibit, figures, printed

TABLE, FIGURE = (partial(Exhibit, "asymmetricgan", kind) for kind in ("table", "figure"))

ALL = Arm("No-Sharing", "asymmetricgan_domains", preset="all")
BASELINE = Arm("AsymmetricGAN", "asymmetricgan_domains", preset="baseline")
STARGAN = Arm("StarGAN", "stargan")
SHARING = (ALL.named("Fully-Sharing", sharing="full"), ALL.named("Partially-Sharing", sharing="partial"), ALL)

NO = {
    "I": {"weights__identity": 0},
    "S": {"weights__structure": 0},
    "C": {"weights__cycle": 0},
    "D": {"discriminators": 1},
}
"""What a row of Table 9 takes away."""


def without(*parts: str) -> Arm:
    """The row of Table 9 without some parts."""
    options = {name: value for part in parts for name, value in NO[part].items()}
    return ALL.named(" - ".join(["All", *parts]), **options)


ABLATIONS = (
    without(),
    without("I"),
    without("S", "C"),
    without("S", "C", "I"),
    *(without("D", *p) for p in ((), "S", "C")),
)

REAL = "taken for real (%)"
PEOPLE = ("people", "Inception")
CYCLEGANS = "CycleGAN, which needs a run for each pair of domains, is left out"


def layers(number: int, architecture: str, total: str) -> Exhibit:
    """The table of one generator's layers."""
    return TABLE(
        number,
        f"Generator architecture {architecture}",
        measures=["layers"],
        reported=printed("", ("weights",), {"all layers": (total,)}),
        note="its layers and their weights, with seven domains, norms aside; the total is printed in §3.1",
    )


def pictures(number: int, title: str, name: str, *arms: Arm) -> Exhibit:
    """A figure of translations between domains."""
    return FIGURE(number, title, [name], arms, ["domain_grid"], note=CYCLEGANS)


EXHIBITS = (
    layers(1, "I", "2.9K"),
    layers(2, "II", "1.3M"),
    layers(3, "III", "8.4M"),
    TABLE(
        4,
        "Data sets: domains, mappings, images",
        ["facades-domains", "ar-face", "bu3dfe", "alps", "rafd", "collection-style"],
        measures=["counts"],
        reported={
            name: figures(("domains", "mappings", "train", "test"), {"images": cells})
            for name, cells in {
                "facades-domains": ("2", "2", "800", "212"),
                "ar-face": ("4", "12", "920", "100"),
                "bu3dfe": ("7", "42", "2,520", "280"),
                "alps": ("4", "12", "6,053", "400"),
                "rafd": ("8", "56", "5,360", "2,680"),
                "collection-style": ("5", "20", "7,837", "1,593"),
            }.items()
        },
    ),
    TABLE(
        5,
        "AMT by what the generators share",
        ["facades-domains", "ar-face", "alps", "bu3dfe"],
        (STARGAN, *SHARING),
        ["people", "domain_accuracy"],
        printed(
            "facades-domains",
            (f"to photo: {REAL}", f"to label: {REAL}"),
            {
                "CycleGAN": ("8.8±1.5", "4.8±0.8"),
                "StarGAN": ("3.5±0.7", "1.3±0.3"),
                "Fully-Sharing": ("4.6±0.9", "2.4±0.4"),
                "Partially-Sharing": ("8.2±1.2", "3.6±0.7"),
                "No-Sharing": ("10.3±1.6", "5.6±0.9"),
            },
        )
        | {
            name: figures(
                (REAL,), dict(zip(("CycleGAN", "StarGAN", *(arm.name for arm in SHARING)), cells, strict=True))
            )
            for name, cells in {
                "ar-face": (("24.3±1.7",), ("4.1±1.3",), ("6.8±0.6",), ("16.8±1.2",), ("22.8±1.9",)),
                "alps": (("39.6±1.4",), ("8.6±0.7",), ("15.4±1.9",), ("36.7±2.3",), ("47.7±2.8",)),
                "bu3dfe": (("16.9±1.2",), ("9.3±0.9",), ("13.1±1.3",), ("18.9±1.1",), ("23.6±1.7",)),
            }.items()
        },
        needs=PEOPLE,
        note=f"{CYCLEGANS}; the accuracies are ours",
    ),
    TABLE(
        6,
        "AMT, FID and classification accuracy, painting styles",
        ["collection-style"],
        (Arm("Real Data"), STARGAN, BASELINE),
        ["people", "domain_quality", "domain_accuracy"],
        printed(
            "collection-style",
            (REAL, "FID", "top-1 accuracy"),
            {
                "CycleGAN": ("16.8±1.9", "47.4823", "73.72%"),
                "StarGAN": ("13.9±1.4", "58.1562", "44.63%"),
                "AsymmetricGAN": ("19.8±2.4", "43.7473", "78.84%"),
                "Real Data": ("", "", "91.34%"),
            },
        ),
        needs=PEOPLE,
        note=CYCLEGANS,
    ),
    TABLE(
        7,
        "AMT, IS and FID, facial expressions",
        ["rafd"],
        (STARGAN, BASELINE),
        ["people", "domain_quality"],
        printed(
            "rafd",
            (REAL, "Inception Score", "FID"),
            {
                "CycleGAN": ("19.5", "1.6942", "52.8230"),
                "StarGAN": ("24.7", "1.6695", "51.6929"),
                "AsymmetricGAN": ("29.1", "1.7187", "51.2765"),
            },
        ),
        needs=PEOPLE,
        note=CYCLEGANS,
    ),
    TABLE(
        8,
        "Pairs of generators: time, size and quality",
        ["bu3dfe"],
        (
            STARGAN,
            BASELINE.named("StarGAN++", preset="S3", sharing="full"),
            *(BASELINE.named(name, preset=name) for name in ("S1", "S2", "S3")),
        ),
        ["epoch_time", "domain_parameters", "people", "domain_quality", "domain_accuracy"],
        printed(
            "bu3dfe",
            (
                "time of an epoch (s)",
                "parameters of Gᵗ",
                "parameters of Gʳ",
                REAL,
                "Inception Score",
                "top-1 accuracy",
                "top-5 accuracy",
            ),
            {
                "StarGAN": ("2m23s", "8.4M", "", "9.3±0.9", "1.5640", "52.704%", "94.898%"),
                "StarGAN++": ("2m26s", "8.4M", "", "12.4±1.2", "1.6532", "53.765%", "95.125%"),
                "S1": ("2m27s", "8.4M", "2.9K", "18.9±1.4", "1.8790", "55.575%", "96.014%"),
                "S2": ("2m29s", "8.4M", "1.3M", "20.1±1.4", "1.9293", "56.173%", "97.112%"),
                "S3": ("2m33s", "8.4M", "8.4M", "23.6±1.7", "1.8714", "55.625%", "96.250%"),
            },
        ),
        needs=PEOPLE,
        note="one discriminator in all rows; StarGAN++ is StarGAN's generator with this paper's losses",
    ),
    TABLE(
        9,
        "Without identity (I), MS-SSIM (S), colour cycle (C) and double discriminators (D)",
        ["facades-domains", "ar-face", "bu3dfe"],
        ABLATIONS,
        ["people", "domain_accuracy", "domain_quality"],
        {
            "facades-domains": figures(
                (f"to photo: {REAL}", f"to label: {REAL}"),
                {
                    "All": ("10.3±1.6", "5.6±0.9"),
                    "All - I": ("2.6±0.4", "4.2±1.1"),
                    "All - S - C": ("4.4±0.6", "4.8±1.3"),
                    "All - S - C - I": ("2.2±0.3", "3.9±0.8"),
                    "All - D": ("9.0±1.5", "5.3±1.1"),
                    "All - D - S": ("3.3±0.7", "4.5±1.1"),
                    "All - D - C": ("8.7±1.3", "5.1±0.9"),
                },
            ),
            "ar-face": figures(
                (REAL, "top-1 accuracy"),
                {
                    "All": ("22.8±1.9", "29.667%"),
                    "All - I": ("4.7±0.8", "29.333%"),
                    "All - S - C": ("8.7±0.6", "28.000%"),
                    "All - S - C - I": ("2.1±0.3", "24.667%"),
                    "All - D": ("21.7±1.7", "28.367%"),
                    "All - D - S": ("14.7±1.7", "27.333%"),
                    "All - D - C": ("19.4±1.5", "28.000%"),
                },
            ),
            "bu3dfe": figures(
                (REAL, "top-1 accuracy", "top-5 accuracy", "FID"),
                {
                    "All": ("23.6±1.7", "55.625%", "96.250%", "33.28"),
                    "All - I": ("16.3±1.1", "53.739%", "95.625%", "43.89"),
                    "All - S - C": ("14.4±1.2", "42.500%", "95.417%", "45.50"),
                    "All - S - C - I": ("13.6±1.2", "41.458%", "95.208%", "47.62"),
                    "All - D": ("22.3±1.6", "53.375%", "95.292%", "35.67"),
                    "All - D - S": ("20.1±1.4", "42.917%", "91.250%", "38.09"),
                    "All - D - C": ("21.6±1.4", "45.833%", "93.875%", "36.12"),
                },
            ),
        },
        needs=PEOPLE,
        note="a term that is taken away has the weight 0 here; whether the paper's runs without C had a plain cycle loss it does not say",
    ),
    TABLE(
        10,
        "Parameters of whole models, seven domains",
        measures=["model_sizes"],
        reported=printed(
            "",
            ("parameters",),
            {
                "StarGAN": ("53.2M",),
                "sharing full": ("53.2M",),
                "sharing partial": ("53.8M",),
                "sharing none": ("61.6M",),
            },
        ),
        note="of the other models, whose networks are their papers', nothing is computed",
    ),
    FIGURE(1, "Unsupervised framework", note="a diagram; examples/asymmetricgan_domains.py is the method"),
    pictures(3, "Label ↔ photo", "facades-domains", STARGAN, ALL),
    pictures(4, "Expressions, AR Face", "ar-face", STARGAN, ALL),
    pictures(5, "Expressions, Bu3dfe", "bu3dfe", STARGAN, ALL),
    pictures(6, "Expressions, RaFD", "rafd", STARGAN, BASELINE),
    pictures(7, "Seasons, Alps", "alps", STARGAN, ALL),
    pictures(8, "Painting styles", "collection-style", STARGAN, BASELINE),
)
