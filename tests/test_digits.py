"""The digits: MNIST from a folder, the cache or a (misbehaving) server, and the bundled digits in its place."""

from __future__ import annotations

import errno
import gzip
import hashlib
import http.server
import os
import struct
import threading

import pytest
import torch

from latentlib.datasets import digits

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


class Server(http.server.ThreadingHTTPServer):
    """Serves MNIST's four files at /good/; other first folders of the path name a way to misbehave."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files = {f"{name}.gz": gzip.compress(small_idx(name), mtime=0) for name in COUNTS}
        self.requests: list[str] = []

    def mirror(self, behaviour: str) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/{behaviour}/"

    def resources(self) -> list[tuple[str, str]]:
        return [(name, hashlib.md5(content).hexdigest()) for name, content in self.files.items()]


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.requests.append(self.path)
        _, behaviour, name = self.path.split("/")
        content = self.server.files[name]
        if behaviour == "forbidden":
            self.send_error(403)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[:2] + content[:1:-1] if behaviour == "wrong" else content)

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    server = Server()
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def world(monkeypatch, tmp_path, server):
    """No data folder, an empty cache, the network allowed; ``world("forbidden", "good")`` sets the mirrors."""
    mnist = pytest.importorskip("torchvision.datasets").MNIST
    for name in ("LATENTLIB_DATA", "LATENTLIB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, "127.0.0.1")
    monkeypatch.setattr(digits, "cache_folder", lambda: tmp_path)
    monkeypatch.setattr(digits, "FILES", {n: (2051 if "images" in n else 2049, c) for n, c in COUNTS.items()})

    def mirrors(*behaviours: str):
        monkeypatch.setattr(mnist, "mirrors", [server.mirror(behaviour) for behaviour in behaviours])
        monkeypatch.setattr(mnist, "resources", server.resources())

    return mirrors


def everything_in(folder) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_download_fills_the_cache_once(world, server, tmp_path):
    world("good")
    data = digits.load()
    assert data.name == "MNIST"
    assert data.train_images.shape == (20, 1, 28, 28)
    assert data.train_images.dtype == torch.float32
    assert data.train_images[0, 0, 0, :3].tolist() == pytest.approx([0, 1 / 255, 2 / 255])
    assert data.test_labels.tolist() == list(range(10))
    assert data.test_labels.dtype == torch.int64
    assert everything_in(tmp_path) == sorted(f"MNIST/raw/{name}" for name in COUNTS)
    asked = len(server.requests)
    again = digits.load("mnist")
    assert torch.equal(again.test_images, data.test_images)
    assert len(server.requests) == asked


@pytest.mark.parametrize(("behaviour", "words"), [("forbidden", "answered 403"), ("wrong", "differ from its checksum")])
def test_a_bad_mirror_is_passed_over_and_only_bad_ones_leave_an_empty_cache(world, tmp_path, capsys, behaviour, words):
    """How else a server may misbehave is in test_download.py."""
    world(behaviour)
    with pytest.raises(RuntimeError, match=words) as caught:
        digits.load("mnist")
    assert "MNIST could not be downloaded" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert list((tmp_path / "MNIST").iterdir()) == []
    capsys.readouterr()
    assert digits.load("auto").name == "scikit-learn digits"
    (printed,) = capsys.readouterr().out.splitlines()
    assert "bundled digits" in printed
    assert words in printed
    world(behaviour, "good")
    assert digits.load("mnist").name == "MNIST"
    assert everything_in(tmp_path) == sorted(f"MNIST/raw/{name}" for name in COUNTS)


def test_a_right_checksum_around_a_short_file_does_not_reach_the_cache(world, server, tmp_path):
    server.files["t10k-images-idx3-ubyte.gz"] = gzip.compress(small_idx("t10k-images-idx3-ubyte")[:-5])
    world("good")
    with pytest.raises(RuntimeError, match="t10k-images-idx3-ubyte has 7,851 bytes, expected 7,856"):
        digits.load("mnist")
    assert everything_in(tmp_path) == []


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(errno.ENOSPC, "No space left on device")])
def test_an_interrupt_or_a_full_disk_leaves_nothing(world, monkeypatch, tmp_path, error):
    world("good")
    whole = digits.fetch

    def breaks_at_the_third(addresses, path, **options):
        if "t10k-images" in path.name:
            raise error
        return whole(addresses, path, **options)

    monkeypatch.setattr(digits, "fetch", breaks_at_the_third)
    with pytest.raises(KeyboardInterrupt if isinstance(error, KeyboardInterrupt) else RuntimeError):
        digits.load("mnist")
    assert everything_in(tmp_path) == []


def put_mnist(root) -> None:
    raw = root / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for name in COUNTS:
        (raw / name).write_bytes(small_idx(name))


@pytest.mark.parametrize("damage", ["shortened", "missing", "foreign"])
def test_a_damaged_cache_is_replaced(world, tmp_path, damage):
    world("good")
    put_mnist(tmp_path)
    file = tmp_path / "MNIST" / "raw" / "train-images-idx3-ubyte"
    if damage == "shortened":
        os.truncate(file, 1000)
    elif damage == "missing":
        file.unlink()
    else:
        file.write_bytes(b"x" * file.stat().st_size)
    assert digits.load("mnist").name == "MNIST"
    assert file.read_bytes() == small_idx(file.name)


@pytest.mark.parametrize("network", ["forbidden by the learner", "of no use", "good"])
def test_what_others_put_into_the_cache_stays(world, monkeypatch, tmp_path, network):
    """LATENTLIB_CACHE may name a torchvision folder that holds the packed files alone."""
    world("good" if network == "good" else "forbidden")
    if network == "forbidden by the learner":
        monkeypatch.setenv("LATENTLIB_OFFLINE", "1")
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for name in COUNTS:
        (raw / f"{name}.gz").write_bytes(b"packed")
    assert digits.load().name == ("MNIST" if network == "good" else "scikit-learn digits")
    assert {name: (raw / f"{name}.gz").read_bytes() for name in COUNTS} == dict.fromkeys(COUNTS, b"packed")


def test_offline_asks_nobody(world, server, monkeypatch, tmp_path, capsys):
    world("good")
    monkeypatch.setenv("LATENTLIB_OFFLINE", "1")
    assert digits.load().name == "scikit-learn digits"
    assert "LATENTLIB_OFFLINE" in capsys.readouterr().out
    with pytest.raises(RuntimeError, match="LATENTLIB_OFFLINE forbids"):
        digits.load("mnist")
    put_mnist(tmp_path)
    assert digits.load().name == "MNIST"
    assert server.requests == []


def test_the_data_folder_comes_first_and_is_never_changed(world, server, monkeypatch, tmp_path):
    world("forbidden")
    folder = tmp_path / "given"
    put_mnist(folder)
    monkeypatch.setenv("LATENTLIB_DATA", str(folder))
    assert digits.load("mnist").name == "MNIST"
    assert server.requests == []
    os.truncate(folder / "MNIST" / "raw" / "t10k-labels-idx1-ubyte", 3)
    with pytest.raises(RuntimeError, match="the copy in LATENTLIB_DATA cannot be used"):
        digits.load("mnist")
    assert sorted(path.name for path in (folder / "MNIST" / "raw").iterdir()) == sorted(COUNTS)


def test_a_copy_that_another_process_finished_meanwhile_is_kept(world, tmp_path):
    world("good")
    put_mnist(tmp_path)
    digits.download(tmp_path / "MNIST" / "raw")
    assert everything_in(tmp_path) == sorted(f"MNIST/raw/{name}" for name in COUNTS)


def test_bundled_digits_look_like_mnist():
    from sklearn.datasets import load_digits

    data = digits.load("bundled")
    assert data.train_images.shape == (1540, 1, 28, 28)
    assert data.test_images.shape == (257, 1, 28, 28)
    assert data.train_images.dtype == torch.float32
    assert 0 <= data.train_images.min() < data.train_images.max() <= 1
    assert data.train_images[:, :, :4].max() == 0  # the frame
    assert sorted(set(data.train_labels.tolist())) == list(range(10)) == sorted(set(data.test_labels.tolist()))
    small = torch.from_numpy(load_digits().images[::7] / 16).float()
    back = torch.nn.functional.interpolate(data.test_images[:, :, 4:24, 4:24], size=(8, 8), mode="area")[:, 0]
    both = torch.stack([small.flatten(), back.flatten()])
    assert torch.corrcoef(both)[0, 1] > 0.95
    assert data.test_labels.tolist() == load_digits().target[::7].tolist()


def test_an_unknown_source_is_named():
    with pytest.raises(ValueError, match=r'"bundled", got .fashion.'):
        digits.load("fashion")


def test_real_mnist_where_it_is_given():
    if not os.environ.get("LATENTLIB_DATA"):
        pytest.skip("LATENTLIB_DATA names no folder with MNIST")
    data = digits.load("mnist")
    assert data.train_images.shape == (60_000, 1, 28, 28)
    assert data.train_images.mean().item() == pytest.approx(0.1307, abs=1e-4)
    assert data.test_labels[:5].tolist() == [7, 2, 1, 0, 4]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA GPU here")
def test_digits_are_held_on_the_gpu():
    data = digits.load("bundled", device="cuda")
    assert data.train_images.is_cuda
    assert data.test_labels.is_cuda
