"""Digits from folders, the cache or a misbehaving server; glyphs; furniture to the pixel; portraits."""

from __future__ import annotations

import gzip
import hashlib
import http.server
import struct
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from latentlib import photos, settings
from latentlib.datasets import digits, furniture, glyphs, portraits

# -------------------------------------------------------------------------------------------------------------- digits

COUNTS = {"train-images-idx3-ubyte": 20, "train-labels-idx1-ubyte": 20} | {
    "t10k-images-idx3-ubyte": 10,
    "t10k-labels-idx1-ubyte": 10,
}


def small_idx(name: str) -> bytes:
    """A file as MNIST's, but with few pictures: pixel values count up, labels go round."""
    count = COUNTS[name]
    if "images" in name:
        return struct.pack(">4I", 2051, count, 28, 28) + bytes(i % 256 for i in range(count * 784))
    return struct.pack(">2I", 2049, count) + bytes(i % 10 for i in range(count))


@pytest.fixture
def small_mnist(monkeypatch, tmp_path):
    """MNIST is small, nothing is there, and nobody may be asked; gives the empty folder of data."""
    shapes = {name: (count, 28, 28) if "images" in name else (count,) for name, count in COUNTS.items()}
    monkeypatch.setattr(digits, "FILES", shapes)
    (tmp_path / "data").mkdir()
    for name, value in {"DATA": tmp_path / "data", "CACHE": tmp_path / "cache", "OFFLINE": 1}.items():
        monkeypatch.setenv(f"LATENTLIB_{name}", str(value))
    return tmp_path / "data"


def fill(folder: Path, packed: bool = False) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in COUNTS:
        content = small_idx(name)
        (folder / (name + ".gz" * packed)).write_bytes(gzip.compress(content) if packed else content)
    return folder


def is_small_mnist(found: digits.Digits) -> bool:
    pixels = torch.tensor([i % 256 for i in range(20 * 784)]).reshape(20, 1, 28, 28) / 255
    return (
        found.name == "MNIST"
        and torch.equal(found.train_images, pixels)
        and torch.equal(found.test_images, pixels[:10])
        and found.test_labels.tolist() == list(range(10))
        and found.train_labels.dtype == torch.int64
    )


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("place", ["MNIST/raw", "MNIST", "raw", "."])
def test_mnist_is_read_packed_or_not_and_one_level_off(small_mnist, place, packed):
    fill(small_mnist / place, packed)
    assert is_small_mnist(digits.load("mnist"))
    assert digits.load(most=3).train_labels.tolist() == [0, 1, 2]
    assert not (small_mnist.parent / "cache").exists()


def test_some_copies_have_dots_in_their_names(small_mnist):
    for path in fill(small_mnist).iterdir():
        path.rename(path.with_name(path.name.replace("-idx", ".idx")))
    assert is_small_mnist(digits.load())


DAMAGES = {
    "short": lambda folder: (folder / "t10k-images-idx3-ubyte").write_bytes(small_idx("t10k-images-idx3-ubyte")[:-1]),
    "missing": lambda folder: (folder / "t10k-images-idx3-ubyte").unlink(),
    "another": lambda folder: (folder / "t10k-images-idx3-ubyte").write_bytes(b"<html>" * 1000),
    "empty": lambda folder: (folder / "t10k-images-idx3-ubyte").write_bytes(b""),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_copy_is_named_and_not_used(small_mnist, capsys, damage):
    DAMAGES[damage](fill(small_mnist / "MNIST" / "raw"))
    found = digits.load()
    assert found.name == "scikit-learn digits"
    assert "t10k-images-idx3-ubyte" in capsys.readouterr().out
    with pytest.raises(RuntimeError, match="LATENTLIB_OFFLINE"):
        digits.load("mnist")
    assert not (small_mnist.parent / "cache").exists()


def test_the_next_whole_copy_is_read(small_mnist, capsys):
    fill(small_mnist / "MNIST" / "raw", packed=True)
    (small_mnist / "MNIST" / "raw" / "t10k-images-idx3-ubyte.gz").write_bytes(b"\x1f\x8bcut")
    assert digits.load().name == "scikit-learn digits"
    fill(small_mnist.parent / "cache" / "MNIST" / "raw")
    assert is_small_mnist(digits.load())
    capsys.readouterr()


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves MNIST's four files at /good/; other first folders of the path name a way to misbehave."""

    def do_GET(self):
        _, behaviour, name = self.path.split("/")
        content = self.server.files[name]
        if behaviour == "forbidden":
            return self.send_error(403)
        if behaviour == "silent":
            return self.server.over.wait(20)
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write({"wrong": content[:2] + content[:1:-1], "cut": content[:50]}.get(behaviour, content))

    def log_message(self, *_):
        pass


@pytest.fixture
def mirrors(small_mnist, monkeypatch):
    """``mirrors("forbidden", "good")`` sets where torchvision downloads from."""
    from torchvision.datasets import MNIST

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.over = threading.Event()
        server.files = {f"{name}.gz": gzip.compress(small_idx(name), mtime=0) for name in COUNTS}
        checksums = [(name, hashlib.md5(content).hexdigest()) for name, content in server.files.items()]
        monkeypatch.setattr(MNIST, "resources", checksums)
        monkeypatch.setattr(settings, "SILENCE", 0.5)
        monkeypatch.delenv("LATENTLIB_OFFLINE")
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        yield lambda *names: monkeypatch.setattr(
            MNIST, "mirrors", [f"http://127.0.0.1:{server.server_port}/{name}/" for name in names]
        )
        server.over.set()
        server.shutdown()


def test_a_download_fills_the_cache_whole_and_once(mirrors, small_mnist):
    mirrors("forbidden", "good")
    assert is_small_mnist(digits.load("mnist"))
    cache = small_mnist.parent / "cache" / "MNIST"
    assert sorted(path.name for path in cache.rglob("*")) == sorted(["raw", *COUNTS])
    mirrors("forbidden")
    assert is_small_mnist(digits.load("mnist"))


@pytest.mark.parametrize("behaviour", ["forbidden", "wrong", "cut", "silent"])
def test_a_bad_server_leaves_nothing_and_is_told(mirrors, small_mnist, behaviour):
    mirrors(behaviour)
    found = digits.load()
    assert found.name == "scikit-learn digits"
    with pytest.raises(RuntimeError, match=r"could not be downloaded \(.*\)$"):
        digits.load("mnist")
    assert not [path for path in (small_mnist.parent / "cache").rglob("*") if path.is_file() or "raw" in path.name]


def test_the_bundled_digits_look_like_mnist(small_mnist, capsys):
    found = digits.load()
    assert found.train_images.shape == (1540, 1, 28, 28)
    assert found.test_images.shape == (257, 1, 28, 28)
    assert found.train_labels.bincount().min() > 140
    border = torch.nn.functional.pad(torch.zeros(20, 20), (4, 4, 4, 4), value=1).bool()
    assert found.train_images[..., border].max() == 0
    assert 0.1 < found.train_images.mean() < 0.2
    assert capsys.readouterr().out == ""  # a notebook's text is the same with both
    with pytest.raises(ValueError, match="source"):
        digits.load("fashion")


def test_real_mnist_where_it_is_here():
    found = digits.load("auto")
    if found.name != "MNIST":
        pytest.skip("MNIST is not on this machine")
    assert found.train_images.shape == (60_000, 1, 28, 28)
    assert found.train_images.mean().item() == pytest.approx(0.1307, abs=1e-4)
    assert found.test_labels[:5].tolist() == [7, 2, 1, 0, 4]


# -------------------------------------------------------------------------------------------------------------- glyphs


def test_glyphs_are_moved_prototypes_with_at_most_two_pixels_flipped():
    images, labels = glyphs.load(3000, seed=3)
    assert images.shape == (3000, 1, 5, 5)
    assert set(images.unique().tolist()) == {0.0, 1.0}
    assert labels.bincount().tolist() == [300] * 10
    moved = glyphs._shifted()
    assert torch.equal(moved.flatten(2).sum(2), moved[1].flatten(1).sum(1).expand(3, 10))  # a shift loses no ink
    flips = (moved[:, labels] != images).flatten(2).sum(2).amin(0).bincount() / 3000
    assert torch.allclose(flips, torch.tensor([0.3, 0.4, 0.3]), atol=0.04)
    assert torch.equal(images, glyphs.load(3000, seed=3).images)
    assert not torch.equal(images, glyphs.load(3000, seed=4).images)
    assert glyphs.load(0).images.shape == (0, 1, 5, 5)


# ----------------------------------------------------------------------------------------------------------- furniture


def row(**changes):
    """The factors of a plain chair, with some changed."""
    plain = dict(zip(furniture.FACTORS, (0, 0.5, 0.48, 0.44, 0.045, 0.42, 0, 25, 22, 0.2, 0.4, 0.72), strict=True))
    return torch.tensor([[float((plain | changes)[name]) for name in furniture.FACTORS]])


def test_sampled_factors_stay_in_their_ranges_and_reach_across_them():
    factors = furniture.sample_factors(4000, seed=5)
    for kind in (0, 1):
        of_kind = factors[factors[:, 0] == kind]
        assert 1800 < len(of_kind) < 2200
        low, high = torch.tensor([furniture.KIND_RANGES[kind][name] for name in furniture.FACTORS]).unbind(1)
        assert (of_kind >= low - 1e-6).all()
        assert (of_kind <= high + 1e-6).all()
        assert (of_kind.amax(0) - of_kind.amin(0) >= 0.9 * (high - low)).all()
    assert set(factors[:, furniture.column("arms")].tolist()) == {0.0, 1.0}
    assert torch.linalg.eigvalsh(factors[:, -3:].T.cov()).sqrt().min() > 0.08  # no direction of colour is missing
    assert torch.equal(factors, furniture.sample_factors(4000, seed=5))
    assert not torch.equal(factors, furniture.sample_factors(4000, seed=6))
    assert furniture.RANGES["width"] == (0.42, 0.92)


def test_the_pixels_are_those_of_every_other_machine():
    # Exact on the machines tried; one pixel in a thousand is allowed for hardware that does not round as IEEE 754.
    stored = torch.from_numpy(np.array(Image.open(Path(__file__).parent / "furniture_golden.png"))).permute(2, 0, 1)
    stored = stored.reshape(3, 64, 8, 64).permute(2, 0, 1, 3)
    drawn = furniture.render(furniture.sample_factors(8, seed=20)) * 255
    assert torch.equal(drawn.round(), drawn)
    assert ((drawn - stored).abs().amax(1) > 1).float().mean() <= 0.001


def test_a_picture_depends_neither_on_its_batch_nor_on_the_threads(three_threads):
    factors = furniture.sample_factors(70, seed=2)
    images = furniture.render(factors)
    for i in (0, 33, 69):
        assert torch.equal(images[i], furniture.render(factors[i : i + 1])[0])
    torch.set_num_threads(1)
    assert torch.equal(images, furniture.render(factors))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no NVIDIA GPU here")
def test_the_gpu_draws_the_same_pixels():
    factors = furniture.sample_factors(256, seed=9)
    apart = (furniture.render(factors.cuda()).cpu() - furniture.render(factors)).abs().amax(1)
    assert (apart > 1.5 / 255).float().mean() <= 0.001


def painted(factors):
    """Which pixels have the colour of blue paint, in any light: (n, h, w)."""
    r, g, b = furniture.render(factors).unbind(1)
    return (b > 1.5 * g) & (g > 1.4 * r)


def test_every_factor_shows_and_means_what_it_says():
    values = (1, 0.6, 0.55, 0.5, 0.07, 0.3, 1, -20, 30, 0.5, 0.6, 0.3)
    changed = torch.cat([row(**{name: value}) for name, value in zip(furniture.FACTORS, values, strict=True)])
    assert ((furniture.render(changed) != furniture.render(row())).flatten(1).float().mean(1) > 0.01).all()
    wide, narrow, high, low = painted(
        torch.cat([row(turn=0, width=0.6), row(turn=0, width=0.45), row(turn=0, back=0.5), row(turn=0, back=0.3)])
    )
    assert wide.any(0).sum() > narrow.any(0).sum() + 5
    assert high.any(1).sum() > low.any(1).sum() + 5
    assert painted(row(arms=1)).sum() > painted(row()).sum() + 20
    left, right = painted(torch.cat([row(turn=-35, arms=1), row(turn=35, arms=1)]))
    assert (left.flip(1) != right).float().mean() < 0.01
    table = row(kind=1, width=0.8, back=0)
    assert torch.equal(furniture.render(table), furniture.render(row(kind=1, width=0.8, back=0.4, arms=1)))


def test_every_piece_fits_into_the_picture():
    factors = furniture.sample_factors(300, seed=11)
    factors[:, -3:] = torch.tensor([0.2, 0.4, 0.72])
    seen = painted(factors).any(0)
    assert seen[1:-1, 1:-1].sum() == seen.sum() > 1000


def test_furniture_of_a_kind_and_wrong_furniture():
    images, factors = furniture.load(3, seed=4, size=16, kind=1)
    assert images.shape == (3, 3, 16, 16)
    assert torch.equal(factors, furniture.sample_factors(3, seed=4, kind=1))
    assert furniture.render(torch.zeros(0, 12)).shape == (0, 3, 64, 64)
    for wrong, size in ((torch.zeros(12), 64), (row(width=float("nan")), 64), (row(), 30)):
        with pytest.raises(ValueError, match=r"must be|size"):
            furniture.render(wrong, size)
    with pytest.raises(ValueError, match="unknown factor"):
        furniture.column("colour")
    with pytest.raises(ValueError, match="kind must be"):
        furniture.sample_factors(5, kind=2)


# ----------------------------------------------------------------------------------------------------------- portraits


def test_portraits_are_aligned():
    found = portraits.load()
    assert found.names == portraits.NAMES
    assert found.images.shape == (2, 3, 64, 64)
    for name, surname, image in zip(found.names, ("hopper", "collins"), found.images, strict=True):
        whole = portraits.photo(surname)
        assert min(whole.shape[:2]) > 400
        assert np.array_equal(whole, portraits.photo(name))
        assert torch.equal(photos.align(whole), image)
    with pytest.raises(ValueError, match="no portrait"):
        portraits.photo("curie")
