"""The notebook of the first ten minutes: it runs, it is kept without outputs, and pages lead to it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parent.parent
NOTEBOOK = ROOT / "docs" / "notebooks" / "ten_minutes.ipynb"


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # of what runs notebooks
def test_the_notebook_runs_and_shows_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    notebook: Any = nbformat.read(NOTEBOOK, as_version=4)  # type: ignore[no-untyped-call]
    (training,) = [cell for cell in notebook.cells if cell.source.startswith("minutes = 1\n")]
    training.source = training.source.replace("minutes = 1", "minutes = 0.02")
    if not (ROOT / "models" / "grey-to-colour" / "model.safetensors").is_file():  # an sdist has none
        notebook.cells = [cell for cell in notebook.cells if "needs-models" not in cell.metadata.get("tags", [])]
    NotebookClient(notebook, timeout=None, resources={"metadata": {"path": str(NOTEBOOK.parent)}}).execute()
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    said = "".join(output.get("text", "") for output in outputs)
    assert "y (1, 3, 96, 144) z (1, 3) rebuilt (1, 3, 96, 144)" in said
    assert "done, --resume with more --minutes or --epochs goes on" in said
    pictures = [output for output in outputs if "image/png" in output.get("data", {})]
    assert len(pictures) == 4 + sum("needs-models" in cell.metadata.get("tags", []) for cell in notebook.cells) // 2


def test_the_notebook_is_kept_without_outputs() -> None:
    notebook: Any = nbformat.read(NOTEBOOK, as_version=4)  # type: ignore[no-untyped-call]
    nbformat.validate(notebook)
    for cell in notebook.cells:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None


@pytest.mark.parametrize("page", ["README.md", "docs/start.md"])
def test_pages_lead_to_the_notebook(page: str) -> None:
    link = NOTEBOOK.relative_to((ROOT / page).parent).as_posix()
    assert f"]({link})" in (ROOT / page).read_text(encoding="utf-8")
