"""What the exercises of lesson 09, today's generators, ask of an answer."""

import contextlib

import torch

from latentlib.exercises import exercise, same_as, sentence

sentence(
    "09-between",
    "Halfway between the codes of two pictures lies the code of something in between.",
    verdict="half true",
    why="Between two people the GAN of lesson 05 draws one person; in the space of FLUX.2, which is made to store "
    "pictures, halfway is a cross-fade.",
)


@exercise("09-splice", "Splice two codes", why="It works because each number of such a code belongs to one place.")
def _(splice):
    dice = torch.Generator().manual_seed(9)
    a, b = torch.randn(2, 1, 3, 4, 6, generator=dice)
    same_as(lambda a, b, k: torch.cat([a[..., :k], b[..., k:]], -1), splice, [(a, b, k) for k in (3, 1, 6, 0, 5)])


@exercise("09-flow", "The loss of a flow", why="FLUX.2 is trained with this line, too.")
def _(flow_loss):
    dice = torch.Generator().manual_seed(10)
    noise, code, t = (torch.randn(6, 4, generator=dice), torch.randn(6, 4, generator=dice) + 2, torch.rand(6, 1))

    def loss(network, noise, code, t):
        return (network((1 - t) * noise + t * code, t) - (code - noise)).square().mean()

    networks = (lambda x, t: 0 * x, lambda x, t: x, lambda x, t: x * t + 1, lambda x, t: t.expand_as(x) * 3)
    same_as(loss, flow_loss, [(network, noise, code, t) for network in networks])
    learned = torch.nn.Linear(4, 4)
    with contextlib.suppress(RuntimeError):
        flow_loss(lambda x, t: learned(x), noise, code, t).backward()
    assert learned.weight.grad is not None, "the loss should let gradients through to the network; keep it a tensor"


@exercise("09-draw", "From noise to code", why="Fast generators of today save steps here.")
def _(flow_draw):
    dice = torch.Generator().manual_seed(11)
    noise = torch.randn(3, 4, generator=dice)
    before, seen = noise.clone(), []

    def network(x, t):
        seen.append(t.flatten()[0].item())
        assert tuple(t.shape) == (3, 1), f"give the network one t for each row, (3, 1); yours is {tuple(t.shape)}"
        return t * torch.ones_like(x)

    got = flow_draw(network, noise, 20)
    assert torch.equal(noise, before), "the noise that you were given has changed; don't use +="
    assert tuple(got.shape) == (3, 4), f"noise (3, 4) should become codes (3, 4); yours are {tuple(got.shape)}"
    assert seen[0] < 0.06, f"begin at t = 0, where everything is noise; your first t is {seen[0]:.2f}"
    assert max(seen) <= 1, f"t goes from 0 to 1; your largest is {max(seen):.2f}"
    assert len(seen) >= 20, f"20 steps were asked for; the network was asked {len(seen)} times"
    moved = (got - noise).mean().item()
    assert abs(moved - 0.5) < 0.04, f"at speed t everything moves by about 0.5 from t = 0 to 1; yours: {moved:.2f}"
    target = torch.full((3, 4), 3.0)
    got = flow_draw(lambda x, t: target - noise, noise, 7)
    assert torch.allclose(got, target, atol=1e-4), "a straight field from noise to 3 should end at 3, with 7 steps too"
    grown = flow_draw(lambda x, t: x, torch.ones(2, 1), 50).mean().item()
    assert abs(grown - 2.71) < 0.08, f"a field that equals x should grow 1 to about 2.7; yours: {grown:.2f}"
