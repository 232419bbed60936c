"""NVIDIA's official StyleGAN2 files: where they are, under which licence, and how they become networks of this course.

    file.pkl ── read_networks, nothing is executed ──> {"G_ema": Network, …} ── load ──> Generator

Such a file is a pickle, a program for Python's small stack machine, and what it fetches and calls by name may be any
function. The reader here knows only the instructions that build numbers, texts and lists; a name is looked up in a
short list, and what stands there only notes down what it was given. The program text of NVIDIA's classes, which the
file also holds, is dropped unread; the network is that of models/stylegan2.py. Neither NVIDIA's code nor its weights
are part of this course. Source: Python's module pickletools; https://github.com/NVlabs/stylegan2-ada-pytorch.
"""

import math
import mmap
import pickle
import re
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch

from latentlib.device import pick_device
from latentlib.models.stylegan2 import LR_MULTIPLIER, Generator

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
MOST_PARTS = 1_000  # of a network; an official one has about 100


class LicenceError(RuntimeError):
    """The licence was not accepted; the message shows it."""


class HostileFileError(ValueError):
    """A file is of another kind, cut off, or made to run something; one sentence says which."""


def expect(right: bool, reason: str) -> None:
    if not right:
        raise HostileFileError(reason)


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


# --------------------------------------------------------------------------------- what stands for what a file asks for


class Table(dict):
    """Stands for every dictionary. A key is a text or a whole number: hashing tuples in tuples in tuples has no end."""

    def __init__(self):
        super().__init__()

    def __setitem__(self, key: Any, value: Any) -> None:
        expect(type(key) in (str, int), "a key of a dictionary is neither a text nor a whole number")
        super().__setitem__(key, value)


class Network(NamedTuple):
    """One of NVIDIA's pickled modules: its attributes."""

    state: Table


class Unread:
    """Stands for what nobody reads: sets, and NumPy's numbers, which follow from others."""


class Bytes(NamedTuple):
    begin: int  # where they lie in the file
    length: int
    head: bytes  # the first thousand


class Tensor(NamedTuple):
    storage: Bytes
    offset: int
    size: tuple
    stride: tuple

    def read(self, path: Path) -> torch.Tensor:
        """Its numbers, in float32. Before them lie five small pickles, which are not run, and their count."""
        whole = all(type(number) is int for number in (self.offset, *self.size, *self.stride))
        expect(whole and type(self.storage) is Bytes, "a tensor has no storage, place or size")
        found = HEADER.match(self.storage.head)
        expect(found is not None, "a storage has another format")
        begin, dtype = found.end() + 8, np.dtype(DTYPES[found[1]])
        count = int.from_bytes(self.storage.head[found.end() : begin], "little", signed=True)
        left = self.storage.length - begin
        expect(left == count * dtype.itemsize, f"a storage claims {count:,} numbers and has {left:,} bytes")
        expect(math.prod(self.size) <= count, f"a tensor claims {self.size} numbers of a storage that has {count:,}")
        numbers = torch.from_numpy(np.fromfile(path, dtype, count, offset=self.storage.begin + begin))
        return numbers.as_strided(self.size, self.stride, self.offset).float()  # RuntimeError beyond the storage


HEADER = re.compile(  # a magic number and a version; that low bytes come first; the kind of numbers; a name in a list
    rb"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19\.\x80\x02M\xe9\x03\.(?>.*?little_endianq.\x88)"
    rb"(?>.*?ctorch\n)(\w+)Storage\n(?>.*?Q\.\x80\x02]q\x00X)....\d+q\x01a\.",
    re.DOTALL,
)
DTYPES = {b"Float": "<f4", b"Half": "<f2", b"Double": "<f8", b"Long": "<i8", b"Bool": "?"}
NAMES = {  # the whole list: what an official file names, and what stands here in its place
    ("dnnlib.util", "EasyDict"): Table,
    ("collections", "OrderedDict"): Table,
    ("builtins", "set"): lambda *_: Unread(),
    ("torch_utils.persistence", "_reconstruct_persistent_obj"): lambda meta: Network(meta["state"]),
    ("torch.storage", "_load_from_bytes"): lambda content: content,
    ("torch._utils", "_rebuild_tensor_v2"): lambda *described: Tensor(*described[:4]),
    ("torch._utils", "_rebuild_parameter"): lambda tensor, *_: tensor,
    ("numpy", "dtype"): lambda *_: Unread(),
    ("numpy.core.multiarray", "scalar"): lambda *_: Unread(),
    ("numpy._core.multiarray", "scalar"): lambda *_: Unread(),
}


# ------------------------------------------------------------------------------------------------------ the reader


def read_networks(path: str | Path) -> dict[str, Any]:
    """The dictionary in a file of NVIDIA's: "G_ema", "D" and others, each a Network; nothing in the file is executed.

    The numbers stay in the file. Raises HostileFileError with one sentence for a file that is something else, that is
    not whole, or that asks for anything beyond building numbers, texts and lists; OSError when it cannot be read.
    """
    path = Path(path)
    with path.open("rb") as opened, _refusing(f"{path.name} was refused and nothing in it was run"):
        expect(path.stat().st_size > 0, "it is empty")
        with File(opened.fileno(), 0, access=mmap.ACCESS_READ) as file:
            _refuse_other_kinds(file[:4096])
            found = Reader(file).load()
            expect(file.tell() == len(file), "more bytes follow after its end")
        whole = type(found) is Table and any(type(part) is Network for part in found.values())
        expect(whole, "it is a pickle, but holds no networks as NVIDIA's files do")
        return found


def _refuse_other_kinds(start: bytes) -> None:
    expect(b"dnnlib.tflib" not in start, "it is a network for TensorFlow; NVIDIA's legacy.py converts such files first")
    for sign, kind in {
        b"PK": "it is a zip archive, as torch.save writes; NVIDIA's files are plain pickles (is it packed? unpack it)",
        b"\x80\x02": "it is a pickle of protocol 2, as torch.save of an older PyTorch writes; NVIDIA's have 3 to 5",
        b"<": "it is a web page; the server sent an error page instead of the file",
    }.items():
        expect(not start.lstrip().startswith(sign), kind)
    expect(start[:2] in (b"\x80\x03", b"\x80\x04", b"\x80\x05"), "it is no pickle of protocol 3 to 5")


class File(mmap.mmap):
    """Refuses a file that ends too early, and one that asks too much of its reader."""

    reads = 0

    def check(self, length: int) -> None:
        left = len(self) - self.tell()
        expect(length <= left, f"it is cut off, or lies: {length:,} bytes announced, {left:,} left")

    def read(self, length: int) -> bytes:
        self.reads += 1
        expect(self.reads <= MOST_READS, "it has far more instructions than any file of NVIDIA's")
        self.check(length)
        return super().read(length)


INSTRUCTIONS = """PROTO STOP MARK POP NONE NEWTRUE NEWFALSE BININT BININT1 BININT2 LONG1 BINFLOAT SHORT_BINUNICODE
    BINUNICODE BINUNICODE8 EMPTY_LIST APPEND APPENDS EMPTY_TUPLE TUPLE TUPLE1 TUPLE2 TUPLE3 SETITEM SETITEMS BINGET
    LONG_BINGET BINPUT LONG_BINPUT MEMOIZE GLOBAL STACK_GLOBAL REDUCE NEWOBJ"""


class Reader(pickle._Unpickler):  # the one in Python: its instructions can be left out and replaced
    """Runs the instructions of a pickle that build numbers, texts and lists; knows no others."""

    def __init__(self, file: File):
        super().__init__(file)
        self.file = file

    def find_class(self, module: str, name: str) -> Any:
        asked = f"{module}.{name}"[:100]
        expect((module, name) in NAMES, f"it asks for {asked}, which is not on the list of allowed names")
        return NAMES[module, name]

    def load_bytes(self, width: int) -> None:
        """The numbers of a storage stay where they are."""
        length = int.from_bytes(self.read(width), "little")
        self.file.check(length)
        begin = self.file.tell()
        self.append(Bytes(begin, length, self.read(min(length, 1000))))
        self.file.seek(begin + length)

    def load_build(self) -> None:
        self.stack.pop()
        expect(type(self.stack[-1]) is Unread, "it changes an object that may not be changed")

    dispatch: ClassVar[dict] = {
        **{code: pickle._Unpickler.dispatch[code] for code in (ord(getattr(pickle, x)) for x in INSTRUCTIONS.split())},
        pickle.FRAME[0]: lambda self: self.read(8),  # a length that a reader may ignore
        pickle.SHORT_BINBYTES[0]: lambda self: self.load_bytes(1),
        pickle.BINBYTES[0]: lambda self: self.load_bytes(4),
        pickle.BINBYTES8[0]: lambda self: self.load_bytes(8),
        pickle.EMPTY_DICT[0]: lambda self: self.append(Table()),
        pickle.EMPTY_SET[0]: lambda self: self.append(Unread()),
        pickle.BUILD[0]: load_build,
    }


# --------------------------------------------------------------------------------------------- how networks are built


def load(path: str | Path, device: torch.device | str = "auto") -> Generator:
    """The generator in a file of NVIDIA's, in evaluation mode, without gradients for its weights.

    It is the one with averaged weights, G_ema. HostileFileError with one sentence when the file is no such file, or
    when the generator has a setting that this course does not build.
    """
    path, device = Path(path), pick_device(device)
    found = read_networks(path)
    with _refusing(f"{path.name} holds no StyleGAN2 that this course knows"):
        expect(type(found.get("G_ema")) is Network, f"it lacks G_ema; it has {', '.join(map(str, found))}"[:100])
        generator = _built(dict(islice(_parts(found["G_ema"]), MOST_PARTS)), path)
    return generator.to(device, memory_format=torch.channels_last).eval().requires_grad_(False)


def _parts(network: Network, path: str = "") -> Iterator[tuple[str, Table]]:
    """The attributes of a network and of all within it, under names such as "synthesis.b4.conv1."."""
    yield path, network.state
    for name, part in network.state["_modules"].items():
        yield from _parts(part, f"{path}{name}.")


def _built(parts: dict[str, Table], path: Path) -> Generator:
    """A generator of this course with the file's numbers."""
    tensors = {
        f"{part}{name}": tensor
        for part, state in parts.items()
        for name, tensor in (state["_parameters"] | state["_buffers"]).items()
    }
    blocks = parts["synthesis."]["_modules"]
    expect("input" not in blocks, "it is a StyleGAN3; this course knows StyleGAN2")
    channels = {int(name[1:]): tensors[f"synthesis.{name}.conv1.weight"].size[0] for name in blocks}
    w_dim, z_dim = tensors["mapping.fc0.weight"].size
    clamp = parts["synthesis.b4.conv1."]["conv_clamp"]
    with torch.device("meta"):
        generator = Generator(
            resolution=max(channels),
            z_dim=z_dim,
            w_dim=w_dim,
            mapping_layers=len(parts["mapping."]["_modules"]),
            channels=channels,
            resample="fir",
            conv_clamp=clamp and float(clamp),
        )
    for name, state in parts.items():  # the settings that neither names nor shapes tell
        activation = "linear" if name.endswith("affine.") else "lrelu"
        rate = LR_MULTIPLIER if name.startswith("mapping.") else 1
        for key, value in (("activation", activation), ("bias_gain", rate), ("conv_clamp", clamp)):
            expect(state.get(key, value) == value, f"its {name}{key} is not {value}, as this course builds it"[:100])
    claimed = sum(tensor.storage.length for tensor in tensors.values())
    expect(claimed <= path.stat().st_size, f"its tensors claim {claimed:,} bytes, more than it has")
    generator.load_state_dict({name: tensor.read(path) for name, tensor in tensors.items()}, assign=True)
    return generator
