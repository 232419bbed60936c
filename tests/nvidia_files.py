"""Writes networks of models/stylegan2.py as NVIDIA's files hold them, without NVIDIA's code.

The official code pickles a module as a call of torch_utils.persistence._reconstruct_persistent_obj with its class's
name, its program text and its attributes. Here a function that does nothing goes by this name.
"""

from __future__ import annotations

import collections
import contextlib
import io
import pickle
import sys
import types

import numpy as np
import torch
from torch import nn

from latentlib.models import stylegan2


class EasyDict(dict):
    """As in NVIDIA's dnnlib.util: a dictionary of its own class."""


def _reconstruct_persistent_obj(meta):
    raise AssertionError("the file was executed")


class Call:
    """Pickles as a call of a function."""

    def __init__(self, function, *arguments):
        self.function, self.arguments = function, arguments

    def __reduce__(self):
        return self.function, self.arguments


def persistent(class_name: str, state: dict, **meta) -> Call:
    """A module as NVIDIA's code would pickle it."""
    source = "raise AssertionError('the program in the file was executed')"
    meta = {"type": "class", "version": 6, "module_src": source, "class_name": class_name, "state": state} | meta
    return Call(_reconstruct_persistent_obj, meta)


def settings_of(module: nn.Module) -> dict:
    """What NVIDIA's module of the same kind holds beside its tensors: of the two repositories all names together."""
    gain = lambda weight: np.sqrt(1 / weight[0].numel())  # noqa: E731
    match module:
        case stylegan2.SynthesisLayer():
            own = {"up": 2 if module.up else 1, "padding": 1, "use_noise": True, "resolution": len(module.noise_const)}
            return own | {"activation": "lrelu", "conv_clamp": module.clamp, "act_gain": np.sqrt(2)}
        case stylegan2.Convolution():
            own = {"up": 1, "down": 2 if module.down else 1, "activation": "lrelu" if module.act else "linear"}
            return own | {"weight_gain": gain(module.weight), "conv_clamp": 256 if module.act else None}
        case stylegan2.ToRGB():
            return {"conv_clamp": module.clamp, "weight_gain": gain(module.weight), "w_dim": 512}
        case stylegan2.FullyConnected():
            gains = {"weight_gain": module.bias_gain * gain(module.weight), "bias_gain": module.bias_gain}
            return gains | {"activation": "lrelu" if module.act else "linear"}
        case stylegan2.Mapping():
            return {"z_dim": 512, "c_dim": 0, "w_dim": 512, "num_ws": 8, "num_layers": 8, "w_avg_beta": 0.995}
        case stylegan2.SynthesisBlock():
            own = {"num_conv": module.num_conv, "num_torgb": 1, "use_fp16": True, "is_last": False}
            return own | {"architecture": "skip", "fused_modconv_default": "inference_only", "img_channels": 3}
        case stylegan2.Synthesis():
            return {"img_channels": 3, "block_resolutions": module.resolutions, "num_fp16_res": 4}
        case stylegan2.Generator() | stylegan2.Discriminator():
            return {"c_dim": 0, "img_resolution": module.resolution, "img_channels": 3}
    return {}


def stored(module: nn.Module) -> Call:
    """A network of ours as a pickled one of NVIDIA's."""
    parts = {name: stored(part) for name, part in module._modules.items()}
    if isinstance(module, stylegan2.Epilogue):
        parts["mbstd"] = persistent("MinibatchStdLayer", {"group_size": 4, "num_channels": 1})
    state = {
        "training": False,
        "_parameters": collections.OrderedDict(module._parameters),
        "_buffers": collections.OrderedDict(module._buffers),
        "_non_persistent_buffers_set": set(),
        "_backward_hooks": collections.OrderedDict(),
        "_modules": collections.OrderedDict(parts),
        "_init_args": (),
        "_init_kwargs": EasyDict(channel_base=16384),
    }
    return persistent(type(module).__name__, state | settings_of(module))


@contextlib.contextmanager
def nvidia_names():
    """While the block runs, the stand-ins can be found under the names that an official file has."""
    names = {
        "dnnlib": {},
        "dnnlib.util": {"EasyDict": EasyDict},
        "torch_utils": {},
        "torch_utils.persistence": {"_reconstruct_persistent_obj": _reconstruct_persistent_obj},
    }
    before = {name: sys.modules.get(name) for name in names}
    try:
        for name, things in names.items():
            sys.modules[name] = types.ModuleType(name)
            for key, thing in things.items():
                setattr(sys.modules[name], key, thing)
                thing.__module__ = name
        yield
    finally:
        for name, module in before.items():
            sys.modules.pop(name)
            if module is not None:
                sys.modules[name] = module


def pickled(content, protocol: int = 4) -> bytes:
    with nvidia_names():
        return pickle.dumps(content, protocol)


def file_of(generator: nn.Module, protocol: int = 4) -> bytes:
    """The bytes of a file as stylegan2-ada-pytorch's training writes it, with the same generator twice."""
    content = {
        "training_set_kwargs": EasyDict(class_name="training.dataset.ImageFolderDataset", use_labels=False),
        "G": stored(generator),
        "D": stored(stylegan2.Discriminator(8, {4: 8, 8: 6})),
        "G_ema": stored(generator),
        "augment_pipe": None,
    }
    return pickled(content, protocol)


def storage_bytes(numbers: torch.Tensor) -> bytes:
    """What torch.storage._load_from_bytes would get for these numbers."""
    file = io.BytesIO()
    torch.save(numbers.storage(), file, _use_new_zipfile_serialization=False)
    return file.getvalue()
