"""``python benchmarks/hidden_factors``: see :mod:`hidden_factors.run`."""

import sys
from pathlib import Path

BENCHMARKS = Path(__file__).parent.parent
sys.path[:0] = [str(BENCHMARKS), str(BENCHMARKS.parent / "examples")]

if __name__ == "__main__":
    import tyro

    from asymkit.console import print_in_any_encoding
    from hidden_factors.run import Options, main

    print_in_any_encoding()
    main(tyro.cli(Options, config=(tyro.conf.OmitArgPrefixes,)))
