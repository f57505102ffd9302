"""Files of weights: of any age and kind, shared weights, and nothing in them is run."""

from __future__ import annotations

import errno
import os
import pickle
import re
from pathlib import Path
from typing import Any

import published
import pytest
import torch
from published import lively
from torch import nn

from asymkit import (
    AuxEncoder,
    DomainDiscriminator,
    DualGenerator,
    load_cyclegan_discriminator,
    load_cyclegan_generator,
    load_stargan_generator,
    load_weights,
    read_state_dict,
    save_weights,
)


@pytest.mark.parametrize("legacy", [False, True])
def test_files_of_any_age(tmp_path: Path, legacy: bool) -> None:
    network = published.CycleGANGenerator(width=4, blocks=6)
    path = tmp_path / "latest_net_G_A.pth"
    torch.save(network.state_dict(), path, _use_new_zipfile_serialization=not legacy)
    image = torch.rand(1, 3, 32, 32)
    torch.testing.assert_close(load_cyclegan_generator(path)(image), network(image), rtol=0, atol=1e-5)
    assert len(load_cyclegan_generator(str(path)).blocks) == 6


def test_safetensors_and_parts(tmp_path: Path) -> None:
    network = published.StarGANGenerator(width=4)
    import safetensors.torch

    safetensors.torch.save_file(network.state_dict(), tmp_path / "G.safetensors")
    assert load_stargan_generator(tmp_path / "G.safetensors").domains == 5
    torch.save({"a": network.state_dict(), "epoch": 3}, tmp_path / "gen.pt")
    assert load_stargan_generator(read_state_dict(tmp_path / "gen.pt", part="a")).domains == 5
    with pytest.raises(
        ValueError, match="no state dict, tensors by name, it holds 'a', 'epoch'; give one of them as part"
    ):
        read_state_dict(tmp_path / "gen.pt")
    with pytest.raises(ValueError, match="part 'b' is not in"):
        read_state_dict(tmp_path / "gen.pt", part="b")


class Trap:
    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return (Path.touch, (Path("trap-was-sprung"),))  # type: ignore[return-value]


def test_nothing_in_a_file_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"weight": Trap()}, tmp_path / "evil.pth")
    (tmp_path / "plain.pkl").write_bytes(pickle.dumps(Trap()))
    torch.save(nn.Linear(1, 1), tmp_path / "module.pth")
    for name in ("evil.pth", "plain.pkl", "module.pth"):
        with pytest.raises(ValueError, match="is not loaded: it is damaged, or holds more than tensors"):
            load_cyclegan_generator(tmp_path / name)
    assert not (tmp_path / "trap-was-sprung").exists()


def test_damaged_files_are_named(tmp_path: Path) -> None:
    torch.save(published.PatchGAN(width=4).state_dict(), tmp_path / "D.pth")
    whole = (tmp_path / "D.pth").read_bytes()
    contents = {
        "cut.pth": whole[: len(whole) // 2],
        "empty.pth": b"",
        "cut.safetensors": whole[:100],
        "text.pth": b"hello",
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ValueError, match=re.escape(name)):
            load_cyclegan_discriminator(tmp_path / name)
    with pytest.raises(ValueError, match="no file"):
        load_cyclegan_discriminator(tmp_path / "missing.pth")


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
@pytest.mark.parametrize(("preset", "sharing"), [("S2", "none"), ("S2", "partial"), ("S3", "partial"), ("S3", "full")])
def test_pairs_come_back_with_what_they_share(tmp_path: Path, suffix: str, preset: Any, sharing: Any) -> None:
    one, other = (DualGenerator.preset(preset, domains=3, sharing=sharing, width=4) for _ in range(2))
    path = tmp_path / f"pair{suffix}"
    save_weights(lively(one), path)
    load_weights(other, path)
    image, label = torch.rand(1, 3, 32, 32), torch.tensor([2])
    with torch.no_grad():
        assert torch.equal(one.translate(image, label), other.translate(image, label))
        assert torch.equal(one.reconstruct(image, label), other.reconstruct(image, label))
    assert len(list(other.parameters())) == len(list(one.parameters()))
    first = other.translator.encoder[0].conv.weight  # type: ignore[index, union-attr]
    assert (first is other.reconstructor.encoder[0].conv.weight) == (sharing != "none")  # type: ignore[index, union-attr]


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_weights_that_differ_are_not_shared(tmp_path: Path, suffix: str) -> None:
    save_weights(DualGenerator.preset("S3", domains=3, width=4), tmp_path / f"pair{suffix}")
    shared = DualGenerator.preset("S3", domains=3, sharing="full", width=4)
    with pytest.raises(ValueError, match=r"it shares '.*' and '.*', which differ in the file"):
        load_weights(shared, tmp_path / f"pair{suffix}")


def test_weights_of_another_module_change_nothing(tmp_path: Path) -> None:
    save_weights(DomainDiscriminator(3, image_size=64, width=4), tmp_path / "discriminator.safetensors")
    discriminator = DomainDiscriminator(5, image_size=64, width=4)
    before = {name: value.clone() for name, value in discriminator.state_dict().items()}
    with pytest.raises(
        ValueError, match=r"no weights of this DomainDiscriminator: .* 'to_domain.weight', of shape \(3, "
    ):
        load_weights(discriminator, tmp_path / "discriminator.safetensors")
    assert all(torch.equal(before[name], value) for name, value in discriminator.state_dict().items())
    with pytest.raises(ValueError, match="no folder"):
        save_weights(discriminator, tmp_path / "nowhere" / "discriminator.pt")


SUFFIXES = [".pt", ".safetensors"]


def full(*_: Any) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("room", [100, 2_000, 20_000])
def test_a_full_disk_leaves_the_old_file(tmp_path: Path, suffix: str, room: int) -> None:
    """Wherever in the file the room ends; played by a limit on the size of files."""
    resource = pytest.importorskip("resource")
    path = tmp_path / f"encoder{suffix}"
    save_weights(AuxEncoder(width=4), path)
    old, before = path.read_bytes(), resource.getrlimit(resource.RLIMIT_FSIZE)
    assert len(old) > room
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, before[1]))
    try:
        with pytest.raises(OSError, match=r"File too large|unexpected pos|enforce"):
            save_weights(AuxEncoder(width=4), path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert path.read_bytes() == old
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_weights_are_on_the_disk_before_they_take_their_name(
    tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / f"encoder{suffix}"
    save_weights(AuxEncoder(width=4), path)
    old = path.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space left"):
            save_weights(AuxEncoder(width=4), path)
    assert path.read_bytes() == old
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    network = AuxEncoder(width=4)
    save_weights(network, tmp_path / "000200.pt")
    (tmp_path / "latest.pt").symlink_to("000200.pt")
    save_weights(lively(network), tmp_path / "latest.pt")
    assert (tmp_path / "latest.pt").is_symlink()
    state = read_state_dict(tmp_path / "000200.pt")
    assert all(torch.equal(value, state[name]) for name, value in network.state_dict().items())


def flipped_bits(content: bytes) -> list[bytes]:
    """A hundred copies, each with one bit the other way, spread over the file."""
    copies = []
    for i in range(100):
        damaged = bytearray(content)
        damaged[i * (len(content) - 1) // 99] ^= 1 << i % 8
        copies.append(bytes(damaged))
    return copies


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_no_flipped_bit_changes_a_weight_silently(tmp_path: Path, suffix: str) -> None:
    """What still loads has its damage where no weight is, such as the date of an entry, and is the same to the bit."""
    path, network, refused = tmp_path / f"encoder{suffix}", AuxEncoder(width=4), 0
    save_weights(network, path)
    for content in flipped_bits(path.read_bytes()):
        path.write_bytes(content)
        other = AuxEncoder(width=4)
        try:
            load_weights(other, path)
        except ValueError as error:
            refused += path.name in str(error)
        else:
            assert all(map(torch.equal, network.state_dict().values(), other.state_dict().values()))
    assert refused > 80


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_the_damage_is_named(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"encoder{suffix}"
    save_weights(AuxEncoder(width=4), path)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1  # in the middle of a weight
    path.write_bytes(content)
    for load in (read_state_dict, lambda path: load_weights(AuxEncoder(width=4), path)):
        with pytest.raises(ValueError, match=r"damaged: .*CRC-32" if suffix == ".pt" else r"damaged: .*SHA-256"):
            load(path)


def test_files_without_a_checksum_are_read(tmp_path: Path) -> None:
    """safetensors that others wrote, and what torch.save wrote before it wrote archives."""
    import safetensors.torch

    network, other = AuxEncoder(width=4), AuxEncoder(width=4)
    safetensors.torch.save_model(network, str(tmp_path / "a.safetensors"))
    torch.save(network.state_dict(), tmp_path / "a.pt", _use_new_zipfile_serialization=False)
    torch.serialization.set_crc32_options(False)
    try:
        torch.save(network.state_dict(), tmp_path / "b.pt")
    finally:
        torch.serialization.set_crc32_options(True)
    for path in tmp_path.iterdir():
        load_weights(other, path)
        assert all(map(torch.equal, network.state_dict().values(), other.state_dict().values()))


def test_shared_weights_have_all_their_names_in_a_state_dict(tmp_path: Path) -> None:
    pair = DualGenerator.preset("S3", domains=3, sharing="partial", width=4)
    save_weights(pair, tmp_path / "pair.safetensors")
    state = read_state_dict(tmp_path / "pair.safetensors")
    assert state.keys() == pair.state_dict().keys()
    assert load_stargan_generator(read_state_dict(tmp_path / "pair.safetensors", "translator")).domains == 3
    assert (tmp_path / "pair.safetensors").stat().st_size < 4 * sum(value.numel() for value in state.values())
