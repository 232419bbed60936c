"""How alike are pictures, how good is a child? Every measure that the course judges by takes networks as arguments.

Pictures are (n, 3, h, w) in [0, 1]. ``kinship_table`` sets each number of children beside the same number of ghosts and
of people who are no kin; identity distance is that of ``models/identity.py``, which sees less than a person does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

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
    return feature_distance(perceptual_features(discriminator, a), perceptual_features(discriminator, b))


def perceptual_features(discriminator: nn.Module, images: Tensor) -> list[Tensor]:
    """What ``perceptual_distance`` compares: features of each layer, of length 1 at each place, (n, channels, r, r)."""
    return [F.normalize(level.float(), dim=1) for level in discriminator.features(images * 2 - 1)]


def feature_distance(a: list[Tensor], b: list[Tensor]) -> Tensor:
    """Squared difference of two pictures' features, summed over channels, mean over places, then layers: -> (n,)."""
    far = [(x - y).square().sum(1).flatten(1).mean(1) for x, y in zip(a, b, strict=True)]
    return torch.stack(far).mean(0)


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

    same, different: distances of pairs, (m,) and (n,). The area under the ROC curve, as the share of the m·n
    comparisons that come out right; a tie counts half.
    """
    from sklearn.metrics import roc_auc_score

    if not len(same) or not len(different):
        raise ValueError("the share needs pairs of both kinds, of one person and of different people")
    far = torch.cat([same, different]).detach().cpu().numpy()
    return float(roc_auc_score([0] * len(same) + [1] * len(different), far))


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


# --- is it the child of these two, and is it one face? Small functions, each for one number of one kind of children

SHARES = (0.1, 0.3, 0.5, 0.7, 0.9)  # of the second parent, at which children are looked at
HALF = SHARES.index(0.5)
GHOST = "ghost"  # the average of the parents' pixels
PASSES = 0.95  # of the child's number: a ghost that reaches so much passes the test as well
CLOSE = 0.9  # of the ghost's likeness: a child that reaches so much is close to it
Film = Callable[[float], Tensor]  # the second parent's share -> pictures of the children of n couples (n, 3, r, r)


class Kin(NamedTuple):
    """What the judges see in one kind of children of n couples, and in the parents."""

    children: Tensor  # (len(SHARES), n, k) identity codes of length 1
    first: Tensor  # (n, k) those of the first parents
    second: Tensor  # (n, k)
    pictures: Tensor  # (n, 3, r, r) in [0, 1], the children at a half
    photos: Tensor  # (2 n, 3, r, r), what was mixed: all first parents, then all second ones
    answers: Tensor  # (n,) the discriminator's about each child at a half, asked one picture at a time
    photo_answers: Tensor  # (2 n,) and about each photo
    marks: Tensor  # (n,) of a judge that knows ghosts, about each child at a half: above 0 one face, below 0 two

    @property
    def child(self) -> Tensor:
        """(n, k) of the children at a half."""
        return self.children[HALF]


def lies_between(kin: Kin) -> float:
    """The share of couples whose child is nearer to both parents than they are to each other."""
    return between(kin.child, kin.first, kin.second, _cosine).float().mean().item()


def parents_found(kin: Kin) -> float:
    """The share of children to whom, of all couples, their own is the nearest."""
    return (to_couples(kin).argmin(1).cpu() == torch.arange(len(kin.first))).float().mean().item()


def own_couple_nearer(kin: Kin) -> float:
    """How often a child is nearer to its own couple than to another couple: AUC, 0.5 by chance."""
    far = to_couples(kin)
    own = torch.eye(len(far), dtype=torch.bool, device=far.device)
    return auc(far[own], far[~own])


def follows_share(kin: Kin) -> float:
    """The rank correlation (Spearman) of a child's likeness with the second parent's share, mean over the couples."""
    from scipy.stats import spearmanr

    likeness = torch.stack([balance(child, kin.first, kin.second, _cosine) for child in kin.children], 1)  # (n, shares)
    found = [spearmanr(SHARES, row).statistic if row.unique().numel() > 1 else 0.0 for row in likeness.cpu()]
    return float(sum(found) / len(found))


def as_various(kin: Kin) -> float:
    """How much children of different couples differ, by identity, as a share of how much their parents do."""
    return diversity(kin.child, _cosine) / diversity(kin.first, _cosine)


def as_various_in_grey(kin: Kin) -> float:
    """The same by pixels, after tone and contrast were divided out: one child in three tints gives 0."""
    children, parents = without_tone(kin.pictures), without_tone(kin.photos[: len(kin.first)])
    return diversity(children, _rms) / diversity(parents, _rms)


def detail_kept(kin: Kin) -> float:
    """How much neighbouring pixels differ, as a share of the photos'."""
    first, second = detail(kin.photos).unflatten(0, (2, -1))
    return (detail(kin.pictures) / ((first + second) / 2)).mean().item()


def one_face(kin: Kin) -> float:
    """The share of children that a judge who knows ghosts takes for one face."""
    return (kin.marks > 0).float().mean().item()


def like_a_photo(kin: Kin) -> float:
    """How often the discriminator gives a child a better mark than a photo: 0.5 as a photo does, 0 never."""
    return auc(-kin.answers, -kin.photo_answers)


LIKENESS: dict[str, Callable[[Kin], float]] = {
    "between its parents": lies_between,
    "own parents nearest": parents_found,
    "nearer to own than to other couples": own_couple_nearer,
    "follows the share": follows_share,
    "as various as people": as_various,
    "as various in grey": as_various_in_grey,
}
ONE_FACE: dict[str, Callable[[Kin], float]] = {"detail, beside the photos'": detail_kept, "one face": one_face}
OTHER: dict[str, Callable[[Kin], float]] = {"like a photo, to the discriminator": like_a_photo}  # it never met a ghost


def controls(
    first: Tensor,  # (n, 3, r, r) the pictures that are mixed
    second: Tensor,
    child: Film,
    mean_face: Tensor,  # (3, r, r)
    strangers: Tensor,  # (m, 3, r, r), people none of whom is a parent
    identity: nn.Module,
) -> dict[str, Film]:
    """What stands beside every child: ghost, somebody else's child, mean face, nearest of the strangers."""
    with torch.no_grad():
        like = (_embedded(identity, first) + _embedded(identity, second)) @ _embedded(identity, strangers).T  # (n, m)
    nearest = strangers[like.argmax(1)]
    return {
        GHOST: lambda share: first.lerp(second, share),
        "another couple's child": lambda share: child(share).roll(1, 0),
        "the mean face": lambda share: mean_face.expand_as(first),
        "the nearest stranger": lambda share: nearest,
    }


@torch.no_grad()
def look(
    film: Film,
    first: Tensor,  # (n, 3, r, r) the pictures that were mixed
    second: Tensor,
    identity: nn.Module,  # has embed(pictures (n, 3, r, r) in [0, 1]) -> (n, k) of length 1
    discriminator: nn.Module,  # pictures in [-1, 1] -> (n,), high for a photo
    ghost_judge: Callable[[Tensor], Tensor],  # pictures in [0, 1] -> (n,), above 0 for one face; from teach_ghosts
    others: tuple[Tensor, Tensor] | None = None,  # another picture of each parent, to whom likeness is then measured
) -> Kin:
    """Let the judges look at one kind of children."""
    if first.shape != second.shape or first.dim() != 4 or len(first) < 4:
        raise ValueError(
            f"first and second must be pictures (n, 3, r, r) of 4 couples or more, got {tuple(first.shape)} and "
            f"{tuple(second.shape)}"
        )
    pictures = [film(share) for share in SHARES]
    photos = torch.cat([first, second])
    answers = [judged_alone(discriminator, asked) for asked in (pictures[HALF], photos)]
    parents = [_embedded(identity, side) for side in (others or (first, second))]
    children = torch.stack([_embedded(identity, some) for some in pictures])
    return Kin(children, *parents, pictures[HALF], photos, *answers, ghost_judge(pictures[HALF]))


@torch.no_grad()
def teach_ghosts(discriminator: nn.Module, pictures: Tensor, seed: int = 0) -> Callable[[Tensor], Tensor]:
    """A judge of one face or two: pictures (n, 3, r, r) in [0, 1] -> (n,), above 0 for one face, below 0 for a ghost.

    pictures: (m, 3, r, r), faces, 100 or more. A logistic regression on the discriminator's coarsest features learns to
    tell them from averages of two of them. It knows nothing else: what it says of noise means nothing.
    """
    from sklearn.linear_model import LogisticRegression

    def features(images: Tensor) -> Tensor:
        return torch.cat([discriminator.features(x * 2 - 1)[-1].float().flatten(1) for x in images.split(64)])

    order = torch.randperm(len(pictures), generator=torch.Generator().manual_seed(seed)).to(pictures.device)
    ghosts = (pictures[order] + pictures[order.roll(1)]) / 2
    seen = torch.cat([features(pictures), features(ghosts)])
    mean, spread = seen.mean(0), seen.std(0) + 1e-6
    fit = LogisticRegression(C=0.01, max_iter=300)
    fit.fit(((seen - mean) / spread).cpu().numpy(), [1] * len(pictures) + [0] * len(ghosts))
    weight, bias = torch.from_numpy(fit.coef_[0]).to(mean), float(fit.intercept_[0])
    return torch.no_grad()(lambda images: (features(images) - mean) / spread @ weight + bias)


def kinship_table(seen: dict[str, Kin]) -> dict[str, dict[str, float]]:
    """Every measure for every kind of children: measure -> kind -> number, more is better."""
    return {name: {kind: of(kin) for kind, kin in seen.items()} for name, of in (LIKENESS | ONE_FACE | OTHER).items()}


def struck(row: dict[str, float], child: str) -> bool:
    """Is this row of the table no proof, because the ghost passes it as well as the child, or nearly?"""
    return row[GHOST] >= PASSES * row[child]


def verdict(table: dict[str, dict[str, float]], child: str) -> dict[str, bool]:
    """A child must beat the ghost at being one face, and come close to it in likeness."""
    beats = {f"more than a ghost: {name}": not struck(table[name], child) for name in ONE_FACE}
    likeness = table["own parents nearest"]
    return beats | {"likeness close to the ghost's": likeness[child] >= CLOSE * likeness[GHOST]}


def to_couples(kin: Kin) -> Tensor:
    """Identity distance of each child to each couple, to both parents together: (n, n)."""
    return 2 - kin.child @ kin.first.T - kin.child @ kin.second.T


def draw_couples(generator, count: int = 48, seed: int = 0, truncation: float = 0.7) -> Tensor:
    """Codes of couples of generated people who have nothing to do with each other: (count, 2, num_ws, w_dim)."""
    # Not the stream of seed 0: those numbers are also what the mapping's first layer started from.
    z = torch.randn(2 * count, generator.z_dim, generator=torch.Generator().manual_seed(seed + 1))
    w = generator.truncate(generator.mapping(z.to(generator.w_mean.device)), truncation)
    return w[:, None].repeat(1, generator.num_ws, 1).unflatten(0, (count, 2))


def judged_alone(discriminator: nn.Module, pictures: Tensor) -> Tensor:
    """The discriminator's answer to each picture by itself: (n, 3, r, r) in [0, 1] -> (n,), high for a photo."""
    return torch.cat([discriminator(part * 2 - 1, alone=True) for part in pictures.split(32)])


def _embedded(identity: nn.Module, pictures: Tensor) -> Tensor:
    return torch.cat([identity.embed(part) for part in pictures.split(64)])


def _cosine(one: Tensor, other: Tensor) -> Tensor:
    """Identity.distance of pictures whose embeddings, of length 1, are at hand."""
    return 1 - (one * other).sum(-1)


def _rms(one: Tensor, other: Tensor) -> Tensor:
    return (one - other).flatten(1).square().mean(1).sqrt()


def _same_shape(a: Tensor, b: Tensor) -> None:
    if a.shape != b.shape or a.dim() < 2:
        raise ValueError(f"both must be pictures of the same shape (n, ...), got {tuple(a.shape)} and {tuple(b.shape)}")
