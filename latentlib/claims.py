"""Sentences that the course measures instead of asserting."""

import textwrap

WIDTH = 96  # letters that JupyterLab shows in a line of output, beside its files, on a screen of 1280 pixels


class ClaimError(AssertionError):
    """Raised when a measured claim turns out to be false."""


def claim(text: str, passed: bool) -> None:
    """Print one stable line for a claim that holds; raise when it does not.

    text: the claim as a sentence, without measured numbers, so that the line is the same on every machine.
    passed: the outcome of the measurement (a bool, or a tensor or array of one element).
    Raises ClaimError when ``passed`` is false.
    """
    if not bool(passed):
        raise ClaimError(f"✘ {text}")
    say(f"✔ {text}")


def not_checked(text: str, why: str) -> None:
    """Print that a claim was not checked in this run, and why; never a tick that nothing earned."""
    say(f"– not checked here: {text} ({why})")


def say(text: str) -> None:
    """Print a sentence in lines of whole words: JupyterLab breaks a line that is too long anywhere, also in a word."""
    print(textwrap.fill(text, WIDTH, break_long_words=False, break_on_hyphens=False))


def spoken(value: object) -> str:
    """A number as people say it, 1,282 or 13.9 or 0.68; anything else as it is."""
    if type(value) not in (int, float):
        return str(value)
    size = abs(value)
    decimals = 0 if size >= 100 or float(value).is_integer() else 1 if size >= 10 else 2
    return f"{round(value, decimals) + 0.0:,.{decimals}f}".replace("-", "−")
