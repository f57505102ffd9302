"""Parameters of AsymmetricGAN's networks beside the paper's tables 8, 10 and 11.

python benchmarks/model_size.py --out benchmarks/results
"""

from __future__ import annotations

import measure
import tyro
from report import Report
from torch import nn

from asymkit import DomainDiscriminator, DualGenerator, StarGenerator
from asymkit.console import print_in_any_encoding

COLUMNS = ("paper's table", "network", "parameters, printed", "parameters, here")


def weights(*modules: nn.Module) -> int:
    """As the paper counts: a shared weight once, the scales and shifts of norms aside."""
    own = {id(p): p for module in modules for p in module.parameters()}.values()
    norms = {
        id(p) for m in modules for n in m.modules() if "Norm" in type(n).__name__ for p in n.parameters(recurse=False)
    }
    return sum(p.numel() for p in own if id(p) not in norms)


def rows() -> list[tuple[str, str, str, int]]:
    """(table, what, printed, counted)."""

    def dual(name: str, sharing: str = "none") -> DualGenerator:
        return DualGenerator.preset(name, domains=7, sharing=sharing)  # type: ignore[arg-type]

    discriminator = DomainDiscriminator(domains=7, image_size=128)
    pair = DualGenerator.supervised()
    found = [("8", "StarGAN, StarGAN++", "8.4M", weights(StarGenerator(domains=7)))]
    for name, printed in (("S1", "2.9K"), ("S2", "1.3M"), ("S3", "8.4M")):
        preset = dual(name)
        found.append(("8", f"{name}: Gᵗ", "8.4M", weights(preset.translator)))
        found.append(("8", f"{name}: Gʳ", printed, weights(preset.reconstructor)))
    for sharing, printed in (("full", "53.2M"), ("partial", "53.8M"), ("none", "61.6M")):
        found.append(
            ("10", f"S3 and discriminator, sharing {sharing}", printed, weights(dual("S3", sharing), discriminator))
        )
    found.append(("11", "supervised Gᵗ", "11.388M", weights(pair.translator)))
    found.append(("11", "supervised Gʳ", "0.046M", weights(pair.reconstructor)))
    return found


def main(options: measure.Options) -> None:
    """Print and write the table; the paper truncates most numbers and rounds 11.388M."""
    report = Report("model_size", options, COLUMNS)
    report.rows += [dict(zip(COLUMNS, row, strict=True)) for row in rows()]
    report.write()


if __name__ == "__main__":
    print_in_any_encoding()
    main(tyro.cli(measure.Options))
