"""Right and wrong answers to the exercises of lesson 08."""

import collections
import io
import pickle
import pickletools
import re

import numpy as np
import torch
import torch.nn.functional as F

from tests.answers import wrappers

# --- 08-names

TEXTS = ("SHORT_BINUNICODE", "BINUNICODE")


def walk(content, texts=TEXTS, last=2, joint=".", newer=True, older=True):
    found, seen = set(), []
    for opcode, argument, _ in pickletools.genops(content):
        if opcode.name in texts:
            seen.append(argument)
        elif opcode.name == "GLOBAL" and older:
            found.add(argument.replace(" ", joint))
        elif opcode.name == "STACK_GLOBAL" and newer:
            found.add(joint.join(seen[-last:]))
    return found


def by_index(content):
    steps = list(pickletools.genops(content))
    texts = [(k, argument) for k, (opcode, argument, _) in enumerate(steps) if opcode.name in TEXTS]
    names = [argument.replace(" ", ".") for opcode, argument, _ in steps if opcode.name == "GLOBAL"]
    for k, (opcode, _, _) in enumerate(steps):
        if opcode.name == "STACK_GLOBAL":
            module, name = [argument for place, argument in texts if place < k][-2:]
            names.append(f"{module}.{name}")
    return names


def by_disassembly(content):
    out = io.StringIO()
    pickletools.dis(content, out)
    texts, names = [], set()
    for line in out.getvalue().splitlines():
        if match := re.search(r"(?:SHORT_)?BINUNICODE\s+'(.*)'$", line):
            texts.append(match[1])
        elif match := re.search(r" GLOBAL\s+'(\S+) (\S+)'", line):
            names.add(f"{match[1]}.{match[2]}")
        elif "STACK_GLOBAL" in line:
            names.add(".".join(texts[-2:]))
    return names


def by_stand_in(content):
    names = set()

    class Look(pickle.Unpickler):
        def find_class(self, module, name):
            names.add(f"{module}.{name}")
            return lambda *arguments: collections.OrderedDict()

    Look(io.BytesIO(content)).load()
    return names


def running(content):
    names = by_stand_in(content)
    pickle.loads(content)
    return names


# --- 08-gate


def gate(content, allowed, passes=lambda asked, allowed: asked in allowed, gives=lambda asked, allowed: allowed[asked]):
    class Gate(pickle.Unpickler):
        def find_class(self, module, name):
            asked = f"{module}.{name}"
            if not passes(asked, allowed):
                raise pickle.UnpicklingError(asked)
            return gives(asked, allowed)

    return Gate(io.BytesIO(content)).load()


def gate_by_get(content, allowed):
    class Gate(pickle.Unpickler):
        def find_class(self, module, name):
            found = allowed.get(module + "." + name)
            if found is None:
                raise ValueError(f"{module}.{name} is not allowed")
            return found

    return Gate(io.BytesIO(content)).load()


def gate_by_key_error(content, allowed):
    class Gate(pickle.Unpickler):
        def find_class(self, module, name):
            return allowed[f"{module}.{name}"]

    return Gate(io.BytesIO(content)).load()


def gate_in_python(content, allowed):
    class Gate(pickle._Unpickler):
        def find_class(self, module, name):
            assert (module, name) in {tuple(key.rsplit(".", 1)) for key in allowed}
            return allowed[f"{module}.{name}"]

    return Gate(io.BytesIO(content)).load()


def gate_after_scan(content, allowed):
    if by_stand_in(content) - set(allowed):
        raise PermissionError("not allowed")
    return gate(content, allowed)


def gate_by_super(content, allowed):
    class Gate(pickle.Unpickler):
        def find_class(self, module, name):
            if f"{module}.{name}" in allowed:
                return super().find_class(module, name)
            raise pickle.UnpicklingError("no")

    return Gate(io.BytesIO(content)).load()


def gate_of_pairs(content, allowed):
    pairs = {tuple(name.rsplit(".", 1)): thing for name, thing in allowed.items()}

    class Gate(pickle.Unpickler):
        def find_class(self, *asked):
            if asked in pairs:
                return pairs[asked]
            raise RuntimeError("/".join(asked))

    return Gate(io.BytesIO(content)).load()


def gate_by_match(content, allowed):
    return gate(content, allowed, lambda asked, names: any(re.fullmatch(re.escape(good), asked) for good in names))


def gate_by_list(content, allowed):
    return gate(content, allowed, lambda asked, names: list(names).count(asked) == 1)


def gate_on_file(content, allowed):
    return gate(bytes(bytearray(content)), dict(allowed))


def looks_afterwards(content, allowed):
    made = pickle.loads(content)
    if by_stand_in(content) - set(allowed):
        raise pickle.UnpicklingError("too late")
    return made


def says_nothing(content, allowed):
    try:
        return gate(content, allowed)
    except pickle.UnpicklingError:
        return None


def loose(passes):
    return lambda content, allowed: gate(
        content, allowed, passes, lambda asked, names: names.get(asked, collections.OrderedDict)
    )


# --- 08-double


def double(row):
    apart = torch.zeros(2 * len(row) + 3)
    apart[2:-1:2] = row
    return (apart.unfold(0, 4, 1) * torch.tensor([0.25, 0.75, 0.75, 0.25])).sum(1)


def double_by_loop(row):
    values = [0.0, *map(float, row), 0.0]
    pairs = [
        (0.75 * b + 0.25 * a, 0.75 * b + 0.25 * c) for a, b, c in zip(values, values[1:], values[2:], strict=False)
    ]
    return [value for pair in pairs for value in pair]


def double_by_numpy(row):
    apart = np.zeros(2 * len(row))
    apart[::2] = np.asarray(row)
    return np.convolve(apart, np.array([1, 3, 3, 1]) / 4)[1:-2]


def double_by_transposed(row):
    return F.conv_transpose1d(row[None, None], torch.tensor([[[0.25, 0.75, 0.75, 0.25]]]), stride=2, padding=1)[0, 0]


def double_by_padding(row):
    padded = F.pad(row[None, None], (1, 1))
    return F.interpolate(padded, scale_factor=2, mode="linear")[0, 0, 2:-2]


def interpolated(row):
    return F.interpolate(row[None, None], scale_factor=2, mode="linear")[0, 0]


RIGHT = {
    "08-names": [
        walk,
        by_index,
        by_disassembly,
        by_stand_in,
        lambda content: list(walk(content)),
        lambda content: tuple(walk(content)),
        lambda content: frozenset(walk(content)),
        lambda content: dict.fromkeys(walk(content)),
        lambda content: sorted(walk(content)),
        lambda content: walk(content, (*TEXTS, "BINUNICODE8")),
    ],
    "08-gate": [
        gate,
        gate_by_get,
        gate_by_key_error,
        gate_in_python,
        gate_after_scan,
        gate_by_super,
        gate_of_pairs,
        gate_by_match,
        gate_by_list,
        gate_on_file,
    ],
    "08-double": [
        double,
        double_by_loop,
        double_by_numpy,
        double_by_transposed,
        double_by_padding,
        *wrappers(double),
    ],
}
WRONG = {
    "08-names": [
        lambda content: walk(content, newer=False),
        lambda content: walk(content, older=False),
        lambda content: walk(content, last=1),
        lambda content: walk(content, last=3),
        lambda content: walk(content, joint=" "),
        lambda content: walk(content, texts=("BINUNICODE",)),  # short texts are overlooked
        lambda content: {str(a) for o, a, _ in pickletools.genops(content) if o.name in TEXTS},
        lambda content: set(),
        lambda content: {name.split(".")[-1] for name in walk(content)},
        running,
    ],
    "08-gate": [
        lambda content, allowed: pickle.loads(content),
        looks_afterwards,
        says_nothing,
        loose(lambda asked, names: not asked.startswith(("os.", "posix.", "builtins.", "subprocess."))),
        loose(lambda asked, names: any(asked.startswith(good) for good in names)),
        loose(lambda asked, names: asked.split(".")[0] in {good.split(".")[0] for good in names}),
        loose(lambda asked, names: asked.split(".")[-1] in {good.split(".")[-1] for good in names}),
        loose(lambda asked, names: asked not in names),
        loose(lambda asked, names: False),
        loose(lambda asked, names: True),
    ],
    "08-double": [
        lambda row: row.repeat_interleave(2),
        interpolated,  # right inside, but the border repeats itself
        lambda row: torch.stack([row, torch.zeros_like(row)], 1).flatten(),
        lambda row: torch.cat([row, row]),
        lambda row: double(row) / 2,  # the gain is forgotten
        lambda row: double(row.flip(0)).flip(0).roll(1),
        lambda row: double(row)[:-1],
        lambda row: F.interpolate(row[None, None], scale_factor=2, mode="nearest")[0, 0],
        lambda row: torch.stack([row, (row + F.pad(row[1:], (0, 1))) / 2], 1).flatten(),
        lambda row: double(row.clamp(0, 1)),
    ],
}
