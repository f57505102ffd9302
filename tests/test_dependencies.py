"""What asymkit needs: PyTorch to be imported, everything else where it is used; declared versions that can be installed."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from asymkit.optional import needed_for

if sys.version_info >= (3, 11):
    import tomllib
else:
    tomllib = pytest.importorskip("tomli")  # which pytest needs there

ROOT = Path(__file__).parent.parent
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))

ONLY_TORCH = """
import importlib.metadata, re, sys

def plain(name):
    return re.sub("[-_.]+", "-", name).lower()

def needed_by(name, found):
    for requirement in importlib.metadata.requires(name) or []:
        other = plain(re.match(r"[\\w.-]+", requirement)[0])
        if "extra ==" not in requirement and other not in found:
            found.add(other)
            try:
                needed_by(other, found)
            except importlib.metadata.PackageNotFoundError:  # of another platform
                pass
    return found

class Blocked:
    allowed = needed_by("torch", {"torch", "asymkit"}) - {"numpy"}
    packages = importlib.metadata.packages_distributions()

    def find_spec(self, name, *_):
        if name in self.packages and not self.allowed & set(map(plain, self.packages[name])):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Blocked())
"""


def run_with_torch_only(code: str) -> subprocess.CompletedProcess[str]:
    """A script in a process where no package can be imported but PyTorch and what PyTorch needs."""
    # PyTorch warns that there is no NumPy
    command = [sys.executable, "-W", "ignore", "-c", ONLY_TORCH + code]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)


TRAIN = """
import torch, asymkit, asymkit.evaluation, asymkit.evaluation.entropy, asymkit.objectives, asymkit.ops
from asymkit import *
from asymkit.objectives import asymgan

model = asymgan.Translators(ResnetGenerator(blocks=1, width=4), AuxGenerator(blocks=1, width=4), AuxEncoder(width=4), extended=True)
discriminators = asymgan.Discriminators(PatchDiscriminator(width=4, layers=1), PatchDiscriminator(width=4, layers=1), AuxDiscriminator(8))
features = VGGFeatures(["relu1_2"], weights=None)
cycles = model(torch.rand(2, 3, 32, 32), torch.rand(2, 3, 32, 32))
terms = asymgan.generator_terms(cycles, discriminators, ContentLoss(features), GramStyleLoss(features))
asymgan.Weights().total(terms).backward()
MSSSIMLoss(scales=1)(cycles.rebuilt_rich, torch.rand(2, 3, 32, 32))
StarGenerator(3, blocks=1, width=4)(torch.rand(1, 3, 32, 32), torch.tensor([1]))
"""


def test_networks_losses_and_objectives_need_nothing_but_pytorch() -> None:
    result = run_with_torch_only(TRAIN)
    assert result.returncode == 0, result.stderr[-2000:]


def test_what_needs_more_says_what_to_install() -> None:
    """All in one process, which takes seconds to load PyTorch."""
    calls = {
        "LPIPSLoss(weights=None)": "LPIPSLoss needs lpips: pip install lpips torchvision",
        'SSIMLoss(backend="pytorch-msssim")(x, x)': 'backend="pytorch-msssim" needs pytorch-msssim: pip install pytorch-msssim',
        'VGGFeatures(["relu1_2"], weights="imagenet")': "weights='imagenet' needs torchvision: pip install torchvision",
        '__import__("asymkit.hub")': 'asymkit.hub needs huggingface_hub: pip install "asymkit[hub]"',
        'evaluation.torchvision_features(weights=None)': "a network of torchvision needs torchvision: pip install torchvision",
        'evaluation.FolderImages(".")': 'reading images needs numpy: pip install "asymkit[evaluation]"',
        'evaluation.entropy.domain_entropy(".")': 'reading images needs numpy: pip install "asymkit[evaluation]"',
        'evaluation.image_quality(x, x, pixels)': 'this figure needs torchmetrics: pip install "asymkit[evaluation]"',
        'save_weights(PatchDiscriminator(width=4), "x.safetensors")': 'a safetensors file needs safetensors: pip install "asymkit[hub]"',
    }  # fmt: skip
    code = "import torch, asymkit.evaluation.entropy; from torch import nn; from asymkit import *; from asymkit import evaluation\n"
    code += 'x, pixels = torch.rand(2, 3, 32, 32), evaluation.FeatureNetwork(nn.Flatten(), "pixels")\n'
    for call in calls:
        code += f"try:\n    {call}\nexcept ImportError as error:\n    print(error)\nelse:\n    print('worked')\n"
    result = run_with_torch_only(code)
    assert result.returncode == 0, result.stderr[-2000:]
    for said, (call, message) in zip(result.stdout.splitlines(), calls.items(), strict=True):
        assert message in said, call


def test_the_name_of_what_is_missing_is_kept() -> None:
    """Command lines say it in words of their own."""
    with (
        pytest.raises(ImportError, match=r"^this figure needs no_such_package: pip install nothing$") as caught,
        needed_for("this figure", "nothing"),
    ):
        importlib.import_module("no_such_package.part")
    assert caught.value.name == "no_such_package"


REQUIREMENTS = [
    Requirement(text)
    for group in [
        PROJECT["build-system"]["requires"],
        PROJECT["project"]["dependencies"],
        *PROJECT["project"]["optional-dependencies"].values(),
    ]
    for text in group
]
REQUIREMENTS = [requirement for requirement in REQUIREMENTS if requirement.name != "asymkit"]

YANKED = {
    "build": ["1.2.0", "1.5.1"],
    "cattrs": ["23.2.0"],
    "hatchling": ["1.30.0", "1.32.1"],
    "huggingface-hub": ["0.26.4", "0.31.3", "1.16.3", "2.1.0"],
    "matplotlib": ["3.9.1"],
    "mlflow-skinny": ["3.1.2", "3.11.0"],
    "numpy": ["2.4.0"],
    "pytest": ["8.1.0"],
    "pytest-xdist": ["3.6.0"],
    "scikit-image": ["0.23.0"],
    "sphinx": ["8.3.0"],
}
"""Yanked versions on PyPI, 2026-11-27, of all declared packages, that were not below the lowest one anyway. To look again:
``curl -s https://pypi.org/pypi/NAME/json`` and in its "releases" the versions all of whose files have "yanked": true."""


@pytest.mark.parametrize("requirement", REQUIREMENTS, ids=str)
def test_every_requirement_has_a_lower_bound_and_admits_no_yanked_version(requirement: Requirement) -> None:
    assert any(specifier.operator == ">=" for specifier in requirement.specifier)
    name = requirement.name.lower().replace("_", "-")
    assert not [version for version in YANKED.get(name, []) if version in requirement.specifier]


def test_images_are_read_by_a_pillow_without_known_vulnerabilities() -> None:
    """12.3.0 mends CVE-2026-55798 and CVE-2026-59197 to 59200; it is the last one for Python 3.10."""
    (pillow,) = (requirement for requirement in REQUIREMENTS if requirement.name == "pillow")
    assert "12.2.0" not in pillow.specifier
    assert "12.3.0" in pillow.specifier


def test_the_lowest_python_is_that_of_the_lowest_pytorch_and_of_the_tools() -> None:
    lowest = Version("3.10")  # of torch 2.9.0 and torchvision 0.24.0
    declared = SpecifierSet(PROJECT["project"]["requires-python"])
    assert str(lowest) in declared
    assert "3.9" not in declared
    versions = re.findall(r"Python :: (3\.\d+)", " ".join(PROJECT["project"]["classifiers"]))
    assert min(map(Version, versions)) == lowest
    assert PROJECT["tool"]["ruff"]["target-version"] == "py310"
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert "sys.version_info < (3, 10)" in makefile
    assert "asymkit needs Python 3.10 or newer" in makefile
