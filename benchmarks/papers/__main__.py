"""``python benchmarks/papers``: see :mod:`papers.run`."""

import sys
from pathlib import Path

BENCHMARKS = Path(__file__).parent.parent
sys.path[:0] = [str(BENCHMARKS), str(BENCHMARKS.parent / "examples")]

if __name__ == "__main__":
    import tyro

    from asymkit.console import print_in_any_encoding
    from papers.run import Options, main

    print_in_any_encoding()
    try:
        main(tyro.cli(Options, config=(tyro.conf.OmitArgPrefixes,)))
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")
