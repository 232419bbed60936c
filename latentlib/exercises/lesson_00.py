"""What the exercises of lesson 00, the start, ask of an answer."""

import torch

from latentlib.exercises import exercise, same_as


@exercise("00-walk", "Walk along a direction", why="Every slider and every film of this course is this one line.")
def _(walk):
    code, direction = torch.tensor([1.0, 2.0, 3.0]), torch.tensor([0.0, 1.0, -2.0])
    amounts = torch.tensor([-1.0, 0.0, 0.5, 2.0])
    start, step = torch.tensor([2.0, -1.0]), torch.tensor([10.0, 0.3])
    cases = [(code, direction, amounts[i : i + 1]) for i in (1, 3, 0, 2)]
    cases += [(code, direction, amounts), (code, direction, torch.tensor([4.0, -7.5, 0.25]))]
    same_as(lambda c, d, a: c + a[:, None] * d, walk, [*cases, (start, step, torch.tensor([0.1, 0.7]))])


@exercise(
    "00-random", "Numbers at random, like the data's", why="The same dice for pixels and for codes: now it is fair."
)
def _(draw_like):
    dice = torch.Generator().manual_seed(5)
    shared = torch.randn(500, 1, generator=dice)
    data = torch.cat([50 + 9 * shared, shared, 0.2 * torch.randn(500, 2, generator=dice) - 3], dim=1)
    for n in (7, 500):
        shape = tuple(draw_like(data, n).shape)
        assert shape == (n, 4), f"{n} rows of 4 numbers were asked for, so the shape is ({n}, 4); yours is {shape}"
    got, spread = draw_like(data, 20_000), data.std(0)
    ratio = got.std(0) / spread
    k = int((ratio - 1).abs().argmax())
    spreads = f"{spread[k]:.2f}; yours has {got.std(0)[k]:.2f}"
    assert (ratio[k] - 1).abs() < 0.05, f"number {k + 1} of a row should spread as in the data, by {spreads}"
    off = (got.mean(0) - data.mean(0)).abs() / spread
    k = int(off.argmax())
    means = f"{data.mean(0)[k]:.2f}; yours is {got.mean(0)[k]:.2f}"
    assert off[k] < 0.05, f"on average number {k + 1} of a row should be its mean in the data, {means}"
    together = torch.corrcoef(got.T).fill_diagonal_(0).abs().max()
    assert together < 0.05, "each number of a row should be drawn by itself; in yours some rise and fall together"


@exercise("00-search", "Find the most alike", why="Every search by picture is this, among a billion codes.")
def _(most_alike):
    dice = torch.Generator().manual_seed(6)
    codes = torch.randn(40, 5, generator=dice) * torch.tensor([3.0, 1, 1, 1, 0.3]) + 2
    queries = torch.randn(60, 5, generator=dice) * 2 + 2
    cases = [(codes, codes[17]), (codes, 5 * codes[3]), *((codes, query) for query in queries)]
    same_as(lambda known, query: (known - query).norm(dim=1).argmin(), most_alike, cases)
