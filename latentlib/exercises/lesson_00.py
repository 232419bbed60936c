"""What the exercises of lesson 00, the start, ask of an answer."""

import torch

from latentlib.exercises import drawn_like, exercise, same_as


@exercise("00-walk", "Walk along a direction", why="Every slider and every film of this course is this one line.")
def _(walk):
    code, direction = torch.tensor([1.0, 2.0]), torch.tensor([1.0, -2.0])
    amounts = ([0.0], [2.0], [-1.0], [0.5], [-1.0, 0.0, 0.5, 2.0], [4.0, -7.5, 0.25])
    cases = [(code, direction, torch.tensor(each)) for each in amounts]
    other = (torch.tensor([2.0, -1.0]), torch.tensor([10.0, 0.3]), torch.tensor([0.1, 0.7]))
    same_as(lambda c, d, a: c + a[:, None] * d, walk, [*cases, other])


@exercise(
    "00-random", "Numbers at random, like the data's", why="The same dice for pixels and for codes: now it is fair."
)
def _(draw_like):
    shared = torch.randn(500, 1)
    data = torch.cat([50 + 9 * shared, shared, 0.2 * torch.randn(500, 2) - 3], dim=1)
    drawn_like(data.mean(0), data.std(0), draw_like(data, 20_000), 20_000)


@exercise("00-search", "Find the most alike", why="Every search by picture is this, among a billion codes.")
def _(most_alike):
    codes = torch.randn(40, 5) * torch.tensor([3.0, 1, 1, 1, 0.3]) + 2
    queries = torch.randn(60, 5) * 2 + 2
    cases = [(codes, codes[17]), (codes, 5 * codes[3]), *((codes, query) for query in queries)]
    same_as(lambda known, query: (known - query).norm(dim=1).argmin(), most_alike, cases)
