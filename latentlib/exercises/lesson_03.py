"""What the exercises of lesson 03, on autoencoders, ask of an answer."""

import functools

import torch
from torch import nn

from latentlib import fit, models
from latentlib.exercises import SENTENCES, Sentence, drawn_like, exercise, same_as, slopes_come_through

SENTENCES["03-everything"] = Sentence(
    "Squeezing a picture through a small code forces the network to keep everything that matters.",
    verdict="half true",
    why="It keeps what makes its own error small. Which digit it is was lost more often than with a larger code.",
)


def _loss(output, target):  # it matters which of the two comes first
    return (output - 2 * target).square().sum() / 7


def _trained(what: int, one_step, optimizer, rate: float, count: int) -> torch.Tensor:
    """The last loss (what = 0) or the weights (1) of a small network after so many steps."""
    torch.default_generator.manual_seed(0)
    network = nn.Sequential(nn.Linear(6, 2), nn.Linear(2, 6))
    moves = optimizer(network.parameters(), lr=rate)
    for batch in torch.rand(count, 5, 6):
        value = one_step(network, moves, batch, batch.flip(1), _loss)
    return (value, nn.utils.parameters_to_vector(network.parameters()))[what].detach()


@exercise("03-step", "One step of training", why="The same few lines train every network of this course.")
def _(one_step):
    rates = {torch.optim.SGD: 0.01, torch.optim.Adam: 0.05}
    for case in ((*pair, count) for pair in rates.items() for count in (1, 2, 3)):
        for k, what in enumerate(("the loss of the last step", "the weights after so many steps")):
            reference, answer = (functools.partial(_trained, k, step) for step in (fit.one_step, one_step))
            same_as(reference, answer, [case], 1e-3, what)


@exercise("03-sample", "Draw from a cloud", why="With the dice outside, slopes reach mean and variance.")
def _(draw):
    mean, log_variance = (torch.tensor(row).repeat(20_000, 1).requires_grad_() for row in ([1, -2.0, 0], [0, -3, 1.5]))
    codes, spread = draw(mean, log_variance), (0.5 * log_variance[0]).exp().detach()
    drawn_like(mean[0], spread, codes.detach(), 20_000)
    dice = (codes - mean).detach() / spread
    assert (dice**4).mean(0).sub(3).abs().max() < 0.5, "the dice should follow bell curves; yours do not"
    assert not torch.equal(codes, draw(mean, log_variance)), "drawn again, the codes should differ; yours are the same"
    slopes_come_through(codes.square(), mean, log_variance)


@exercise("03-kl", "The KL term", why="Every cloud pays for differing from a standard Gaussian, so the clouds gather.")
def _(kl):
    zero, one, mean, log_variance = torch.zeros(4, 2), torch.ones(1, 1), *torch.linspace(-1, 2, 60).view(2, 6, 5).sin()
    cases = [(zero, zero), (one, 0 * one), (0 * one, one), (0 * one, -one), (zero + 2, zero), (mean, log_variance)]
    same_as(models.vae.kl_divergence, kl, [*cases, (-mean[:2], 2 * log_variance[:2])])
    slopes_come_through(kl(mean.requires_grad_(), log_variance.requires_grad_()), mean, log_variance)
