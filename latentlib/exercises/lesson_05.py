"""What the exercises of lesson 05, on GANs, ask of an answer."""

import torch
from torch import nn

from latentlib.exercises import SENTENCES, Sentence, exercise, same_as

SENTENCES["05-steer"] = Sentence(
    "One can steer what a generator draws from outside, but how it works inside stays hidden.",
    verdict="half true",
    why="Directions fitted to measurements steer unseen faces; whether the layers are hidden is a matter of words: "
    "every number in them can be read, and lesson 05 shows which layer decides what.",
)


def _play(gan_step, rates: tuple[float, float], steps: int = 1, place=(0.0, 0.0), real=(3.0, 0.0)):
    """Where the artist's point and the critic's two weights are after some steps."""
    artist, critic = nn.Linear(2, 2), nn.Linear(2, 1, bias=False)
    artist.weight.requires_grad_(False).zero_()  # it draws one point, wherever z is
    artist.bias.data, critic.weight.data = torch.tensor(place), torch.tensor([[0.01, 0.02]])
    optimizers = [torch.optim.SGD(net.parameters(), rate) for net, rate in zip((artist, critic), rates, strict=True)]
    for _ in range(steps):
        gan_step(artist, critic, torch.tensor([real, real]), torch.ones(2, 2), *optimizers)
    return artist.bias.detach(), critic.weight[0].detach()


@exercise("05-step", "One step of the game", why="Two losses and two optimizers: that is all a GAN is made of.")
def _(gan_step):
    still, weight = _play(gan_step, (0.0, 0.1))
    assert weight[0] > 0.011, "after a step the critic should give real points higher answers than before"
    _, low = _play(gan_step, (0.0, 0.1), place=(3.0, 0.0), real=(0.5, 0.0))
    assert low[0] < 0.0, "after a step the critic should give drawn points lower answers than before"
    once, kept = _play(gan_step, (0.1, 0.0))
    uphill = once @ kept
    assert uphill > 1e-5, "the artist should move to where the critic's answers are higher; yours does not"
    twice, _ = _play(gan_step, (0.1, 0.0), steps=2)
    assert twice @ kept < 2.3 * uphill, "set the gradients to zero before each backward, or those of old steps add up"
    both, same = _play(gan_step, (5.0, 0.1))
    alone = torch.allclose(weight, same, atol=1e-6) and not still.any() and kept.equal(torch.tensor([0.01, 0.02]))
    assert alone, "in a step, each network should be moved by its own loss and its own optimizer alone"
    assert both @ same > 0, "the artist should ask the critic after the critic's step, and move uphill"


@exercise("05-truncate", "Truncation", why="One number trades variety against quality: ψ near 0 gives one safe face.")
def _(truncate):
    mean, w, layers = torch.randn(5), torch.randn(4, 5), torch.randn(4, 3, 5)
    cases = [(w, mean, psi) for psi in (1.0, 0.0, 0.7, -1.0, 1.4)] + [(layers, mean, 0.5), (w[:1], mean, 0.3)]
    same_as(lambda w, mean, psi: mean + psi * (w - mean), truncate, cases)


@exercise("05-mix", "Mix two people by layers", why="A code with a w for each layer is called W+; lesson 06 needs it.")
def _(mix):
    a, b = torch.randn(2, 3, 5)

    def right(coarse, fine, first, layers):
        return torch.stack([coarse] * first + [fine] * (layers - first), dim=1)

    same_as(right, mix, [(a, b, first, layers) for first, layers in ((4, 10), (0, 10), (10, 10), (1, 6))])
