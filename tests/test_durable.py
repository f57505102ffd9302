"""Checkpoints that survive: kill -9, a full disk, damaged files, two runs in one folder."""

from __future__ import annotations

import contextlib
import errno
import io
import multiprocessing
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from asymgan import DEMO as ASYMGAN_DEMO
from support.run import command
from support.run.atomic_write import checksum_of, file_and_previous, previous_of, write_atomic, write_with_checksum
from support.run.checkpoint import load_checkpoint, save_checkpoint
from support.run.command import open_run
from torch import nn

from asymkit import save_weights
from asymkit.checkpoints.durable import write_whole

ROOT = Path(__file__).parent.parent


class Counter:
    """Stands for a network: one large tensor, all of it the number of the step."""

    def __init__(self) -> None:
        self.value = torch.zeros(50_000)

    def state_dict(self) -> Any:
        return {"value": self.value}

    def load_state_dict(self, state: Any) -> None:
        self.value = state["value"]


def saved(path: Path, *steps: int) -> None:
    for step in steps:
        counter = Counter()
        counter.value += step
        save_checkpoint(path, step, 0.0, {"counter": counter})


def loaded(path: Path) -> int:
    counter = Counter()
    step, _ = load_checkpoint(path, {"counter": counter})
    assert (counter.value == step).all()
    return step


def _saving(path: Path, done: Any) -> None:
    warnings.simplefilter("ignore")  # as where it is looked at: the one before is a good end too
    for step in range(loaded(path) + 1, 10**6):
        saved(path, step)
        done.value = step


def _next(done: Any, process: Any) -> float:
    """When the process has saved once more."""
    before = done.value
    while done.value == before:
        assert process.is_alive()
        time.sleep(0.001)
    return time.monotonic()


@pytest.mark.slow
def test_kill_9_at_a_hundred_moments_never_leaves_an_unreadable_newest_file(tmp_path: Path) -> None:
    path, chance = tmp_path / "checkpoint.pt", random.Random(0)
    saved(path, 1)
    context = multiprocessing.get_context("fork")
    for _ in range(100):
        done = context.Value("q", 0, lock=False)
        process = context.Process(target=_saving, args=(path, done))
        process.start()
        first, second = (_next(done, process) for _ in range(2))  # it has saved twice, however busy the machine is
        time.sleep(chance.uniform(0, second - first))  # somewhere in the next time
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        before = done.value
        found = [problem for file, problem in file_and_previous(path) if problem is None]
        assert found, "neither the newest nor the previous one is whole"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that the previous one was taken, which then is the same
            step = loaded(path)
        assert step >= before  # nothing that was said to be saved is lost


@pytest.mark.parametrize("renames", [0, 1, 2])
def test_a_kill_between_the_renames_leaves_a_file_that_can_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, renames: int
) -> None:
    """Of best.pt too, which has no previous one."""
    path, rename = tmp_path / "best.pt", Path.replace
    done: list[Path] = []
    write_with_checksum(path, lambda file: file.write(b"old"), keep_previous=False)

    def killed(self: Path, target: Path) -> Path:
        if len(done) == renames:
            raise KeyboardInterrupt
        done.append(target)
        return rename(self, target)

    monkeypatch.setattr(Path, "replace", killed)
    with contextlib.suppress(KeyboardInterrupt):
        write_with_checksum(path, lambda file: file.write(b"new"), keep_previous=False)
    assert len(done) == renames
    assert [problem for _, problem in file_and_previous(path)] == [None]
    assert path.read_bytes() == (b"old" if renames == 0 else b"new")


def test_a_run_that_begins_and_ends_before_the_lock_is_not_overwritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def another_was_faster(folder: Path) -> None:
        (folder / "checkpoint.pt").write_bytes(b"of the other run")

    monkeypatch.setattr(command, "lock_folder", another_was_faster)
    with pytest.raises(ValueError, match="holds a run already"):
        open_run(replace(ASYMGAN_DEMO, out=tmp_path))


def test_the_previous_one_is_kept_and_checksums_are_those_of_sha256sum(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    saved(path, 1, 2, 3)
    names = {"checkpoint.pt", "checkpoint.previous.pt"}
    assert {file.name for file in tmp_path.iterdir()} == names | {f"{name}.sha256" for name in names}
    assert loaded(path) == 3
    assert loaded(previous_of(path)) == 2
    said = subprocess.run(
        ["sha256sum", "--check", "checkpoint.pt.sha256"], cwd=tmp_path, capture_output=True, check=True
    )
    assert b"checkpoint.pt: OK" in said.stdout


@pytest.mark.parametrize("damage", ["cut", "empty", "flipped"])
def test_a_damaged_file_is_named_and_the_one_before_is_used(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "checkpoint.pt"
    saved(path, 1, 2)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1  # one bit, in the middle of a tensor: torch.load would not notice
    path.unlink()
    damaged = {"cut": content[: len(content) // 2], "empty": bytearray(), "flipped": content}
    path.write_bytes(damaged[damage])
    with pytest.warns(
        UserWarning, match=r"cannot read .*checkpoint\.pt.* SHA-256; going on from the one before, step 1"
    ):
        assert loaded(path) == 1
    previous_of(path).write_bytes(b"")
    with pytest.raises(ValueError, match=r"cannot read .*checkpoint\.pt.*; cannot read .*checkpoint\.previous\.pt"):
        loaded(path)


def test_a_full_disk_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "checkpoint.pt"
    saved(path, 1)

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    for place in ("fsync", "link"):
        with monkeypatch.context() as patch:
            patch.setattr(os, place, full)
            if place == "link":  # and no copy instead
                patch.setattr(shutil, "copyfile", full)
            with pytest.raises(OSError, match="No space"):
                saved(path, 2)
        assert loaded(path) == 1
        assert not [file for file in tmp_path.iterdir() if file.name.endswith(".new")]


@pytest.mark.parametrize("room", [100, 2_000, 100_000, 150_000])
def test_a_disk_that_is_full_wherever_the_file_ends_is_an_os_error(tmp_path: Path, room: int) -> None:
    resource = pytest.importorskip("resource")
    path = tmp_path / "checkpoint.pt"
    saved(path, 1)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, before[1]))
    try:
        with pytest.raises(OSError, match=r"File too large|unexpected pos|enforce"):
            saved(path, 2)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert loaded(path) == 1


def test_a_damaged_file_does_not_take_the_place_of_the_good_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, rename = tmp_path / "checkpoint.pt", Path.replace
    saved(path, 1, 2)
    path.unlink()
    path.write_bytes(b"damaged")

    def killed(self: Path, target: Path) -> Path:
        if target == path:
            raise KeyboardInterrupt
        return rename(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            saved(path, 3)
    with pytest.warns(UserWarning, match="going on from the one before, step 1"):
        assert loaded(path) == 1
    saved(path, 4)
    assert (loaded(path), loaded(previous_of(path))) == (4, 1)


@pytest.mark.parametrize("spoiled", ["checkpoint.pt", "checkpoint.pt.sha256"])
@pytest.mark.parametrize("how", ["damaged", "unreadable"])
def test_whatever_happens_to_file_or_checksum_the_one_before_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spoiled: str, how: str
) -> None:
    path, opened = tmp_path / "checkpoint.pt", open
    saved(path, 1, 2)
    with monkeypatch.context() as patch:
        if how == "damaged":
            (tmp_path / spoiled).write_bytes(b"\xff\xfe")
        else:

            def unreadable(file: Any, *rest: Any, **more: Any) -> Any:
                if file == tmp_path / spoiled and (rest or ("rb",))[0] in {"r", "rb"}:
                    raise OSError(errno.EIO, "Input/output error")
                return opened(file, *rest, **more)

            patch.setattr(io, "open", unreadable)
        with pytest.warns(UserWarning, match=r"cannot read .*checkpoint.pt': .*; going on from the one before, step 1"):
            assert loaded(path) == 1
        saved(path, 3)  # a bad block of the old file does not keep a new one from being written
    assert (loaded(path), loaded(previous_of(path))) == (3, 1)


def test_a_full_disk_without_links_leaves_nothing_half_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "checkpoint.pt"
    saved(path, 1)

    def refused(*_: Any) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    def full(_: Path, target: Path) -> None:
        target.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "link", refused)
    monkeypatch.setattr(shutil, "copyfile", full)
    with pytest.raises(OSError, match="No space left"):
        saved(path, 2)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["checkpoint.pt", "checkpoint.pt.sha256"]


def test_file_systems_without_links_get_copies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: Any) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refused)
    path = tmp_path / "checkpoint.pt"
    saved(path, 1, 2)
    assert (loaded(path), loaded(previous_of(path))) == (2, 1)


@pytest.mark.parametrize("content", [b"", b"\n", b"  \n", b"0123  checkpoint.pt\n", b"x" * 64, b"\x00" * 80])
def test_a_checksum_that_is_none_does_not_switch_the_check_off(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "checkpoint.pt"
    saved(path, 1, 2)
    damaged = bytearray(path.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    path.write_bytes(damaged)
    checksum_of(path).write_bytes(content)
    with pytest.warns(
        UserWarning, match=r"its SHA-256 in 'checkpoint.pt.sha256' is damaged; .* from the one before, step 1"
    ):
        assert loaded(path) == 1
    saved(path, 3)  # the damaged one does not take the place of the good one
    assert (loaded(path), loaded(previous_of(path))) == (3, 1)


@pytest.mark.skipif(os.name != "posix", reason="other systems cannot bring a folder to the disk")
@pytest.mark.parametrize("write", [write_with_checksum, write_atomic], ids=lambda write: write.__name__)
def test_contents_reach_the_disk_before_their_names_and_names_before_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Any
) -> None:
    """A rename lives in the folder: what is not brought to the disk there a power cut may undo."""
    path, sync, rename, done = tmp_path / "file", os.fsync, Path.replace, list[tuple[str, str]]()
    sources = list[str]()

    def synced(number: int) -> None:
        place = os.fstat(number)
        names = [file.name for file in tmp_path.iterdir() if os.path.samestat(file.stat(), place)]
        done.append(("synced", "folder" if os.path.samestat(tmp_path.stat(), place) else names[0]))
        sync(number)

    def renamed(self: Path, target: Path) -> Path:
        sources.append(self.name)
        done.append(("renamed", target.name))
        return rename(self, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "replace", renamed)
    if write is write_atomic:
        write_atomic(path, b"content")
        (new,) = sources  # of a name of its own
        assert new != "file"
        assert done == [("synced", new), ("renamed", "file"), ("synced", "folder")]
    else:
        write_with_checksum(path, lambda file: file.write(b"content"))
        assert done == [
            ("synced", "file.new"),
            ("synced", "file.new.sha256"),
            ("renamed", "file.sha256"),
            ("renamed", "file"),
            ("synced", "folder"),
        ]


@pytest.mark.skipif(os.name != "posix", reason="other systems have no pipes with names")
def test_what_is_no_regular_file_is_not_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("pipe")
    before = {file.name: file.lstat().st_mode for file in tmp_path.iterdir()}
    for name in before:
        for write in (write_atomic, lambda path, _: save_weights(nn.Linear(1, 1), path)):
            with pytest.raises(OSError, match=r"(pipe|folder)' is no regular file, .* give another path"):
                write(tmp_path / name, b"content")
    assert {file.name: file.lstat().st_mode for file in tmp_path.iterdir()} == before


def test_two_writers_of_one_file_do_not_mix(tmp_path: Path) -> None:
    """The second begins and ends while the first writes."""
    path = tmp_path / "file"

    def first(file: Any) -> None:
        file.write(b"fir")
        file.flush()
        write_atomic(path, b"second, which is longer")
        assert path.read_bytes() == b"second, which is longer"
        file.write(b"st")

    write_whole(path, first)
    assert path.read_bytes() == b"first"
    assert [file.name for file in tmp_path.iterdir()] == ["file"]


def test_names_as_long_as_the_system_takes_are_written(tmp_path: Path) -> None:
    for name in ("a" * 252, "b" * 255):
        write_atomic(tmp_path / name, b"content")
        assert (tmp_path / name).read_bytes() == b"content"


@pytest.mark.skipif(os.name != "posix", reason="other systems have no such modes")
def test_the_mode_of_a_file_is_kept_and_a_new_one_has_that_of_new_files(tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    write_atomic(tmp_path / "new", b"content")
    assert (tmp_path / "new").stat().st_mode == (tmp_path / "plain").stat().st_mode
    for mode in (0o600, 0o640, 0o664, 0o444):
        (tmp_path / "new").chmod(mode)
        write_atomic(tmp_path / "new", b"content")
        assert (tmp_path / "new").stat().st_mode & 0o777 == mode


def test_a_checkpoint_without_a_checksum_is_taken_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    saved(path, 1)
    checksum_of(path).unlink()
    saved(path, 2)
    assert (loaded(path), loaded(previous_of(path))) == (2, 1)


def test_every_random_state_goes_on_where_it_was(tmp_path: Path) -> None:
    def draws() -> list[float]:
        return [random.random(), float(np.random.random()), float(np.random.normal()), float(torch.rand(()))]  # noqa: NPY002

    path = tmp_path / "checkpoint.pt"
    draws()
    saved(path, 1)
    wanted = draws()
    loaded(path)
    assert draws() == wanted


def test_other_processes_go_on_with_chance_of_their_own(tmp_path: Path) -> None:
    path, counter = tmp_path / "checkpoint.pt", Counter()
    saved(path, 3)
    wanted = float(torch.rand(()))  # what the first process draws next

    def drawn(process: int) -> float:
        torch.manual_seed(99)
        load_checkpoint(path, {"counter": counter}, process=process)
        return float(torch.rand(()))

    draws = [drawn(process) for process in range(4)]
    assert draws[0] == wanted
    assert len(set(draws)) == 4
    assert draws == [drawn(process) for process in range(4)]
    saved(path, 4)
    assert not set(draws[1:]) & {drawn(process) for process in range(1, 4)}  # nor the same after every start


def test_other_numbers_of_samples_and_newer_versions_are_refused(tmp_path: Path) -> None:
    path, counter = tmp_path / "checkpoint.pt", Counter()
    save_checkpoint(path, 1, 0.0, {"counter": counter}, samples=4)
    with pytest.raises(
        ValueError, match=r"a step of the run took 4 samples, now it would take 1; .* product is 4 again"
    ):
        load_checkpoint(path, {"counter": counter})
    state = torch.load(path, weights_only=True) | {"version": 99}
    write_with_checksum(path, lambda file: torch.save(state, file))
    with pytest.raises(ValueError, match="written by a newer asymkit"):
        load_checkpoint(path, {"counter": counter}, samples=4)


def test_networks_and_optimizers_load_as_weights_only(tmp_path: Path) -> None:
    net = nn.Linear(2, 2)
    save_checkpoint(tmp_path / "checkpoint.pt", 1, 0.0, {"net": net, "optimizer": torch.optim.Adam(net.parameters())})
    assert torch.load(tmp_path / "checkpoint.pt", weights_only=True)["step"] == 1


@pytest.mark.slow
def test_two_runs_cannot_have_one_folder(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys; from pathlib import Path; from support.run.loader import begin_worker; "
        "from support.run.command import open_run; from dataclasses import replace; from asymgan import DEMO; "
        "open_run(replace(DEMO, out=Path(sys.argv[1]))); "
        "read, write = os.pipe(); worker = os.fork(); "
        "(os.dup2(os.open(os.devnull, os.O_RDWR), 1), begin_worker(0), os.write(write, b'.')) if worker == 0 else "
        "(os.read(read, 1), print(worker, flush=True)); signal.pause()"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True, cwd=ROOT / "examples"
    )
    try:
        assert other.stdout is not None
        worker = int(other.stdout.readline())  # said when it has let go of the folder
        for resume in (False, True):  # it has no checkpoint yet, which is not what is wrong
            with pytest.raises(ValueError, match=re.escape(f"process {other.pid} is training in")):
                open_run(replace(ASYMGAN_DEMO, out=tmp_path, resume=resume))
    finally:
        other.kill()
        other.communicate()
    open_run(replace(ASYMGAN_DEMO, out=tmp_path))  # the lock went with the process, though one it had begun is left
    os.kill(worker, signal.SIGKILL)
    open_run(replace(ASYMGAN_DEMO, out=tmp_path))  # the same process may
