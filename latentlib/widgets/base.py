"""What all widgets share: the page asks, the kernel answers, errors reach the page, and a still picture stays.

The page sends numbered questions ({"number": …, "values": {…}} and bytes); the kernel does each once and answers with
what it now shows. The first answer travels with the widget itself, so that it is on the page while later cells run.

JupyterLab hands questions to a thread of their own (ipykernel 7), which may run while a cell does: so a widget has a
lock, draws without pyplot, and takes no number from torch's global random generator.
"""

import base64
import io
import threading
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import anywidget
import torch
import traitlets
from PIL import Image, ImageOps

from latentlib.plots.images import with_palette

LIMIT = 8 << 20  # bytes in one message: a Jupyter server drops those above 10 MiB, and says nothing


def page(*names: str) -> str:
    """The browser's half: base.js and the files named, as one module."""
    return "\n".join(Path(__file__).with_name(f"{name}.js").read_text(encoding="utf-8") for name in ("base", *names))


class CourseWidget(anywidget.AnyWidget):
    """One of the course's widgets. A subclass says what it does with a question and what it shows:

    take(values, buffers): do what the page asks; what it raises becomes a sentence on the page
    present() -> (content for the page, pictures by name): "line" and "kind" ("failed", "busy") are the line below
    still() -> PNG bytes, the picture that stays in a saved notebook
    saved: False keeps all pictures out of what a notebook saves
    Raises ValueError when the first pictures do not fit into one message.
    """

    _css = Path(__file__).with_name("base.css").read_text(encoding="utf-8")
    _ipython_display_ = None  # that of ipywidgets 7 would leave out the still picture
    saved = True
    start = traitlets.Dict().tag(sync=True)  # what does not change, and the first answer

    def __init__(self, **fixed: Any):
        self._done: deque[str] = deque(maxlen=200)  # numbers of questions
        content, pictures = self.present()
        self._sent = dict(pictures)
        _check_size([*pictures.values(), *fixed.get("frames", [])])
        # A cell that is run again makes the same widget again, which takes up moves that the kernel has not answered.
        key = f"{self!r} {zlib.crc32(b''.join(pictures.values()))}"
        super().__init__(start={**fixed, "key": key, "first": content, "pictures": pictures if self.saved else {}})
        self.on_msg(self._heard)

    @cached_property
    def lock(self) -> threading.RLock:
        """Held by whoever changes what is shown: a question, a cell, or a thread of the widget's own."""
        return threading.RLock()

    def take(self, values: dict[str, Any], buffers: Sequence[Any]) -> None:
        pass

    def present(self) -> tuple[dict[str, Any], dict[str, bytes]]:
        return {}, {}

    def tell(self, number: str | None = None, error: Exception | None = None, whole: bool = False) -> None:
        """Send the page what is shown now, as the answer to a question or on its own; whole: all pictures again."""
        with self.lock:
            content, pictures = self.present()
            new = {name: png for name, png in pictures.items() if whole or self._sent.get(name) != png}
            if error is None:
                _check_size(new.values())
                self._sent = dict(pictures)
            else:
                content, new = {**content, "line": explained(error), "kind": "failed"}, {}
            self.send({**content, "number": number, "places": list(new)}, list(new.values()))

    def _heard(self, _: Any, question: dict[str, Any], buffers: Sequence[Any]) -> None:
        number, values = question.get("number"), dict(question.get("values", {}))
        whole = values.pop("whole", False) or question.get("again", False)
        try:
            with self.lock, torch.no_grad():
                if number not in self._done:
                    self._done.append(number)
                    if values:
                        self.take(values, buffers)
                self.tell(number, whole=whole)
        except Exception as error:  # a callback's errors show nowhere else
            self.tell(number, error)

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        view = {"version_major": 2, "version_minor": 0, "model_id": self.model_id}
        data = {"text/plain": repr(self), "application/vnd.jupyter.widget-view+json": view}
        if self.saved:
            png = with_palette(Image.open(io.BytesIO(self.still())))
            data["image/png"] = base64.b64encode(png).decode("ascii")
        return data


class Worker:
    """A thread for what takes long: one job after the other, and what is said of the one that was started last.

    lock: of the widget; changed: called under it when a job is done
    line, kind: the sentence for the page, and "busy", "failed" or ""
    """

    def __init__(self, lock: threading.RLock, changed: Callable[[], None]):
        self.lock, self.changed = lock, changed
        self.line = self.kind = ""
        self._turn, self._stop = threading.Lock(), threading.Event()

    def say(self, line: str, kind: str = "") -> None:
        """Say this, and nothing of the jobs before, which are asked to stop."""
        self.stop()
        self._stop = threading.Event()
        self.line, self.kind = line, kind

    def start(self, job: Callable[[Callable[[], bool]], str], meanwhile: str) -> None:
        """job(stop) gives the line that is said when it is done; it may end as soon as stop() is true."""
        self.say(meanwhile, "busy")
        stop = self._stop

        def work() -> None:
            with self._turn:
                try:
                    done = (job(stop.is_set), "")
                except Exception as error:  # in a thread nobody else would see it
                    done = (explained(error), "failed")
            with self.lock:
                if stop is self._stop:
                    self.line, self.kind = done
                self.changed()

        threading.Thread(target=work).start()

    def stop(self) -> None:
        self._stop.set()


def explained(error: Exception) -> str:
    """An error as one sentence for the page; the course's own kinds of error are sentences already."""
    said = next(iter(str(error).strip().splitlines()), "").rstrip(".")
    if type(error).__module__.startswith("latentlib"):
        return f"{said[:1].upper()}{said[1:]}."
    return f"That did not work. {type(error).__name__}: {said}."


def jpeg_of(image: Image.Image, side: int) -> bytes:
    """A picture for the page, its longer side so many pixels."""
    buffer = io.BytesIO()
    ImageOps.contain(image, (side, side), Image.Resampling.LANCZOS).save(buffer, "jpeg", quality=92, subsampling=0)
    return buffer.getvalue()


def _check_size(pictures: Iterable[bytes]) -> None:
    size = sum(map(len, pictures))
    if size > LIMIT:
        raise ValueError(
            f"pictures of {size / 1e6:.0f} MB do not fit into a message of {LIMIT / 1e6:.0f}; draw smaller ones"
        )
