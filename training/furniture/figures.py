"""What the shipped furniture models can do, measured on pictures that none of them has seen; on the CPU.

Called by train_furniture.py; the results are data/weights/furniture-evaluation.json and the card furniture.md.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from latentlib import metrics, space, weights
from latentlib.datasets import furniture

SIZES = (64, 32, 16, 8, 4, 2)
STOCK = 8192
COLOUR = ("red", "green", "blue")


@torch.no_grad()
def evaluate(pool: Callable[[int], tuple[Tensor, Tensor]]) -> dict:
    """All figures; pool(size) gives the pictures the models learned from, as a stock of real furniture."""
    return {
        "closer": closer(),
        "regressor": reading(),
        "walk": walking(pool),
    }


def columns(names: tuple[str, ...]) -> list[int]:
    return [furniture.column(name) for name in names]


def closer(n: int = 4000) -> dict:
    """For pixels and each code: error, share of triples, and what linear probes read off.

    triples: two chairs of different colour are nearer each other than the first is to a table; everything else random.
    same_view: the same with turn and tilt of the first chair for all three.
    """
    anchors, alikes, tables = furniture.triples(n, seed=100)
    view = columns(("turn", "tilt"))
    triples = [furniture.render(f, 32) for f in (anchors, alikes, tables)]
    for other in (alikes, tables):
        other[:, view] = anchors[:, view]
    same_view = [triples[0], *(furniture.render(f, 32) for f in (alikes, tables))]
    images, factors = furniture.load(n, seed=101, size=32)

    spaces = {"pixels": (lambda x: x.flatten(1), None)}
    for size in SIZES:
        model = weights.load(f"furniture-{size}")
        spaces[f"autoencoder, {size} numbers"] = (model.encode, model)
    spaces["colour-blind, 8 numbers"] = (weights.load("furniture-colour-blind").encode, None)
    figures = {}
    for name, (encode, model) in spaces.items():
        codes = encode(images)
        row = {
            "triples": metrics.triplet_accuracy(*(encode(x) for x in triples)),
            "triples_same_view": metrics.triplet_accuracy(*(encode(x) for x in same_view)),
        }
        if model is not None:
            row["squared_error"] = (model(images) - images).square().sum().item() / n
        if name != "pixels":
            r2 = dict(zip(furniture.FACTORS, space.probe_r2(codes, factors).tolist(), strict=True))
            row["colour_r2"] = sum(r2[c] for c in COLOUR) / 3
            row["r2"] = r2
        figures[name] = rounded(row)
    return figures


def reading(n: int = 4000) -> dict:
    """R² of each factor read off unseen 64×64 pictures; those that only chairs have are measured on chairs."""
    images, factors = furniture.load(n, seed=102)
    read = torch.cat([weights.load("furniture-regressor")(part) for part in images.split(500)])
    chairs = factors[:, 0] == 0
    figures = {}
    for i, name in enumerate(furniture.FACTORS):
        these = chairs if name in ("back", "arms") else torch.ones_like(chairs)
        wrong = (read[these, i] - factors[these, i]).square().mean()
        figures[name] = (1 - wrong / factors[these, i].var(correction=0)).item()
    figures["kind right"] = ((read[:, 0] > 0.5) == (factors[:, 0] > 0.5)).float().mean().item()
    arms = furniture.column("arms")
    figures["arms right"] = ((read[chairs, arms] > 0.5) == (factors[chairs, arms] > 0.5)).float().mean().item()
    return rounded(figures)


def walking(pool: Callable[[int], tuple[Tensor, Tensor]], n: int = 32) -> dict:
    """From chair to table, and from chair to chair: halfway along the path of codes and halfway through a cross-fade.

    Distances are squared errors summed over the pixels. to_stock: to the nearest of the pictures in the pool.
    to_render: to the nearest render that a search over the factors finds, which starts from what the regressor reads.
    """
    model, regressor = weights.load("furniture-walk"), weights.load("furniture-regressor")
    images, factors = furniture.load(2000, seed=103)
    mean = torch.cat([model.encode(part) for part in images.split(500)])
    decoded = torch.cat([model.decode(part) for part in mean.split(500)])
    figures = {"squared_error": (decoded - images).square().sum().item() / len(images)}

    stock = pool(64)[0][:STOCK]
    chairs, tables = (factors[:, 0] == kind for kind in (0, 1))
    pairs = {"chair to table": (chairs, tables), "chair to chair": (chairs, chairs)}
    for name, (here, there) in pairs.items():
        a, b = here.nonzero()[:n, 0], there.nonzero()[-n:, 0]
        halfway = {
            "path": model.decode((mean[a] + mean[b]) / 2),
            "cross-fade": (images[a] + images[b]) / 2,
            "one end, decoded": decoded[a],
        }
        figures[name] = {}
        for way, pictures in halfway.items():
            row = {
                "to_stock": nearest_in(stock, pictures).mean().item(),
                "to_render": nearest_render(pictures, regressor).mean().item(),
            }
            if name == "chair to chair" and way != "one end, decoded":
                row["off_halfway"] = off_halfway(regressor(pictures), (factors[a] + factors[b]) / 2)
            figures[name][way] = rounded(row)
    return rounded(figures)


def off_halfway(read: Tensor, expected: Tensor) -> dict:
    """How far each factor read off is from halfway between the ends, in parts of its range for chairs; means."""
    ranges = furniture.KIND_RANGES[0]
    spans = torch.tensor([max(ranges[name][1] - ranges[name][0], 1e-9) for name in furniture.FACTORS])
    off = ((read - expected).abs() / spans).mean(0).tolist()
    return {name: off[furniture.column(name)] for name in furniture.FACTORS if name != "kind"}


def nearest_in(stock: Tensor, pictures: Tensor) -> Tensor:
    """Squared distance to the nearest picture of the stock (uint8): (n, ...), (m, ...) -> (m,)."""
    flat, best = pictures.flatten(1), torch.full((len(pictures),), float("inf"))
    for part in stock.split(2048):
        best = torch.minimum(best, torch.cdist(flat, part.flatten(1).float() / 255).square().amin(1))
    return best


def nearest_render(pictures: Tensor, regressor: torch.nn.Module, rounds: int = 8, tries: int = 8) -> Tensor:
    """Squared distance to the best render found: random changes to the best factors so far, smaller in each round."""
    generator = torch.Generator().manual_seed(0)
    best = torch.full((len(pictures),), float("inf"))
    for kind in (0, 1):
        low, high = torch.tensor([furniture.KIND_RANGES[kind][name] for name in furniture.FACTORS]).T
        centre = regressor(pictures).clamp(low, high)
        for i in range(rounds):
            noise = torch.randn(len(pictures), tries, len(furniture.FACTORS), generator=generator)
            noise[:, 0] = 0  # the best so far stays in the race
            tried = (centre[:, None] + noise * (high - low) * 0.2 * 0.7**i).clamp(low, high)
            renders = furniture.render(tried.flatten(0, 1)).unflatten(0, (-1, tries))
            error = (renders - pictures[:, None]).flatten(2).square().sum(2)
            found, at = error.min(1)
            centre = tried[torch.arange(len(tried)), at]
        best = torch.minimum(best, found)
    return best


def rounded(figures: dict) -> dict:
    return {k: rounded(v) if isinstance(v, dict) else float(f"{v:.4g}") for k, v in figures.items()}


def card(figures: dict, pool_size: int) -> str:
    """The section of the model card, furniture.md: the figures in the text of furniture_card.md."""
    shape = [name for name in furniture.FACTORS if name not in (*COLOUR, "kind")]
    closer_rows = []
    for name, row in figures["closer"].items():
        shown = [f"{row['squared_error']:.1f}" if "squared_error" in row else "–"]
        shown += [f"{row[k]:.3f}" for k in ("triples", "triples_same_view")]
        shown += (
            [f"{row['colour_r2']:.2f}", f"{sum(row['r2'][n] for n in shape) / len(shape):.2f}"]
            if "r2" in row
            else ["–"] * 2
        )
        closer_rows.append(f"| {name} | {' | '.join(shown)} |")
    walk, read = figures["walk"], figures["regressor"]
    pairs = ("chair to table", "chair to chair")
    off = {way: row["off_halfway"] for way, row in walk["chair to chair"].items() if "off_halfway" in row}
    names = list(next(iter(off.values())))
    return (
        (Path(__file__).parent / "card.md")
        .read_text()
        .format(
            pool=pool_size,
            stock=STOCK,
            closer="\n".join(closer_rows),
            walk="\n".join(
                f"| {pair} | {way} | {row['to_stock']:.0f} | {row['to_render']:.0f} |"
                for pair in pairs
                for way, row in walk[pair].items()
            ),
            off_names=" | ".join(names),
            off_line="---|" * (len(names) - 1) + "---",
            off="\n".join(f"| {way} | {' | '.join(f'{row[n]:.2f}' for n in names)} |" for way, row in off.items()),
            walk_error=f"{walk['squared_error']:.1f}",
            kind_right=read["kind right"],
            arms_right=read["arms right"],
            reader_names=" | ".join(furniture.FACTORS),
            reader_line="---|" * (len(furniture.FACTORS) - 1) + "---",
            regressor=" | ".join(f"{read[n]:.3f}" for n in furniture.FACTORS),
        )
    )
