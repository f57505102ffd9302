"""What would be published, checked: built twice with equal bytes, complete, small, and importable in an empty environment.

make release-check
"""

from __future__ import annotations

import email
import hashlib
import re
import subprocess
import sys
import tarfile
import tempfile
import venv
import zipfile
from email.message import Message
from pathlib import Path

ROOT = Path(__file__).parent.parent
LIMITS = {".whl": 600_000, ".gz": 3_000_000}
"""Bytes that a file may have, by its ending: a picture or a weights file that got in by mistake is larger."""
WANTED = ("page.html", "order.js", "page.js", "py.typed")
"""Files of the package that are no modules."""

IMPORTS = """
import importlib, importlib.resources, sys
import asymkit
assert sys.prefix in asymkit.__file__, asymkit.__file__
objectives = [f"asymkit.objectives.{name}" for name in ("asymgan", "asymmetricgan.unsupervised", "asymmetricgan.supervised", "asyncgan")]
modules = ["asymkit", "asymkit.ops", "asymkit.layers", "asymkit.blocks", "asymkit.losses", "asymkit.networks", "asymkit.checkpoints"]
modules += ["asymkit.evaluation", "asymkit.evaluation.entropy", "asymkit.evaluation.study.scores", *objectives]
found = 0
for module in modules:
    loaded = importlib.import_module(module)
    for name in getattr(loaded, "__all__", []):
        getattr(loaded, name)
        found += 1
study = importlib.resources.files("asymkit.evaluation.study")
assert all((study / name).is_file() for name in ("page.html", "order.js", "page.js")), "the wheel lacks the page of user studies"
print(f"the wheel imports: {found} public names of asymkit {asymkit.__version__}")
"""


def built(folder: Path) -> dict[str, Path]:
    """The sdist and the wheel made of it, by name."""
    subprocess.run(
        [sys.executable, "-m", "build", "--outdir", str(folder), str(ROOT)], check=True, stdout=subprocess.DEVNULL
    )
    return {path.name: path for path in sorted(folder.iterdir())}


def contents(path: Path) -> list[str]:
    """Names of the files in an archive."""
    if path.suffix == ".whl":
        with zipfile.ZipFile(path) as archive:
            return archive.namelist()
    with tarfile.open(path) as archive:
        return archive.getnames()


def metadata(wheel: Path) -> Message:
    """What a package index shows."""
    with zipfile.ZipFile(wheel) as archive:
        name = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return email.message_from_bytes(archive.read(name))


def targets(markdown: str) -> list[str]:
    """Where links and pictures of a page lead, outside of its code."""
    prose = re.sub(r"```.*?```", "", markdown, flags=re.DOTALL)
    return [link or source for link, source in re.findall(r'\]\(([^)\s]+)\)|(?:src|srcset)="([^"]+)"', prose)]


def broken_targets(markdown: str, root: Path) -> list[str]:
    """Relative targets that no file of a checkout is at."""
    relative = [target for target in targets(markdown) if not re.match(r"[a-z]+:|#", target)]
    return [target for target in relative if not (root / target.partition("#")[0]).exists()]


def main() -> None:
    """Run every check; the first that fails ends it."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    if broken := broken_targets(readme, ROOT):
        sys.exit(f"README.md: no such files: {', '.join(broken)}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        first, second = (built(folder / part) for part in ("first", "second"))
        version = re.search(r'__version__ = "(.+)"', (ROOT / "asymkit" / "__init__.py").read_text(encoding="utf-8"))[1]  # type: ignore[index]
        names = {f"asymkit-{version}.tar.gz", f"asymkit-{version}-py3-none-any.whl"}
        assert set(first) == set(second) == names, f"built {sorted(first)}, expected {sorted(names)}"
        for file, path in first.items():
            digest, again = (hashlib.sha256(each.read_bytes()).hexdigest() for each in (path, second[file]))
            assert digest == again, f"{file}: two builds differ"
            size = path.stat().st_size
            assert size <= LIMITS[path.suffix], f"{file}: {size:,} bytes, more than {LIMITS[path.suffix]:,}"
            print(f"{file}: {size:,} bytes, sha256 {digest[:16]}…, the same twice")
        wheel = next(path for path in first.values() if path.suffix == ".whl")
        inside = contents(wheel)
        assert all(part.startswith(("asymkit/", f"asymkit-{version}.dist-info/")) for part in inside), inside
        assert all(any(part.endswith(wanted) for part in inside) for wanted in WANTED), (
            f"the wheel lacks one of {WANTED}"
        )
        described = str(metadata(wheel).get_payload())
        relative = [target for target in targets(described) if not re.match(r"https?:|#|mailto:", target)]
        assert not relative, f"the description has targets that lead nowhere: {relative}"
        subprocess.run([sys.executable, "-m", "twine", "check", "--strict", *map(str, first.values())], check=True)
        venv.create(folder / "empty", with_pip=True)
        python = folder / "empty" / "bin" / "python"
        subprocess.run(
            [python, "-I", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", wheel], check=True
        )
        subprocess.run([python, "-I", "-c", IMPORTS], check=True)  # not of the checkout


if __name__ == "__main__":
    main()
