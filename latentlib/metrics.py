"""Judging blends over many couples: each number of children stands beside the same number for unrelated people.

Couples are drawn from the generator, so no photo is needed. Identity distance is that of ``models/identity.py``, a
small linear measure: these numbers say what it sees, and it sees less than a person does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from latentlib.family import average, balance, between, diversity, per_layer, siblings

SHARES = (0.1, 0.3, 0.5, 0.7, 0.9)  # positions of the dominance slider at which the balance is measured
Mix = Callable[[Tensor, Tensor, float], Tensor]  # (a, b, b's share) -> codes of the children; family.average is one


class Measure(NamedTuple):
    """One number of children, and the same number where there is no kinship."""

    children: float
    control: float
    means: str  # what is counted
    control_means: str  # what stands in the children's place


def draw_couples(generator, count: int = 48, seed: int = 0, truncation: float = 0.7) -> Tensor:
    """Codes of couples of generated people who have nothing to do with each other: (count, 2, num_ws, w_dim)."""
    # Not the stream of seed 0: those numbers are also what the mapping's first layer started from.
    z = torch.randn(2 * count, generator.z_dim, generator=torch.Generator().manual_seed(seed + 1))
    w = generator.truncate(generator.mapping(z.to(generator.w_mean.device)), truncation)
    return per_layer(w, generator.num_ws).unflatten(0, (count, 2))


def draw_sibling(seed: int = 0) -> Mix:
    """The first sibling of a seed as a way to mix, for ``judge``."""
    return lambda a, b, share: siblings(a, b, 1, seed, share).squeeze(-3)


@torch.no_grad()
def judge(
    generator,  # has draw(codes) -> pictures (n, 3, r, r) in [0, 1]
    identity,  # has embed(pictures (n, 3, r, r) in [0, 1]) -> (n, k) of length 1
    discriminator,  # pictures in [-1, 1] -> (n,), high for a photo
    couples: Tensor,  # (n, 2, num_ws, w_dim), n at least 4, from draw_couples
    mix: Mix = average,  # how a child is made
    has_face: Callable[[Tensor], Tensor] | None = None,  # pictures (n, 3, r, r) in [0, 1] -> (n,) bool, a detector
) -> dict[str, Measure]:
    """What a way of mixing does, measured over couples; each measure has its control.

    "itself", "between", "nearer", "parents found": is the child its parents' child?
    "off balance", "slider", "rises", "swap", "mirror": does the slider say whose?
    "diversity", "diversity without tone", "siblings": do different couples have different children?
    "discriminator", "detail" and, with ``has_face``, "face": is it a better face than the average of the two pictures?
    """
    if couples.dim() != 4 or couples.shape[1] != 2 or len(couples) < 4:
        raise ValueError(f"couples must be (n, 2, num_ws, w_dim) with n at least 4, got {tuple(couples.shape)}")

    def draw(codes):
        return torch.cat([generator.draw(part) for part in codes.split(32)])

    codes_a, codes_b = couples.unbind(1)
    pictures_a, pictures_b = draw(codes_a), draw(codes_b)
    pictures = {share: draw(mix(codes_a, codes_b, share)) for share in SHARES}
    a, b, stranger = identity.embed(pictures_a), identity.embed(pictures_b), identity.embed(pictures_a.roll(1, 0))
    children = {share: identity.embed(drawn) for share, drawn in pictures.items()}  # each (n, k), of length 1
    child, other = children[0.5], children[0.5].roll(2, 0)
    another, early = "a child of another couple", SHARES[1]
    measures = {}

    # Is the child its parents' child?
    alone = draw(mix(codes_a, codes_a, 0.5))
    means = "difference of the child that a person has with himself or herself from that person (RMS, 0 to 1)"
    rests = (_rms(alone, pictures_a), _rms(pictures[0.5], pictures_a))
    measures["itself"] = Measure(*rests, means, "a child with somebody else")
    means = "share of couples whose child is nearer to both parents than they are to each other"
    measures["between"] = Measure(*(_share(between(x, a, b, _cosine)) for x in (child, other)), means, another)
    means = "share of couples whose child is nearer to each parent than a stranger is"
    nearer = [(_cosine(x, a) < _cosine(stranger, a)) & (_cosine(x, b) < _cosine(stranger, b)) for x in (child, other)]
    measures["nearer"] = Measure(*map(_share, nearer), means, another)
    means = "share of children to whom, of all couples, their parents are the nearest"
    guess = (1 - child @ a.T + 1 - child @ b.T).argmin(1)  # (n,)
    found = _share(guess == torch.arange(len(a), device=guess.device))
    measures["parents found"] = Measure(found, 1 / len(a), means, "guessing")

    # Does the slider say whose?
    means = "mean distance of the balance from a half, with the slider at a half"
    off = [(balance(x, a, b, _cosine) - 0.5).abs().mean().item() for x in (child, other)]
    measures["off balance"] = Measure(*off, means, another)
    tables = [
        torch.stack([balance(x.roll(by, 0), a, b, _cosine) for x in children.values()], 1) for by in (0, 2)
    ]  # (n, positions of the slider), of own children and of another couple's
    means = f"rank correlation of balance and slider at {', '.join(map(str, SHARES))}"
    measures["slider"] = Measure(*(rank_correlation(table).mean().item() for table in tables), means, another)
    means = "share of couples whose balance rises at each of these steps"
    measures["rises"] = Measure(*(_share(table.diff(dim=1).gt(0).all(1)) for table in tables), means, another)
    pictures_swapped = draw(mix(codes_b, codes_a, early))
    swapped = identity.embed(pictures_swapped)
    means = f"share of couples whose child, slider at {early}, is more like a, and with the parents swapped like b"
    turns = [
        (table[:, 1] < 0.5) & (balance(swapped.roll(by, 0), a, b, _cosine) > 0.5)
        for by, table in zip((0, 2), tables, strict=True)
    ]
    measures["swap"] = Measure(*map(_share, turns), means, another)
    mirrored = draw(mix(codes_b, codes_a, 1 - early))
    means = "difference of the child when parents and slider are swapped together (RMS, 0 to 1)"
    rests = (_rms(x, pictures[early]) for x in (mirrored, pictures_swapped))
    measures["mirror"] = Measure(*rests, means, "only the parents are swapped")

    # Do different couples have different children?
    means = "mean identity distance of the children of different couples"
    measures["diversity"] = Measure(diversity(child, _cosine), diversity(a, _cosine), means, "people drawn at random")
    means = "mean distance of these children in grey, each at the same mean and contrast (RMS)"
    spread = [diversity(without_tone(x), _rms_each) for x in (pictures[0.5], pictures_a)]
    measures["diversity without tone"] = Measure(*spread, means, "people drawn at random")
    means = "mean identity distance of four siblings"
    four = identity.embed(draw(siblings(codes_a, codes_b, 4).flatten(0, 1))).unflatten(0, (-1, 4))
    within = sum(diversity(family, _cosine) for family in four) / len(four)
    measures["siblings"] = Measure(within, diversity(four[:, 0], _cosine), means, "children of different couples")

    # Is the child a better face than the average of the two pictures?
    ghost = (pictures_a + pictures_b) / 2
    answers = [discriminator(x * 2 - 1) for x in (pictures[0.5], pictures_a, ghost)]
    means = "share of couples whose child the discriminator takes for a photo rather than the average of the pictures"
    better = [_share(answer > answers[2]) for answer in answers[:2]]
    measures["discriminator"] = Measure(*better, means, "a person drawn at random against that average")
    means = "difference of neighbouring pixels, as a share of the parents'"
    parents = (detail(pictures_a) + detail(pictures_b)) / 2
    shares = [(detail(x) / parents).mean().item() for x in (pictures[0.5], ghost)]
    measures["detail"] = Measure(*shares, means, "averages of the parents' pictures")
    if has_face is not None:
        means = "share of children in whose picture the detector finds a face"
        shares = [has_face(x).float().mean().item() for x in (pictures[0.5], ghost)]
        measures["face"] = Measure(*shares, means, "averages of the parents' pictures")
    return measures


def rank_correlation(values: Tensor) -> Tensor:
    """Spearman's correlation of each row with its order 1, 2, …: (n, k) -> (n,); 1 rises throughout, -1 falls."""
    ranks = values.argsort(1).argsort(1).float()  # (n, k)
    ranks = ranks - ranks.mean(1, keepdim=True)
    order = torch.arange(values.shape[1], device=values.device) - (values.shape[1] - 1) / 2
    return (ranks * order).sum(1) / (ranks.square().sum(1) * order.square().sum()).sqrt()


def without_tone(images: Tensor) -> Tensor:
    """Grey pictures of mean 0 and spread 1, so that neither the skin's tone nor the light's strength is left.

    images: (n, 3, h, w) -> (n, 1, h, w)
    """
    grey = (images * images.new_tensor([0.299, 0.587, 0.114])[:, None, None]).sum(1, keepdim=True)
    grey = grey - grey.mean(dim=(2, 3), keepdim=True)
    return grey / grey.square().mean(dim=(2, 3), keepdim=True).sqrt().clamp(min=1e-6)


def detail(images: Tensor) -> Tensor:
    """The mean difference of neighbouring pixels: what a ghost has lost. (n, 3, h, w) -> (n,)"""
    across, down = images.diff(dim=3).abs().flatten(1), images.diff(dim=2).abs().flatten(1)
    return torch.cat([across, down], 1).mean(1)


def _cosine(one: Tensor, other: Tensor) -> Tensor:
    """Identity.distance of pictures whose embeddings, of length 1, are at hand."""
    return 1 - (one * other).sum(-1)


def _rms_each(one: Tensor, other: Tensor) -> Tensor:
    return (one - other).flatten(1).square().mean(1).sqrt()


def _rms(one: Tensor, other: Tensor) -> float:
    return _rms_each(one, other).mean().item()


def _share(answers: Tensor) -> float:
    return answers.float().mean().item()
