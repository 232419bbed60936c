"""How alike are pictures, and how good is a child of two people? Networks that judge are arguments.

Pictures are (n, 3, h, w) in [0, 1]. A measure of children says something only where simple opponents fail:
``baselines`` are the parents' cross-fade, plain and sharpened; ``uninformative`` names the measures that those pass.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Evaluation = dict[str, dict[str, float]]  # measure -> kind of child -> number, more is better
STRANGERS = 0.95  # who is nearer to a parent than so many strangers are could be taken for that parent
BASELINE = 0.95  # a measure on which a cross-fade reaches so much of the child's number says nothing

# --- pictures


def psnr(a: Tensor, b: Tensor) -> Tensor:
    """Peak signal-to-noise ratio in dB of pictures in [0, 1]: (n, ...), (n, ...) -> (n,). 10 dB more is a tenth of the
    squared error; equal pictures have an infinite one."""
    if a.shape != b.shape:
        raise ValueError(f"both must be pictures of the same shape, got {tuple(a.shape)} and {tuple(b.shape)}")
    return -10 * (a.float() - b.float()).square().flatten(1).mean(1).log10()


def perceptual_features(discriminator: nn.Module, images: Tensor) -> list[Tensor]:
    """Features of each layer, brought to length 1 at each place: (n, channels, r, r) for each layer."""
    return [F.normalize(level.float(), dim=1) for level in discriminator.features(images * 2 - 1)]


def feature_distance(a: list[Tensor], b: list[Tensor]) -> Tensor:
    """Squared difference of features, summed over channels, mean over places and then over layers: (n,) in [0, 4].

    The formula is that of LPIPS (Zhang et al. 2018) without its learned weights.
    """
    far = [(x - y).square().sum(1).flatten(1).mean(1) for x, y in zip(a, b, strict=True)]
    return torch.stack(far).mean(0)


def detail(images: Tensor) -> Tensor:
    """The mean difference of neighbouring pixels, which a blur and a cross-fade lose: (n, 3, h, w) -> (n,)"""
    across, down = images.diff(dim=3).abs().flatten(1), images.diff(dim=2).abs().flatten(1)
    return torch.cat([across, down], 1).mean(1)


def sharpened(images: Tensor, amount: float = 1.0) -> Tensor:
    """Pictures with what a 3 × 3 blur takes away added once more, ``amount`` times: (n, 3, h, w) -> (n, 3, h, w)."""
    blurred = F.avg_pool2d(F.pad(images, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
    return (images + amount * (images - blurred)).clamp(0, 1)


# --- shares of comparisons that come out right


def triplet_accuracy(anchors: Tensor, alikes: Tensor, others: Tensor) -> float:
    """The share of triples in which the alike is nearer to its anchor than the other; a tie counts half.

    anchors, alikes, others: (n, ...) codes or pictures. A share, so that spaces of any scale can be compared.
    """
    if not anchors.shape == alikes.shape == others.shape:
        shapes = ", ".join(str(tuple(x.shape)) for x in (anchors, alikes, others))
        raise ValueError(f"triples must be three tensors of the same shape (n, ...), got {shapes}")
    near = (anchors - alikes).flatten(1).norm(dim=1)
    far = (anchors - others).flatten(1).norm(dim=1)
    return ((near < far).float() + 0.5 * (near == far).float()).mean().item()


def auc(same: Tensor, different: Tensor) -> float:
    """How often two photos of one person are nearer than two of different people: 1 always, 0.5 by chance.

    same, different: distances of pairs, (m,) and (n,). The area under the ROC curve: the share of the m·n comparisons
    that come out right; a tie counts half.
    """
    from sklearn.metrics import roc_auc_score

    far = torch.cat([same, different]).detach().cpu().numpy()
    return float(roc_auc_score([0] * len(same) + [1] * len(different), far))


# --- children


def random_z(generator: nn.Module, count: int, seed: int) -> Tensor:
    """(count, z_dim), the same for the same seed."""
    # Not the seed itself: a network that was made under it has these very numbers among its first weights.
    numbers = torch.Generator().manual_seed(seed + 1)
    return torch.randn(count, generator.z_dim, generator=numbers).to(generator.w_avg.device)


def draw_couples(generator: nn.Module, count: int = 48, seed: int = 0) -> Tensor:
    """Codes of couples of generated people who have nothing to do with each other: (count, 2, num_ws, w_dim)."""
    w = generator.truncate(generator.mapping(random_z(generator, 2 * count, seed)), 0.8)
    return w[:, None].repeat(1, generator.num_ws, 1).unflatten(0, (count, 2))


def baselines(first: Tensor, second: Tensor, amount: float = 1.0) -> dict[str, Tensor]:
    """What anybody can make of two pictures without a latent space: their cross-fade, plain and sharpened."""
    fade = (first + second) / 2
    return {"cross-fade": fade, "sharpened cross-fade": sharpened(fade, amount)}


@torch.no_grad()
def teach_one_face(discriminator: nn.Module, faces: Tensor) -> Callable[[Tensor], Tensor]:
    """A judge of one face or two: pictures (n, 3, r, r) -> (n,), above 0 for one face, below 0 for a cross-fade of two.

    faces: (m, 3, r, r), 100 or more. A logistic regression on the discriminator's coarsest features learns to tell them
    from averages of two of them. It knows nothing else, so a sharpened cross-fade may pass for one face.
    """
    from sklearn.linear_model import LogisticRegression

    def features(images: Tensor) -> Tensor:
        return torch.cat([discriminator.features(part * 2 - 1)[-1].float().flatten(1) for part in images.split(4)])

    order = torch.randperm(len(faces), generator=torch.Generator().manual_seed(0)).to(faces.device)
    seen = torch.cat([features(faces), features((faces[order] + faces[order.roll(1)]) / 2)])
    mean, spread = seen.mean(0), seen.std(0) + 1e-6
    fit = LogisticRegression(C=0.01, max_iter=300)
    fit.fit(((seen - mean) / spread).cpu().numpy(), [1] * len(faces) + [0] * len(faces))
    weight, bias = torch.from_numpy(fit.coef_[0]).to(mean), float(fit.intercept_[0])
    return torch.no_grad()(lambda images: (features(images) - mean) / spread @ weight + bias)


@torch.no_grad()
def evaluate(
    children: dict[str, Tensor],  # kind -> (n, 3, r, r), one child for each couple; ``baselines`` are kinds, too
    first: Tensor,  # (n, 3, r, r) the pictures that were mixed
    second: Tensor,
    identity: nn.Module,  # embed(pictures) -> (n, k) of length 1
    one_face: Callable[[Tensor], Tensor],  # the judge from ``teach_one_face``
    others: tuple[Tensor, Tensor] | None = None,  # another picture of each parent, to whom likeness is then measured
) -> Evaluation:
    """The table: every measure for every kind of child, one child for each of the couples."""
    parents = torch.stack([_embedded(identity, side) for side in others or (first, second)])  # (2, n, k)
    number = torch.arange(len(first), device=first.device)
    own = number[:, None] == number  # (n, n)
    strangers = (parents @ parents.flatten(0, 1).T).masked_fill(own.repeat(1, 2), -1)  # (2, n, 2 n), all but the couple
    stranger = strangers.sort(-1).values[..., 2:].quantile(STRANGERS, -1)  # (2, n)
    table: Evaluation = {}
    for kind, child in children.items():
        code = _embedded(identity, child)
        like = code @ parents.mT  # (2, n, n): each child to each first and each second parent
        to_own, couples = (code * parents).sum(-1), like.sum(0)  # (2, n), and (n, n): to both of each couple
        row = {
            "between its parents": (to_own.amin(0) > (parents[0] * parents[1]).sum(-1)).float().mean().item(),
            "own parents nearest": (couples.argmax(1) == number).float().mean().item(),
            "nearer to own than to other couples": auc(-couples[own], -couples[~own]),
            "could be taken for each parent": (to_own > stranger).all(0).float().mean().item(),
            "detail, beside the parents'": (2 * detail(child) / (detail(first) + detail(second))).mean().item(),
            "one face": (one_face(child) > 0).float().mean().item(),
        }
        for measure, value in row.items():
            table.setdefault(measure, {})[kind] = value
    return table


def uninformative(table: Evaluation, child: str) -> list[str]:
    """The measures that are no proof for a kind of child, because one of the baselines passes them, or nearly."""
    reached = {measure: max(row["cross-fade"], row["sharpened cross-fade"]) for measure, row in table.items()}
    return [measure for measure, row in table.items() if reached[measure] >= BASELINE * row[child]]


def _embedded(identity: nn.Module, pictures: Tensor) -> Tensor:
    return torch.cat([identity.embed(part) for part in pictures.split(16)])
