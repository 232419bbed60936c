"""The breeding board: the children of two faces in a grid; the one that is chosen becomes a parent of the next brood.

Pictures travel between kernel and browser as messages and are never the widget's saved state, so that no notebook
keeps them. A saved notebook shows a line of text; set a static picture beside the widget.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import anywidget
import torch
import traitlets
from torch import Tensor

from latentlib.gan import blending
from latentlib.plots.images import to_png
from latentlib.widgets.family_card import family_card, save_card
from latentlib.widgets.words import error_line

CHILDREN = 8  # in a brood
SIDE = 128  # pixels of a picture, at least
UNDOS = 50  # broods that are kept
MIXED = (0.25, 0.75)  # a layer with a share of the second between these comes from both


class Drawing(Protocol):
    """What the board asks of a generator: the course's, a tuned copy, StyleGAN2."""

    num_ws: int
    w_dim: int

    def draw(self, w: Tensor) -> Tensor: ...  # (n, num_ws, w_dim) -> (n, 3, h, w) in [0, 1]


@dataclass(frozen=True)
class _Brood:
    number: int  # from 1
    parents: Tensor  # (2, num_ws, w_dim)
    names: tuple[str, str]  # of the parents
    lineage: str  # all couples up to this one
    place: int  # of the parent who has been there longer, and gives way next
    children: Tensor  # (CHILDREN, num_ws, w_dim)
    genes: Tensor  # (CHILDREN, num_ws): how much of the second of the two whom the board began with
    pictures: list[bytes]  # PNG: the parents, then the children


class BreedingBoard(anywidget.AnyWidget):
    """Eight children of two parents. Choose one, and it takes the place of the parent who has been there longer (at
    the start, of the first); the new couple has the next brood.

    Each child is a sibling as ``blending.siblings`` draws it: each layer comes from one parent or from both. The strip
    below it shows how much of each layer goes back to either of the two whom the board began with.

    generator: draws; parents: (2, num_ws, w_dim) or (2, w_dim), the codes of two
    names: of these two; seed: the same seed and the same choices give the same broods
    card: the file that Save writes, beside the notebook; a file that is there is never overwritten

    parents, children, genes, lineage: of the brood that is shown
    Raises ValueError for parents or names that are not two, or codes that do not fit the generator.
    """

    _esm = Path(__file__).with_name("breeding.js").read_text(encoding="utf-8")
    _css = Path(__file__).with_name("breeding.css").read_text(encoding="utf-8")

    founders = traitlets.List(traitlets.Unicode()).tag(sync=True)  # names of the two whom the board began with

    def __init__(
        self,
        generator: Drawing,
        parents: Tensor,
        names: Sequence[str] | None = None,
        seed: int = 0,
        card: str | Path = "breeding_card.png",
    ):
        layers, numbers = generator.num_ws, generator.w_dim
        shape = tuple(getattr(parents, "shape", ()))
        if shape not in ((2, layers, numbers), (2, numbers)):
            wanted = f"(2, {layers}, {numbers}) or (2, {numbers}), as this generator takes them"
            raise ValueError(f"parents must be the codes of two, {wanted}; got {shape or type(parents).__name__}")
        names = ("first parent", "second parent") if names is None else tuple(names)
        if len(names) != 2:
            raise ValueError(f"there are two parents, so there must be two names; got {len(names)}")
        parents = parents.detach()
        self.generator, self.seed, self.card = generator, seed, Path(card)
        self._founders = blending.per_layer(parents, layers) if parents.dim() == 2 else parents
        self._before: deque[_Brood] = deque(maxlen=UNDOS)
        self._version = 0  # grows with every change; a page that speaks of an older one is not obeyed
        self._brood = self._born(1, self._founders, names, " × ".join(names), 0)  # errors of the first one are raised
        super().__init__(founders=list(names))
        self.on_msg(self._heard)

    parents = property(lambda self: self._brood.parents, doc="(2, num_ws, w_dim), the codes of the present couple")
    children = property(lambda self: self._brood.children, doc="(8, num_ws, w_dim), the codes of the brood")
    lineage = property(lambda self: self._brood.lineage, doc="all couples up to this one; 2.5: child 5 of brood 2")
    genes = property(lambda self: self._brood.genes, doc="(8, num_ws), shares of the second of the two it began with")

    # --- what can be done

    def choose(self, child: int) -> None:
        """Make a child (from 0) a parent, in the place of the one who has been there longer: a new brood."""
        now = self._brood
        if type(child) is not int or not 0 <= child < CHILDREN:
            raise ValueError(f"child must be a whole number from 0 to {CHILDREN - 1}, got {child!r}")
        parents, names = now.parents.clone(), list(now.names)
        parents[now.place], names[now.place] = now.children[child], f"{now.number}.{child + 1}"
        lineage = f"{now.lineage} → {' × '.join(names)}"
        self._turn(self._born(now.number + 1, parents, tuple(names), lineage, 1 - now.place))

    def another(self) -> None:
        """Another brood of the same parents."""
        now = self._brood
        self._turn(self._born(now.number + 1, now.parents, now.names, now.lineage, now.place))

    def undo(self) -> None:
        """Back to the brood before, as it was; nothing happens at the first one."""
        if self._before:
            self._brood = self._before.pop()
            self._show()

    def save(self) -> Path:
        """Write a card with the couple, four of its children and the lineage; gives the file's path."""
        now = self._brood
        with torch.no_grad():
            pictures = self.generator.draw(torch.cat([now.parents, now.children[:4]])).cpu()
        png = family_card(pictures[:2], pictures[2:], now.names, f"Lineage: {now.lineage}")
        self.send({"kind": "card", "name": self.card.name}, [png])  # to download, also where nothing can be written
        return save_card(png, self.card)

    # --- the parts

    def _born(self, number: int, parents: Tensor, names: tuple[str, str], lineage: str, place: int) -> _Brood:
        with torch.no_grad():
            children = blending.siblings(*parents, CHILDREN, self.seed + number - 1)
            pictures = self.generator.draw(torch.cat([parents, children]))
        genes = blending.share_towards(children, *self._founders).clamp(0, 1)
        scale = max(1.0, SIDE / pictures.shape[-1])
        pngs = [to_png(picture[None], scale, pixels=False) for picture in pictures]
        return _Brood(number, parents, names, lineage, place, children, genes, pngs)

    def _turn(self, brood: _Brood) -> None:
        self._before.append(self._brood)
        self._brood = brood
        self._show()

    def _show(self) -> None:
        self._version += 1
        now = self._brood
        content = {"kind": "brood", "version": self._version, "number": now.number, "names": list(now.names)}
        content |= {"genes": now.genes.tolist(), "alts": [self._recipe(genes) for genes in now.genes]}
        content |= {"lineage": now.lineage, "first": not self._before, "leaving": now.place}
        self.send(content, now.pictures)

    def _recipe(self, genes: Tensor) -> str:
        first, second = self.founders
        named = [first if g < MIXED[0] else second if g > MIXED[1] else "both" for g in genes.tolist()]
        return "from coarse to fine: " + ", ".join(named)

    def _heard(self, _: Any, content: dict[str, Any], buffers: list) -> None:
        kind, child = content.get("kind"), content.get("child")
        try:
            if kind == "show":
                self._show()
            elif content.get("version") != self._version:
                return
            elif kind == "choose" and type(child) is int and 0 <= child < CHILDREN:
                self.choose(child)
            elif kind in ("another", "undo"):
                getattr(self, kind)()
            elif kind == "save":
                self.send({"kind": "said", "said": f"The card was saved as {self.save().name}.", "failed": False})
        except Exception as error:  # an error in a callback shows nowhere else
            self.send({"kind": "said", "said": f"That did not work. {error_line(error)}.", "failed": True})

    def __repr__(self) -> str:  # the same on every machine: it is saved in the notebook, which tests compare
        return f"A breeding board: {CHILDREN} children of {' and '.join(self.founders)}"
