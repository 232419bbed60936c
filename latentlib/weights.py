"""Weights in files: saved whole, checked when read, never executed (safetensors).

A weights file lies in a folder beside ``checksums.json``, which holds the length and the SHA-256 of each; the shipped
ones are in ``data/weights``, each described in its README. Each file carries the settings its network is built with.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import os
from pathlib import Path
from typing import NamedTuple

import torch

from latentlib.device import pick_device

_CLONE = Path(__file__).resolve().parents[1]
# In a clone beside the package; in a wheel inside it, where pyproject.toml puts the same folder.
WEIGHTS = _CLONE / "data" / "weights" if (_CLONE / "pyproject.toml").is_file() else _CLONE / "latentlib" / "shipped"
CHECKSUMS = "checksums.json"
MADE_BY = "latentlib"


class WeightsError(ValueError):
    """A weights file is missing, truncated, altered or foreign; the message says which, and what to do."""


class Shipped(NamedTuple):
    """What a name of ``load`` stands for."""

    network: str  # the class, as module.Class of latentlib.models
    gives: str  # what one does with it: shapes and ranges


_AUTOENCODER = "encode: pictures (n, 1, 28, 28) in [0, 1] -> (n, {0}); decode goes back. Trained on MNIST"
_FURNITURE = "encode: furniture (n, 3, 32, 32) in [0, 1] -> (n, {0}); decode goes back"
SHIPPED = {
    "faces-64": Shipped(
        "stylegan2.Generator", "generator(z (n, 256)) -> faces (n, 3, 64, 64), about [-1, 1]; draw(w) -> faces in [0, 1]"
    ),
    "faces-64-discriminator": Shipped(
        "stylegan2.Discriminator", "faces (n, 3, 64, 64) in [-1, 1] -> (n,), high for a photo; features compare pictures"
    ),
    "faces-64-encoder": Shipped(
        "encoder.Encoder", "aligned faces (n, 3, 64, 64) in [-1, 1] -> w_plus (n, 10, 256) for faces-64"
    ),
    "faces-64-identity": Shipped(
        "identity.Identity",
        "embed: aligned faces (n, 3, 64, 64) in [0, 1] -> (n, 50); distance(a, b) -> (n,) in [0, 2]",
    ),
    "stylegan2-64": Shipped(
        "stylegan2.Generator", "as faces-64, in the order of operations of NVIDIA's networks; load_stylegan2 has more"
    ),
    "face-landmarks": Shipped(
        "landmarks.BlazeFace", "the face detector of latentlib.photos, made by Google (Apache-2.0)"
    ),
    **{f"digits-{n}": Shipped("autoencoder.Autoencoder", _AUTOENCODER.format(n)) for n in (2, 3, 10, 30)},
    "digits-vae-2": Shipped("vae.VAE", "encode: pictures (n, 1, 28, 28) in [0, 1] -> (n, 2), means and log variances"),
    **{f"furniture-{n}": Shipped("autoencoder.ConvAutoencoder", _FURNITURE.format(n)) for n in (2, 4, 8, 16, 32, 64)},
    "furniture-walk": Shipped(
        "autoencoder.ConvAutoencoder",
        "encode: furniture (n, 3, 64, 64) in [0, 1] -> (n, 32), near a standard normal distribution; decode goes back",
    ),
    "furniture-regressor": Shipped(
        "regressor.Regressor", "furniture (n, 3, 64, 64) in [0, 1] -> (n, 12), columns as furniture.FACTORS"
    ),
    "furniture-colour-blind": Shipped(
        "regressor.Regressor", "encode: furniture (n, 3, 32, 32) in [0, 1] -> (n, 8); it never had to name a colour"
    ),
}


def load(
    name: str,  # one of SHIPPED, such as "faces-64"; data/weights/README.md describes each
    device: str | torch.device = "auto",
    folder: str | Path = WEIGHTS,
) -> torch.nn.Module:
    """A shipped network, ready to use: on the device, in evaluation mode, with no gradients for its weights.

    Needs no network and under a second. Raises WeightsError with one sentence when there is no such name, or its file
    is missing, truncated, altered or of another network.
    """
    if name not in SHIPPED:
        raise WeightsError(f"there are no weights called {name!r}; there are: {', '.join(SHIPPED)}")
    state, settings = read_weights(name, folder)
    module, _, kind = SHIPPED[name].network.partition(".")
    make = getattr(importlib.import_module(f"latentlib.models.{module}"), kind)
    network = make(**settings["network"])
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        raise WeightsError(f"{name} holds the weights of another network: {error}") from error
    # Convolutions are faster when the channels of a place lie side by side in memory.
    return network.to(pick_device(device), memory_format=torch.channels_last).eval().requires_grad_(False)


class StyleGAN2(NamedTuple):
    """Both networks, in evaluation mode and without gradients for their weights."""

    generator: torch.nn.Module
    discriminator: torch.nn.Module


def load_stylegan2(
    path_or_name: str | Path = "stylegan2-64",  # or "ffhq-256", "ffhq-512", "ffhq-1024", or a .pkl file of NVIDIA's
    device: str | torch.device = "auto",
    *,
    accept_licence: bool = False,  # True: I have read NVIDIA's licence and accept it; needed for its weights by name
    progress: bool = True,  # show a bar while downloading
) -> StyleGAN2:
    """NVIDIA's StyleGAN2, called as the course's own networks are.

    "stylegan2-64" is no network of NVIDIA's: it is the course's face generator in NVIDIA's order of operations
    (models/stylegan2.py), shipped, with the course's discriminator. A "ffhq" name is looked for in the cache and in
    ``LATENTLIB_DATA``, else downloaded. A file is read without running anything in it (foreign/pickle_reader.py) and
    converted once; the copy lies in the cache.

    Raises LicenceError (which shows the licence), DownloadError, HostileFileError or FileNotFoundError, each with one
    sentence on what to do.
    """
    from latentlib.foreign import nvidia

    name = str(path_or_name)
    if name == "stylegan2-64":
        return StyleGAN2(load(name, device), load("faces-64-discriminator", device))
    if name in nvidia.SOURCES:
        path = nvidia.find_or_fetch(name, accept_licence, progress)
    else:
        path = Path(path_or_name).expanduser()
        if not path.is_file():
            known = ", ".join(["stylegan2-64", *nvidia.SOURCES])
            raise FileNotFoundError(f"there is no file {path}; give the path of a .pkl file, or one of {known}")
    return StyleGAN2(*nvidia.load(path, device))


# ------------------------------------------------------------------------------------------------- files of weights


def save_weights(
    name: str,  # file name without its ending, such as "faces-64"
    weights: torch.nn.Module | dict[str, torch.Tensor],  # a network, or its state_dict
    settings: dict,  # what is needed to build the network again, and how it was made; anything JSON can hold
    folder: str | Path = WEIGHTS,
    keep_float32: tuple[str, ...] = (),  # names of tensors that half precision would spoil
) -> Path:
    """Write weights in half precision, atomically, and enter their checksum. Gives the file's path."""
    from safetensors.torch import save

    state = weights.state_dict() if isinstance(weights, torch.nn.Module) else weights
    half = {}
    for key, tensor in state.items():
        tensor = tensor.detach().cpu().contiguous()
        if not torch.isfinite(tensor).all():
            raise WeightsError(f"{name}: {key} holds a value that is no number; nothing was written")
        half[key] = tensor.half() if tensor.is_floating_point() and key not in keep_float32 else tensor.clone()
        if not torch.isfinite(half[key]).all():
            raise WeightsError(f"{name}: {key} is too large for half precision; name it in keep_float32")
    content = save(half, metadata={"made_by": MADE_BY, "settings": json.dumps(settings)})
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.safetensors"
    _replace(path, content)
    known = _checksums(folder)
    known[path.name] = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    _replace(folder / CHECKSUMS, (json.dumps(dict(sorted(known.items())), indent=2) + "\n").encode())
    return path


def read_weights(name: str, folder: str | Path = WEIGHTS) -> tuple[dict[str, torch.Tensor], dict]:
    """(state_dict in float32, settings) of a weights file.

    Raises WeightsError with one sentence when the file is missing, truncated, altered, or not this project's.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    folder = Path(folder)
    path = folder / f"{name}.safetensors"
    again = f"get it again with: git checkout -- data/weights/{path.name}"
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise WeightsError(f"the weights file {path} is missing; {again}") from error
    expected = _checksums(folder).get(path.name)
    if expected is None:
        raise WeightsError(f"{path.name} is a foreign file: {folder / CHECKSUMS} does not list it")
    if len(content) < expected["bytes"]:
        raise WeightsError(
            f"{path.name} is truncated: {len(content):,} bytes instead of {expected['bytes']:,}; {again}"
        )
    if len(content) != expected["bytes"] or hashlib.sha256(content).hexdigest() != expected["sha256"]:
        raise WeightsError(f"{path.name} was altered: its checksum differs from the one in {CHECKSUMS}; {again}")
    try:
        state = load(content)
        header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
        metadata = header.get("__metadata__", {})
    except (SafetensorError, ValueError) as error:
        raise WeightsError(f"{path.name} is a foreign file: it is not in the safetensors format ({error})") from error
    if metadata.get("made_by") != MADE_BY:
        raise WeightsError(f"{path.name} is a foreign file: it holds tensors, but not weights of {MADE_BY}")
    state = {key: tensor.float() if tensor.is_floating_point() else tensor for key, tensor in state.items()}
    return state, json.loads(metadata["settings"])


def checksum(name: str, folder: str | Path = WEIGHTS) -> str:
    """SHA-256 of a weights file, as checksums.json has it; WeightsError when it lists no such file."""
    listed = _checksums(Path(folder)).get(f"{name}.safetensors")
    if listed is None:
        raise WeightsError(f"{Path(folder) / CHECKSUMS} does not list {name}.safetensors")
    return listed["sha256"]


def _checksums(folder: Path) -> dict:
    try:
        return json.loads((folder / CHECKSUMS).read_text())
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise WeightsError(f"{folder / CHECKSUMS} is damaged ({error}); get it again with git") from error


def _replace(path: Path, content: bytes) -> None:
    """The file is the old one or the new one, at any moment."""
    unfinished = path.with_name(f"{path.name}.{os.getpid()}.unfinished")
    try:
        unfinished.write_bytes(content)
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)
