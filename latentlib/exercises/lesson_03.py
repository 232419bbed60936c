"""What the exercises of lesson 03, on autoencoders, ask of an answer."""

import copy

import torch
from torch import nn

from latentlib.exercises import close, exercise, same_as, sentence

sentence(
    "03-everything",
    "Squeezing a picture through a small code forces the network to keep everything that matters.",
    verdict="half true",
    why="It keeps what makes its own error small. Which digit it is was lost more often than with a larger code.",
)


def loss(output, target):  # it matters which of the two comes first
    return (output - 2 * target).square().sum() / 7


@exercise("03-step", "One step of training", why="The same few lines train every network of this course.")
def _(one_step):
    torch.manual_seed(11)
    network, batches = nn.Sequential(nn.Linear(6, 2), nn.Linear(2, 6)), torch.rand(3, 5, 6)
    for optimizer, rate in ((torch.optim.SGD, 0.01), (torch.optim.Adam, 0.05)):
        ours, yours = copy.deepcopy(network), copy.deepcopy(network)
        ours_moves, yours_moves = (optimizer(model.parameters(), lr=rate) for model in (ours, yours))
        for number, batch in enumerate(batches, 1):
            before, targets = copy.deepcopy(yours.state_dict()), batch.flip(1)
            value = loss(ours(batch), targets)
            ours_moves.zero_grad()
            value.backward()
            ours_moves.step()
            got = one_step(yours, yours_moves, batch, targets, loss).detach()
            told = f"loss(what comes out, targets) is {value:.3f} before step {number}; yours is {got.flatten()[0]:.3f}"
            assert close(got, value.detach(), 1e-3), told
            moved = yours.state_dict()
            still = all(torch.equal(weight, before[name]) for name, weight in moved.items())
            assert not still, "after your step all weights are what they were: ask for the slopes, then move"
            told = f"step {number}: the weights moved, but not as this loss and this optimizer move them"
            told += "; slopes add up until zero_grad()" if number > 1 else ""
            assert all(close(moved[name], weight) for name, weight in ours.state_dict().items()), told


@exercise("03-sample", "Draw from a cloud", why="With the dice outside, slopes reach mean and variance.")
def _(draw):
    mean, log_variance = (torch.tensor(row).repeat(20_000, 1).requires_grad_() for row in ([1, -2.0, 0], [0, -3, 1.5]))
    codes, wanted = draw(mean, log_variance), (0.5 * log_variance[0]).exp()
    shape = tuple(codes.shape)
    assert shape == (20_000, 3), f"20,000 clouds of 3 numbers give codes (20000, 3); yours are {shape}"
    dice = ((codes - mean) / wanted).detach()
    k = int((dice.std(0) - 1).abs().argmax())
    told = f"a log-variance of {log_variance[0, k]:g} is a standard deviation of {wanted[k]:.2f}"
    assert abs(dice.std(0)[k] - 1) < 0.05, f"{told}; yours is {codes.std(0)[k]:.2f}"
    assert dice.mean(0).abs().max() < 0.05, "codes of a cloud around 1 should average 1; yours lie to one side"
    assert (dice**4).mean(0).sub(3).abs().max() < 0.5, "the dice should follow bell curves; yours do not"
    together = torch.corrcoef(dice.T).fill_diagonal_(0).abs().max()
    assert together < 0.05, "each number of a code needs dice of its own; yours rise and fall together"
    assert not torch.equal(codes, draw(mean, log_variance)), "drawn again, the codes should differ; yours are the same"
    slopes = torch.autograd.grad(codes.square().sum(), (mean, log_variance), allow_unused=True, materialize_grads=True)
    assert all(slope.any() for slope in slopes), "slopes must come through to both; use PyTorch's functions only"


@exercise("03-kl", "The KL term", why="Every cloud pays for differing from a standard Gaussian, so the clouds gather.")
def _(kl):
    zero, one, mean, log_variance = torch.zeros(4, 3), torch.ones(1, 1), *torch.linspace(-1, 2, 60).view(2, 6, 5).sin()
    cases = [(zero, zero), (one, 0 * one), (0 * one, one), (0 * one, -one), (zero + 2, zero), (mean, log_variance)]
    same_as(lambda m, v: 0.5 * (m**2 + v.exp() - 1 - v).sum() / len(m), kl, [*cases, (-mean[:2], 2 * log_variance[:2])])
    told = "the numbers are right, but no slope comes through them; use PyTorch's functions only"
    value = kl(mean.requires_grad_(), log_variance.requires_grad_()).sum()
    assert value.requires_grad, told
    slopes = torch.autograd.grad(value, (mean, log_variance), allow_unused=True, materialize_grads=True)
    assert close(slopes[0], mean.detach() / 6), told
    assert close(slopes[1], log_variance.exp().sub(1).detach() / 12), told
