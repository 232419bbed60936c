"""Weights that were trained elsewhere: saved as safetensors, checked before they are used."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import torch

from latentlib.models.autoencoder import Autoencoder

WEIGHTS = Path(__file__).resolve().parents[1] / "data" / "weights"


class CheckpointError(RuntimeError):
    """A file of weights is missing, damaged, or not what it should be; the message says which, and what to do."""


def save_weights(
    model: torch.nn.Module,
    name: str,  # file name without ending
    metadata: dict[str, str] | None = None,  # what is needed to build the model again
    folder: Path | None = None,  # data/weights by default
) -> Path:
    """Write a model's weights in half precision, whole or not at all, and note their SHA-256 in checksums.json."""
    from safetensors.torch import save

    folder = Path(folder or WEIGHTS)
    folder.mkdir(parents=True, exist_ok=True)
    state = {key: value.detach().half().contiguous().cpu() for key, value in model.state_dict().items()}
    content = save(state, metadata=metadata or {})
    path = folder / f"{name}.safetensors"
    write_whole(path, content)
    checksums = folder / "checksums.json"
    known = json.loads(checksums.read_text(encoding="utf-8")) if checksums.is_file() else {}
    known[path.name] = hashlib.sha256(content).hexdigest()
    write_whole(checksums, (json.dumps(known, indent=2, sort_keys=True) + "\n").encode())
    return path


def load_weights(
    name: str,  # file name without ending
    device: torch.device | str = "cpu",
    folder: Path | None = None,  # data/weights by default
) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """The weights as float32 tensors on the device, and the metadata saved with them.

    Raises CheckpointError when the file is missing or is not the one whose checksum was noted.
    """
    from safetensors import SafetensorError, safe_open

    path = Path(folder or WEIGHTS) / f"{name}.safetensors"
    if not path.is_file():
        raise CheckpointError(f"{path.name} is not in {path.parent}; get the whole repository, weights included")
    noted = path.parent / "checksums.json"
    known = json.loads(noted.read_text(encoding="utf-8")) if noted.is_file() else {}
    if known.get(path.name) != hashlib.sha256(path.read_bytes()).hexdigest():
        raise CheckpointError(f"{path.name} is damaged (its checksum is not the noted one); fetch it again with git")
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            state = {key: file.get_tensor(key).float().to(device) for key in file.keys()}  # noqa: SIM118
            return state, file.metadata() or {}
    except SafetensorError as error:
        raise CheckpointError(f"{path.name} is no file of weights: {error}") from error


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that nobody ever sees half of it."""
    unfinished = path.with_name(f"{path.name}.{os.getpid()}.unfinished")
    try:
        unfinished.write_bytes(content)
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


def save_digit_autoencoder(model: Autoencoder, folder: Path | None = None) -> Path:
    """Ship a trained digit autoencoder as data/weights/digits-<code size>.safetensors."""
    *hidden, _ = [layer.out_features for layer in model.encoder if isinstance(layer, torch.nn.Linear)]
    metadata = {"code_size": str(model.code_size), "hidden": json.dumps(hidden), "trained_on": "MNIST"}
    return save_weights(model, f"digits-{model.code_size}", metadata, folder)


def load_digit_autoencoder(
    code_size: int,  # 2, 3, 10 or 30
    device: torch.device | str = "cpu",
    folder: Path | None = None,  # data/weights by default
) -> Autoencoder:
    """The autoencoder that training/train_digits.py trained on MNIST with this many numbers, ready to use.

    Raises CheckpointError when there is none of that size, or its file is damaged.
    """
    folder = Path(folder or WEIGHTS)
    there = sorted(int(path.stem.split("-")[1]) for path in folder.glob("digits-*.safetensors"))
    if code_size not in there:
        sizes = ", ".join(map(str, there)) or "none"
        raise CheckpointError(f"there is no digit autoencoder with {code_size} numbers; there are: {sizes}")
    state, metadata = load_weights(f"digits-{code_size}", device, folder)
    model = Autoencoder(code_size, hidden=json.loads(metadata["hidden"])).to(device)
    model.load_state_dict(state)
    return model.eval()
