"""Turns the names that parts had up to version 0.2 into today's, in weight files and in checkpoints.

python -m training.faces.convert_names data/weights/faces-64.safetensors runs/faces/checkpoint.pt …    generator first

A file is written again under its own name (and its checksum, where a checksums.json lies beside it). What has today's
names already stays as it is.
"""

import argparse
import re
from pathlib import Path

import torch
from torch import Tensor

SETTINGS = {"clamp": "conv_clamp"}


def renamed(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """A generator's, discriminator's (of a training, too) or encoder's state_dict with today's names."""
    blocks = [int(size) for size in re.findall(r"\bb(\d+)\.conv0", " ".join(state))]
    rules = {
        r"^w_covariance$": None,
        r"^w_mean$": "w_avg" if any(key.startswith("head") for key in state) else "mapping.w_avg",
        r"^(full\.)?(fromrgb\.)": rf"\1b{max(blocks, default=0)}.\2",
        r"^(full\.)?((conv|fc|out)\.)": r"\1b4.\2",
    }
    found = {}
    for key, tensor in state.items():
        rule = next((rule for rule in rules if blocks and re.match(rule, key)), None)
        if rule is None or rules[rule] is not None:
            found[key if rule is None else re.sub(rule, rules[rule], key)] = tensor
    return found


def converted(thing):
    """The same, for all state_dicts and settings within a checkpoint; optimisers know no names."""
    if not isinstance(thing, dict):
        return thing
    if thing and all(isinstance(value, Tensor) for value in thing.values()):
        return renamed(thing) if all(isinstance(key, str) for key in thing) else thing
    kept = {key: value for key, value in thing.items() if key != "half_resolutions"}
    new = {SETTINGS.get(key, key) if "channels" in thing else key: converted(value) for key, value in kept.items()}
    return {**new, "resample": "fir"} if "channels" in thing and "clamp" in thing else new


def convert_weights(path: Path, checksums: dict[str, str]) -> None:
    """A weights file; what was stored in float32 stays so. checksums: old -> new, of what it was made from."""
    from safetensors.torch import load_file

    from latentlib.weights import checksum, read_weights
    from training.saving import save_weights

    before = checksum(path.stem, path.parent)
    whole = {key for key, tensor in load_file(path).items() if tensor.dtype == torch.float32}
    state, settings = read_weights(path.stem, path.parent)
    keep = tuple(renamed({key: torch.tensor(key in whole) for key in state}).items())
    settings = {
        key: checksums.get(value, value) if isinstance(value, str) else value for key, value in settings.items()
    }
    save_weights(
        path.stem, renamed(state), converted(settings), path.parent, tuple(key for key, is_whole in keep if is_whole)
    )
    checksums[before] = checksum(path.stem, path.parent)


def convert_checkpoint(path: Path) -> None:
    state = converted(torch.load(path, map_location="cpu", weights_only=True))
    unfinished = path.with_suffix(".unfinished")
    torch.save(state, unfinished)
    unfinished.replace(path)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path)
    checksums: dict[str, str] = {}
    for path in parser.parse_args().files:
        if path.suffix == ".safetensors":
            convert_weights(path, checksums)
        else:
            convert_checkpoint(path)
        print(path)
