"""Claims print when they hold and raise when they do not."""

import numpy as np
import pytest
import torch

from latentlib.claims import ClaimError, claim, not_checked


@pytest.mark.parametrize("passed", [True, 1, np.bool_(True), torch.tensor(2.0) > 1])
def test_a_claim_that_holds_prints_one_line(capsys, passed):
    claim("two is more than one", passed)
    assert capsys.readouterr().out == "✔ two is more than one\n"


@pytest.mark.parametrize("passed", [False, 0, np.bool_(False), torch.tensor(2.0) < 1])
def test_a_claim_that_is_false_raises_and_prints_nothing(capsys, passed):
    with pytest.raises(ClaimError, match="✘ two is less than one"):
        claim("two is less than one", passed)
    assert capsys.readouterr().out == ""


def test_a_false_claim_is_an_assertion_error():
    assert issubclass(ClaimError, AssertionError)


def test_what_was_not_checked_never_prints_a_tick(capsys):
    not_checked("30 numbers come below 3.00", "needs MNIST")
    assert capsys.readouterr().out == "– not checked here: 30 numbers come below 3.00 (needs MNIST)\n"
