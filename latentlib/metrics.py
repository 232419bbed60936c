"""How alike are pictures, how good is a child? Every measure that the course judges by takes networks as arguments.

Pictures are (n, 3, h, w) in [0, 1]. ``judge`` sets each number of children beside the same number for unrelated people;
its identity distance is that of ``models/identity.py``, a small linear measure: it sees less than a person does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from latentlib.space import lerp

SHARES = (0.1, 0.3, 0.5, 0.7, 0.9)  # positions of the dominance slider at which the balance is measured
Mix = Callable[[Tensor, Tensor, float], Tensor]  # (a, b, b's share) -> codes of the children; space.lerp is one
Distance = Callable[[Tensor, Tensor], Tensor]  # two batches (n, ...) -> (n,), such as identity.distance

# --- pictures


def psnr(a: Tensor, b: Tensor) -> Tensor:
    """Peak signal-to-noise ratio in dB of pictures in [0, 1]: (n, ...), (n, ...) -> (n,). 10 dB more is a tenth of the
    squared error; equal pictures have an infinite one."""
    _same_shape(a, b)
    return -10 * (a.float() - b.float()).square().flatten(1).mean(1).log10()


def perceptual_distance(discriminator: nn.Module, a: Tensor, b: Tensor) -> Tensor:
    """How different two pictures look to a discriminator: (n, 3, r, r), (n, 3, r, r) in [0, 1] -> (n,) in [0, 4].

    At each place of each layer the features are brought to length 1; the squared distances are averaged over places,
    then over layers. The formula is that of LPIPS (Zhang et al. 2018) without its learned weights.
    """
    _same_shape(a, b)
    pairs = zip(discriminator.features(a * 2 - 1), discriminator.features(b * 2 - 1), strict=True)
    far = [(F.normalize(x.float(), dim=1) - F.normalize(y.float(), dim=1)).square().sum(1) for x, y in pairs]
    return torch.stack([level.flatten(1).mean(1) for level in far]).mean(0)


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


# --- shares of comparisons that come out right


def triplet_accuracy(anchors: Tensor, alikes: Tensor, others: Tensor) -> float:
    """The share of triples in which the alike is nearer to its anchor than the other; a tie counts half.

    anchors, alikes, others: (n, ...) codes or pictures. A share, so that spaces of any scale can be compared.
    """
    if not anchors.shape == alikes.shape == others.shape or anchors.dim() < 2:
        shapes = ", ".join(str(tuple(x.shape)) for x in (anchors, alikes, others))
        raise ValueError(f"triples must be three tensors of the same shape (n, ...), got {shapes}")
    near = (anchors - alikes).flatten(1).norm(dim=1)
    far = (anchors - others).flatten(1).norm(dim=1)
    return ((near < far).float() + 0.5 * (near == far).float()).mean().item()


def auc(same: torch.Tensor, different: torch.Tensor) -> float:
    """How often two photos of one person are nearer than two of different people: 1 always, 0.5 by chance.

    same, different: distances of pairs, (m,) and (n,). The area under the receiver's curve, as the share of the m·n
    comparisons that come out right; a tie counts half.
    """
    if not len(same) or not len(different):
        raise ValueError("the share needs pairs of both kinds, of one person and of different people")
    order = different.sort().values
    larger = len(order) - torch.searchsorted(order, same, right=True)
    ties = torch.searchsorted(order, same, right=True) - torch.searchsorted(order, same)
    return ((larger + ties / 2).double().sum() / (len(same) * len(different))).item()


def rank_correlation(values: Tensor) -> Tensor:
    """Spearman's correlation of each row with its order 1, 2, …: (n, k) -> (n,); 1 rises throughout, -1 falls."""
    ranks = values.argsort(1).argsort(1).float()  # (n, k)
    ranks = ranks - ranks.mean(1, keepdim=True)
    order = torch.arange(values.shape[1], device=values.device) - (values.shape[1] - 1) / 2
    return (ranks * order).sum(1) / (ranks.square().sum(1) * order.square().sum()).sqrt()


# --- whom is a child like?


def balance(child: Tensor, a: Tensor, b: Tensor, distance: Distance) -> Tensor:
    """Whom the child is more like: 0 for a itself, 0.5 for as far from both, 1 for b itself.

    child, a, b: n pictures or codes, whatever ``distance`` takes -> (n,): distance to a, as a share of both distances
    """
    to_a, to_b = distance(child, a), distance(child, b)
    both = to_a + to_b
    return torch.where(both > 0, to_a / both, torch.full_like(both, 0.5))


def between(child: Tensor, a: Tensor, b: Tensor, distance: Distance) -> Tensor:
    """Is the child nearer to both parents than they are to each other? -> (n,) bool; arguments as in ``balance``."""
    return torch.maximum(distance(child, a), distance(child, b)) < distance(a, b)


def diversity(people: Tensor, distance: Distance) -> float:
    """The mean distance of all pairs among n pictures or codes (n, ...); n at least 2."""
    if len(people) < 2:
        raise ValueError(f"diversity compares people with each other; it needs 2 or more, got {len(people)}")
    one, other = torch.triu_indices(len(people), len(people), 1, device=people.device)
    return distance(people[one], people[other]).mean().item()


# --- children of many couples, beside controls


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
    return w[:, None].repeat(1, generator.num_ws, 1).unflatten(0, (count, 2))


@torch.no_grad()
def judge(
    generator,  # has draw(codes) -> pictures (n, 3, r, r) in [0, 1]
    identity,  # has embed(pictures (n, 3, r, r) in [0, 1]) -> (n, k) of length 1
    discriminator,  # pictures in [-1, 1] -> (n,), high for a photo
    couples: Tensor,  # (n, 2, num_ws, w_dim), n at least 4, from draw_couples
    mix: Mix = lerp,  # how a child is made, such as blending.average or blending.draw_sibling(0)
    has_face: Callable[[Tensor], Tensor] | None = None,  # pictures (n, 3, r, r) in [0, 1] -> (n,) bool, a detector
    siblings: Callable[[Tensor, Tensor, int], Tensor] | None = None,  # blending.siblings: a, b, count -> (n, count, …)
) -> dict[str, Measure]:
    """What a way of mixing does, measured over couples; each measure has its control.

    "itself", "between", "nearer", "parents found": is the child its parents' child?
    "off balance", "slider", "rises", "swap", "mirror": does the slider say whose?
    "diversity", "diversity without tone", with ``siblings`` also "siblings": do couples have different children?
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
    if siblings is not None:
        means = "mean identity distance of four siblings"
        four = identity.embed(draw(siblings(codes_a, codes_b, 4).flatten(0, 1))).unflatten(0, (-1, 4))
        within = sum(diversity(brood, _cosine) for brood in four) / len(four)
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


def _cosine(one: Tensor, other: Tensor) -> Tensor:
    """Identity.distance of pictures whose embeddings, of length 1, are at hand."""
    return 1 - (one * other).sum(-1)


def _rms_each(one: Tensor, other: Tensor) -> Tensor:
    return (one - other).flatten(1).square().mean(1).sqrt()


def _rms(one: Tensor, other: Tensor) -> float:
    return _rms_each(one, other).mean().item()


def _share(answers: Tensor) -> float:
    return answers.float().mean().item()


def _same_shape(a: Tensor, b: Tensor) -> None:
    if a.shape != b.shape or a.dim() < 2:
        raise ValueError(f"both must be pictures of the same shape (n, ...), got {tuple(a.shape)} and {tuple(b.shape)}")
