"""The exercises of lesson 08 and their solutions; tools/solutions.py reads this file."""

import pickletools

import torch

from latentlib.exercises import check


# %% 08-names
def asked_for(content):
    """What a pickle (bytes) asks for by name, without running it: a set such as {"os.system"}."""
    found, texts = set(), []
    for opcode, argument, _ in pickletools.genops(content):
        if opcode.name in ("SHORT_BINUNICODE", "BINUNICODE"):
            texts.append(argument)
        elif opcode.name == "GLOBAL":  # its argument is "module name", with a blank between
            found.add(argument.replace(" ", "."))
        elif opcode.name == "STACK_GLOBAL":  # the last two texts
            found.add(".".join(texts[-2:]))  #: found.add(...)
    return found


check("08-names", asked_for)


# %% 08-gate
def refused(asked, allowed):
    """For which names a file must be refused: two sets of names in, a set out."""
    return asked - allowed  # name by name, whole  #: return ...


check("08-gate", refused)


# %% 08-double
def double(row):
    """A row (n,) at twice its length: zeros between, then [1, 3, 3, 1] over neighbours."""
    apart = torch.zeros(2 * len(row) + 3)  # one zero more before, two more behind
    apart[2:-1:2] = row  #: apart[...] = row
    taps = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 4
    return (apart.unfold(0, 4, 1) * taps).sum(1)  # windows of four neighbours  #: return ...


check("08-double", double)


# %% 08-pure
def without(direction, other):
    """What is left of a direction (d,) when nothing of the other one (d,) may be in it."""
    unit = other / other.norm()  #: unit = ...
    return direction - (direction @ unit) * unit  #: return ...


check("08-pure", without)
