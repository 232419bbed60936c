"""NVIDIA's official StyleGAN2 files: where they are, under which licence, and how they become networks of this course.

    name ─ download ─> file.pkl ─ read, nothing is executed ─> file.safetensors in the cache ─> generator, discriminator

Neither NVIDIA's code nor its weights are part of this course.
"""

from __future__ import annotations

import json
import math
import os
from pathlib import Path

import torch
from torch.overrides import TorchFunctionMode

from latentlib.device import pick_device
from latentlib.download import fetch, file_hash
from latentlib.foreign.pickle_reader import HostileFileError, Network, StoredTensor, load_tensors, read_networks
from latentlib.models.stylegan2 import Discriminator, Generator
from latentlib.settings import cache_folder, data_folder

NGC = "https://api.ngc.nvidia.com/v2/models/nvidia/research/stylegan2/versions/1/files/"
CDN = "https://nvlabs-fi-cdn.nvidia.com/stylegan2-ada-pytorch/pretrained/transfer-learning-source-nets/"
# NVIDIA publishes no checksums of these, and none of the files was at hand when this was written.
SOURCES = {
    "ffhq-256": (NGC + "stylegan2-ffhq-256x256.pkl", CDN + "ffhq-res256-mirror-paper256-noaug.pkl"),
    "ffhq-512": (NGC + "stylegan2-ffhq-512x512.pkl", CDN + "ffhq-res512-mirror-stylegan2-noaug.pkl"),
    "ffhq-1024": (NGC + "stylegan2-ffhq-1024x1024.pkl", CDN + "ffhq-res1024-mirror-stylegan2-noaug.pkl"),
}
LICENCE = """\
NVIDIA Source Code License, https://nvlabs.github.io/stylegan2-ada-pytorch/license.html
In short, and the text itself decides: use for research or evaluation only, not commercially;
whoever passes the weights on does so under the same licence, with its text; they come without
warranty. They were trained on FFHQ, photos under several Creative Commons licences, collected
under CC BY-NC-SA 4.0 and not meant for facial recognition."""
MOST_RESOLUTION = 1024


class LicenceError(RuntimeError):
    """The licence was not accepted; the message shows it."""


def find_or_fetch(name: str, accept_licence: bool, progress: bool = True) -> Path:
    """The .pkl file of one of SOURCES: from the cache, from ``LATENTLIB_DATA``, else downloaded.

    Raises LicenceError when the licence is not accepted, DownloadError when the file cannot be had.
    """
    if not accept_licence:
        raise LicenceError(f"{LICENCE}\nTo load {name}, read it and say accept_licence=True.")
    return _find(name) or fetch(SOURCES[name], _folder() / f"{name}.pkl", begins=b"\x80", progress=progress)


def load(path: str | Path, device: torch.device | str = "auto") -> tuple[Generator, Discriminator]:
    """The networks in a file of NVIDIA's. It is converted once; the copy, in safetensors, lies in the cache.

    Both come in evaluation mode, without gradients for their weights. HostileFileError with one sentence when it is no
    such file.
    """
    return _build(_converted(Path(path)), pick_device(device))


def read_official(path: str | Path) -> tuple[dict[str, StoredTensor], dict[str, dict]]:
    """(tensors, settings) of both networks in a file of NVIDIA's; names begin with "generator." or "discriminator."

    The numbers stay in the file; load_tensors reads them.

    Raises HostileFileError with one sentence when the file is no such file, or not of a kind that this course knows.
    """
    path = Path(path)
    networks = read_networks(path)
    try:
        wanted = {"generator": networks.get("G_ema"), "discriminator": networks.get("D")}
        if not all(isinstance(network, Network) for network in wanted.values()):
            raise HostileFileError("it lacks G_ema or D")
        stored = {kind: network.tensors() for kind, network in wanted.items()}
        settings = {
            "generator": _generator_settings(wanted["generator"], stored["generator"]),
            "discriminator": _discriminator_settings(wanted["discriminator"], stored["discriminator"]),
        }
        named = {f"{kind}.{name}": tensor for kind, found in stored.items() for name, tensor in found.items()}
        empty = {name: torch.empty(tensor.size, device="meta") for name, tensor in named.items()}
        _networks(settings, empty)  # whoever does not fit is refused here
        return named, settings
    except HostileFileError as reason:
        raise HostileFileError(f"{path.name} holds no StyleGAN2 that this course knows: {reason}") from None


# ----------------------------------------------------------------------------------------- how a network is described


def _generator_settings(network: Network, tensors: dict) -> dict:
    """What Generator is built with, read off the sizes of its tensors."""
    mapping, synthesis = (_part(network, name) for name in ("mapping", "synthesis"))
    blocks = _blocks(synthesis)
    first = _size(tensors, "mapping.fc0.weight", 2)
    if network.state.get("c_dim", 0) != 0:
        raise HostileFileError("it was trained with labels (c_dim is not 0)")
    for block in blocks.values():
        _same(block, "architecture", "skip")
    return {
        "resolution": max(blocks),
        "z_dim": first[1],
        "w_dim": first[0],
        "mapping_layers": sum(name.startswith("fc") for name in mapping.parts()),
        "channels": {r: _size(tensors, f"synthesis.b{r}.conv1.weight", 4)[0] for r in sorted(blocks)},
        "resample": "fir",
        "conv_clamp": _clamp(_part(blocks[4], "conv1")),
        "num_fp16_res": sum(block.state.get("use_fp16") is True for block in blocks.values()),
    }


def _discriminator_settings(network: Network, tensors: dict) -> dict:
    blocks = _blocks(network)
    for r, block in blocks.items():
        _same(block, "architecture", "resnet")
        if r == 4 and isinstance(statistics := block.parts().get("mbstd"), Network):
            _same(statistics, "num_channels", 1)
    channels = {r: _size(tensors, f"b{r}.conv0.weight", 4)[1] for r in blocks if r > 4}
    channels[4] = _size(tensors, "b4.conv.weight", 4)[0]
    return {
        "resolution": max(blocks),
        "channels": dict(sorted(channels.items())),
        "resample": "fir",
        "conv_clamp": _clamp(_part(blocks[4], "conv")),
        "num_fp16_res": sum(block.state.get("use_fp16") is True for block in blocks.values()),
    }


def _part(network: Network, name: str) -> Network:
    part = network.parts().get(name)
    if not isinstance(part, Network):
        raise HostileFileError(f"its {network.class_name[:40]} has no part {name}")
    return part


def _blocks(network: Network) -> dict[int, Network]:
    """The parts b4, b8, … of a network, by resolution."""
    found = {2**i: network.parts().get(f"b{2**i}") for i in range(2, 16)}
    blocks = {r: part for r, part in found.items() if isinstance(part, Network)}
    whole = list(blocks) == [2**i for i in range(2, 2 + len(blocks))]
    if not whole or not 8 <= max(blocks, default=0) <= MOST_RESOLUTION:
        raise HostileFileError(f"its blocks are {list(blocks)}; expected are 4, 8, … up to {MOST_RESOLUTION} at most")
    return blocks


def _size(tensors: dict, name: str, dimensions: int) -> tuple[int, ...]:
    if name not in tensors or len(tensors[name].size) != dimensions:
        raise HostileFileError(f"it has no tensor {name} with {dimensions} dimensions")
    return tensors[name].size


def _clamp(layer: Network) -> float | None:
    _same(layer, "activation", "lrelu")
    clamp = layer.state.get("conv_clamp")
    if clamp is not None and not (type(clamp) in (int, float) and 0 < clamp < 1e6):
        raise HostileFileError("its conv_clamp is no number above 0")
    return None if clamp is None else float(clamp)


def _same(network: Network, name: str, expected: object) -> None:
    if network.state.get(name, expected) != expected:
        raise HostileFileError(f"its {name} is not {expected!r}")


# ------------------------------------------------------------------------------------------------------------- copies


def _folder() -> Path:
    folder = cache_folder() / "stylegan2"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _find(name: str) -> Path | None:
    """A file of that name which is already here, under the name of the course or of NVIDIA."""
    names = [f"{name}.pkl", *(address.split("/")[-1] for address in SOURCES[name])]
    folders = [_folder()] + [folder for folder in [data_folder()] if folder is not None]
    places = [folder / file for folder in folders for file in names]
    return next((place for place in places if place.is_file()), None)


def _converted(path: Path) -> Path:
    """The file's safetensors copy in the cache; made when there is none."""
    checksum = file_hash(path)
    copy = _folder() / f"{path.stem}-{checksum[:16]}.safetensors"
    if copy.is_file():
        return copy
    tensors, settings = read_official(path)
    unfinished = copy.with_name(f"{copy.name}.{os.getpid()}.unfinished")
    try:
        made = {"made_by": "latentlib", "settings": json.dumps(settings), "sha256_of_source": checksum}
        _write(unfinished, path, tensors, made)
        os.replace(unfinished, copy)
    finally:
        unfinished.unlink(missing_ok=True)
    return copy


def _write(copy: Path, path: Path, tensors: dict[str, StoredTensor], metadata: dict[str, str]) -> None:
    """The tensors of the file at path as float32 in safetensors' format; the package's own writer wants all at once."""
    header: dict[str, dict] = {"__metadata__": metadata}
    end = 0
    for name, tensor in tensors.items():
        begin, end = end, end + 4 * math.prod(tensor.size)
        header[name] = {"dtype": "F32", "shape": tensor.size, "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with copy.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for _, numbers in load_tensors(path, tensors):
            file.write(numbers.float().numpy())


def _build(copy: Path, device: torch.device) -> tuple[Generator, Discriminator]:
    from safetensors import SafetensorError, safe_open

    def take(name: str) -> torch.Tensor:
        with safe_open(copy, "pt") as file:  # all that was read of an open file stays in memory, so it is opened anew
            return file.get_tensor(name).clone()

    try:
        with safe_open(copy, "pt") as file:
            settings, names = json.loads(file.metadata()["settings"]), list(file.keys())
        tensors = {name: take(name) for name in names}
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        copy.unlink()
        raise HostileFileError(f"the converted copy {copy.name} was damaged and is deleted; load it again") from error
    networks = _networks(settings, tensors)
    del tensors  # else every weight would be there twice while it moves
    moved = (network.to(device, memory_format=torch.channels_last) for network in networks)
    return tuple(network.eval().requires_grad_(False) for network in moved)


class _Unfilled(TorchFunctionMode):
    """Nothing is drawn or divided: on the meta device the first of either loads 900 modules, 3 seconds and 160 MB."""

    def __torch_function__(self, function, types, arguments=(), named=None):
        if function is torch.Tensor.div:
            return arguments[0]
        return (torch.empty if function is torch.randn else function)(*arguments, **(named or {}))


def _networks(settings: dict[str, dict], tensors: dict[str, torch.Tensor]) -> list[torch.nn.Module]:
    """Both networks with these very tensors, none allocated twice; HostileFileError when one does not fit."""
    networks = []
    for kind, make in (("generator", Generator), ("discriminator", Discriminator)):
        with torch.device("meta"), _Unfilled():
            network = make(**settings[kind])
        state = {name.removeprefix(f"{kind}."): value for name, value in tensors.items() if name.startswith(f"{kind}.")}
        try:
            network.load_state_dict(state, assign=True)
        except RuntimeError as error:
            wrong = " ".join(str(error).split())[:200]
            raise HostileFileError(f"its {kind} does not fit this course's StyleGAN2: {wrong}") from None
        networks.append(network)
    return networks
