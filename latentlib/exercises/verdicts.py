"""The verdict board: the sentences of the article that the course grew from, and what became of each.

A verdict is a line of this file, and the notebook named in it measures it: ``settle`` raises when the measurement no
longer bears the verdict out. Numbers stand in the notebooks, not here.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from latentlib.claims import ClaimError, say
from latentlib.exercises import record
from latentlib.exercises.card import Table, show
from latentlib.exercises.guesses import guess, reveal, spoken

VERDICTS = ("true", "half true", "false")


class Sentence(NamedTuple):
    """What is said about latent spaces, in our words; the verdict; and why, in one sentence without numbers."""

    lesson: str
    text: str
    verdict: str
    measured: str


SENTENCES = {
    "identified": Sentence(
        "01",
        "Squeezed to 3 numbers, every picture is identified by them.",
        "half true",
        "Nearly every picture has 3 numbers of its own, but so it has with 3 random mixtures of its pixels; few can be "
        "drawn again from them.",
    ),
    "structure": Sentence(
        "01",
        "A network trained to classify learns structural similarity on the way.",
        "false",
        "Pictures of the digits it was taught come together; for digits it was never taught it does no better than "
        "the pixels.",
    ),
    "closer": Sentence(
        "02",
        "Pictures that are alike lie closer together in latent space.",
        "half true",
        "Two chairs beat a table painted like one of them more often in the codes than in pixels; against any "
        "table pixels do nearly as well.",
    ),
    "colour": Sentence(
        "02",
        "Irrelevant information, such as the colour of a chair, is ignored in latent space.",
        "false",
        "Only when the task does not need it or the code has no room for it; a roomy autoencoder keeps colour.",
    ),
    "smaller": Sentence(
        "02",
        "Making the code smaller moves alike pictures closer together.",
        "half true",
        "For what the code keeps, and only down to a size; random directions shrink as much, to no such end.",
    ),
    "identity": Sentence(
        "03",
        "An autoencoder is an identity function that must pass everything through a small code.",
        "true",
        "It is trained to give back what it got, and the code is all that passes; what does not fit is lost.",
    ),
    "halfway": Sentence(
        "04",
        "Halfway between the codes of a chair and a table the decoder draws a chair-table.",
        "half true",
        "Halfway between two chairs lies a chair between them; from chair to table the picture is nearer to real "
        "furniture than a cross-fade, and is no piece that exists.",
    ),
    "steer": Sentence(
        "05",
        "How a generator works inside stays hidden, but from outside one can steer it.",
        "half true",
        "One can steer it along directions that nobody labelled, and see inside which layer decides what; but a "
        "direction carries things along that nobody asked for.",
    ),
    "any-face": Sentence(
        "06",
        "By searching, one finds the code of any face.",
        "false",
        "A face that the generator drew is found again; a photo is drawn roughly, and a search free enough to draw it "
        "well draws it upside down about as well.",
    ),
    "child": Sentence(
        "07",
        "The point between the codes of two parents is the face of their child.",
        "false",
        "It is a blend that a generator draws; the marks of kinship it bears are borne by a plain cross-fade too.",
    ),
}


def believe(name: str, answer: Any = ...) -> None:
    """Ask what the learner believes of a sentence, before it is measured: "true", "half true" or "false"."""
    sentence = SENTENCES[name]
    say(f"“{sentence.text}”")
    guess(f"{sentence.lesson}-{name}", sentence.text, answer, choices=VERDICTS)


def settle(name: str, passed: bool) -> None:
    """Print the verdict on a sentence and why; raises ClaimError when the measurement does not bear it out."""
    sentence = SENTENCES[name]
    if not bool(passed):
        raise ClaimError(f"✘ the verdict “{sentence.verdict}” is not borne out: {sentence.text}")
    say(f"✔ “{sentence.text}” {sentence.verdict.capitalize()}. {sentence.measured}")
    reveal(f"{sentence.lesson}-{name}", sentence.verdict)


def board(lesson: str | None = None) -> None:
    """Show the sentences of a lesson, "02", or all: what the learner believed, the verdict, and why."""
    made = record.everything()["guesses"]
    rows = []
    for name, sentence in SENTENCES.items():
        if lesson in (None, sentence.lesson):
            guessed = made.get(f"{sentence.lesson}-{name}", {}).get("guess", "–")
            rows.append([sentence.text, spoken(guessed), sentence.verdict, sentence.measured, sentence.lesson])
    title = f"Verdicts of lesson {lesson}" if lesson else "What became of the article's sentences"
    show(Table(["sentence", "you said", "verdict", "what was measured", "in lesson"], rows, title))
