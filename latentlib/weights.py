"""Weights in files: checked when read, never executed.

A weights file is safetensors, with the settings that its network is built with, beside ``checksums.json``, which holds
the length and the SHA-256 of each; the shipped ones are in ``data/weights``, each described in its README. Two kinds of
network are others' and are fetched: NVIDIA's StyleGAN2 and FLUX.2's tiny autoencoder.
"""

import hashlib
import http.client
import importlib
import inspect
import io
import json
import os
import socket
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from urllib.parse import urlparse

import torch

from latentlib import nvidia
from latentlib.device import pick_device
from latentlib.models.tiny_autoencoder import TinyAutoencoder
from latentlib.settings import SILENCE, cache_folder, find, offline

_CLONE = Path(__file__).resolve().parents[1]
# In a clone beside the package; in a wheel inside it, where pyproject.toml puts the same folder.
WEIGHTS = _CLONE / "data" / "weights" if (_CLONE / "pyproject.toml").is_file() else _CLONE / "latentlib" / "shipped"
CHECKSUMS = "checksums.json"
TAEF2 = "https://raw.githubusercontent.com/madebyollin/taesd/5cccb12dc72074a4be35680c3b108548a7c69978/"
TAEF2_FILES = {  # SHA-256
    "taef2_encoder.pth": "10a4e1021e89d7551eaf161352da8dbd0b1aa83872ae28b150c1df1ce2f147b6",
    "taef2_decoder.pth": "0a44a31e1ae59eb9dbf9359d24942fd3ef5928162c1800d97a28c61d51be0ab5",
}


class WeightsError(ValueError):
    """A weights file is missing, truncated, altered or foreign; the message says which, and what to do."""


class DownloadError(RuntimeError):
    """A file could not be had; the message says what each address answered, and what to do."""


# name -> class in latentlib.models; data/weights/README.md says what each takes and gives.
SHIPPED = {
    "faces-64": "stylegan2.Generator",
    "faces-128": "stylegan2.Generator",  # the same codes, drawn at twice the size
    "faces-64-discriminator": "stylegan2.Discriminator",
    "faces-64-encoder": "encoder.Encoder",
    "faces-64-identity": "identity.Identity",
    "stylegan2-64": "stylegan2.Generator",  # faces-64 in NVIDIA's order of operations
    "face-landmarks": "landmarks.BlazeFace",  # made by Google (Apache-2.0)
    "digits-vae-2": "vae.VAE",
    **{f"digits-{n}": "autoencoder.Autoencoder" for n in (2, 3, 10, 30)},
    **{f"furniture-{n}": "autoencoder.ConvAutoencoder" for n in (2, 4, 8, 16, 32, 64, "walk")},
    **{f"furniture-{name}": "regressor.Regressor" for name in ("regressor", "colour-blind")},
}


def load(
    name: str,  # one of SHIPPED, such as "faces-64", or "taef2"; data/weights/README.md describes each
    device: str | torch.device = "auto",
    folder: str | Path = WEIGHTS,
) -> torch.nn.Module:
    """A network, ready to use: on the device, in evaluation mode, with no gradients for its weights.

    Shipped ones need no network and under a second. "taef2", FLUX.2's tiny autoencoder, is looked for in
    ``LATENTLIB_DATA/taef2``, else downloaded once (5 MB). Raises WeightsError with one sentence when there is no such
    name, or its file is missing, truncated, altered or of another network; DownloadError when it cannot be had.
    """
    if name == "taef2":
        network, state = TinyAutoencoder(), _read_taef2()
    elif name in SHIPPED:
        state, settings = read_weights(name, folder)
        module, _, kind = SHIPPED[name].partition(".")
        build = getattr(importlib.import_module(f"latentlib.models.{module}"), kind)
        known = inspect.signature(build).parameters  # files of older versions hold settings that are constants today
        network = build(**{key: value for key, value in settings["network"].items() if key in known})
    else:
        raise WeightsError(f"there are no weights called {name!r}; there are: {', '.join([*SHIPPED, 'taef2'])}")
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        raise WeightsError(f"{name} holds the weights of another network: {error}") from error
    # Convolutions are faster when the channels of a place lie side by side in memory.
    return network.to(pick_device(device), memory_format=torch.channels_last).eval().requires_grad_(False)


def load_stylegan2(
    path_or_name: str | Path = "stylegan2-64",  # or "ffhq-256", "ffhq-512", "ffhq-1024", or a .pkl file of NVIDIA's
    device: str | torch.device = "auto",
    *,
    accept_licence: bool = False,  # True: I have read NVIDIA's licence and accept it; needed for its weights by name
) -> tuple[torch.nn.Module, torch.nn.Module | None]:
    """NVIDIA's StyleGAN2, in evaluation mode and without gradients. Nothing in a file is run (latentlib/nvidia.py).

    Gives generator and discriminator. "stylegan2-64" is the course's generator in NVIDIA's order of operations, beside
    the course's discriminator; of NVIDIA's files only the generator is read, and None is beside it. An "ffhq" name is
    looked for in ``LATENTLIB_DATA`` and in the cache, as stylegan2/ffhq-256.pkl, else downloaded. Raises LicenceError
    (which shows the licence), DownloadError, HostileFileError or FileNotFoundError.
    """
    name = str(path_or_name)
    if name == "stylegan2-64":
        return load(name, device), load("faces-64-discriminator", device)
    path = Path(path_or_name).expanduser()
    if name in nvidia.SOURCES:
        if not accept_licence:
            raise nvidia.LicenceError(f"{nvidia.LICENCE}\nTo load {name}, read it and say accept_licence=True.")
        path = fetch(name, nvidia.SOURCES[name], f"stylegan2/{name}.pkl", nvidia.read_networks)
    elif not path.is_file():
        known = ", ".join(["stylegan2-64", *nvidia.SOURCES])
        raise FileNotFoundError(f"there is no file {path}; give the path of a .pkl file, or one of {known}")
    return nvidia.load(path, device), None


# ----------------------------------------------------------------------------------------------------- what is fetched


def fetch(
    what: str,  # for the sentence when it fails
    addresses: Sequence[str],  # tried in this order
    name: str,  # of the file, in LATENTLIB_DATA or the cache
    check: Callable[[Path], object],  # raises ValueError for another file than was wanted; such a file is not kept
) -> Path:
    """The file where it lies already, else from the first address that has it; DownloadError with one sentence."""
    if there := find(name):
        return there
    if offline():
        raise DownloadError(f"{what} is not on this machine, and LATENTLIB_OFFLINE forbids downloading it")
    path = cache_folder() / name
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f"{path.name}.{os.getpid()}.unfinished")
    answers, patience = [], socket.getdefaulttimeout()
    socket.setdefaulttimeout(SILENCE)
    try:
        for address in addresses:
            try:
                torch.hub.download_url_to_file(address, str(unfinished))
                check(unfinished)
                return unfinished.replace(path)
            except (OSError, ValueError, http.client.HTTPException) as error:
                answers.append(f"{urlparse(address).netloc} gave no such file ({error})")
    finally:
        socket.setdefaulttimeout(patience)
        unfinished.unlink(missing_ok=True)
    raise DownloadError(
        f"{what} could not be downloaded: {'; '.join(answers)}; is there a network? Try again, or put {addresses[0]} "
        f"at LATENTLIB_DATA/{name}"
    )


def _read_taef2() -> dict[str, torch.Tensor]:
    state = {}
    for file, digest in TAEF2_FILES.items():
        check = partial(checked, digest=digest, remedy="delete it and load again")
        what = "FLUX.2's tiny autoencoder (taef2, by Ollin Boer Bohan, MIT licence)"
        content = check(fetch(what, [TAEF2 + file], f"taef2/{file}", check))
        part = torch.load(io.BytesIO(content), weights_only=True)
        state |= {f"{file[6:13]}.{key}": tensor.float() for key, tensor in part.items()}  # encoder.… or decoder.…
    return state


# ------------------------------------------------------------------------------------------------- files of weights


def read_weights(name: str, folder: str | Path = WEIGHTS) -> tuple[dict[str, torch.Tensor], dict]:
    """(state_dict in float32, settings); WeightsError when the file is missing, truncated, altered or foreign."""
    from safetensors import SafetensorError
    from safetensors.torch import load

    path = Path(folder) / f"{name}.safetensors"
    remedy = f"install the course again, or in a clone: git checkout -- data/weights/{path.name}"
    content = checked(path, checksum(name, folder), remedy)
    try:
        state = load(content)
        header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
        settings = json.loads(header["__metadata__"]["settings"])
    except (SafetensorError, ValueError, KeyError) as error:
        raise WeightsError(f"{path.name} is a foreign file: it holds no weights with their settings") from error
    return {key: tensor.float() if tensor.is_floating_point() else tensor for key, tensor in state.items()}, settings


def checked(path: Path, digest: str, remedy: str) -> bytes:
    """A file's content; WeightsError, with what to do, unless its SHA-256 is this."""
    content = path.read_bytes() if path.is_file() else b""
    if hashlib.sha256(content).hexdigest() != digest:
        wrong = "is truncated or was altered: its checksum differs" if content else "is missing"
        raise WeightsError(f"{path} {wrong}; {remedy}")
    return content


def checksum(name: str, folder: str | Path = WEIGHTS) -> str:
    """SHA-256 of a weights file, as checksums.json has it; WeightsError when it lists no such file."""
    listed = Path(folder) / CHECKSUMS
    try:
        return json.loads(listed.read_text())[f"{name}.safetensors"]["sha256"]
    except (OSError, ValueError, KeyError) as error:
        raise WeightsError(f"{listed} is damaged, or does not list {name}.safetensors, a foreign file") from error
