"""The exercises of lesson 07 and their solutions; tools/solutions.py reads this file."""

from latentlib import metrics
from latentlib.exercises import check


# %% 07-blend
def mix(first, second, share):
    """A child's code: share 0 gives the first parent, 1 the second. (10, 256) each."""
    way = second - first
    return first + share * way  #: return ...


check("07-blend", mix)


# %% 07-ghost
def mixer(first, second):
    """Pictures (n, 3, h, w) of both parents -> n pictures between them that are no children."""
    return (first + second) / 2  #: return ...


check("07-ghost", mixer)


# %% 07-test
def is_ghost(children, first, second):
    """Pictures (n, 3, h, w) each -> n answers: has the child lost its parents' detail?"""
    parents = (metrics.detail(first) + metrics.detail(second)) / 2  # (n,)
    return metrics.detail(children) < 0.9 * parents  #: return ...


check("07-test", is_ghost)


# %% 07-fraud
def fraud(children):
    """Children (n, 3, h, w) of n couples -> is it one child again and again, but for its tone?"""
    plain = metrics.without_tone(children)  # (n, 1, h, w)  #: plain = ...
    return bool((plain - plain.mean(0)).square().mean() < 0.1)  #: return ...


check("07-fraud", fraud)
