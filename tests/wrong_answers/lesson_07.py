"""Three wrong answers to each exercise of lesson 07."""

import torch

from latentlib import metrics

WRONG = {
    "07-blend": [
        lambda first, second, share: first + second,  # no share at all
        lambda first, second, share: second + share * (first - second),  # the wrong way round
        lambda first, second, share: (first + second) / 2,  # halfway, whatever the share
    ],
    "07-ghost": [
        lambda first, second: first,  # a copy of one parent
        lambda first, second: torch.where(torch.rand(first.shape) < 0.5, first, second),  # crisp
        lambda first, second: first + second,  # a sum
    ],
    "07-test": [
        lambda children, first, second: torch.ones(len(children), dtype=torch.bool),  # everybody is a ghost
        lambda children, first, second: metrics.detail(children) < 0.15,  # without the parents' own detail
        lambda children, first, second: (children - (first + second) / 2).flatten(1).norm(dim=1) < 1e-3,  # only halfway
    ],
    "07-fraud": [
        lambda children: False,
        lambda children: bool((children - children.mean(0)).abs().mean() < 1e-3),  # tones hide it
        lambda children: bool(children.mean((2, 3)).std(0).mean() < 0.05),  # looks at the tone alone
    ],
}
