"""What the exercises of lesson 09, today's generators, ask of an answer."""

import math

import torch

from latentlib.exercises import SENTENCES, Sentence, exercise, same_as, slopes_come_through
from latentlib.models import flow

SENTENCES["09-between"] = Sentence(
    "Halfway between the codes of two pictures lies the code of something in between.",
    verdict="half true",
    why="Between two people the GAN of lesson 05 draws one person; in the space of FLUX.2, which is made to store "
    "pictures, halfway is a cross-fade.",
)


@exercise("09-splice", "Splice two codes", why="It works because each number of such a code belongs to one place.")
def _(splice):
    a, b = torch.randn(2, 1, 3, 4, 6)
    same_as(lambda a, b, k: torch.cat([a[..., :k], b[..., k:]], -1), splice, [(a, b, k) for k in (3, 1, 6, 0, 5)])


@exercise("09-flow", "The loss of a flow", why="FLUX.2 is trained with this line, too.")
def _(flow_loss):
    def x_plus_2t(x, t):
        return x + 2 * t

    noise, code, t = torch.tensor([[0.0], [1.0]]), torch.tensor([[4.0], [2.0]]), torch.tensor([[0.25], [0.75]])
    same_as(flow.loss, flow_loss, [(x_plus_2t, noise, code, t), (x_plus_2t, code, noise, t)])
    weight = torch.ones(1, requires_grad=True)
    slopes_come_through(flow_loss(lambda x, t: weight * x, noise, code, t), weight)


@exercise("09-draw", "From noise to code", why="Fast generators of today save steps here.")
def _(flow_draw):
    asked = []

    def x_plus_t(x, t):
        asked.append(t)
        assert tuple(t.shape) == (3, 1), f"give the network one t for each row, (3, 1); yours is {tuple(t.shape)}"
        return x + t

    noise = torch.tensor([[0.0], [1.0], [-1.0]])
    same_as(lambda network, x, steps: math.e * x + math.e - 2, flow_draw, [(x_plus_t, noise, 50)], 0.03)
    assert len(asked) >= 50, f"50 steps were asked for; the network was asked {len(asked)} times"
