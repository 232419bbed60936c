"""The family widget: two parents chosen or uploaded, sliders for mix, crossover and sibling, their child at once.

The child is drawn at once by the generator as it is. Meanwhile a copy of it may be tuned on both photos; when the copy
is ready it draws on, and is kept for the time when these two are chosen again.

Photos and pictures travel between kernel and browser as messages and are never a widget's saved state, so that no
notebook keeps them. A saved notebook shows a line of text; set a static picture beside the widget.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import anywidget
import ipywidgets
import numpy as np
import torch
import traitlets
from torch import Tensor

from latentlib.gan import blending
from latentlib.photos import MOST_BYTES, NoFaceError, PhotoError, align, find_landmarks, read
from latentlib.plots.images import to_png
from latentlib.widgets.copies import Copies, Tune
from latentlib.widgets.eye_picker import EyePicker
from latentlib.widgets.family_card import family_card, save_card
from latentlib.widgets.uploads import Uploads
from latentlib.widgets.words import error_line

SIBLINGS = 12  # on the slider
CONSENT = (
    "I agree: the photo goes to the kernel that runs this notebook and nowhere else; on Colab or Binder that is their "
    "server. Nothing is written until I press Save. I choose only photos of people who said yes."
)
SIDES = ("first", "second")


class Panel(anywidget.AnyWidget):
    """The browser's half of FamilyView. Its state holds words and sliders, no pictures."""

    _esm = Path(__file__).with_name("family.js").read_text(encoding="utf-8")
    _css = Path(__file__).with_name("family.css").read_text(encoding="utf-8")

    names = traitlets.List(traitlets.Unicode()).tag(sync=True)
    controls = traitlets.Dict().tag(sync=True)
    layers = traitlets.Int().tag(sync=True)
    siblings = traitlets.Int(SIBLINGS).tag(sync=True)
    consent_text = traitlets.Unicode(CONSENT).tag(sync=True)
    consent = traitlets.Bool(False).tag(sync=True)
    most_bytes = traitlets.Int(MOST_BYTES).tag(sync=True)
    path = traitlets.Unicode().tag(sync=True)
    status = traitlets.Unicode().tag(sync=True)
    failed = traitlets.Bool(False).tag(sync=True)
    busy = traitlets.Bool(False).tag(sync=True)
    tuning = traitlets.Unicode().tag(sync=True)  # what the copy is at: a sentence, or nothing
    learning = traitlets.Bool(False).tag(sync=True)  # is a copy being tuned, so that it can be stopped?
    told = traitlets.Int(0).tag(sync=True)  # grows with every sentence, also when it is the same again


class FamilyView(ipywidgets.VBox):
    """Two parents, their child, and what can be done with their codes.

    generator: draws the child; encoder: where the search for an uploaded face starts, weights.load("faces-64-encoder")
    people: name -> (picture (3, h, w) in [0, 1], code (num_ws, w_dim) or (w_dim,)), at least one
    search: an aligned picture (3, r, r) in [0, 1] -> its code (num_ws, w_dim); None takes inversion.invert,
        hybrid with an encoder and else in w+
    tune: codes (2, num_ws, w_dim), pictures (2, 3, r, r), stop -> a generator that draws these two from their codes; it
        works in a thread and returns soon after stop() is true. None: the generator draws every child as it is
    copies: what was tuned already: two names -> a generator
    card: the file that Save writes, beside the notebook; a file that is there is never overwritten

    controls: what is chosen: first, second (names), share (of the second parent, 0 to 1), crossover (layers from the
        first parent, 0: off), sibling (seed, 0: off), drawn (the parents as the generator draws them); set() changes it
    child, pictures: the PNG bytes shown; people: also holds the uploaded ones; picker: the EyePicker, when one is open
    close() lets threads, copies and uploads go.
    """

    def __init__(
        self,
        generator: torch.nn.Module,
        people: Mapping[str, tuple[Tensor, Tensor]],
        encoder: torch.nn.Module | None = None,
        *,
        search: Callable[[Tensor], Tensor] | None = None,
        tune: Tune | None = None,
        copies: Mapping[tuple[str, str], torch.nn.Module] | None = None,
        card: str | Path = "family_card.png",
    ):
        if not people:
            raise ValueError("people is empty; give at least one: {name: (picture, code)}")
        self.generator, self.encoder, self.card = generator, encoder, Path(card)
        self.search = search or self._invert
        self.device = generator.w_mean.device
        self.people = {name: (picture.detach().cpu(), self._code(code)) for name, (picture, code) in people.items()}
        names = list(self.people)
        self.controls: dict[str, Any] = {
            "first": names[0],
            "second": names[min(1, len(names) - 1)],
            "share": 0.5,
            "crossover": 0,
            "sibling": 0,
            "drawn": False,
        }
        self.pictures: dict[str, bytes] = {}
        self.picker: EyePicker | None = None
        self._alts: dict[str, str] = {}
        self._arriving = Uploads()
        self._answered: deque[int] = deque(maxlen=50)  # numbers of the browser's questions
        self._complained = False  # does the line below the pictures say that a move failed?
        self._lock = threading.RLock()
        self._worker = ThreadPoolExecutor(1)  # one photo after the other, while the sliders go on
        self._working: Future | None = None
        self.copies = Copies(generator, tune, copies, self._say_tuning, self._redraw, self._lock)
        self._uploads = 0
        self.panel = Panel(names=names, controls=self.controls, layers=generator.num_ws, path=Path(card).name)
        self.panel.on_msg(self._heard)
        self._redraw()  # errors of the first drawing are raised, later ones are said
        super().__init__([self.panel])
        self._want_copy()

    # --- the child

    @property
    def child(self) -> bytes:
        """The child's PNG."""
        return self.pictures["child"]

    def set(self, **values: Any) -> None:
        """Move sliders and choices from Python: set(share=0.3, crossover=4); names as in controls.

        Raises ValueError for a control or a person that is not there, or a value beyond its slider.
        """
        self._change(values, 0)

    def code(self, sibling: int | None = None) -> Tensor:
        """The child's code (num_ws, w_dim), as the sliders say; or with another sibling (0: off)."""
        chosen = self.controls
        (_, a), (_, b) = (self.people[chosen[side]] for side in SIDES)
        sibling = chosen["sibling"] if sibling is None else sibling
        return blending.blend(
            a, b, share=chosen["share"], crossover=chosen["crossover"] or None, sibling=sibling or None
        )

    def _change(self, values: dict[str, Any], number: int) -> None:
        with self._lock:
            before = self.controls
            self.controls = {**before, **self._checked(values)}
            try:
                self._redraw(number)
            except BaseException:
                self.controls = before
                raise
            self.panel.controls = self.controls
            if any(before[side] != self.controls[side] for side in SIDES):
                self._want_copy()
            if self._complained:
                self._say("")

    def _checked(self, values: dict[str, Any]) -> dict[str, Any]:
        highest = {"share": 1, "crossover": self.generator.num_ws - 1, "sibling": SIBLINGS, "drawn": 1}
        for name, value in values.items():
            if name in SIDES:
                if value not in self.people:
                    raise ValueError(f"there is no {value!r} among the people; there are: {', '.join(self.people)}")
            elif name not in highest:
                raise ValueError(f"there is no control {name!r}; there are: {', '.join(self.controls)}")
            elif not 0 <= value <= highest[name]:
                raise ValueError(f"{name} must be from 0 to {highest[name]}, got {value}")
        return values

    def _redraw(self, number: int = 0) -> None:
        """Draw what has changed and send it; number: that of the browser's question, which this answers."""
        with self._lock, torch.no_grad():
            changed = {}
            network = self.network()
            who = "the generator draws" if network is self.generator else "the tuned copy draws"
            for side in SIDES:
                name = self.controls[side]
                picture, code = self.people[name]
                alt = f"{side} parent: {name}" + (f", as {who} this face" if self.controls["drawn"] else "")
                if self._alts.get(side) != alt:
                    changed[side] = to_png(network.draw(code[None]) if self.controls["drawn"] else picture, 1)
                    self._alts[side] = alt
            changed["child"] = to_png(network.draw(self.code()[None]), scale=1)
            self._alts["child"] = f"Child: {self._recipe()}"
            self.pictures.update(changed)
            self._show(list(changed), number)

    def _show(self, places: list[str], number: int = 0) -> None:
        content = {"kind": "pictures", "places": places, "number": number, "said": self._recipe()}
        content["alts"] = [self._alts[place] for place in places]
        self.panel.send(content, [self.pictures[place] for place in places])

    def _recipe(self) -> str:
        chosen, layers = self.controls, self.generator.num_ws
        share = round(100 * chosen["share"])
        said = f"{100 - share}\N{NO-BREAK SPACE}% {chosen['first']}, {share}\N{NO-BREAK SPACE}% {chosen['second']}"
        if chosen["crossover"]:
            said += f"; crossover after layer {chosen['crossover']} of {layers}"
        return said + (f"; sibling {chosen['sibling']}" if chosen["sibling"] else "")

    # --- the copy that is tuned on both photos

    def network(self) -> torch.nn.Module:
        """Who draws now: the copy tuned on these two parents when there is one, else the generator."""
        return self.copies.of(*(self.controls[side] for side in SIDES))

    def stop(self) -> None:
        """End the tuning; its best copy so far is used."""
        self.copies.stop()

    def _want_copy(self) -> None:
        names = [self.controls[side] for side in SIDES]
        pictures, codes = (torch.stack([self.people[name][k].to(self.device) for name in names]) for k in (0, 1))
        self.copies.want(*names, codes, pictures)

    def _say_tuning(self, sentence: str, learning: bool) -> None:
        with self.panel.hold_sync():
            self.panel.tuning, self.panel.learning = sentence, learning

    def close(self) -> None:
        """Let threads, copies, uploads and the picker go, and the widget with them."""
        if hasattr(self, "panel"):  # else it was never whole
            self.copies.close()
            self._arriving.forget_all()
            self._worker.shutdown(wait=False, cancel_futures=True)
            self._close_picker()
            self.panel.close()
        super().close()

    # --- what the browser says

    def _heard(self, _: Any, content: dict, buffers: list) -> None:
        kind = content.get("kind")
        try:
            self._arriving.forget_abandoned()
            if kind == "show":
                self._show(list(self.pictures))
            elif kind == "change":
                self._answer(content["values"], content["number"])
            elif kind == "photo":
                self._take(self._arriving.begin(content["key"], content["parent"], content["size"]))
            elif kind == "piece":
                self._take(self._arriving.take(content["key"], buffers[0]))
            elif kind == "save":
                self.save()
            elif kind == "stop":
                self.stop()
        except PhotoError as error:
            self._say(str(error), failed=True)
        except Exception as error:  # an error in a callback shows nowhere else
            self._say(f"That did not work. {error_line(error)}", failed=True)
            self._complained = kind == "change"

    def _answer(self, values: dict[str, Any], number: int) -> None:
        """Every question is answered once, also when it cannot be done; a page whose patience ended asks it again."""
        if number in self._answered:
            return
        self._answered.append(number)
        try:
            self._change(values, number)
        except Exception:
            self.panel.send({"kind": "failed", "number": number})
            raise

    def _take(self, whole: tuple[str, bytes] | None) -> None:
        if whole is not None:
            self.upload(*whole)

    # --- photos

    def upload(self, side: str, content: bytes) -> None:
        """Take a photo as the "first" or "second" parent, as the buttons do: returns at once, wait() waits.

        content: the bytes of the file. What goes wrong is said below the pictures, which then stay as they are.
        """
        if side not in SIDES:
            raise ValueError(f'side must be "first" or "second", got {side!r}')
        if not self.panel.consent:
            self._say("No photo was taken: tick the box first, if you agree.", failed=True)
            return
        self._start(lambda: self._look(side, content), "Looking for the face …")

    def wait(self) -> None:
        """Wait until no photo is worked on and no copy is tuned."""
        if self._working is not None:
            self._working.result()
        self.copies.wait()

    def _start(self, job: Callable[[], None], sentence: str) -> None:
        def work() -> None:
            try:
                job()
            except PhotoError as error:
                self._say(str(error), failed=True)
            except Exception as error:  # in a thread nobody else would see it
                self._say(f"The photo could not be used. {error_line(error)}", failed=True)

        self._close_picker()
        self._say(sentence, busy=True)
        self._working = self._worker.submit(work)

    def _look(self, side: str, content: bytes) -> None:
        photo = read(content)
        try:
            face, note = find_landmarks(photo)
        except NoFaceError as error:
            what = str(error).split(";")[0]
            self._open_picker(side, photo)
            self._say(
                f"{what[:1].upper()}{what[1:]}. Click the two eyes in it below, or choose another photo.", failed=True
            )
        else:
            self._admit(side, photo, face.points, note)

    def _admit(self, side: str, photo: np.ndarray, eyes: Any, note: str = "") -> None:
        picture = align(photo, eyes=eyes, size=self.generator.resolution)
        self._say("Searching for this face in the space; that takes some seconds. The sliders go on.", busy=True)
        start = time.perf_counter()
        code = self._code(self.search(picture))
        seconds = time.perf_counter() - start
        with self._lock:
            self._uploads += 1
            name = f"Your photo {self._uploads}"
            self.people[name] = (picture, code)
            self.panel.names = list(self.people)
            self._change({side: name}, 0)
        self._say(f"{name} is the {side} parent now, found in {seconds:.1f} s. {note}".strip())

    def _invert(self, picture: Tensor) -> Tensor:
        from latentlib.gan import inversion

        method = "w+" if self.encoder is None else "hybrid"
        # Kept among usual codes: of codes far from them a blend is no face.
        found = inversion.invert(
            self.generator, picture[None], method, encoder=self.encoder,
            p_norm_weight=inversion.P_NORM_WEIGHT, progress=False,
        )  # fmt: skip
        return found.codes[0]

    def _code(self, code: Tensor) -> Tensor:
        code = code.detach().to(self.device)
        return blending.per_layer(code, self.generator.num_ws) if code.dim() == 1 else code

    def _open_picker(self, side: str, photo: np.ndarray) -> None:
        def done(eyes: Any) -> None:
            self.panel.send({"kind": "picked", "place": side})
            self._start(lambda: self._admit(side, photo, eyes), "Cutting out the face …")

        def leave() -> None:
            self.panel.send({"kind": "picked", "place": side})
            self._close_picker()
            self._say("The photo was left out.")

        self._close_picker()
        self.picker = EyePicker(photo, done, leave, takes_focus=True)
        self.children = (self.panel, self.picker)

    def _close_picker(self) -> None:
        if self.picker is not None:
            self.children = (self.panel,)
            self.picker.close()
            self.picker = None

    # --- the card

    def save(self) -> Path | None:
        """Write the family card and offer it to the browser; the file's path, or None when it could not be written.

        The four children are the one shown and three siblings of it.
        """
        shown = self.controls["sibling"]
        seeds = [shown, *(seed for seed in range(1, 5) if seed != shown)][:4]
        with self._lock, torch.no_grad():
            children = self.network().draw(torch.stack([self.code(seed) for seed in seeds])).cpu()
            names = [self.controls[side] for side in SIDES]
            parents = torch.stack([self.people[name][0] for name in names])
        png = family_card(parents, children, names)
        try:
            path = save_card(png, self.card)
        except OSError as error:
            self.panel.send({"kind": "card", "name": self.card.name}, [png])
            why = error.strerror or str(error)
            self._say(f"The card could not be written to {self.card.name} ({why}); download it instead.", failed=True)
            return None
        self.panel.send({"kind": "card", "name": path.name}, [png])
        self._say(f"The card was saved as {path.name}.")
        return path

    def _say(self, sentence: str, failed: bool = False, busy: bool = False) -> None:
        self._complained = False
        with self.panel.hold_sync():
            self.panel.status, self.panel.failed, self.panel.busy = sentence, failed, busy
            self.panel.told += 1

    def __repr__(self) -> str:  # the same on every machine: it is saved in the notebook, which tests compare
        return "A family: two parents, sliders for mix, crossover and sibling, and the child"
