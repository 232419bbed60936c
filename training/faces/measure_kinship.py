"""Is the blend of two photos the child of these two, and one face? Couples of people never seen, beside ghosts.

python -m training.faces.measure_kinship               40 couples, writes data/weights/faces-64-kinship.json
python -m training.faces.measure_kinship --variants    what else was tried, by a smaller table in the model card
python -m training.faces.measure_kinship --quick       four couples, two steps; nothing is written

The parents are LFW's held-out people with two photos or more: one photo is mixed, likeness is asked of another one.
Nobody is shown; what is written are numbers.
"""

from __future__ import annotations

import argparse
import copy
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from latentlib.device import pick_device
from latentlib.gan import tuning
from latentlib.gan.inversion import invert
from latentlib.gan.w_space import p_norm
from latentlib.metrics import (
    LIKENESS,
    ONE_FACE,
    SHARES,
    controls,
    kinship_table,
    look,
    psnr,
    struck,
    teach_ghosts,
    verdict,
)
from latentlib.models.stylegan2 import Generator
from latentlib.weights import WEIGHTS, checksum, load
from training import lfw
from training.cards import put_between

FILE = "faces-64-kinship.json"
NETWORKS = ("faces-64", "faces-64-discriminator", "faces-64-encoder", "faces-64-identity")
TAUGHT = 1200  # training photos that the judge of ghosts learns from
SHOWN = "tuned"  # the kind of child that the course draws
COARSE = 1.0  # weight of the error at a quarter of the size
LOCALITY = 0.3  # weight of staying as before at other codes
KINDS = {
    "codes": "usual codes, drawn by the generator as it is",
    "tuned": "usual codes, one copy tuned on both photos",
}
VARIANTS = {
    "tuned from the encoder": "the encoder's answer as it is, one copy tuned on both photos",
    "a copy each, averaged": "a copy tuned for each parent, weights averaged as the share says",
    "pixels only": "no perceptual distance",
    "perceptual 0.03": "perceptual distance with weight 0.03 instead of 0.1",
    "perceptual 0.3": "perceptual distance with weight 0.3 instead of 0.1",
    "coarse": "error at a quarter of the size as well",
    "locality": "the copy shall draw other codes as before (PTI's regularisation)",
    "half the steps": "75 steps",
    "twice the steps": "300 steps",
    "freer codes": "the pivots held back a tenth as much",
}


VARIANT_MEASURES = (
    "own parents nearest",
    "nearer to own than to other couples",
    "detail, beside the photos'",
    "one face",
)
BEGIN, END = "<!-- ways to tune: begin -->", "<!-- ways to tune: end -->"


class Couple(NamedTuple):
    """Two people: photos (2, 3, 64, 64) in [0, 1], the mixed ones and others."""

    mixed: Tensor
    others: Tensor


class Networks(NamedTuple):
    generator: Generator
    discriminator: nn.Module
    encoder: nn.Module
    identity: nn.Module


def draw_couples(held: lfw.Faces, count: int, seed: int = 0) -> list[Couple]:
    """Couples of people with two photos or more, in an order drawn by lot; when they run out, from the start again."""
    numbers, photos = held.people.unique(return_counts=True)
    people = numbers[photos > 1]
    order = people[torch.randperm(len(people), generator=torch.Generator().manual_seed(seed))].tolist()
    couples = []
    for k in range(count):
        own = [(held.people == order[(2 * k + side) % len(order)]).nonzero().flatten()[:2] for side in (0, 1)]
        first, second = (held.images[places].float() / 255 for places in own)  # (2, 3, 64, 64): a person's two photos
        couples.append(Couple(torch.stack([first[0], second[0]]), torch.stack([first[1], second[1]])))
    return couples


def drawn_by(network: Generator, codes: Tensor) -> Tensor:
    """The children at SHARES, then both parents, as a network draws them: (len(SHARES) + 2, 3, r, r)."""
    way = torch.tensor([*SHARES, 0.0, 1.0], device=codes.device)[:, None, None]
    with torch.no_grad():
        return network.draw(codes[0].lerp(codes[1], way))


def averaged(first: Generator, second: Generator, share: float) -> Generator:
    """A network whose weights lie between those of two."""
    network = copy.deepcopy(first)
    pairs = zip(network.parameters(), first.parameters(), second.parameters(), strict=True)
    for weight, a, b in pairs:
        weight.data = a.lerp(b, share)
    return network


def averaged_children(nets: Networks, codes: Tensor, photos: Tensor, steps: int) -> Tensor:
    """As drawn_by, from a copy for each parent."""
    options = {"discriminator": nets.discriminator, "steps": steps, "progress": False}
    copies = [tuning.tune(nets.generator, codes[k, None], photos[k, None], **options).generator for k in (0, 1)]
    with torch.no_grad():
        drawn = [averaged(*copies, share).draw(codes[0].lerp(codes[1], share)[None]) for share in (*SHARES, 0.0, 1.0)]
    return torch.cat(drawn)


def locality(nets: Networks, codes: Tensor, seed: int = 0) -> Callable[[nn.Module], Tensor]:
    """A penalty: how far the copy is from the original at codes half-way from the pivots to random ones."""
    numbers = torch.Generator().manual_seed(seed)

    def penalty(network: nn.Module) -> Tensor:
        z = torch.randn(1, nets.generator.z_dim, generator=numbers).to(codes.device)
        near = codes[:1].lerp(nets.generator.mapping(z)[:, None].expand_as(codes[:1]), 0.5)
        with torch.no_grad():
            before = nets.generator.synthesis(near, noise=None)
        return LOCALITY * ((network.synthesis(near, noise=None) - before) / 2).square().mean()

    return penalty


def coarse(codes: Tensor, photos: Tensor) -> Callable[[nn.Module], Tensor]:
    """A penalty: the squared error at a quarter of the size."""
    small = nn.functional.avg_pool2d(photos, 4)

    def penalty(network: nn.Module) -> Tensor:
        drawn = nn.functional.avg_pool2d(network.synthesis(codes, noise=None) / 2 + 0.5, 4)
        return COARSE * (drawn - small).square().flatten(1).mean(1).sum()

    return penalty


def children(kind: str, nets: Networks, photos: Tensor, codes: Tensor, steps: int) -> tuple[Tensor, Tensor]:
    """One couple's children and parents, as drawn_by gives them, and the codes (2, num_ws, w_dim) they come from."""
    options = {"discriminator": nets.discriminator, "steps": steps, "progress": False}
    if kind == "codes":
        return drawn_by(nets.generator, codes), codes
    if kind == "a copy each, averaged":
        return averaged_children(nets, codes, photos, steps), codes
    if kind == "tuned from the encoder":
        codes = invert(nets.generator, photos, "encoder", encoder=nets.encoder, progress=False).codes
    elif kind == "pixels only":
        options["perceptual_weight"] = 0.0
    elif kind.startswith("perceptual "):
        options["perceptual_weight"] = float(kind.split()[1])
    elif kind == "coarse":
        options["penalty"] = coarse(codes, photos)
    elif kind == "locality":
        options["penalty"] = locality(nets, codes)
    elif kind == "half the steps":
        options["steps"] = max(1, steps // 2)
    elif kind == "twice the steps":
        options["steps"] = 2 * steps
    elif kind == "freer codes":
        codes = tuning.pivots(
            nets.generator, photos, nets.encoder, p_norm_weight=tuning.PIVOT_P_NORM_WEIGHT / 10, progress=False
        ).codes
    return drawn_by(tuning.tune(nets.generator, codes, photos, **options).generator, codes), codes


def draw_all(
    kinds, nets: Networks, couples: list[Couple], steps: int, minutes: float | None = None
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """kind -> (couples, len(SHARES) + 2, 3, r, r), and kind -> codes (couples, 2, num_ws, w_dim).

    minutes: after so many no further couple is begun; never fewer than four
    """
    drawn, codes = {kind: [] for kind in kinds}, {kind: [] for kind in kinds}
    start = time.perf_counter()
    for number, couple in enumerate(couples, 1):
        if minutes is not None and number > 4 and time.perf_counter() - start > 60 * minutes:
            break
        pivots = tuning.pivots(nets.generator, couple.mixed, nets.encoder, progress=False).codes
        for kind in kinds:
            began = time.perf_counter()
            pictures, used = children(kind, nets, couple.mixed, pivots, steps)
            drawn[kind].append(pictures)
            codes[kind].append(used)
            print(f"couple {number} of {len(couples)}, {kind}: {time.perf_counter() - began:.1f} s", flush=True)
    return tuple({kind: torch.stack(parts) for kind, parts in all_of.items()} for all_of in (drawn, codes))


def measure(drawn: dict[str, Tensor], codes: dict[str, Tensor], nets: Networks, couples, strangers, taught) -> dict:
    """The table of every kind and control, and how well the parents are drawn."""
    mixed, others = (torch.stack(parts).unbind(1) for parts in zip(*couples, strict=True))
    films = {
        kind: lambda share, pictures=pictures: pictures[:, SHARES.index(share)] for kind, pictures in drawn.items()
    }
    mean_face = nets.generator.draw(nets.generator.w_avg[None])[0]
    films |= controls(*mixed, films[SHOWN], mean_face, strangers, nets.identity)
    ghost_judge = teach_ghosts(nets.discriminator, taught)
    seen = {
        kind: look(film, *mixed, nets.identity, nets.discriminator, ghost_judge, others) for kind, film in films.items()
    }
    unusual = p_norm(nets.generator)
    parents = {}
    for kind, pictures in drawn.items():
        found = psnr(pictures[:, -2:].flatten(0, 1), torch.stack(mixed, 1).flatten(0, 1))
        parents[kind] = {
            "psnr": round(found.mean().item(), 2),
            "psnr_least": round(found.min().item(), 2),
            "unusual": round(unusual(codes[kind].flatten(0, 1)).median().item(), 2),
        }
    table = kinship_table(seen)
    return {
        "table": {name: {kind: round(value, 3) + 0.0 for kind, value in row.items()} for name, row in table.items()},
        "struck": [name for name, row in table.items() if struck(row, SHOWN)],
        "verdict": {kind: verdict(table, kind) for kind in drawn},
        "parents": parents,
    }


def text(result: dict) -> str:
    """The table that a person reads, in Markdown."""
    kinds = list(next(iter(result["table"].values())))
    lines = ["| measure | " + " | ".join(kinds) + " |", "|---" * (len(kinds) + 1) + "|"]
    for name, row in result["table"].items():
        lines.append(f"| {name} | " + " | ".join(f"{row[kind]:.2f}" for kind in kinds) + " |")
    lines += [f"{kind}: {numbers}" for kind, numbers in result["parents"].items()]
    lines += [f"{kind}: {outcome}" for kind, outcome in result["verdict"].items()]
    return "\n".join(lines)


def variants_table(result: dict) -> str:
    """What each way to tune does, in Markdown: a row for each way, and the ghost's below."""
    rows = {"ghost": "the average of both photos"} | result["kinds"]
    lines = [
        f"| {result['couples']} couples of people never seen | parents, dB | unusual | "
        + " | ".join(VARIANT_MEASURES)
        + " |",
        "|---" * (3 + len(VARIANT_MEASURES)) + "|",
    ]
    for kind in [*result["kinds"], "ghost"]:
        parents = result["parents"].get(kind)
        own = f"{parents['psnr']:.1f} | {parents['unusual']:.2f}" if parents else "– | –"
        values = " | ".join(f"{result['table'][measure][kind]:.2f}" for measure in VARIANT_MEASURES)
        lines.append(f"| {kind}: {rows[kind]} | {own} | {values} |")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> dict:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--couples", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0, help="draw other couples of the same people; nothing is written")
    parser.add_argument("--variants", action="store_true", help="other ways to tune as well, for the model card")
    parser.add_argument(
        "--kind", action="append", choices=VARIANTS, help="one of these ways as well; nothing is written"
    )
    parser.add_argument("--minutes", type=float, help="begin no further couple after so many")
    parser.add_argument("--quick", action="store_true", help="four couples, two steps; nothing is written")
    parser.add_argument("--folder", type=Path, default=WEIGHTS, help="where the weights are and the result goes")
    options = parser.parse_args(arguments)
    device, folder = pick_device(options.device), options.folder
    nets = Networks(*(load(name, device, folder) for name in NETWORKS))
    held, train = lfw.load("held_out", device), lfw.load("train", device)
    couples = draw_couples(held, 4 if options.quick else options.couples, options.seed)
    strangers = train.images[:: max(1, len(train.images) // 500)].float() / 255
    some = torch.randperm(len(train.images), generator=torch.Generator().manual_seed(1))[:TAUGHT].to(device)
    kinds = KINDS | VARIANTS if options.variants else KINDS
    if options.kind:
        kinds = KINDS | {kind: VARIANTS[kind] for kind in options.kind}
    drawn, codes = draw_all(kinds, nets, couples, 2 if options.quick else tuning.STEPS, options.minutes)
    couples = couples[: len(drawn[SHOWN])]
    result = {
        "command": "python -m training.faces.measure_kinship"
        + ("" if options.minutes is None else f" --minutes {options.minutes:g}"),
        "couples": len(couples),
        "people": "LFW's held-out people with two photos or more; likeness is measured against another photo of each",
        "weights": {name: checksum(name, folder)[:16] for name in NETWORKS},
        "kinds": kinds,
        "likeness": list(LIKENESS),
        "one_face": list(ONE_FACE),
    } | measure(drawn, codes, nets, couples, strangers, train.images[some].float() / 255)
    print(text(result))
    if options.variants and not options.quick:
        put_between(folder / "README.md", BEGIN, END, variants_table(result))
    if not (options.quick or options.variants or options.kind or options.seed):
        (folder / FILE).write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    return result


if __name__ == "__main__":
    main()
