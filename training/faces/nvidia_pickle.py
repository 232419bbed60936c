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

CLASSES = {
    stylegan2.Generator: "Generator",
    stylegan2.Mapping: "MappingNetwork",
    stylegan2.Synthesis: "SynthesisNetwork",
    stylegan2.SynthesisBlock: "SynthesisBlock",
    stylegan2.SynthesisLayer: "SynthesisLayer",
    stylegan2.ToRGB: "ToRGBLayer",
    stylegan2.FullyConnected: "FullyConnectedLayer",
    stylegan2.Discriminator: "Discriminator",
    stylegan2.DiscriminatorBlock: "DiscriminatorBlock",
    stylegan2.Convolution: "Conv2dLayer",
    stylegan2.Epilogue: "DiscriminatorEpilogue",
}


class EasyDict(dict):
    """As in NVIDIA's dnnlib.util: a dictionary of its own class."""


def _reconstruct_persistent_obj(meta):
    raise AssertionError("the file was executed")


class Persistent:
    """A module as NVIDIA's code would pickle it."""

    def __init__(self, module: nn.Module):
        self.module = module

    def __reduce__(self):
        meta = {
            "type": "class",
            "version": 6,
            "module_src": "raise AssertionError('the program in the file was executed')",
            "class_name": CLASSES[type(self.module)],
            "state": state_of(self.module),
        }
        return _reconstruct_persistent_obj, (meta,)


def state_of(module: nn.Module) -> dict:
    """The attributes of one of NVIDIA's modules, as far as a reader could care."""
    state = {
        "training": False,
        "_parameters": collections.OrderedDict(module._parameters),
        "_buffers": collections.OrderedDict(module._buffers),
        "_non_persistent_buffers_set": set(),
        "_backward_hooks": collections.OrderedDict(),
        "_modules": collections.OrderedDict((name, Persistent(part)) for name, part in module._modules.items()),
        "_init_args": (),
        "_init_kwargs": EasyDict(channel_base=16384),
    }
    if isinstance(module, (stylegan2.SynthesisLayer, stylegan2.Convolution)):
        state |= {"activation": "lrelu", "conv_clamp": module.conv_clamp, "act_gain": np.sqrt(2), "up": 1}
        if isinstance(module, stylegan2.Convolution) and module.activation == "linear":
            state["activation"] = "linear"
    elif isinstance(module, stylegan2.FullyConnected):
        state |= {"activation": "linear", "weight_gain": np.float64(module.weight_gain), "bias_gain": 1}
    elif isinstance(module, stylegan2.SynthesisBlock):
        state |= {"architecture": "skip", "use_fp16": module.use_fp16, "num_conv": module.num_conv}
    elif isinstance(module, stylegan2.DiscriminatorBlock):
        state |= {"architecture": "resnet", "use_fp16": module.use_fp16}
    elif isinstance(module, stylegan2.Epilogue):
        state |= {"architecture": "resnet"}
    elif isinstance(module, stylegan2.Generator):
        state |= {"z_dim": module.z_dim, "c_dim": 0, "w_dim": module.w_dim, "img_resolution": module.resolution}
    return state


@contextlib.contextmanager
def nvidia_names():
    """While the block runs, the stand-ins can be found under the names that an official file has."""
    names = {
        "dnnlib": {},
        "dnnlib.util": {"EasyDict": EasyDict},
        "torch_utils": {},
        "torch_utils.persistence": {"_reconstruct_persistent_obj": _reconstruct_persistent_obj},
    }
    before = {}
    try:
        for name, things in names.items():
            before[name] = sys.modules.get(name)
            sys.modules[name] = types.ModuleType(name)
            for key, thing in things.items():
                setattr(sys.modules[name], key, thing)
                thing.__module__ = name
        yield
    finally:
        for name, module in before.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module


def file_of(generator: nn.Module, discriminator: nn.Module, protocol: int = 4) -> bytes:
    """The bytes of a file with G, D, G_ema, as stylegan2-ada-pytorch's training writes them."""
    content = {
        "training_set_kwargs": EasyDict(class_name="training.dataset.ImageFolderDataset", use_labels=False),
        "G": Persistent(generator),
        "D": Persistent(discriminator),
        "G_ema": Persistent(generator),
        "augment_pipe": None,
    }
    with nvidia_names():
        return pickle.dumps(content, protocol)


def storage_bytes(numbers: torch.Tensor) -> bytes:
    """What torch.storage._load_from_bytes would get for these numbers."""
    file = io.BytesIO()
    torch.save(numbers.storage(), file, _use_new_zipfile_serialization=False)
    return file.getvalue()
