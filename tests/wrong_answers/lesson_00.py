"""Typical wrong answers to the exercises of lesson 00."""

WRONG = {
    "00-walk": [
        lambda code, direction, amounts: code * amounts[:, None] + direction,
        lambda code, direction, amounts: amounts[:, None] * direction,  # forgets where it started
        lambda code, direction, amounts: code + direction * amounts.sum(),
        lambda code, direction, amounts: code + amounts[:, None],
    ],
    "00-search": [
        lambda codes, query: (codes - query).norm(dim=1).argmax(),
        lambda codes, query: (codes @ query).argmax(),  # the longest wins
        lambda codes, query: (codes - query)[:, 0].abs().argmin(),  # the first number only
        lambda codes, query: (codes - query).sum(dim=1).abs().argmin(),  # differences cancel
    ],
    "00-halfway": [
        lambda draw, a, b: (draw(a[None]) + draw(b[None])) / 2,  # the cross-fade
        lambda draw, a, b: draw(a[None]),
        lambda draw, a, b: draw(a[None] + b[None]),
        lambda draw, a, b: (a + b) / 2,  # a code, not a picture
    ],
    "00-edge": [
        lambda codes, code: code.norm() > codes.norm(dim=1).quantile(0.99),  # from zero
        lambda codes, code: False,
        lambda codes, code: (code - codes.mean(0)).norm() > (codes - codes.mean(0)).norm(dim=1).mean(),
        lambda codes, code: (code - codes.mean(0)).abs().max() > 4,  # one number at a time
    ],
}
