"""What the exercises of lesson 06, on finding the code of a picture, ask of an answer."""

import torch

from latentlib import metrics
from latentlib.exercises import SENTENCES, Sentence, exercise, same_as

SENTENCES["06-any-face"] = Sentence(
    "By searching, one finds the code of any face.",
    verdict="half true",
    why="Some code draws nearly any picture, also a photo upside down, and so does a generator that never learned; "
    "the code from which a drawn face was made is not found again.",
)


def _painter():
    """A small generator: codes (n, 5) -> pictures (n, 3, 4, 4), bent a little, and not the same for any two codes."""
    weight = torch.randn(48, 5)
    return lambda codes: torch.tanh(codes @ weight.T / 4).reshape(-1, 3, 4, 4) / 2 + 0.5


@exercise("06-search", "Search for a code", why="Training with the picture fixed and the network frozen: that is all.")
def _(search):
    for start in (torch.zeros(1, 5), torch.full((1, 5), 0.5), torch.zeros(2, 5)):
        draw, before = _painter(), start.clone()
        picture = draw(torch.randn(len(start), 5))
        found = search(draw, picture, start, 400)
        assert found.shape == start.shape, f"give codes {tuple(start.shape)}; yours are {tuple(found.shape)}"
        assert torch.equal(start, before), "the code that you were given to start from has changed; clone it first"
        assert not found.requires_grad, "give the code without its gradients: code.detach()"
        far, began = ((draw(code) - picture).square().mean() for code in (found, start))
        assert far < began / 100, "after 400 steps the picture should be hit; yours is still far from it"
    short = search(draw, picture, start, 3)
    early = (draw(short) - picture).square().mean()
    assert early > 3 * far, "3 steps should come less far than 400: take as many steps as you are told"
    assert early < began, "3 steps should come nearer than the start"


@exercise("06-psnr", "Decibels", why="10 dB more is a tenth of the squared error; about 25 dB looks right at a glance.")
def _(psnr):
    a = torch.rand(3, 3, 8, 8)
    b = (a + torch.tensor([0.3, 0.1, 0.01])[:, None, None, None] * torch.randn(a.shape)).clamp(0, 1)
    same_as(metrics.psnr, psnr, [(a, b), (b, a), (a[:1], b[:1])], 1e-3)


@exercise("06-unusual", "How unusual is a code?", why="Statisticians call this the Mahalanobis distance.")
def _(unusual):
    mean, variances = torch.randn(4), torch.tensor([4.0, 1.0, 0.25, 0.01])
    directions = torch.linalg.qr(torch.randn(4, 4)).Q.T.contiguous()
    codes = mean + torch.randn(5, 3, 4) * variances.sqrt() @ directions

    def right(codes, mean, directions, variances):
        return ((codes - mean) @ directions.T / variances.sqrt()).square().mean(-1).sqrt()

    flat = codes[:, 0]
    same_as(right, unusual, [(flat, mean, directions, variances), (codes, mean, directions, variances)], 1e-3)
    few = (flat, mean, directions[:2].contiguous(), variances[:2])
    same_as(right, unusual, [few, (mean[None] + directions[:1], mean, directions, variances)], 1e-3)
