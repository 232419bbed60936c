"""Handwritten digits: MNIST where it can be had, else scikit-learn's bundled digits enlarged to the same size."""

import contextlib
import gzip
import os
import socket
import tempfile
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch.nn import functional as F

from latentlib import settings
from latentlib.device import pick_device

FILES = {  # file name -> shape of what it holds, after a header that says so
    "train-images-idx3-ubyte": (60_000, 28, 28),
    "train-labels-idx1-ubyte": (60_000,),
    "t10k-images-idx3-ubyte": (10_000, 28, 28),
    "t10k-labels-idx1-ubyte": (10_000,),
}


class Digits(NamedTuple):
    """Images (n, 1, 28, 28) float32 in [0, 1] and labels (n,) int64, for training and for the final test."""

    train_images: torch.Tensor
    train_labels: torch.Tensor
    test_images: torch.Tensor
    test_labels: torch.Tensor
    name: str  # "MNIST" or "scikit-learn digits"


def load(source: str = "auto", device: torch.device | str = "cpu", most: int | None = None) -> Digits:
    """The digits, all of them on the device, so that no loader is needed.

    source: "mnist" for MNIST (60,000 + 10,000 pictures; LeCun et al., 1998) from the folder ``LATENTLIB_DATA``, from
    the cache, or downloaded into the cache; "bundled" for scikit-learn's 1,797 digits, enlarged; "auto" for MNIST when
    it can be had and else the bundled digits. A copy that is there but damaged is named in a line.
    most: of each part, training and test, keep only the first so many pictures, which spares memory; None keeps all
    Raises ValueError for another source, and RuntimeError with one sentence when "mnist" cannot be had.
    """
    if source not in ("auto", "mnist", "bundled"):
        raise ValueError(f'source must be "auto", "mnist" or "bundled", got {source!r}')
    device = pick_device(device)
    if source == "bundled":
        return _bundled(device, most)
    for folder in [place / name for place in settings.places() for name in ("MNIST/raw", "MNIST", "raw", ".")]:
        if any(folder.glob("*-images?idx3*")):
            try:
                return _read(folder, device, most)
            except ValueError as error:
                print(f"The copy of MNIST in {folder} is not used: {error}")
    try:
        return _read(download(), device, most)
    except (OSError, RuntimeError, ValueError) as error:
        if source == "auto":
            return _bundled(device, most)
        why = " ".join(str(error).split())
        raise RuntimeError(f"MNIST is not on this machine and could not be downloaded ({why})") from error


def _read(folder: Path, device: torch.device, most: int | None) -> Digits:
    """All four files of a folder, packed or not; ValueError with the name of one that is missing or not whole."""
    tensors = []
    for name, shape in FILES.items():  # one after the other, to spare memory
        content, header = b"", np.array([2048 + len(shape), *shape], ">u4").tobytes()
        for path in sorted(folder.glob(name.replace("-idx", "?idx") + "*"))[:1]:  # some copies have a dot there
            with contextlib.suppress(OSError, EOFError, zlib.error):
                content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        if not content.startswith(header) or len(content) != len(header) + np.prod(shape):
            raise ValueError(f"{name} is missing or not whole")
        values = np.frombuffer(content, np.uint8, offset=len(header)).reshape(shape)[:most].copy()
        values = torch.from_numpy(values).to(device)
        tensors.append(values.long() if values.dim() == 1 else values[:, None].float().div_(255))
    return Digits(*tensors, "MNIST")


def download() -> Path:
    """Fetch MNIST by torchvision, which knows mirrors and checksums, into the cache: whole or not at all.

    Gives its folder. Raises RuntimeError or OSError when it cannot be had, or LATENTLIB_OFFLINE forbids it.
    """
    if settings.offline():
        raise RuntimeError("LATENTLIB_OFFLINE forbids it")
    from torchvision.datasets import MNIST

    folder, patience = settings.cache_folder() / "MNIST" / "raw", socket.getdefaulttimeout()
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="unfinished-", dir=folder.parent) as whole:
        socket.setdefaulttimeout(settings.SILENCE)
        try:
            raw = Path(MNIST(whole, download=True).raw_folder)
        finally:
            socket.setdefaulttimeout(patience)
        folder.mkdir(exist_ok=True)
        for name in FILES:  # what else lies in the folder is not ours
            os.replace(raw / name, folder / name)
    return folder


def _bundled(device: torch.device, most: int | None) -> Digits:
    """scikit-learn's 8×8 digits at MNIST's size: smoothly enlarged to 20×20 within a frame of 4, as MNIST's digits are.

    Every seventh picture is for the test (257 of 1,797), the same ones on every machine.
    """
    from sklearn.datasets import load_digits

    bundle = load_digits()
    small = torch.from_numpy(bundle.images).float()[:, None] / 16
    images = F.pad(F.interpolate(small, size=(20, 20), mode="bicubic").clamp(0, 1), (4, 4, 4, 4)).to(device)
    labels = torch.from_numpy(bundle.target).long().to(device)
    test = torch.arange(len(labels), device=device) % 7 == 0
    parts = (part[which][:most] for which in (~test, test) for part in (images, labels))
    return Digits(*parts, "scikit-learn digits")
