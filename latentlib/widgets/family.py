"""A family: two parents chosen or uploaded, sliders, their child, and its siblings to breed on with.

The child is drawn at once by the generator as it is. Meanwhile a copy of it may be tuned on both photos; when the copy
is ready it draws on, and is kept for the time when these two are chosen again. Uploaded photos are never part of what a
notebook saves.
"""

from __future__ import annotations

import copy
import io
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from latentlib import photos
from latentlib.gan import blending, tuning
from latentlib.plots.images import png_of, to_uint8
from latentlib.widgets.base import CourseWidget, encoded, page, sentence
from latentlib.widgets.card import family_card, family_sheet, film
from latentlib.widgets.eye_picker import MOST_BYTES, Arrival, checked_eyes, jpeg_of
from latentlib.widgets.tuning_jobs import Couple, TuningJobs

SIDES = ("first", "second")
ROW = 6  # siblings shown at once
SIBLINGS = 12  # on the slider
FRAMES = 24  # of a film, one way
SIZES = {"child": 320, "parent": 224, "sibling": 128}  # pixels
CONSENT = (
    "My own photos: I agree that they go to the kernel that runs this notebook, on Colab or Binder their server, and "
    "nowhere else. I use only photos of people who said yes."
)


class Person(NamedTuple):
    picture: Tensor | None  # (3, r, r) in [0, 1]; None: drawn from the code
    code: Tensor  # (num_ws, w_dim)
    root: Couple | None = None  # of a sibling that was bred on with: the couple whose tuned copy draws it
    own: bool = False  # is it an uploaded photo, or bred from one?


class FamilyView(CourseWidget):
    """Two parents, their child, and what can be done with their codes.

    generator, encoder: draw the child, and begin the search for an uploaded face; the view works with copies of its
        own, so that a cell may go on with the originals
    people: name -> (picture (3, h, w) in [0, 1], code (num_ws, w_dim) or (w_dim,)), at least one
    tune: codes (2, num_ws, w_dim), pictures (2, 3, r, r), stop= -> a generator that draws these two from their codes,
        or something that has one, such as ``functools.partial(tuning.tune, generator, progress=False)``; it works in a
        thread and ends soon after stop() is true. None: the generator draws every child as it is
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
        if not people:
            raise ValueError("people is empty; give at least one: {name: (picture, code)}")
        self.generator, self.encoder = copy.deepcopy(generator), copy.deepcopy(encoder)
        self.device = next(generator.parameters()).device
        self.people = {
            name: Person(picture.detach().cpu(), self._code(code)) for name, (picture, code) in people.items()
        }
        names = list(people)
        self.controls = {"first": names[0], "second": names[min(1, len(names) - 1)]}
        self.controls |= {"share": 0.5, "crossover": 0, "sibling": 0, "drawn": False}
        self.pictures: dict[str, bytes] = {}
        self.line, self.kind = "", ""
        self.file = ""  # the name of what is to be kept
        self.jobs = TuningJobs(tune, copies, self.lock, self._copy_came)
        self._before: list[tuple[dict[str, Any], str]] = []  # couples before the last ones that were bred
        self._leaving = "first"  # the parent whose place a sibling takes
        self._seeds = range(1, ROW + 1)  # of the siblings shown
        self._stale = True  # must the siblings be drawn again?
        self._of: dict[str, Any] = {}  # what each parent's picture was drawn of
        self._arriving = Arrival()
        self._photo: tuple[str, np.ndarray] | None = None  # in which the eyes are to be clicked
        self._worker, self._working = ThreadPoolExecutor(1), None
        self._redraw()  # errors of the first drawing are raised, later ones are said
        self._draw_siblings()
        self._want_copy()
        super().__init__(
            layers=generator.num_ws, siblings=SIBLINGS, row=ROW, consent=CONSENT, most=MOST_BYTES, sides=list(SIDES)
        )

    # --- the child

    def code(self, sibling: int | None = None) -> Tensor:
        """The child's code (num_ws, w_dim), as the sliders say; or with another sibling (0: off)."""
        a, b = (self.people[self.controls[side]].code for side in SIDES)
        share, crossover = self.controls["share"], self.controls["crossover"]
        sibling = self.controls["sibling"] if sibling is None else sibling
        return blending.blend(a, b, share=share, crossover=crossover or None, sibling=sibling or None)

    def network(self) -> torch.nn.Module:
        """Who draws now: the copy tuned on these two, or on those from whom they were bred, else the generator."""
        return self.jobs.kept.get(self._root(), self.generator)

    def _root(self) -> Couple:
        """These two; or those from whom one of them was bred, where only these have a copy."""
        names = [self.controls[side] for side in SIDES]
        couples = [frozenset(names), *(self.people[name].root for name in names)]
        return next((couple for couple in couples if couple in self.jobs.kept), couples[0])

    def _change(self, values: dict[str, Any]) -> None:
        before, self.controls = self.controls, {**self.controls, **values}
        try:
            self._redraw()
        except BaseException:
            self.controls = before
            raise
        if self.kind == "failed":
            self.line = self.kind = ""
        if any(before[side] != self.controls[side] for side in SIDES):
            self._want_copy()

    def _redraw(self) -> None:
        network = self.network()
        with torch.no_grad():
            for side in SIDES:
                person, drawn = self.people[self.controls[side]], self.controls["drawn"]
                drawn = drawn or person.picture is None
                of = (self.controls[side], drawn and id(network))
                if self._of.get(side) != of:
                    self.pictures[side] = encoded(self._portrait(side), SIZES["parent"])
                    self._of[side] = of
            self.pictures["child"] = encoded(network.draw(self.code()[None])[0], SIZES["child"])
        self._stale = True

    def _portrait(self, side: str) -> Tensor:
        """A parent's picture (3, r, r): the photo, or as it is drawn from the code."""
        person = self.people[self.controls[side]]
        if person.picture is not None and not self.controls["drawn"]:
            return person.picture
        return self.network().draw(person.code[None])[0].cpu()

    def _draw_siblings(self) -> None:
        with torch.no_grad():
            drawn = self.network().draw(torch.stack([self.code(seed) for seed in self._seeds]))
        for place, picture in enumerate(drawn):
            self.pictures[f"sibling {place}"] = encoded(picture, SIZES["sibling"])
        self._stale = False

    # --- breeding

    def breed(self, place: int) -> None:
        """Make a sibling of the row (from 0) a parent, in the place of the first and the second one by turns."""
        names = [self.controls[side] for side in SIDES]
        child = f"child {1 + sum(person.root is not None for person in self.people.values())}"
        own = any(self.people[name].own for name in names)
        self.people[child] = Person(None, self.code(self._seeds[place]), self._root(), own)
        before = (dict(self.controls), self._leaving)
        self._change({self._leaving: child, "sibling": 0})
        self._before.append(before)
        self.line = f"{child.capitalize()}, sibling {self._seeds[place]} of {' and '.join(names)}, is a parent now."
        self._leaving = SIDES[1 - SIDES.index(self._leaving)]

    def back(self) -> None:
        """The couple before the last sibling that was bred on with."""
        if self._before:
            controls, self._leaving = self._before.pop()
            self._change(controls)
            self.line = ""

    # --- what the page asks

    def take(self, values: dict[str, Any], buffers: Sequence[Any]) -> None:
        self._arriving.forget_abandoned()
        moves = {name: values.pop(name) for name in list(values) if name in self.controls}
        if moves:
            self._change(moves)
        for action, value in values.items():
            if action == "siblings":
                self._draw_siblings()
            elif action == "breed":
                self.breed(value)
            elif action == "others":
                self._seeds = range(1 + self._seeds[-1] % SIBLINGS, 1 + self._seeds[-1] % SIBLINGS + ROW)
                self._draw_siblings()
            elif action == "piece":
                whole = self._arriving.add(buffers[0], **value)
                if whole is not None:
                    self.upload(value["side"], whole)
            elif action == "eyes" and value and self._photo is not None:
                side, photo = self._photo
                eyes = checked_eyes(photo, value)
                self._start(lambda: self._admit(side, photo, eyes), "Cutting out the face …")  # noqa: B023
            elif action == "leave":
                self._photo = None
            elif action == "keep":
                self._start(lambda: self._keep(value), f"Making the {value} …")  # noqa: B023
            elif action == "back":
                self.back()
            elif action == "stop":
                self.jobs.stop()

    def present(self) -> tuple[dict[str, Any], dict[str, bytes]]:
        share = round(100 * self.controls["share"])
        first, second = (self.controls[side] for side in SIDES)
        said = f"{100 - share}\N{NO-BREAK SPACE}% {first}, {share}\N{NO-BREAK SPACE}% {second}"
        if self.controls["crossover"]:
            said += f"; crossover after layer {self.controls['crossover']} of {self.generator.num_ws}"
        said += f"; sibling {self.controls['sibling']}" if self.controls["sibling"] else ""
        content = {"controls": self.controls, "names": list(self.people), "said": said}
        content |= {"seeds": list(self._seeds), "stale": self._stale, "leaving": self._leaving}
        content |= {"can_go_back": bool(self._before), "picking": self._photo is not None, "file": self.file}
        content |= {"line": self.line, "kind": self.kind, "tuning": self.jobs.said, "learning": self.jobs.busy}
        return content, self.pictures

    def still(self) -> bytes:
        """Parents, child and siblings as they are shown; people of the course where a photo was uploaded."""
        with self.lock:
            names = [self.controls[side] for side in SIDES]
            if any(self.people[name].own for name in names):
                names = [name for name, who in self.people.items() if not who.own and who.picture is not None]
                names = [names[0], names[min(1, len(names) - 1)]]
                (one, a, *_), (other, b, *_) = (self.people[name] for name in names)
                with torch.no_grad():
                    child = self.generator.draw(blending.average(a, b)[None])[0].cpu()
                return png_of(family_sheet(images_of([one, other, child]), names))
            siblings = [] if self._stale else [f"sibling {place}" for place in range(ROW)]
            shown = [Image.open(io.BytesIO(self.pictures[place])) for place in (*SIDES, "child", *siblings)]
            return png_of(family_sheet(shown, names))

    # --- the copy that is tuned on both photos

    def _want_copy(self) -> None:
        people = [self.people[self.controls[side]] for side in SIDES]
        if all(person.picture is not None for person in people):
            pictures = torch.stack([person.picture.to(self.device) for person in people])
            codes = torch.stack([person.code for person in people])
            self.jobs.want(frozenset(self.controls[side] for side in SIDES), self.generator, codes, pictures)

    def _copy_came(self) -> None:
        self._redraw()
        self.tell()

    # --- photos

    def upload(self, side: str, content: bytes) -> None:
        """Take the bytes of a photo's file as the "first" or "second" parent: returns at once, wait() waits.

        What goes wrong is said below the pictures, which then stay as they are.
        """
        self._start(lambda: self._look(side, content), "Looking for the face …")

    def wait(self) -> None:
        """Wait until no photo is worked on, no film is made and no copy is tuned."""
        while self._at_work():
            time.sleep(0.02)

    def _at_work(self) -> bool:
        with self.lock:  # held until what a thread has done is said
            return self.jobs.busy or bool(self._working and not self._working.done())

    def close(self) -> None:
        """Let threads, copies and photos go, and the widget with them."""
        if hasattr(self, "jobs"):  # else it was never whole
            self.jobs.close()
            self._worker.shutdown(wait=False, cancel_futures=True)
            self._photo = None
        super().close()

    def _start(self, job: Callable[[], str], sentence_meanwhile: str) -> None:
        """Do a job in the worker's thread; it gives the sentence that is said when it is done."""

        def work() -> None:
            try:
                done = (job(), "")
            except Exception as error:  # in a thread nobody else would see it
                done = (sentence(error), "failed")
            self._say(*done)

        self._photo = None
        self._say(sentence_meanwhile, "busy")
        self._working: Future = self._worker.submit(work)

    def _say(self, line: str, kind: str = "") -> None:
        with self.lock:
            self.line, self.kind = line, kind
            self.tell()

    def _look(self, side: str, content: bytes) -> str:
        photo = photos.read(content)
        try:
            face, note = photos.find_landmarks(photo)
        except photos.NoFaceError:
            self._photo = (side, photo)
            self.pictures["photo"] = jpeg_of(photo)
            return "No face was found in this photo. Click the two eyes in it below, or choose another photo."
        return self._admit(side, photo, face.points, note)

    def _admit(self, side: str, photo: np.ndarray, eyes: Any, note: str = "") -> str:
        picture = photos.align(photo, eyes=eyes, size=self.generator.resolution)
        self._say("Searching for this face in the space. That takes some seconds; the sliders go on.", "busy")
        began = time.perf_counter()
        found = tuning.pivots(self.generator, picture[None].to(self.device), self.encoder, progress=False)
        with self.lock:
            name = f"your photo {1 + sum(name.startswith('your photo') for name in self.people)}"
            self.people[name] = Person(picture, self._code(found.codes[0]), own=True)
            self._change({side: name})
        seconds = time.perf_counter() - began
        return f"{name.capitalize()} is the {side} parent now, found in {seconds:.0f} s. {note}".strip()

    def _code(self, code: Tensor) -> Tensor:
        code = code.detach().to(self.device)
        return blending.per_layer(code, self.generator.num_ws) if code.dim() == 1 else code

    # --- what one keeps

    def _keep(self, what: str) -> str:
        """Make the card (parents, child, siblings) or the film of the walk from parent to parent, a file to keep."""
        with self.lock, torch.no_grad():
            network, names = self.network(), [self.controls[side] for side in SIDES]
            a, b = (self.people[name].code for name in names)
            parents = [self._portrait(side) for side in SIDES]
            family = [self.code(), *(self.code(seed) for seed in self._seeds)]
        codes = family if what == "card" else [blending.average(a, b, k / (FRAMES - 1)) for k in range(FRAMES)]
        with torch.no_grad():  # one by one, without the lock: the sliders go on meanwhile
            drawn = [network.draw(code[None])[0].cpu() for code in codes]
        made = family_card(images_of([*parents, *drawn]), names) if what == "card" else film(images_of(drawn))
        with self.lock:
            self.pictures["file"] = made
            self.file = "family_card.png" if what == "card" else "family_film.webp"
        return f"{self.file} is ready."

    def __repr__(self) -> str:  # the same on every machine: it is saved in the notebook, which tests compare
        return "A family: two parents, their child and its siblings"


def images_of(pictures: Sequence[Tensor]) -> list[Image.Image]:
    """Pictures (3, h, w) in [0, 1] as Pillow's."""
    return [Image.fromarray(to_uint8(picture)[0]) for picture in pictures]
