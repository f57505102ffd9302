"""The tracker of a run, by Accelerate's name: what reaches it, resumed runs, several processes, failures."""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from launch import launched
from support.run import run as loop
from tiny import STEPS, interrupted, logged, saved, tiny

asyncgan: Any = importlib.import_module("asyncgan")
pytestmark = pytest.mark.usefixtures("quick")


@pytest.fixture
def mlflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """MLflow, whose runs go to a folder."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "mlruns").as_uri())
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    mlflow = importlib.import_module("mlflow")
    yield mlflow
    mlflow.end_run()


def steps_of(mlflow: Any, run: str) -> dict[str, list[int]]:
    """The steps of every metric of a run of MLflow's."""
    client = mlflow.MlflowClient()
    names = client.get_run(run).data.metrics
    return {name: [metric.step for metric in client.get_metric_history(run, name)] for name in names}


def test_a_resumed_run_goes_on_in_the_run_of_mlflow_without_a_step_twice(
    tmp_path: Path, data: Path, mlflow: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = tiny(tmp_path / "run", data, tracker="mlflow", report_every=4)
    with monkeypatch.context() as patch:
        patch.setattr(loop, "save_checkpoint", interrupted)
        with pytest.raises(KeyboardInterrupt):
            asyncgan.main(settings)
    mlflow.end_run("KILLED")
    asyncgan.main(replace(settings, resume=True))
    (run,) = mlflow.search_runs(experiment_names=["asymkit"], output_format="list")
    assert run.info.run_name == "run"
    assert run.info.status == "FINISHED"
    assert (run.data.params["width"], run.data.params["weights.cycle_poor"]) == ("4", "10.0")
    before = steps_of(mlflow, run.info.run_id)
    assert before["losses/adversarial_rich"] == list(range(1, STEPS + 1))
    assert before["figures/z_diversity"] == [8, STEPS]  # at 4 it ended before the report
    assert before.keys() > {"losses/pseudo", "losses/discriminator_adversarial_rich", "speed/images_per_second"}
    (tmp_path / "run" / "checkpoint.pt").write_bytes(b"damaged")
    with pytest.warns(UserWarning, match="going on from the one before, step 8"):
        asyncgan.main(replace(settings, resume=True))
    (again,) = mlflow.search_runs(experiment_names=["asymkit"], output_format="list")
    assert steps_of(mlflow, again.info.run_id) == before


def test_a_new_tracker_begins_a_new_log(tmp_path: Path, data: Path, mlflow: Any) -> None:
    settings = tiny(tmp_path / "run", data, tracker="tensorboard")
    asyncgan.main(settings)
    asyncgan.main(replace(settings, tracker="mlflow", resume=True))
    (run,) = mlflow.search_runs(experiment_names=["asymkit"], output_format="list")
    assert json.loads((tmp_path / "run" / "tracker.json").read_text(encoding="utf-8")) == {
        "tracker": "mlflow",
        "log": run.info.run_id,
    }


def test_a_tracker_that_fails_is_given_up(
    tmp_path: Path, data: Path, mlflow: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[Any] = []

    def away(*arguments: Any, **_: Any) -> None:
        calls.append(arguments)
        raise mlflow.exceptions.MlflowException("the server does not answer")

    monkeypatch.setattr(mlflow, "log_metrics", away)
    message = (
        r"the log of mlflow at step 1 could not be written: MlflowException\('the server does not.*training goes on"
    )
    with pytest.warns(UserWarning, match=message):
        asyncgan.main(tiny(tmp_path / "run", data, tracker="mlflow"))
    assert len(calls) == 1
    assert len(logged(tmp_path / "run")) == STEPS


def test_a_tracker_that_cannot_be_started_is_said_before_the_first_step(
    tmp_path: Path, data: Path, mlflow: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = tiny(tmp_path / "run", data, tracker="mlflow")
    asyncgan.main(settings)

    def away(**_: Any) -> None:
        raise mlflow.exceptions.MlflowException("no such run")

    monkeypatch.setattr(mlflow, "start_run", away)
    message = (
        r"tracker: mlflow could not be started: no such run; .*--tracker none, or remove '.*tracker.json' to begin"
    )
    with pytest.raises(ValueError, match=message):
        asyncgan.main(replace(settings, resume=True))
    with pytest.raises(
        ValueError, match=r"could not be started: no such run; mend this, go without by --tracker none$"
    ):
        asyncgan.main(replace(settings, out=tmp_path / "other"))
    assert not (tmp_path / "other" / "checkpoint.pt").exists()


def test_a_tracker_that_is_absent_or_unknown_is_said_before_anything_is_written(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("support.report.tracker.get_available_trackers", lambda: ["tensorboard"])
    with pytest.raises(
        ValueError, match="tracker: wandb is not installed; pip install wandb, or go without by --tracker"
    ):
        asyncgan.main(tiny(tmp_path / "run", data, tracker="wandb"))
    with pytest.raises(ValueError, match=r"tracker: expected one of aim, .*wandb or none, got 'wand'"):
        asyncgan.main(tiny(tmp_path / "run", data, tracker="wand"))
    assert not (tmp_path / "run").exists()


def test_without_a_tracker_there_is_no_log(tmp_path: Path, data: Path) -> None:
    asyncgan.main(tiny(tmp_path, data, tracker="none"))
    assert not {"tensorboard", "tracker.json"} & {path.name for path in tmp_path.iterdir()}


WANDB = """
import json, os

class Image:
    def __init__(self, pixels):
        assert pixels.ndim == 3 and 0 <= pixels.min() and pixels.max() <= 1

    def __repr__(self):
        return "an image"

def note(*call):
    with open(os.environ["CALLS"], "a") as calls:
        calls.write(json.dumps([os.environ.get("RANK", "0"), *call], default=repr) + "\\n")

class Run:
    id = "abc"

    def log(self, values, step):
        note("log", values, step)

    def finish(self):
        note("finish")

class config:
    @staticmethod
    def update(values, allow_val_change):
        note("config", values)

def init(**options):
    note("init", options)
    return Run()
"""

TRAIN = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[3])
from dataclasses import replace
from accelerate import PartialState
import asyncgan
from support.report import logger
from support.run import run as loop
from tiny import tiny

loop.LOG_EVERY = 1
logger.write_report = lambda *_: None
data, out = map(Path, sys.argv[1:3])
settings = tiny(out, data, tracker="wandb", report_every=2)
asyncgan.main(settings)
PartialState().wait_for_everyone()
(out / "checkpoint.pt").write_bytes(b"damaged")
asyncgan.main(replace(settings, resume=True))
"""


@pytest.mark.slow
@pytest.mark.parametrize("processes", [1, 2])
def test_wandb_gets_everything_once_and_the_same_run_again(
    tmp_path: Path, data: Path, processes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stand-in for wandb, which needs an account, behind Accelerate's own tracker."""
    (packages := tmp_path / "packages").mkdir()
    (packages / "wandb.py").write_text(WANDB, encoding="utf-8")
    (packages / "wandb-1.0.dist-info").mkdir()
    metadata = "Metadata-Version: 2.1\nName: wandb\nVersion: 1.0\n"
    (packages / "wandb-1.0.dist-info" / "METADATA").write_text(metadata, encoding="utf-8")
    (script := tmp_path / "train.py").write_text(TRAIN, encoding="utf-8")
    monkeypatch.setenv("CALLS", str(tmp_path / "calls"))
    out = tmp_path / "runs" / "mine"
    result = launched(script, processes, str(data), str(out), str(packages))
    assert result.returncode == 0, result.stderr[-3000:]
    calls = [json.loads(line) for line in (tmp_path / "calls").read_text(encoding="utf-8").splitlines()]
    assert {rank for rank, *_ in calls} == {"0"}
    inits = [options for _, name, *options in calls if name == "init"]
    first = {"project": "asymkit", "name": "mine", "dir": str(out), "id": None, "resume": "allow"}
    assert inits == [[first], [first | {"id": "abc"}]]
    (config,) = (values for _, name, *values in calls if name == "config")
    assert config[0]["width"] == 4
    logs = [(values, step) for _, name, *rest in calls if name == "log" for values, step in [rest]]
    losses = [step for values, step in logs if "losses/adversarial_rich" in values]
    last = saved(out)["step"]
    # the second start begins at the checkpoint before the last one; wandb drops what its log has already
    assert losses == [*range(1, last + 1), *range((last - 1) // 2 * 2 + 1, last + 1)]
    assert ["an image"] in [values.get("Sampled z") for values, _ in logs]
    assert [name for _, name, *_ in calls].count("finish") == 2
