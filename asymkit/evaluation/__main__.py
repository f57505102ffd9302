"""``python -m asymkit.evaluation``."""

from __future__ import annotations

import sys

from asymkit.console import print_in_any_encoding


def main() -> None:
    """The command line."""
    print_in_any_encoding()
    try:
        import torchmetrics  # noqa: F401  # before hours of reading images, not after
        import tyro

        from asymkit.evaluation.command import evaluate
    except ImportError as error:
        sys.exit(f'error: {error.name} is missing; pip install "asymkit[evaluation]"')
    try:
        print(tyro.cli(evaluate, config=(tyro.conf.PositionalRequiredArgs,), prog="python -m asymkit.evaluation"))
    except (ValueError, ImportError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
