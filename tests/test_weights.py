"""Weights are checked when read and never executed; what is fetched is the right file or one clear sentence."""

from __future__ import annotations

import hashlib
import http.server
import json
import pickle
import threading
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from latentlib import nvidia, weights
from latentlib.models.stylegan2 import Discriminator, Generator
from latentlib.weights import DownloadError, WeightsError, read_weights
from nvidia_files import file_of
from training.faces import convert_names
from training.saving import save_weights

pytestmark = pytest.mark.filterwarnings("ignore:TypedStorage is deprecated")
CHANNELS = {4: 8, 8: 4}


@pytest.fixture
def folder(tmp_path):
    save_weights("net", {"a": torch.randn(50, 40), "steps": torch.tensor([3])}, {"size": 8, "name": "é"}, tmp_path)
    return tmp_path


def list_as_known(path: Path) -> None:
    content = path.read_bytes()
    known = {path.name: {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}}
    (path.parent / "checksums.json").write_text(json.dumps(known))


# --- files of weights


def test_round_trip(folder):
    state, settings = read_weights("net", folder)
    assert settings == {"size": 8, "name": "é"}
    assert (state["a"].dtype, state["a"].shape) == (torch.float32, (50, 40))
    assert (state["steps"].dtype, state["steps"].item()) == (torch.int64, 3)
    assert (folder / "net.safetensors").stat().st_size < 50 * 40 * 2 + 1000  # half precision
    assert sorted(p.name for p in folder.iterdir()) == ["checksums.json", "net.safetensors"]  # nothing unfinished
    digest = hashlib.sha256((folder / "net.safetensors").read_bytes()).hexdigest()
    assert weights.checksum("net", folder) == digest


def test_half_precision_can_be_refused_for_a_tensor(tmp_path):
    tiny = torch.full((3,), 1e-9)
    save_weights("net", {"spread": tiny, "other": tiny}, {}, tmp_path, keep_float32=("spread",))
    state, _ = read_weights("net", tmp_path)
    assert torch.equal(state["spread"], tiny)
    assert (state["other"] == 0).all()
    for value in (1e6, float("nan")):
        with pytest.raises(WeightsError, match="x holds"):
            save_weights("wrong", {"x": torch.tensor([value])}, {}, tmp_path)
    assert not (tmp_path / "wrong.safetensors").exists()


class Bomb:
    def __reduce__(self):
        return pytest.fail, ("a pickle was executed",)


@pytest.mark.parametrize("damage", ["missing", "truncated", "altered", "unlisted", "tensors", "pickle", "checksums"])
def test_a_bad_file_gets_a_sentence(folder, damage):
    path = folder / "net.safetensors"
    content = path.read_bytes()
    match damage:
        case "missing":
            path.unlink()
        case "truncated":
            path.write_bytes(content[:-100])
        case "altered":
            path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        case "unlisted":
            (folder / "checksums.json").write_text("{}")
        case "tensors":
            save_file({"a": torch.zeros(2)}, path)
            list_as_known(path)
        case "pickle":
            path.write_bytes(pickle.dumps(Bomb()))
            list_as_known(path)
        case "checksums":
            (folder / "checksums.json").write_text("{")
    with pytest.raises(WeightsError, match=r"net\.safetensors|checksums\.json"):
        read_weights("net", folder)


def test_settings_of_older_versions_are_left_out(tmp_path):
    generator = Generator(8, 6, 5, 2, CHANNELS)
    old = {"activation": "lrelu", "lr_multiplier": 0.01, "num_fp16_res": 0}
    save_weights("faces-64", generator, {"network": generator.settings | old}, tmp_path)
    assert weights.load("faces-64", "cpu", tmp_path).settings == generator.settings


def test_networks_of_another_kind_or_name_are_refused(tmp_path):
    generator, discriminator = Generator(8, 6, 5, 2, CHANNELS), Discriminator(8, CHANNELS)
    save_weights("faces-64", discriminator, {"network": generator.settings}, tmp_path)
    with pytest.raises(WeightsError, match="another network"):
        weights.load("faces-64", folder=tmp_path)
    with pytest.raises(WeightsError, match="there are: faces-64"):
        weights.load("faces")


@pytest.mark.parametrize("name", weights.SHIPPED)
def test_every_shipped_network_loads_listed_described_and_small(name):
    network = weights.load(name, "cpu")
    assert type(network).__name__ == weights.SHIPPED[name].split(".")[1]
    assert not network.training
    assert not any(p.requires_grad for p in network.parameters())
    assert (weights.WEIGHTS / f"{name}.safetensors").stat().st_size < 12e6
    card = weights.WEIGHTS / f"{name.split('-')[0]}.md"  # a family's own card, which the README must link
    readme = (weights.WEIGHTS / "README.md").read_text(encoding="utf-8")
    assert name in readme or f"({card.name})" in readme, f"{name} has no model card"


def test_one_code_is_one_face_at_both_sizes():
    small, large = (weights.load(name, "cpu") for name in ("faces-64", "faces-128"))
    w = small.mapping(torch.randn(2, small.z_dim, generator=torch.Generator().manual_seed(5)))
    torch.testing.assert_close(large.synthesis(w, None, 64), small.synthesis(w, None))
    torch.testing.assert_close(large.w_avg, small.w_avg)
    assert (torch.nn.functional.avg_pool2d(large.draw(w), 2) - small.draw(w)).abs().mean() < 0.05


def test_the_registry_names_every_file():
    files = {path.stem for path in weights.WEIGHTS.glob("*.safetensors")}
    listed = json.loads((weights.WEIGHTS / "checksums.json").read_text())
    assert files == set(weights.SHIPPED) == {name.removesuffix(".safetensors") for name in listed}


# --- names of version 0.2


def old_names(network: torch.nn.Module) -> dict[str, torch.Tensor]:
    """The state_dict as version 0.2 named it."""
    state = {}
    for key, tensor in network.state_dict().items():
        key = "w_mean" if key == "mapping.w_avg" else key
        state[key.replace("b8.fromrgb", "fromrgb").removeprefix("b4.")] = tensor
    return state


def test_checkpoints_and_weights_of_version_0_2_get_today_s_names(tmp_path):
    torch.manual_seed(0)
    generator, discriminator = Generator(8, 6, 5, 2, CHANNELS), Discriminator(8, CHANNELS)
    growing = {f"full.{key}": tensor for key, tensor in old_names(discriminator).items()} | {"entries.4.weight": 0}
    growing["entries.4.weight"] = torch.zeros(1)
    old = {"ema": old_names(generator) | {"w_covariance": torch.eye(5)}, "discriminator": growing, "images_seen": 7}
    path = tmp_path / "checkpoint.pt"
    torch.save(old | {"optimizer": {"state": {0: {"exp_avg": torch.ones(2)}}}}, path)
    convert_names.convert_checkpoint(path)
    new = torch.load(path, weights_only=True)
    assert new["ema"].keys() == generator.state_dict().keys()
    assert {key.removeprefix("full.") for key in new["discriminator"]} - {"entries.4.weight"} == set(
        discriminator.state_dict()
    )
    assert (new["images_seen"], new["optimizer"]["state"][0]["exp_avg"].sum()) == (7, 2)
    settings = {"network": {"channels": CHANNELS, "resolution": 8, "clamp": 256.0, "half_resolutions": 0}}
    save_weights("old", old["ema"], settings, tmp_path, ("w_mean",))
    convert_names.convert_weights(tmp_path / "old.safetensors", {})
    state, found = read_weights("old", tmp_path)
    again = Generator(z_dim=6, w_dim=5, mapping_layers=2, **found["network"])
    again.load_state_dict(state, strict=False)
    assert (again.settings["resample"], again.settings["conv_clamp"]) == ("fir", 256.0)
    assert torch.equal(again.w_avg, generator.w_avg)


# --- what is fetched


@pytest.fixture
def served(tmp_path, monkeypatch):
    """A function that serves a content in one way or another and gives its address; it notes what was asked for."""
    servers, asked = [], []

    def serve(content: bytes, way: str = "whole") -> str:
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                asked.append(self.path)
                self.send_response(404 if way == "404" else 200)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content[: len(content) // 2] if way in ("cut off", "silent") else content)
                if way == "silent":
                    self.wfile.flush()
                    time.sleep(1.5)

            def log_message(self, *_):
                pass

        servers.append(http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler))
        threading.Thread(target=servers[-1].serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{servers[-1].server_port}/"

    for name in ("LATENTLIB_DATA", "LATENTLIB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LATENTLIB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(weights, "SILENCE", 0.4)
    serve.asked = asked
    yield serve
    for server in servers:
        server.shutdown()


def tiny_files(monkeypatch, served, way: str, content: bytes | None = None) -> None:
    """Both files of taef2, with the right names of parts and other numbers, are served at an address of ours."""
    import io

    buffer = io.BytesIO()
    torch.save({"0.weight": torch.zeros(2)}, buffer)
    right = buffer.getvalue()
    digest = hashlib.sha256(right).hexdigest()
    monkeypatch.setattr(weights, "TAEF2_FILES", dict.fromkeys(weights.TAEF2_FILES, digest))
    monkeypatch.setattr(weights, "TAEF2", served(right if content is None else content, way))


@pytest.mark.parametrize(
    ("way", "content"),
    [
        ("404", None),
        ("cut off", None),
        ("silent", None),
        ("whole", b"other bytes"),
        ("whole", b"<html>Please sign in</html>"),
    ],
)
def test_a_server_that_misbehaves_gets_one_sentence_and_leaves_nothing(served, monkeypatch, tmp_path, way, content):
    tiny_files(monkeypatch, served, way, content)
    with pytest.raises(DownloadError, match="could not be downloaded") as refused:
        weights.load("taef2", "cpu")
    assert "\n" not in str(refused.value)
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]


def test_what_was_fetched_is_kept_and_checked(served, monkeypatch, tmp_path):
    tiny_files(monkeypatch, served, "whole")
    for _ in range(2):
        with pytest.raises(WeightsError, match="another network"):  # these files have two numbers each
            weights.load("taef2", "cpu")
    assert len(served.asked) == 2
    damaged = tmp_path / "cache" / "taef2" / "taef2_encoder.pth"
    damaged.write_bytes(b"other bytes")
    with pytest.raises(WeightsError, match="checksum differs"):
        weights.load("taef2", "cpu")


def test_nobody_there_and_offline(served, monkeypatch):
    monkeypatch.setattr(weights, "TAEF2", "http://127.0.0.1:9/")
    with pytest.raises(DownloadError, match=r"127\.0\.0\.1:9"):
        weights.load("taef2", "cpu")
    monkeypatch.setenv("LATENTLIB_OFFLINE", "1")
    with pytest.raises(DownloadError, match="LATENTLIB_OFFLINE"):
        weights.load("taef2", "cpu")


# --- NVIDIA's networks by name


def test_the_licence_comes_first(served, monkeypatch):
    monkeypatch.setitem(nvidia.SOURCES, "ffhq-256", (served(b""),))
    with pytest.raises(nvidia.LicenceError, match=r"not commercially(.|\n)*accept_licence=True"):
        weights.load_stylegan2("ffhq-256")
    assert not served.asked


def test_a_name_or_a_path_becomes_networks(served, monkeypatch, tmp_path):
    torch.manual_seed(0)
    generator = Generator(8, 6, 5, 2, CHANNELS, "fir")
    content = file_of(generator)
    page = served(b"<html>Please sign in</html>" * 9)
    monkeypatch.setitem(nvidia.SOURCES, "ffhq-256", (page, served(content, "cut off"), served(content)))
    for _ in range(2):
        found = weights.load_stylegan2("ffhq-256", "cpu", accept_licence=True)
        assert torch.equal(found[0].mapping.fc0.weight, generator.mapping.fc0.weight)
        assert found[1] is None  # of NVIDIA's files the generator alone is read
    assert len(served.asked) == 3
    (path,) = [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]
    assert weights.load_stylegan2(path, "cpu")[0].settings == generator.settings
    with pytest.raises(FileNotFoundError, match="or one of stylegan2-64, ffhq-256"):
        weights.load_stylegan2(tmp_path / "no.pkl")
    standin, discriminator = weights.load_stylegan2(device="cpu")
    assert standin.settings["resample"] == "fir"
    assert isinstance(discriminator, Discriminator)
