"""A family: two parents chosen or uploaded, sliders, their child, and its siblings to breed on with.

The child is drawn at once by the generator as it is. Meanwhile a copy of it may be tuned on both photos; when the copy
is ready it draws on, and is kept for the time when these two are chosen again. Uploaded photos are never part of what a
notebook saves.
"""

import copy
import io
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from PIL import Image
from torch import Tensor

from latentlib import photos
from latentlib.gan import blending, tuning
from latentlib.plots.images import to_uint8
from latentlib.space import lerp
from latentlib.widgets.base import Worker, jpeg_of, page
from latentlib.widgets.card import family_card, family_sheet, film
from latentlib.widgets.eye_picker import PhotoWidget

SIDES = ("first", "second")
ROW = 6  # siblings shown at once
SIBLINGS = 12  # on the slider
FRAMES = 24  # of a film, one way
SIZES = {"child": 320, "parent": 224, "sibling": 128}  # pixels
DRAWN = 1e-4  # squared error below which a picture counts as drawn by its code: nothing is left to tune
COPIES = 6  # that are kept, ten megabytes each


class Person(NamedTuple):
    picture: Tensor | None  # (3, r, r) in [0, 1]; None: a sibling that was bred on with, drawn from the code
    code: Tensor  # (num_ws, w_dim)


class FamilyView(PhotoWidget):
    """Two parents, their child, and what can be done with their codes.

    generator, encoder: draw the child, and begin the search for an uploaded face; the view works with copies of its
        own, so that a cell may go on with the originals
    people: name -> (picture (3, h, w) in [0, 1], code (num_ws, w_dim) or (w_dim,)), at least one
    tune: codes (2, num_ws, w_dim), pictures (2, 3, r, r), stop= -> what ``tuning.tune`` gives; it works in a thread and
        ends soon after stop() is true. None: the generator draws every child as it is
    copies: what was tuned already: two names -> a generator

    controls: what is chosen: first, second (names), share (of the second parent, 0 to 1), crossover (layers from the
        first parent, 0: off), sibling (seed, 0: off), drawn (the parents as the generator draws them)
    """

    _esm = page("eyes", "family")

    def __init__(
        self,
        generator: torch.nn.Module,
        people: Mapping[str, tuple[Tensor, Tensor]],
        encoder: torch.nn.Module | None = None,
        tune: Callable | None = None,
        copies: Mapping[tuple[str, str], torch.nn.Module] | None = None,
    ):
        self.generator, self.encoder, self.tune = copy.deepcopy(generator), copy.deepcopy(encoder), tune
        self.device = next(generator.parameters()).device
        self.people = {
            name: Person(picture.detach().cpu(), self._code(code)) for name, (picture, code) in people.items()
        }
        names = list(people)
        self.controls = {"first": names[0], "second": names[min(1, len(names) - 1)]}
        self.controls |= {"share": 0.5, "crossover": 0, "sibling": 0, "drawn": False}
        self.copies = {frozenset(names): tuned for names, tuned in (copies or {}).items()}  # whoever stands first
        self.tuning = Worker(self.lock, self.tell)
        self._wanted = frozenset(self._names())  # whose photos were shown last: their copy draws, their children too
        self.pictures, self.file = {}, ""  # PNG or JPEG bytes by name; the name of what is to be kept
        self._before: list[dict[str, Any]] = []  # controls before each sibling that was bred on with
        self._seeds = range(1, ROW + 1)  # of the siblings shown
        self._redraw()  # errors of the first drawing are raised, later ones are said
        self._draw_siblings()
        shown = [self.pictures[place] for place in (*SIDES, "child", *(f"sibling {place}" for place in range(ROW)))]
        self._still = family_sheet([Image.open(io.BytesIO(picture)) for picture in shown], self._names())
        with self.lock:  # no copy comes before the widget is whole
            self._want_copy()
            super().__init__(layers=generator.num_ws, siblings=SIBLINGS, row=ROW, most=photos.MOST_BYTES)

    def _code(self, code: Tensor) -> Tensor:
        code = code.detach().to(self.device)
        return blending.per_layer(code, self.generator.num_ws) if code.dim() == 1 else code

    def _names(self) -> list[str]:
        return [self.controls[side] for side in SIDES]

    # --- the child

    def code(self, sibling: int | None = None) -> Tensor:
        """The child's code (num_ws, w_dim), as the sliders say; or with another sibling (0: off)."""
        a, b = (self.people[name].code for name in self._names())
        share, crossover = self.controls["share"], self.controls["crossover"]
        sibling = self.controls["sibling"] if sibling is None else sibling
        return blending.blend(a, b, share=share, crossover=crossover or None, sibling=sibling or None)

    def network(self) -> torch.nn.Module:
        """Who draws now: the copy of the two whose photos were shown last, else the generator."""
        return self.copies.get(self._wanted, self.generator)

    def _change(self, values: dict[str, Any]) -> None:
        before, wanted = self.controls, self._wanted
        self.controls = {**before, **values}
        try:
            if all(self.people[name].picture is not None for name in self._names()):
                self._wanted = frozenset(self._names())
            self._redraw(parents=any(before[name] != self.controls[name] for name in (*SIDES, "drawn")))
        except BaseException:
            self.controls, self._wanted = before, wanted
            raise
        if self.worker.kind == "failed":
            self.worker.line = self.worker.kind = ""
        if self._wanted != wanted:
            self._want_copy()

    @torch.no_grad()
    def _redraw(self, parents: bool = True) -> None:
        if parents:
            for side in SIDES:
                self.pictures[side] = jpeg_of(_image(self._portrait(self.controls[side])), SIZES["parent"])
        self.pictures["child"] = jpeg_of(_image(self.network().draw(self.code()[None])[0]), SIZES["child"])
        self._stale = True  # the siblings must be drawn again

    def _portrait(self, name: str) -> Tensor:
        """A parent's picture (3, r, r): the photo, or as it is drawn from the code."""
        picture, code = self.people[name]
        return self.network().draw(code[None])[0].cpu() if picture is None or self.controls["drawn"] else picture

    @torch.no_grad()
    def _draw_siblings(self) -> None:
        drawn = self.network().draw(torch.stack([self.code(seed) for seed in self._seeds]))
        for place, picture in enumerate(drawn):
            self.pictures[f"sibling {place}"] = jpeg_of(_image(picture), SIZES["sibling"])
        self._stale = False

    # --- breeding

    def _leaving(self) -> str:
        """The parent whose place the next sibling takes: the first and the second one by turns."""
        return SIDES[len(self._before) % 2]

    def breed(self, place: int) -> None:
        """Make a sibling of the row (from 0) a parent."""
        before, names, seed = self.controls, self._names(), self._seeds[place]
        child = f"child {1 + sum(person.picture is None for person in self.people.values())}"
        self.people[child] = Person(None, self.code(seed))
        self._change({self._leaving(): child, "sibling": 0})
        self._before.append(before)
        self.worker.line = f"{child.capitalize()}, sibling {seed} of {' and '.join(names)}, is a parent now."

    def back(self) -> None:
        """The couple before the last sibling that was bred on with."""
        if self._before:
            self._change(self._before.pop())
            self.worker.line = ""

    # --- what the page asks, and is told

    def take(self, values: dict[str, Any], buffers: Sequence[Any]) -> None:
        super().take(values, buffers)
        moves = {name: value for name, value in values.items() if name in self.controls}
        if moves:
            self._change(moves)
        if "others" in values:
            after = self._seeds[-1] % SIBLINGS
            self._seeds = range(after + 1, after + 1 + ROW)
        if "siblings" in values or "others" in values:
            self._draw_siblings()
        elif "breed" in values:
            self.breed(values["breed"])
        elif "back" in values:
            self.back()
        elif "keep" in values:
            what = values["keep"]
            self.worker.start(lambda stop: self._keep(what), f"Making the {what} …")
        elif "stop" in values:
            self.tuning.stop()

    def present(self) -> tuple[dict[str, Any], dict[str, bytes]]:
        content, pictures = super().present()
        content |= {"controls": self.controls, "names": list(self.people), "file": self.file}
        content |= {"seeds": list(self._seeds), "stale": self._stale, "leaving": self._leaving()}
        content |= {"can_go_back": bool(self._before)}
        content |= {"tuning": self.tuning.line, "learning": self.tuning.kind == "busy"}
        return content, {**self.pictures, **pictures}

    def still(self) -> bytes:
        """The family as it was at the beginning: later an uploaded photo may be part of it."""
        return self._still

    # --- the copy that is tuned on both photos

    @torch.no_grad()
    def _want_copy(self) -> None:
        """Two photos are shown: tune on them, unless there is a copy, or the generator draws them already."""
        couple, people = self._wanted, [self.people[name] for name in self._names()]
        pictures = torch.stack([person.picture.to(self.device) for person in people])
        codes = torch.stack([person.code for person in people])
        if couple in self.copies:
            self.tuning.say("Drawn by a copy of the generator that was tuned on both photos.")
        elif self.tune is None or (self.generator.draw(codes) - pictures).square().mean((1, 2, 3)).max() < DRAWN:
            self.tuning.say("")
        else:
            meanwhile = "A sketch: a copy of the generator is learning both photos …"
            self.tuning.start(lambda stop: self._tune(couple, codes, pictures, stop), meanwhile)

    def _tune(self, couple: frozenset[str], codes: Tensor, pictures: Tensor, stop: Callable[[], bool]) -> str:
        began = time.perf_counter()
        tuned = self.tune(codes, pictures, stop=stop)
        with self.lock:
            if couple == self._wanted:  # else it was stopped half-way
                self.copies[couple] = tuned
                self._redraw()
            while len(self.copies) > COPIES:
                del self.copies[next(iter(self.copies))]
        how = "stopped after" if stop() else "tuned in"
        return f"Drawn by a copy of the generator, {how} {time.perf_counter() - began:.0f} s."

    # --- photos, and what one keeps

    def admit(self, note: str, side: str) -> None:
        """Search the code of the photo's face; then it is the "first" or "second" parent."""
        picture = photos.align(self.photo, eyes=self.eyes, size=self.generator.resolution)
        meanwhile = "Searching for this face in the space. That takes some seconds; the sliders go on."
        self.worker.start(lambda stop: self._search(picture, side, note), meanwhile)
        self.picking = False

    def _search(self, picture: Tensor, side: str, note: str) -> str:
        began = time.perf_counter()
        found = tuning.pivots(self.generator, picture[None].to(self.device), self.encoder, progress=False)
        with self.lock:
            name = f"your photo {1 + sum(name.startswith('your photo') for name in self.people)}"
            self.people[name] = Person(picture, self._code(found.codes[0]))
            self._change({side: name})
        seconds = time.perf_counter() - began
        return f"{name.capitalize()} is the {side} parent now, found in {seconds:.0f} s. {note}".strip()

    def _keep(self, what: str) -> str:
        """Make the card (parents, child, siblings) or the film of the walk from parent to parent, a file to keep."""
        with self.lock, torch.no_grad():
            network, names = self.network(), self._names()
            a, b = (self.people[name].code for name in names)
            parents = [self._portrait(name) for name in names]
            family = [self.code(), *(self.code(seed) for seed in self._seeds)]
        codes = family if what == "card" else [lerp(a, b, k / (FRAMES - 1)) for k in range(FRAMES)]
        with torch.no_grad():  # one by one, without the lock: the sliders go on meanwhile
            drawn = [network.draw(code[None])[0].cpu() for code in codes]
        pictures = [_image(picture) for picture in (*parents, *drawn)]
        made = family_card(pictures, names) if what == "card" else film(pictures[2:])
        with self.lock:
            self.pictures["file"] = made
            self.file = "family_card.png" if what == "card" else "family_film.webp"
        return f"{self.file} is ready."

    def __repr__(self) -> str:  # the same on every machine: it is saved in the notebook, which tests compare
        return "A family: two parents, their child and its siblings"


def _image(picture: Tensor) -> Image.Image:
    return Image.fromarray(to_uint8(picture)[0])
