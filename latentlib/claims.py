"""Sentences that the course measures instead of asserting."""


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
    print(f"✔ {text}")


def not_checked(text: str, why: str) -> None:
    """Print that a claim was not checked in this run, and why; never a tick that nothing earned."""
    print(f"– not checked here: {text} ({why})")
