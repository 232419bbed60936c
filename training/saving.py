"""Weights are written whole, in half precision, and entered in checksums.json; latentlib.weights reads them."""

import hashlib
import json
import os
from pathlib import Path

import torch
from safetensors.torch import save

from latentlib.weights import CHECKSUMS, WEIGHTS, WeightsError


def save_weights(
    name: str,  # file name without its ending, such as "faces-64"
    weights: torch.nn.Module | dict[str, torch.Tensor],  # a network, or its state_dict
    settings: dict,  # what is needed to build the network again, and how it was made; anything JSON can hold
    folder: str | Path = WEIGHTS,
    keep_float32: tuple[str, ...] = (),  # names of tensors that half precision would spoil
) -> Path:
    """Write weights in half precision, atomically, and enter their checksum. Gives the file's path."""
    state = weights.state_dict() if isinstance(weights, torch.nn.Module) else weights
    half = {}
    for key, tensor in state.items():
        tensor = tensor.detach().cpu().contiguous()
        half[key] = tensor.half() if tensor.is_floating_point() and key not in keep_float32 else tensor.clone()
        if not torch.isfinite(half[key]).all():
            raise WeightsError(f"{name}: {key} holds no number, or one too large for half precision; see keep_float32")
    content = save(half, metadata={"settings": json.dumps(settings)})
    path = Path(folder) / f"{name}.safetensors"
    path.parent.mkdir(parents=True, exist_ok=True)
    _replace(path, content)
    listed = path.with_name(CHECKSUMS)
    known = json.loads(listed.read_text()) if listed.is_file() else {}
    known[path.name] = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    _replace(listed, (json.dumps(dict(sorted(known.items())), indent=2) + "\n").encode())
    return path


def _replace(path: Path, content: bytes) -> None:
    """The file is the old one or the new one, at any moment."""
    unfinished = path.with_name(f"{path.name}.{os.getpid()}.unfinished")
    unfinished.write_bytes(content)
    os.replace(unfinished, path)
