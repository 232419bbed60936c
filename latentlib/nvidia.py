"""NVIDIA's official StyleGAN2 files: where they are, under which licence, and how they become networks of this course.

    file.pkl ─ read_networks, nothing is executed ─> {"G_ema": Network, "D": Network} ─ load ─> generator, discriminator

Such a file is a pickle, a program for Python's small stack machine, and what it fetches and calls by name may be any
function. The reader here knows only the instructions that build numbers, texts and lists; a name is looked up in a
short list, and what stands there only notes down what it was given. The program text of NVIDIA's classes, which the
file also holds, is dropped unread; the networks are those of models/stylegan2.py. Neither NVIDIA's code nor its weights
are part of this course. Source: Python's module pickletools; https://github.com/NVlabs/stylegan2-ada-pytorch.
"""

from __future__ import annotations

import math
import mmap
import pickle
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from latentlib.device import pick_device
from latentlib.models.stylegan2 import Discriminator, Generator

NGC = "https://api.ngc.nvidia.com/v2/models/nvidia/research/stylegan2/versions/1/files/"
CDN = "https://nvlabs-fi-cdn.nvidia.com/stylegan2-ada-pytorch/pretrained/transfer-learning-source-nets/"
SOURCES = {  # NVIDIA publishes no checksums of these
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
MOST_READS = 350_000  # one for each instruction and each of its values; an official file has a tenth
MOST_TEXT = 16_000_000  # bytes of one text; the program text in an official file has a hundredth
MOST_PARTS = 1_000  # of a network; an official one has about 100


class LicenceError(RuntimeError):
    """The licence was not accepted; the message shows it."""


class HostileFileError(ValueError):
    """A file is of another kind, cut off, or made to run something; one sentence says which."""


def expect(right: bool, reason: str) -> None:
    if not right:
        raise HostileFileError(reason)


# ----------------------------------------------------------------------------------------------- what is in a file


@dataclass
class Network:
    """One of NVIDIA's pickled modules: its class's name, and its attributes."""

    class_name: str
    state: dict

    def parts(self) -> dict[str, Network]:
        """The modules directly within this one."""
        found = {name: part for name, part in self.state.get("_modules", {}).items() if part is not None}
        expect(all(type(part) is Network for part in found.values()), f"a part of its {self.class_name} is no network")
        return found

    def walk(self) -> dict[str, Network]:
        """This module, under the name "", and all that are within it, under names such as "synthesis.b4.conv1"."""
        found, waiting = {}, [("", self)]
        while waiting:
            path, part = waiting.pop()
            found[path] = part
            expect(len(found) <= MOST_PARTS, f"a network has more than {MOST_PARTS:,} parts, or lies within itself")
            waiting += [(f"{path}.{name}".lstrip("."), inner) for name, inner in part.parts().items()]
        return found

    def tensors(self) -> dict[str, Tensor]:
        """All parameters and buffers by their full names, such as "synthesis.b4.conv1.weight"."""
        found = {}
        for path, part in self.walk().items():
            for name, tensor in (part.state.get("_parameters", {}) | part.state.get("_buffers", {})).items():
                expect(tensor is None or isinstance(tensor, Tensor), f"{path}.{name} is no tensor")
                if tensor is not None:
                    found[f"{path}.{name}".lstrip(".")] = tensor
        return found


def read_networks(path: str | Path) -> dict[str, Any]:
    """The dictionary in a file of NVIDIA's: "G_ema", "D" and others, each a Network; nothing in the file is executed.

    The numbers stay in the file, which must not change while they are in use; what is written into a tensor stays in
    memory. Raises HostileFileError with one sentence for a file that is something else, that is not whole, or that asks
    for anything beyond building numbers, texts and lists; OSError when it cannot be read.
    """
    return _read(Path(path))[0]


def _read(path: Path) -> tuple[dict[str, Any], mmap.mmap]:
    with path.open("rb") as file, _refusing(f"{path.name} was refused and nothing in it was run"):
        expect(path.stat().st_size > 0, "it is empty")
        pages = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
        _refuse_other_kinds(pages[:4096])
        window = Window(memoryview(pages))
        found = Reader(window).load()
        expect(window.left == 0, f"{window.left:,} bytes follow after its end")
        whole = type(found) is dict and any(type(part) is Network for part in found.values())
        expect(whole, "it is a pickle, but holds no networks as NVIDIA's files do")
        return found, pages


@contextmanager
def _refusing(what: str) -> Iterator[None]:
    """Whatever is wrong with a file becomes one sentence that begins so."""
    try:
        yield
    except HostileFileError as reason:
        raise HostileFileError(f"{what}: {reason}") from None
    except OSError:
        raise
    except Exception as error:
        said = " ".join(f"{type(error).__name__} {error}".split())[:200]
        raise HostileFileError(f"{what}: it is damaged, or no network of NVIDIA's ({said})") from None


def _refuse_other_kinds(start: bytes) -> None:
    expect(b"dnnlib.tflib" not in start, "it is a network for TensorFlow; NVIDIA's legacy.py converts such files first")
    for sign, kind in {
        b"\x80\x02\x8a\nl\xfc\x9cF": "torch.save of an older PyTorch wrote it; NVIDIA's files are plain pickles",
        b"PK": "it is a zip archive, as torch.save writes; NVIDIA's files are plain pickles (is it packed? unpack it)",
        b"\x80\x02": "it is a pickle of protocol 2; NVIDIA's files have protocol 3 to 5",
        b"<": "it is a web page; the server sent an error page instead of the file",
    }.items():
        expect(not start.lstrip().startswith(sign), kind)
    expect(start[:2] in (b"\x80\x03", b"\x80\x04", b"\x80\x05"), "it is no pickle of protocol 3 to 5")


# ------------------------------------------------------------------------------------------------------ the reader


class Window:
    """A stretch of memory that is read like a file, gives no byte beyond its end, and counts how often it is asked."""

    def __init__(self, content: memoryview):
        self.content, self.left, self.reads = content, len(content), 0

    def skip(self, length: int) -> memoryview:
        expect(0 <= length <= self.left, f"it is cut off, or lies: {length:,} bytes announced, {self.left:,} left")
        begin = len(self.content) - self.left
        self.left -= length
        return self.content[begin : begin + length]

    def read(self, length: int) -> bytes:
        self.reads += 1
        expect(self.reads <= MOST_READS, "it has far more instructions than any file of NVIDIA's")
        expect(length <= MOST_TEXT, f"it has a text of {length:,} bytes")
        return bytes(self.skip(length))

    def readline(self) -> bytes:
        begin = len(self.content) - self.left
        end = bytes(self.content[begin : begin + 200]).find(b"\n")
        expect(end >= 0, "it has a name of more than 200 letters")
        return self.read(end + 1)


class NumPyType(NamedTuple):
    form: str  # as for struct


def _network(meta: dict) -> Network:
    whole = type(meta["class_name"]) is str and type(meta["state"]) is dict
    expect(whole, "a network lacks its name or state")
    return Network(meta["class_name"][:40], meta["state"])


def _storage(content: memoryview | bytes) -> Tensor:
    """The numbers in PyTorch's older format: five small pickles, a count, and the bytes themselves."""
    window = Window(memoryview(content))
    known = StorageReader(window).load() == MAGIC and StorageReader(window).load() == 1001
    expect(known and StorageReader(window).load()["little_endian"] is True, "a storage has another format")
    dtype, count = StorageReader(window).load()
    StorageReader(window).load()  # its number, in a list
    written = struct.unpack("<q", window.read(8))[0]
    fits = written == count and window.left == count * dtype.itemsize
    expect(fits, f"a storage claims {max(count, written):,} numbers and has {window.left:,} bytes")
    content = window.skip(window.left)
    content = bytearray(content) if content.readonly else content  # short ones come as bytes
    return torch.frombuffer(content, dtype=dtype) if count else torch.empty(0, dtype=dtype)


def _tensor(storage: Tensor, offset: int, size: tuple, stride: tuple, *_: Any) -> Tensor:
    expect(isinstance(storage, Tensor) and type(offset) is int and offset >= 0, "a tensor has no storage or place")
    expect(type(size) is type(stride) is tuple and len(size) <= 8, "a tensor has no size")
    expect(math.prod(size) <= len(storage), f"a tensor claims {size} numbers of a storage that has {len(storage):,}")
    return storage.as_strided(size, stride, offset)  # raises RuntimeError when it would reach beyond the storage


def _numpy_number(kind: NumPyType, content: bytes) -> float | int | bool:
    expect(type(kind) is NumPyType, "a number has no type")
    return struct.unpack(kind.form, content)[0]


FORMS = {"f8": "<d", "f4": "<f", "i8": "<q", "i4": "<i", "b1": "?"}
MAGIC = 0x1950A86A20F9469CFC6C
TYPES = {
    "Float": torch.float32,
    "Half": torch.float16,
    "Double": torch.float64,
    "Long": torch.int64,
    "Bool": torch.bool,
}
EASY_DICT = ("dnnlib.util", "EasyDict")
NAMES = {  # the whole list: what an official file names, and what stands here in its place
    EASY_DICT: lambda: {},
    ("collections", "OrderedDict"): lambda: {},
    ("builtins", "set"): lambda items: items,  # nobody reads the sets; in a list nothing is hashed
    ("torch_utils.persistence", "_reconstruct_persistent_obj"): _network,
    ("torch.storage", "_load_from_bytes"): _storage,
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    ("torch._utils", "_rebuild_parameter"): lambda tensor, *_: tensor,
    ("numpy", "dtype"): lambda text, *_: NumPyType(FORMS[text]),
    ("numpy.core.multiarray", "scalar"): _numpy_number,
    ("numpy._core.multiarray", "scalar"): _numpy_number,
}
PLAIN = """PROTO STOP MARK POP NONE NEWTRUE NEWFALSE BININT BININT1 BININT2 LONG1 BINFLOAT SHORT_BINUNICODE BINUNICODE
    BINUNICODE8 SHORT_BINBYTES EMPTY_LIST APPEND APPENDS EMPTY_TUPLE TUPLE TUPLE1 TUPLE2 TUPLE3 EMPTY_DICT BINGET
    LONG_BINGET BINPUT LONG_BINPUT MEMOIZE GLOBAL STACK_GLOBAL BINPERSID"""


class Reader(pickle._Unpickler):  # the one in Python: its instructions can be left out and replaced
    """Runs the instructions of a pickle that build numbers, texts and lists; refuses the others."""

    names: ClassVar[dict] = NAMES
    dispatch: ClassVar[dict] = {
        code[0]: pickle._Unpickler.dispatch[code[0]] for code in (getattr(pickle, name) for name in PLAIN.split())
    }

    def __init__(self, window: Window):
        super().__init__(window)
        self.window = window

    def find_class(self, module: str, name: str) -> Any:
        asked = f"{module}.{name}"[:100]
        expect((module, name) in self.names, f"it asks for {asked}, which is not on the list of allowed names")
        return self.names[module, name]

    def load_bytes(self, width: int) -> None:
        """The numbers of a storage stay where they are."""
        self.append(self.window.skip(int.from_bytes(self.read(width), "little")))

    def load_item(self) -> None:
        self._enter([self.stack.pop(-2), self.stack.pop()])

    def load_items(self) -> None:
        self._enter(self.pop_mark())

    def _enter(self, items: list) -> None:
        table = self.stack[-1]
        expect(type(table) is dict, "it fills something that is no dictionary")
        for key, value in zip(items[::2], items[1::2], strict=True):
            expect(type(key) in (str, int), "a key of a dictionary is neither a text nor a whole number")
            table[key] = value

    def load_call(self) -> None:
        arguments, function = self.stack.pop(), self.stack.pop()
        allowed = any(function is one for one in NAMES.values())
        expect(allowed and type(arguments) is tuple, "it calls something that is no allowed name")
        self.append(function(*arguments))

    def load_new(self) -> None:
        arguments, function = self.stack.pop(), self.stack.pop()
        expect(function is NAMES[EASY_DICT] and arguments == (), "it makes an object of a kind that is not allowed")
        self.append({})

    def load_build(self) -> None:
        self.stack.pop()
        expect(type(self.stack[-1]) is NumPyType, "it changes an object that may not be changed")

    dispatch |= {
        pickle.FRAME[0]: lambda self: self.read(8),  # a length that a reader may ignore
        pickle.BINBYTES[0]: lambda self: self.load_bytes(4),
        pickle.BINBYTES8[0]: lambda self: self.load_bytes(8),
        pickle.SETITEM[0]: load_item,
        pickle.SETITEMS[0]: load_items,
        pickle.EMPTY_SET[0]: dispatch[pickle.EMPTY_LIST[0]],
        pickle.ADDITEMS[0]: dispatch[pickle.APPENDS[0]],
        pickle.REDUCE[0]: load_call,
        pickle.NEWOBJ[0]: load_new,
        pickle.BUILD[0]: load_build,
    }


class StorageReader(Reader):
    """Within a storage other names are allowed, and one reference to what is outside: to the numbers that follow."""

    names: ClassVar[dict] = {("torch", f"{kind}Storage"): dtype for kind, dtype in TYPES.items()}

    def persistent_load(self, asked: tuple) -> tuple[torch.dtype, int]:
        tag, dtype, _, _, count = asked[:5]
        whole = tag == "storage" and type(dtype) is torch.dtype and type(count) is int and count >= 0
        expect(whole and asked[5:] in ((), (None,)), "a storage is described in another way")
        return dtype, count


# --------------------------------------------------------------------------------------------- how networks are built

# What NVIDIA's parts hold when they are the same functions as ours, beside what ours hold under the same name.
ALWAYS = {"c_dim": 0, "cmap_dim": 0, "img_channels": 3, "num_channels": 1, "num_torgb": 1, "use_noise": True}
ALWAYS |= {"up": 1, "down": 1, "padding": 1}
# How a part was trained or lies in memory; sizes that ours do not hold, since the tensors tell them.
FREE = "training w_avg_beta first_layer_idx channels_last fused_modconv_default use_fp16 num_fp16_res is_last"
SIZES = """in_channels out_channels in_features out_features num_layers num_ws w_dim resolution img_resolution
    img_resolution_log2 block_resolutions"""
MEANING = {"c_dim": "it was trained with labels", "img_channels": "its pictures are of another kind, perhaps grey"}


def load(path: str | Path, device: torch.device | str = "auto") -> tuple[Generator, Discriminator | None]:
    """The networks in a file of NVIDIA's, in evaluation mode, without gradients for their weights.

    A file may have the generator alone. HostileFileError with one sentence when the file is no such file, or when a
    network in it has a setting that this course does not build.
    """
    path, device = Path(path), pick_device(device)
    found, pages = _read(path)
    with _refusing(f"{path.name} holds no StyleGAN2 that this course knows"):
        expect(type(found.get("G_ema")) is Network, f"it lacks G_ema; it has {', '.join(map(str, found))}"[:100])
        networks = [_built(found[name], pages) if found.get(name) else None for name in ("G_ema", "D")]
    moved = (network and network.to(device, memory_format=torch.channels_last) for network in networks)
    return tuple(network and network.eval().requires_grad_(False) for network in moved)


class _Unfilled(TorchFunctionMode):
    """Nothing is drawn or divided: on the meta device the first of either loads 900 modules, 3 seconds and 160 MB."""

    def __torch_function__(self, function, types, arguments=(), named=None):
        if function is Tensor.div:
            return arguments[0]
        return (torch.empty if function is torch.randn else function)(*arguments, **(named or {}))


def _built(network: Network, pages: mmap.mmap) -> Generator | Discriminator:
    """A network of this course with the file's numbers, compared with the file's in every setting."""
    tensors, settings = network.tensors(), _settings(network)
    with torch.device("meta"), _Unfilled():
        ours = (Generator if "mapping_layers" in settings else Discriminator)(**settings)
    parts = dict(ours.named_modules())
    for name, part in network.walk().items():
        _compare(name or "network", part, parts.get(name.removesuffix(".mbstd")))
    claimed = sum(tensor.nbytes for tensor in tensors.values())
    expect(claimed <= len(pages), f"its tensors claim {claimed:,} bytes, more than it has")
    for name, tensor in tensors.items():
        tensors[name] = tensor.float().clone(memory_format=torch.contiguous_format)
        if hasattr(pages, "madvise"):  # not on Windows
            pages.madvise(mmap.MADV_DONTNEED)  # else the file would lie in memory beside the copy
    ours.load_state_dict(tensors, assign=True)
    return ours


def _settings(network: Network) -> dict:
    """What Generator or Discriminator is made with."""
    parts = network.parts()
    synthesis = parts.get("synthesis", network).parts()
    expect("input" not in synthesis, "it is a StyleGAN3; this course knows StyleGAN2")
    blocks = {int(name[1:]): part for name, part in synthesis.items() if name[0] == "b" and name[1:].isdigit()}
    coarse, fine = blocks[4].parts(), {r: block.tensors() for r, block in blocks.items() if r > 4}
    layer = coarse["conv1" if "mapping" in parts else "conv"]
    settings = {
        "resolution": max(blocks),
        "resample": "fir",
        "activation": layer.state["activation"],
        "conv_clamp": layer.state["conv_clamp"],
        "channels": {4: len(layer.tensors()["weight"])},
    }
    if "mapping" not in parts:
        settings["channels"] |= {r: len(tensors["conv0.weight"]) for r, tensors in fine.items()}
        return settings | {"group_size": coarse["mbstd"].state["group_size"]}
    settings["channels"] |= {r: len(tensors["conv1.weight"]) for r, tensors in fine.items()}
    mapping = parts["mapping"].parts()
    w_dim, z_dim = mapping["fc0"].tensors()["weight"].shape
    settings |= {"z_dim": z_dim, "w_dim": w_dim, "lr_multiplier": mapping["fc0"].state["bias_gain"]}
    return settings | {"mapping_layers": sum(name.startswith("fc") for name in mapping)}


def _compare(path: str, part: Network, ours: torch.nn.Module | None) -> None:
    expect(ours is not None, f"it has a part {path}, which this course does not know")
    for name, value in part.state.items():
        if name.startswith("_"):
            expect(not (name.endswith("_hooks") and value), f"its {path} has hooks, which are functions")
            continue
        if name in FREE.split():
            continue
        expected = getattr(ours, name, ALWAYS.get(name, value if name in SIZES.split() else _compare))
        expect(expected is not _compare, f"its {path} has a setting {name}, which this course does not know")
        numbers = type(value) in (int, float, bool) and type(expected) in (int, float, bool)
        same = math.isclose(value, expected, rel_tol=1e-5) if numbers else value == expected
        why = MEANING.get(name, f"its {path} has {name} {value!r}"[:100])
        expect(same, f"{why}; this course builds {name} {expected!r}"[:200])
