"""A stack machine that runs the harmless part of a pickle.

Most instructions of a pickle build numbers, texts and lists. A few fetch a function by name and call it, and with
Python's own reader that may be any function. Here names and calls are left to a list that the caller gives. Everything
has a limit, and no length is believed before that many bytes are there.

Source: Python's module pickletools, which describes every instruction.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, BinaryIO, NamedTuple

MOST_STEPS = 500_000  # counting its parts, an official file has about a tenth
MOST_TEXT = 16_000_000  # letters in all; the program text in an official file has a hundredth


class HostileFileError(ValueError):
    """A file is not what it claims to be: foreign, cut off, or made to run something; one sentence says which."""


class Span(NamedTuple):
    """Bytes that stay in the file: where they begin, and how many they are."""

    start: int
    length: int


@dataclass(frozen=True)
class Name:
    """What a pickle calls by name. Nobody looks it up among Python's functions."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


@dataclass
class Noted:
    """A call that was written down instead of made."""

    name: Name
    arguments: tuple


EASY_DICT = Name("dnnlib.util", "EasyDict")  # the only class of which objects are made
DTYPE = Name("numpy", "dtype")  # the only thing that is built in two steps


def are_counts(numbers: Any) -> bool:
    return isinstance(numbers, tuple) and all(type(n) is int and 0 <= n < 2**40 for n in numbers)


def expect(right: bool, reason: str) -> None:
    if not right:
        raise HostileFileError(reason)


class Source:
    """A stretch of a file that gives no byte beyond its end, whatever length is asked for."""

    def __init__(self, file: BinaryIO, start: int, length: int):
        self.file, self.place, self.left = file, start, length

    def take(self, length: int) -> bytes:
        self._move(length)
        self.file.seek(self.place - length)
        content = self.file.read(length)
        if len(content) != length:
            raise HostileFileError("it was cut off while it was being read")
        return content

    def skip(self, length: int) -> Span:
        self._move(length)
        return Span(self.place - length, length)

    def line(self) -> str:
        """A line of at most 200 letters, without its end."""
        content = bytearray()
        while (byte := self.take(1)) != b"\n":
            content += byte
            if len(content) > 200:
                raise HostileFileError("it has a name of more than 200 letters")
        return _text(bytes(content))

    def number(self, form: str) -> int:
        return struct.unpack(form, self.take(struct.calcsize(form)))[0]

    def _move(self, length: int) -> None:
        if length < 0 or length > self.left:
            raise HostileFileError(f"it is cut off, or lies: {length:,} bytes are announced and {self.left:,} are left")
        self.place, self.left = self.place + length, self.left - length


class _Mark:
    """Where a group of values begins on the stack."""


MARK = _Mark()


class Machine:
    """Runs the harmless part of a pickle: a stack, a memo, and a list of names."""

    def __init__(
        self,
        source: Source,
        names: dict[Name, Callable],  # what may be called, and what stands in its place
        nested: Callable[[Span], Any] | None = None,  # reads a storage
        persistent: bool = False,  # may it refer to things outside, as PyTorch's storages do?
        steps: list[int] | None = None,  # [steps, letters] used so far, over all pickles of a file
    ):
        self.source, self.names, self.nested, self.persistent = source, names, nested, persistent
        self.used = [0, 0] if steps is None else steps
        self.stack: list = []
        self.memo: dict[int, Any] = {}

    def run(self) -> Any:
        """What the pickle builds."""
        if self.source.take(2) not in (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05"):
            raise HostileFileError("a pickle in it does not begin with protocol 2 to 5")
        while True:
            self.used[0] += 1
            if self.used[0] > MOST_STEPS:
                raise HostileFileError(f"it has more than {MOST_STEPS:,} instructions")
            code = self.source.take(1)
            if code == b".":
                expect(len(self.stack) == 1, "its end leaves other than one thing")
                return self._pop()
            instruction = INSTRUCTIONS.get(code)
            if instruction is None:
                raise HostileFileError(f"the instruction {FORBIDDEN.get(code, repr(code)[2:-1])} is not allowed")
            instruction(self)

    # --- the stack

    def _push(self, value: Any) -> None:
        self.stack.append(value)

    def _pop(self) -> Any:
        if not self.stack or self.stack[-1] is MARK:
            raise HostileFileError("it takes a value where none is")
        return self.stack.pop()

    def _top(self, kind: type) -> Any:
        if not self.stack or not isinstance(self.stack[-1], kind):
            raise HostileFileError(f"it fills something that is no {kind.__name__}")
        return self.stack[-1]

    def _group(self) -> list:
        """What lies above the last mark; the mark goes too."""
        for place in range(len(self.stack) - 1, -1, -1):
            if self.stack[place] is MARK:
                group = self.stack[place + 1 :]
                del self.stack[place:]
                return group
        raise HostileFileError("it takes a group of values where none begins")

    # --- plain values

    def _string(self, form: str) -> None:
        length = self.source.number(form)
        self.used[1] += length
        if self.used[1] > MOST_TEXT:
            raise HostileFileError(f"it has more than {MOST_TEXT:,} letters of text")
        self._push(_text(self.source.take(length)))

    def _bytes(self, form: str) -> None:
        self._push(self.source.skip(self.source.number(form)))

    def _long(self, form: str) -> None:
        length = self.source.number(form)
        if not 0 <= length <= 16:
            raise HostileFileError(f"it has a whole number of {length:,} bytes")
        self._push(int.from_bytes(self.source.take(length), "little", signed=True))

    # --- lists, tuples, dictionaries

    def _tuple(self, count: int) -> None:
        values = [self._pop() for _ in range(count)]
        self._push(tuple(reversed(values)))

    def _append(self, values: list) -> None:
        self._top(list).extend(values)

    def _add(self, values: list) -> None:
        expect(all(isinstance(value, (str, int)) for value in values), "a set holds something else than texts")
        self._top(set).update(values)

    def _set_items(self, values: list) -> None:
        table = self._top(dict)
        expect(len(values) % 2 == 0, "a dictionary gets a key without a value")
        for key, value in zip(values[::2], values[1::2], strict=True):
            expect(isinstance(key, (str, int)), "a key of a dictionary is neither a text nor a whole number")
            table[key] = value

    def _one_item(self) -> None:
        value, key = self._pop(), self._pop()
        self._set_items([key, value])

    # --- the memo

    def _get(self, form: str) -> None:
        number = self.source.number(form)
        if number not in self.memo:
            raise HostileFileError(f"it recalls thing {number:,}, which it never remembered")
        self._push(self.memo[number])

    def _put(self, number: int) -> None:
        expect(bool(self.stack) and self.stack[-1] is not MARK, "it remembers a value where none is")
        self.memo[number] = self.stack[-1]

    # --- names and calls

    def _name(self, module: Any, name: Any) -> None:
        if not (isinstance(module, str) and isinstance(name, str)):
            raise HostileFileError("it makes a name of something that is no text")
        asked = Name(module, name)
        if asked not in self.names:
            raise HostileFileError(f"it asks for {str(asked)[:80]}, which is not on the list of allowed names")
        self._push(asked)

    def _stack_name(self) -> None:
        name, module = self._pop(), self._pop()
        self._name(module, name)

    def _call(self) -> None:
        arguments, asked = self._pop(), self._pop()
        if not isinstance(asked, Name) or not isinstance(arguments, tuple):
            raise HostileFileError("it calls something that is no allowed name")
        self._push(self.names[asked](arguments, self.nested))

    def _new(self) -> None:
        arguments, asked = self._pop(), self._pop()
        expect(asked == EASY_DICT and arguments == (), "it makes an object of a kind that is not allowed")
        self._push({})

    def _build(self) -> None:
        self._pop()
        made = self._top(Noted)
        expect(made.name == DTYPE, "it changes an object that may not be changed")

    def _persistent(self) -> None:
        if not self.persistent:
            raise HostileFileError("the instruction BINPERSID is not allowed")
        asked = self._pop()
        expect(isinstance(asked, tuple) and len(asked) in (5, 6), "a storage is described by other than 5 things")
        expect(asked[0] == "storage" and isinstance(asked[1], Name) and are_counts((asked[4],)), "a storage is none")
        expect(isinstance(asked[2], str) and asked[5:] in ((), (None,)), "a storage is a part of another one")
        self._push(Noted(asked[1], asked[2:5]))  # its number, its device, how many


def _text(content: bytes) -> str:
    try:
        return content.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        raise HostileFileError("it has a text that is not UTF-8") from None


INSTRUCTIONS: dict[bytes, Callable[[Machine], None]] = {
    b"\x95": lambda m: m.source.take(8) and None,  # FRAME: a length that a reader may ignore
    b"(": lambda m: m._push(MARK),
    b"0": lambda m: m._pop() and None,
    b"N": lambda m: m._push(None),
    b"\x88": lambda m: m._push(True),
    b"\x89": lambda m: m._push(False),
    b"J": lambda m: m._push(m.source.number("<i")),
    b"K": lambda m: m._push(m.source.number("<B")),
    b"M": lambda m: m._push(m.source.number("<H")),
    b"\x8a": lambda m: m._long("<B"),
    b"\x8b": lambda m: m._long("<i"),
    b"G": lambda m: m._push(m.source.number(">d")),
    b"\x8c": lambda m: m._string("<B"),
    b"X": lambda m: m._string("<I"),
    b"\x8d": lambda m: m._string("<Q"),
    b"C": lambda m: m._bytes("<B"),
    b"B": lambda m: m._bytes("<I"),
    b"\x8e": lambda m: m._bytes("<Q"),
    b"]": lambda m: m._push([]),
    b"a": lambda m: m._append([m._pop()]),
    b"e": lambda m: m._append(m._group()),
    b")": lambda m: m._push(()),
    b"t": lambda m: m._push(tuple(m._group())),
    b"\x85": lambda m: m._tuple(1),
    b"\x86": lambda m: m._tuple(2),
    b"\x87": lambda m: m._tuple(3),
    b"}": lambda m: m._push({}),
    b"s": lambda m: m._one_item(),
    b"u": lambda m: m._set_items(m._group()),
    b"\x8f": lambda m: m._push(set()),
    b"\x90": lambda m: m._add(m._group()),
    b"h": lambda m: m._get("<B"),
    b"j": lambda m: m._get("<I"),
    b"q": lambda m: m._put(m.source.number("<B")),
    b"r": lambda m: m._put(m.source.number("<I")),
    b"\x94": lambda m: m._put(len(m.memo)),
    b"c": lambda m: m._name(m.source.line(), m.source.line()),
    b"\x93": lambda m: m._stack_name(),
    b"R": lambda m: m._call(),
    b"\x81": lambda m: m._new(),
    b"b": lambda m: m._build(),
    b"Q": lambda m: m._persistent(),
}
FORBIDDEN = {  # the names of what is left out, for the sentence
    b"i": "INST",
    b"o": "OBJ",
    b"P": "PERSID",
    b"\x82": "EXT1",
    b"\x83": "EXT2",
    b"\x84": "EXT4",
    b"\x92": "NEWOBJ_EX",
    b"I": "INT",
    b"L": "LONG",
    b"F": "FLOAT",
    b"S": "STRING",
    b"T": "BINSTRING",
    b"U": "SHORT_BINSTRING",
    b"V": "UNICODE",
    b"l": "LIST",
    b"d": "DICT",
    b"g": "GET",
    b"p": "PUT",
    b"1": "POP_MARK",
    b"2": "DUP",
    b"\x91": "FROZENSET",
    b"\x96": "BYTEARRAY8",
    b"\x97": "NEXT_BUFFER",
    b"\x98": "READONLY_BUFFER",
}
