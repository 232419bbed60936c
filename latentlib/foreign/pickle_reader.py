"""Reads NVIDIA's pickled networks without running anything that is in the file.

A pickle is a program for a small stack machine; the one that runs here (pickle_machine.py) knows the harmless
instructions and no other. A name is no way to a function: it is looked up in a short list, and what stands there only
notes down what it was given.

    file ─ read_networks ─> {"G_ema": Network, "D": Network, …} ─ tensors() ─> names -> tensors

The numbers of the networks stay in the file until they are asked for. Sources: Python's pickletools, which describes
every instruction, and what is public about the files (https://github.com/NVlabs/stylegan2-ada-pytorch).
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import torch

from latentlib.foreign.pickle_machine import (
    DTYPE,
    EASY_DICT,
    HostileFileError,
    Machine,
    Name,
    Noted,
    Source,
    Span,
    are_counts,
    expect,
)

MOST_PARTS = 1_000  # of a network; an official one has about 100
MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001  # with which PyTorch's older format begins
TYPES = {
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "DoubleStorage": torch.float64,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "BoolStorage": torch.bool,
}


# ------------------------------------------------------------------------------------------- what is found in a file


class Storage(NamedTuple):
    """The numbers of one or more tensors, in the file."""

    span: Span
    dtype: torch.dtype
    count: int


class StoredTensor(NamedTuple):
    """A view of a storage."""

    storage: Storage
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]


@dataclass
class Network:
    """One of NVIDIA's pickled objects. The program text that came with it is dropped unread."""

    class_name: str
    state: dict

    def parts(self) -> dict[str, Network]:
        """The networks directly within this one."""
        return {name: part for name, part in _table(self.state, "_modules").items() if part is not None}

    def tensors(self) -> dict[str, StoredTensor]:
        """All parameters and buffers by their full names, such as "synthesis.b4.conv1.weight"."""
        found: dict[str, StoredTensor] = {}
        waiting = [("", self)]
        for _ in range(MOST_PARTS):
            if not waiting:
                return found
            prefix, part = waiting.pop()
            for kind in ("_parameters", "_buffers"):
                for name, tensor in _table(part.state, kind).items():
                    if isinstance(tensor, StoredTensor):
                        found[prefix + name] = tensor
                    elif tensor is not None:
                        raise HostileFileError(f"{prefix}{name} is no tensor")
            for name, inner in part.parts().items():
                if not isinstance(inner, Network):
                    raise HostileFileError(f"{prefix}{name} is no network")
                waiting.append((f"{prefix}{name}.", inner))
        raise HostileFileError(f"a network has more than {MOST_PARTS:,} parts, or lies within itself")


def read_networks(path: str | Path) -> dict[str, Any]:
    """The dictionary in a file of NVIDIA's: "G_ema", "D" and others, each a Network; nothing in the file is executed.

    Raises HostileFileError with one sentence for a file that is something else, that is not whole, or that asks for
    anything beyond building numbers, texts and lists; OSError when it cannot be read.
    """
    path = Path(path)
    with path.open("rb") as file:
        try:
            start = file.read(512)
            _refuse_foreign(start)
            file.seek(0)
            source = Source(file, 0, os.fstat(file.fileno()).st_size)
            machine = Machine(source, OUTER, nested=lambda span: _read_storage(file, span, machine))
            found = machine.run()
            if source.left:
                raise HostileFileError(f"{source.left:,} bytes follow after its end")
            if not isinstance(found, dict) or not any(isinstance(part, Network) for part in found.values()):
                raise HostileFileError("it is a pickle, but holds no networks as NVIDIA's files do")
            return found
        except HostileFileError as reason:
            raise HostileFileError(f"{path.name} was refused and nothing in it was run: {reason}") from None


def load_tensors(path: str | Path, tensors: dict[str, StoredTensor]) -> Iterator[tuple[str, torch.Tensor]]:
    """The numbers themselves, from the same file, by name and one tensor at a time, each with its own memory.

    Raises HostileFileError when all of them would fill more memory than the file has bytes.
    """
    path = Path(path)
    claimed = sum(math.prod(tensor.size) * tensor.storage.dtype.itemsize for tensor in tensors.values())
    with path.open("rb") as file:
        try:
            if claimed > os.fstat(file.fileno()).st_size:
                raise HostileFileError(f"its tensors claim {claimed:,} bytes, more than it has")
            for name, tensor in tensors.items():
                yield name, _load(file, tensor)
        except HostileFileError as reason:
            raise HostileFileError(f"{path.name} was refused: {reason}") from None


def _load(file: BinaryIO, tensor: StoredTensor) -> torch.Tensor:
    """Only the bytes from the tensor's first number to its last are read."""
    count = math.prod(tensor.size)
    if not count:
        return torch.empty(tensor.size, dtype=tensor.storage.dtype)
    reach = 1 + sum((n - 1) * step for n, step in zip(tensor.size, tensor.stride, strict=True))
    if reach > 4 * count:
        raise HostileFileError("a tensor's numbers lie too far apart")
    itemsize = tensor.storage.dtype.itemsize
    file.seek(tensor.storage.span.start + tensor.offset * itemsize)
    content = bytearray(reach * itemsize)
    if file.readinto(content) != len(content):
        raise HostileFileError("the file was cut off while it was being read")
    return torch.frombuffer(content, dtype=tensor.storage.dtype).as_strided(tensor.size, tensor.stride).contiguous()


def _refuse_foreign(start: bytes) -> None:
    if not start:
        raise HostileFileError("it is empty")
    if start.lstrip()[:1] == b"<":
        raise HostileFileError("it is a web page, no pickle; the server sent its excuse instead of the file")
    if start[:2] == b"PK":
        raise HostileFileError("it is a zip archive, as newer PyTorch files are; NVIDIA's files are plain pickles")
    if start[:1] != b"\x80":
        raise HostileFileError("it is no pickle of protocol 2 or newer")


def _table(state: dict, name: str) -> dict:
    table = state.get(name, {})
    if not isinstance(table, dict) or not all(isinstance(key, str) for key in table):
        raise HostileFileError(f"{name} is no table of names")
    return table


# ------------------------------------------------------------------------------------------------ what may be called


def _empty_table(arguments: tuple, _: Any) -> dict:
    expect(arguments == (), "a dictionary is made from something")
    return {}


def _set(arguments: tuple, _: Any) -> set:
    expect(len(arguments) == 1 and isinstance(arguments[0], list), "a set is made of no list")
    expect(all(isinstance(item, (str, int)) for item in arguments[0]), "a set holds something else than texts")
    return set(arguments[0])


def _network(arguments: tuple, _: Any) -> Network:
    expect(len(arguments) == 1 and isinstance(arguments[0], dict), "a network is described by no dictionary")
    meta = arguments[0]
    kind, class_name, state = meta.get("type"), meta.get("class_name"), meta.get("state")
    expect(kind == "class" and isinstance(class_name, str) and isinstance(state, dict), "a network lacks its state")
    return Network(class_name, state)


def _storage(arguments: tuple, nested: Callable[[Span], Storage] | None) -> Storage:
    expect(len(arguments) == 1 and isinstance(arguments[0], Span) and nested is not None, "a storage is no bytes")
    return nested(arguments[0])


def _tensor(arguments: tuple, _: Any) -> StoredTensor:
    expect(len(arguments) in (6, 7), "a tensor is described by other than 6 things")
    storage, offset, size, stride = arguments[:4]
    expect(isinstance(storage, Storage), "a tensor has no storage")
    expect(
        are_counts((offset,)) and are_counts(size) and are_counts(stride), "a tensor's size is no row of whole numbers"
    )
    expect(len(size) == len(stride) <= 8, "a tensor has not one stride for each of at most 8 dimensions")
    count = math.prod(size)
    last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True)) if count else offset
    if count > storage.count or last >= max(storage.count, 1):
        raise HostileFileError(f"a tensor claims {count:,} numbers of a storage that has {storage.count:,}")
    return StoredTensor(storage, offset, size, stride)


def _parameter(arguments: tuple, _: Any) -> StoredTensor:
    expect(len(arguments) == 3 and isinstance(arguments[0], StoredTensor), "a parameter is no tensor")
    return arguments[0]


def _noted(name: Name) -> Callable[[tuple, Any], Noted]:
    return lambda arguments, _: Noted(name, arguments)


SCALARS = [Name(f"numpy.{core}.multiarray", "scalar") for core in ("core", "_core")]
# The whole list: what an official file names, and what stands here in its place.
OUTER: dict[Name, Callable[[tuple, Any], Any]] = {
    Name("collections", "OrderedDict"): _empty_table,
    EASY_DICT: _empty_table,
    Name("builtins", "set"): _set,
    Name("torch_utils.persistence", "_reconstruct_persistent_obj"): _network,
    Name("torch.storage", "_load_from_bytes"): _storage,
    Name("torch._utils", "_rebuild_tensor_v2"): _tensor,
    Name("torch._utils", "_rebuild_parameter"): _parameter,
    DTYPE: _noted(DTYPE),
    **{name: _noted(name) for name in SCALARS},
}
INNER: dict[Name, Callable[[tuple, Any], Any]] = {Name("torch", kind): _noted(Name("torch", kind)) for kind in TYPES}


def _read_storage(file: BinaryIO, span: Span, outer: Machine) -> Storage:
    """The numbers in PyTorch's older format: five small pickles, a count, and the bytes themselves."""
    source = Source(file, span.start, span.length)

    def pickle(persistent: bool = False) -> Any:
        return Machine(source, INNER, persistent=persistent, steps=outer.used).run()

    expect(pickle() == MAGIC and pickle() == PROTOCOL, "a storage is not in PyTorch's older format")
    system = pickle()
    little = isinstance(system, dict) and system.get("little_endian") is True
    expect(little, "a storage was written by a machine that puts the high byte first")
    made = pickle(persistent=True)
    expect(isinstance(made, Noted) and len(made.arguments) == 3, "a storage holds something else")
    key, _, count = made.arguments
    expect(pickle() == [key], "a storage holds other than one row of numbers")
    written = source.number("<q")
    dtype = TYPES[made.name.name]
    if written != count or source.left != count * dtype.itemsize:
        raise HostileFileError(f"a storage claims {max(count, written):,} numbers and has {source.left:,} bytes")
    return Storage(source.skip(source.left), dtype, count)
