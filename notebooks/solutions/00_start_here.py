"""The exercises of lesson 00 and their solutions; tools/solutions.py reads this file."""

from latentlib.exercises import check


# %% 00-walk
def walk(code, direction, amounts):
    """Codes on a straight line: (d,), (d,), (k,) -> (k, d); where the amount is 0 lies the code."""
    return code + amounts[:, None] * direction  #: return ...


check("00-walk", walk)


# %% 00-search
def most_alike(codes, query):
    """The position of the code that lies nearest to the query: (n, d), (d,) -> a whole number."""
    distances = (codes - query).norm(dim=1)  # (n,)  #: distances = ...
    return int(distances.argmin())  #: return ...


check("00-search", most_alike)


# %% 00-halfway
def halfway(draw, a, b):
    """The picture halfway between two codes (d,); draw turns codes (n, d) into pictures."""
    return draw((a[None] + b[None]) / 2)  #: return ...


check("00-halfway", halfway)


# %% 00-edge
def too_far(codes, code):
    """Whether a code (d,) lies farther from the middle of the codes (n, d) than 99 of 100 do."""
    middle = codes.mean(dim=0)  # (d,)
    usual = (codes - middle).norm(dim=1)  # (n,)  #: usual = ...
    return bool((code - middle).norm() > usual.quantile(0.99))  #: return ...


check("00-edge", too_far)
