"""Handwritten digits: MNIST where it can be had, else scikit-learn's bundled digits enlarged to the same size."""

from __future__ import annotations

import gzip
import os
import struct
import tempfile
from dataclasses import dataclass
from pathlib import Path

import torch

from latentlib.device import pick_device
from latentlib.download import fetch
from latentlib.settings import cache_folder, data_folder, offline

GZIP = b"\x1f\x8b"  # what a packed file begins with
IMAGES, LABELS = 2051, 2049  # the magic numbers at the start of MNIST's idx files
FILES = {  # file name -> (magic number, how many items it must hold)
    "train-images-idx3-ubyte": (IMAGES, 60_000),
    "train-labels-idx1-ubyte": (LABELS, 60_000),
    "t10k-images-idx3-ubyte": (IMAGES, 10_000),
    "t10k-labels-idx1-ubyte": (LABELS, 10_000),
}


@dataclass(frozen=True)
class Digits:
    """Images (n, 1, 28, 28) float32 in [0, 1] and labels (n,) int64, for training and for the final test."""

    train_images: torch.Tensor
    train_labels: torch.Tensor
    test_images: torch.Tensor
    test_labels: torch.Tensor
    name: str  # "MNIST" or "scikit-learn digits"


def load(source: str = "auto", device: torch.device | str = "cpu") -> Digits:
    """The digits, all of them on the device, so that no loader is needed.

    source: "mnist" for MNIST (60,000 + 10,000 pictures; LeCun et al., 1998) from the folder ``LATENTLIB_DATA``, from
    the cache, or downloaded into the cache; "bundled" for scikit-learn's 1,797 digits, enlarged; "auto" for MNIST when
    it can be had and else the bundled digits, with one printed line that says so.
    Raises ValueError for another source, and RuntimeError with one sentence when "mnist" cannot be had.
    """
    if source not in ("auto", "mnist", "bundled"):
        raise ValueError(f'source must be "auto", "mnist" or "bundled", got {source!r}')
    device = pick_device(device)
    if source == "bundled":
        return _load_bundled(device)
    try:
        return _load_mnist(device)
    except (RuntimeError, FileNotFoundError) as error:
        if source == "mnist":
            raise
        print(f"Using scikit-learn's bundled digits, enlarged to 28×28, in place of MNIST: {error}")
        return _load_bundled(device)


def _load_mnist(device: torch.device) -> Digits:
    problems = []
    given, cached = data_folder(), cache_folder() / "MNIST" / "raw"
    if given and (given / "MNIST" / "raw").is_dir():
        try:
            return _read_mnist(given / "MNIST" / "raw", device)
        except (OSError, ValueError) as error:  # the user's own folder: say what is wrong, change nothing
            problems.append(f"the copy in LATENTLIB_DATA cannot be used ({error})")
    if cached.is_dir():
        try:
            return _read_mnist(cached, device)
        except (OSError, ValueError):  # of no use; a whole copy takes its place once it is here, and not before
            pass
    if offline():
        problems.append("MNIST is not on this machine and LATENTLIB_OFFLINE forbids downloading it")
    else:
        try:
            download(cached)
            return _read_mnist(cached, device)
        except (OSError, ValueError, RuntimeError) as error:
            problems.append(f"MNIST could not be downloaded ({error})")
    raise RuntimeError(", and ".join(problems))


def _read_mnist(folder: Path, device: torch.device) -> Digits:
    """Read the four unpacked idx files; ValueError when one of them is not whole, OSError when one is missing."""
    tensors = []
    for name, (magic, count) in FILES.items():  # one after the other, to spare memory
        values = read_idx(folder / name, magic, count).to(device)
        tensors.append(values.float().div_(255) if magic == IMAGES else values.long())
    return Digits(*tensors, "MNIST")


def read_idx(path: Path, magic: int, count: int) -> torch.Tensor:
    """One idx file as uint8: (count, 1, 28, 28) for images, (count,) for labels."""
    shape = (count, 28, 28) if magic == IMAGES else (count,)
    header = struct.pack(f">{1 + len(shape)}I", magic, *shape)
    content = bytearray(path.stat().st_size)
    with path.open("rb") as file:
        file.readinto(content)
    expected = len(header) + torch.Size(shape).numel()
    if len(content) != expected:
        raise ValueError(f"{path.name} has {len(content):,} bytes, expected {expected:,}")
    if content[: len(header)] != header:
        raise ValueError(f"{path.name} does not start as MNIST's file does")
    values = torch.frombuffer(content, dtype=torch.uint8, offset=len(header)).reshape(shape)
    return values[:, None] if magic == IMAGES else values


def download(folder: Path) -> None:
    """Fetch MNIST into ``folder``, whole or not at all.

    Each file comes from the first of torchvision's mirrors that delivers it with the right checksum, into a temporary
    folder beside the cache; only when all four are there and readable do they take their places.
    Raises RuntimeError with one sentence when a file cannot be had from any mirror, OSError when the disk refuses.
    """
    from torchvision.datasets import MNIST

    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="unfinished-", dir=folder.parent) as temporary:
        whole = Path(temporary)
        for name, md5 in MNIST.resources:
            addresses = [mirror + name for mirror in MNIST.mirrors]
            packed = fetch(addresses, whole / name, begins=GZIP, checksum=f"md5:{md5}", announce=lambda _: None)
            packed.with_suffix("").write_bytes(gzip.decompress(packed.read_bytes()))
        for name, (magic, count) in FILES.items():
            read_idx(whole / name, magic, count)
        folder.mkdir(exist_ok=True)
        for name in FILES:  # what else lies in the folder is not ours
            os.replace(whole / name, folder / name)


def _load_bundled(device: torch.device) -> Digits:
    """scikit-learn's 8×8 digits at MNIST's size: smoothly enlarged to 20×20 within a frame of 4, as MNIST's digits are.

    Every seventh picture is for the test (257 of 1,797), the same ones on every machine.
    """
    from sklearn.datasets import load_digits

    bundle = load_digits()
    small = torch.from_numpy(bundle.images).float()[:, None] / 16
    large = torch.nn.functional.interpolate(small, size=(20, 20), mode="bicubic", align_corners=False)
    images = torch.nn.functional.pad(large.clamp(0, 1), (4, 4, 4, 4)).to(device)
    labels = torch.from_numpy(bundle.target).long().to(device)
    test = torch.arange(len(labels), device=device) % 7 == 0
    return Digits(images[~test], labels[~test], images[test], labels[test], "scikit-learn digits")
