"""Packages that only some of the library needs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

DISTRIBUTIONS = {"PIL": "Pillow", "torch_fidelity": "torch-fidelity", "pytorch_msssim": "pytorch-msssim"}
"""Packages that are not installed by the name they are imported by."""


@contextmanager
def needed_for(what: str, install: str = '"asymkit[evaluation]"') -> Iterator[None]:
    """Imports that fail inside say what needs the package and what to install.

    Args:
        what: the part of the library, the beginning of the message.
        install: what to give to ``pip install``.

    Raises:
        ImportError: an import inside failed; its ``name`` is kept.

    Example:
        >>> from asymkit.optional import needed_for
        >>> with needed_for("this figure"):
        ...     import no_such_package
        Traceback (most recent call last):
        ImportError: this figure needs no_such_package: pip install "asymkit[evaluation]"
    """
    try:
        yield
    except ImportError as error:
        package = (error.name or "a package").partition(".")[0]
        message = f"{what} needs {DISTRIBUTIONS.get(package, package)}: pip install {install}"
        raise ImportError(message, name=error.name) from error
