"""Weights in files: saved whole, checked when read, never executed (safetensors).

A weights file lies in a folder beside ``checksums.json``, which holds the length and the SHA-256 of each; the shipped
ones are in ``data/weights``, each described in its README. Each file carries the settings its network is built with.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import torch

from latentlib.models.autoencoder import Autoencoder, ConvAutoencoder
from latentlib.models.regressor import Regressor
from latentlib.models.vae import VAE

WEIGHTS = Path(__file__).resolve().parents[1] / "data" / "weights"
CHECKSUMS = "checksums.json"
MADE_BY = "latentlib"


class WeightsError(ValueError):
    """A weights file is missing, truncated, altered or foreign; the message says which, and what to do."""


# ----------------------------------------------------------------------------------------- any network's weights


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


def load_weights(name: str, folder: str | Path = WEIGHTS) -> tuple[dict[str, torch.Tensor], dict]:
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


def build(network: torch.nn.Module, state: dict[str, torch.Tensor], name: str, device) -> torch.nn.Module:
    """Put loaded weights into a network: on the device, in evaluation mode, with no gradients for its weights."""
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        raise WeightsError(f"{name} holds the weights of another network: {error}") from error
    # Convolutions are faster when the channels of a place lie side by side in memory.
    return network.to(device, memory_format=torch.channels_last).eval().requires_grad_(False)


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


# -------------------------------------------------------------------------------------------- the shipped networks


def load_face_generator(device: str | torch.device = "cpu", folder: str | Path = WEIGHTS):
    """The course's generator of 64 × 64 faces, with the mean and covariance of its w; offline, in under a second."""
    from latentlib.models.stylegan import Generator

    state, settings = load_weights("faces-64", folder)
    return build(Generator(**_network(settings)), state, "faces-64", device)


def load_face_discriminator(device: str | torch.device = "cpu", folder: str | Path = WEIGHTS):
    """The generator's discriminator; its features are the course's perceptual measure."""
    from latentlib.models.stylegan import Discriminator

    state, settings = load_weights("faces-64-discriminator", folder)
    return build(Discriminator(**_network(settings)), state, "faces-64-discriminator", device)


def load_face_encoder(device: str | torch.device = "cpu", folder: str | Path = WEIGHTS):
    """The encoder of aligned 64 × 64 faces: pictures in [-1, 1] -> w_plus for the shipped generator."""
    from latentlib.models.encoder import Encoder

    state, settings = load_weights("faces-64-encoder", folder)
    return build(Encoder(**_network(settings)), state, "faces-64-encoder", device)


def load_face_identity(device: str | torch.device = "cpu", folder: str | Path = WEIGHTS):
    """The course's measure of whom a face looks like: identity.embed(images) and identity.distance(a, b)."""
    from latentlib.models.identity import Identity

    state, settings = load_weights("faces-64-identity", folder)
    return build(Identity(**settings["network"]), state, "faces-64-identity", device)


def _network(settings: dict) -> dict:
    """Arguments of a style-based network; JSON has turned the resolutions into text."""
    network = dict(settings["network"])
    network["channels"] = {int(resolution): count for resolution, count in network["channels"].items()}
    return network


def save_digit_autoencoder(model: Autoencoder, folder: str | Path = WEIGHTS) -> Path:
    """Ship a digit autoencoder that was trained on MNIST as digits-<code size>.safetensors."""
    *hidden, _ = [layer.out_features for layer in model.encoder if isinstance(layer, torch.nn.Linear)]
    settings = {"network": {"latent_dim": model.latent_dim, "hidden": hidden}, "trained_on": "MNIST"}
    return save_weights(f"digits-{model.latent_dim}", model, settings, folder)


def load_digit_autoencoder(
    latent_dim: int,  # 2, 3, 10 or 30
    device: str | torch.device = "cpu",
    folder: str | Path = WEIGHTS,
) -> Autoencoder:
    """The autoencoder that training/digits/train.py trained on MNIST with this many numbers.

    Raises WeightsError with one sentence when there is none of that size, or its file is not whole.
    """
    found = (path.stem.removeprefix("digits-") for path in Path(folder).glob("digits-*.safetensors"))
    sizes = sorted(int(size) for size in found if size.isdigit())
    if latent_dim not in sizes:
        there = ", ".join(map(str, sizes)) or "none"
        raise WeightsError(f"there is no digit autoencoder with {latent_dim} numbers; there are: {there}")
    state, settings = load_weights(f"digits-{latent_dim}", folder)
    return build(Autoencoder(**settings["network"]), state, f"digits-{latent_dim}", device)


def save_digit_vae(model: VAE, folder: str | Path = WEIGHTS) -> Path:
    """Ship a VAE of digits that was trained on MNIST as digits-vae-<code size>.safetensors."""
    *hidden, _ = [layer.out_features for layer in model.encoder if isinstance(layer, torch.nn.Linear)]
    settings = {"network": {"latent_dim": model.latent_dim, "hidden": hidden}, "trained_on": "MNIST"}
    return save_weights(f"digits-vae-{model.latent_dim}", model, settings, folder)


def load_digit_vae(device: str | torch.device = "cpu", folder: str | Path = WEIGHTS) -> VAE:
    """The VAE of digits with 2 numbers that training/digits/train.py trained on MNIST for long: a map of all digits."""
    state, settings = load_weights("digits-vae-2", folder)
    return build(VAE(**settings["network"]), state, "digits-vae-2", device)


def load_furniture_autoencoder(
    latent_dim: int,  # 2, 4, 8, 16, 32 or 64
    device: str | torch.device = "cpu",
    folder: str | Path = WEIGHTS,
) -> ConvAutoencoder:
    """The autoencoder of 32×32 furniture with this many numbers; pictures: furniture.render(factors, size=32).

    Raises WeightsError with one sentence when there is none of that size, or its file is not whole.
    """
    found = (path.stem.removeprefix("furniture-") for path in Path(folder).glob("furniture-*.safetensors"))
    sizes = sorted(int(size) for size in found if size.isdigit())
    if latent_dim not in sizes:
        there = ", ".join(map(str, sizes)) or "none"
        raise WeightsError(f"there is no furniture autoencoder with {latent_dim} numbers; there are: {there}")
    state, settings = load_weights(f"furniture-{latent_dim}", folder)
    return build(ConvAutoencoder(**settings["network"]), state, f"furniture-{latent_dim}", device)


def load_furniture_walk(device: str | torch.device = "cpu", folder: str | Path = WEIGHTS) -> ConvAutoencoder:
    """The autoencoder of 64×64 furniture with 32 numbers for walks. It learned as a VAE and encodes to its means, so
    that codes of furniture are spread like a standard normal distribution."""
    state, settings = load_weights("furniture-walk", folder)
    return build(ConvAutoencoder(**settings["network"]), state, "furniture-walk", device)


def load_furniture_regressor(device: str | torch.device = "cpu", folder: str | Path = WEIGHTS) -> Regressor:
    """Reads factors off 64×64 pictures: regressor(images) -> (n, 12), columns as in furniture.FACTORS."""
    state, settings = load_weights("furniture-regressor", folder)
    return build(Regressor(**settings["network"]), state, "furniture-regressor", device)


def load_colour_blind(device: str | torch.device = "cpu", folder: str | Path = WEIGHTS) -> Regressor:
    """A network for 32×32 furniture that had to name shapes and never a colour; encode gives its 8 numbers."""
    state, settings = load_weights("furniture-colour-blind", folder)
    return build(Regressor(**settings["network"]), state, "furniture-colour-blind", device)
