"""Fit the measure of whom a face looks like, on LFW's people with two photos or more, and measure it on others.

    python -m training.faces.train_identity              # fit, ship it as faces-64-identity, measure it
    python -m training.faces.train_identity --evaluate   # only measure; writes its JSON and the card's table
    python -m training.faces.train_identity --choose     # compares settings on training people kept aside

Fitting uses the training split alone; pairs of people held out are only measured. Needs LFW and scikit-learn.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from latentlib import weights
from latentlib.metrics import auc, without_tone
from latentlib.models.identity import Identity
from latentlib.weights import WEIGHTS, save_weights
from training import lfw

NAME = "faces-64-identity"
COMPONENTS = 300  # principal components that the discriminants are made of
SETTINGS = ((12, 6), (12, 4), (8, 4))  # cell and stride that --choose compares
PAIRS_A_PERSON, DIFFERENT_PAIRS = 15, 20_000  # so that a person with 50 photos does not decide the measure
BEGIN, END = "<!-- evaluation of faces-64-identity: begin -->", "<!-- evaluation of faces-64-identity: end -->"
RULE = f"up to {PAIRS_A_PERSON} pairs of each person, and {DIFFERENT_PAIRS:,} pairs of different people"


def with_two_photos(data: lfw.Faces) -> lfw.Faces:
    """Those photos whose person has another one."""
    _, place, photos = data.people.unique(return_inverse=True, return_counts=True)
    return lfw.Faces(*(part[photos[place] > 1] for part in data))


def split_by_person(data: lfw.Faces, every: int = 5) -> tuple[lfw.Faces, lfw.Faces]:
    """Most people, and one person in ``every`` (nobody with very many photos), to compare settings on."""
    people, place, photos = data.people.unique(return_inverse=True, return_counts=True)
    chance = torch.rand(len(people), generator=torch.Generator().manual_seed(0))
    aside = ((chance < 1 / every) & (photos <= lfw.ALWAYS_TRAINED))[place]
    return lfw.Faces(*(part[~aside] for part in data)), lfw.Faces(*(part[aside] for part in data))


def draw_pairs(people: torch.Tensor, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Places of pairs of photos: of one person (m, 2), and of different people (n, 2); the counts as in RULE."""
    random = np.random.default_rng(seed)
    numbers, same = people.numpy(), []
    for person in np.unique(numbers):
        own = np.flatnonzero(numbers == person)
        pairs = np.stack(np.triu_indices(len(own), 1), 1)
        same.append(own[random.permutation(pairs)[:PAIRS_A_PERSON]])
    two = random.integers(0, len(numbers), (2 * DIFFERENT_PAIRS, 2))
    different = two[numbers[two[:, 0]] != numbers[two[:, 1]]][:DIFFERENT_PAIRS]
    return torch.from_numpy(np.concatenate(same)), torch.from_numpy(different)


def auc_of(codes: torch.Tensor, pairs: tuple[torch.Tensor, torch.Tensor], cosine: bool = True) -> float:
    """codes: (n, ...), compared by the angle between them or else by their difference."""
    codes = codes.flatten(1)
    codes = F.normalize(codes, dim=1) if cosine else codes
    return auc(*((codes[some[:, 0]] - codes[some[:, 1]]).norm(dim=1) for some in pairs))


@torch.no_grad()
def both_ways(function, images: torch.Tensor) -> torch.Tensor:
    """A function of pictures (n, 3, 64, 64) uint8, for each picture averaged with its mirror image: (n, k)."""
    parts = []
    for part in images.split(256):
        pictures = part.float() / 255
        parts.append((function(pictures).flatten(1) + function(pictures.flip(3)).flatten(1)) / 2)
    return torch.cat(parts)


def pixels(images: torch.Tensor) -> torch.Tensor:
    return without_tone(images[..., 10:58, 8:56])


def fit_components(codes: torch.Tensor, count: int):
    from sklearn.decomposition import PCA

    pca = PCA(min(count, *codes.shape), svd_solver="randomized", random_state=0).fit(codes.numpy())
    # Averaged with its mirror image, a picture has only half as many numbers of its own; the rest are not divided by.
    pca.components_ = pca.components_[pca.explained_variance_ > 1e-5 * pca.explained_variance_[0]]
    return pca


def fit_matrix(codes: torch.Tensor, people: torch.Tensor, size: int, components: int) -> tuple[torch.Tensor, ...]:
    """Principal components, then linear discriminants of the people, as one matrix: mean (d,), matrix (size, d)."""
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    pca = fit_components(codes, components)
    lda = LinearDiscriminantAnalysis(solver="eigen").fit(pca.transform(codes.numpy()), people.numpy())
    matrix = torch.from_numpy((pca.components_.T @ lda.scalings_[:, :size]).T.copy()).float()
    return torch.from_numpy(pca.mean_).float(), matrix / matrix.abs().max()


def choose(train: lfw.Faces) -> None:
    """AUC on training people kept aside, for several settings."""
    fitted, aside = split_by_person(with_two_photos(train))
    pairs = draw_pairs(aside.people)
    print(f"{len(fitted.people.unique())} people fitted, {len(aside.people.unique())} aside, {len(pairs[0])} pairs")
    networks = {f"edges, cell {c}, every {s}": Identity(cell=c, stride=s) for c, s in SETTINGS}
    for name, function in {**{name: network.edges for name, network in networks.items()}, "pixels": pixels}.items():
        codes, codes_aside = both_ways(function, fitted.images), both_ways(function, aside.images)
        for components in (150, 300):
            mean, matrix = fit_matrix(codes, fitted.people, 200, components)
            inside = (codes_aside - mean) @ matrix.T
            row = {size: round(auc_of(inside[:, :size], pairs), 4) for size in (25, 50, 75, 100, 150)}
            print(f"{name}: {len(matrix)} discriminants of {components} components; first", row, flush=True)


def train_and_ship(train: lfw.Faces) -> None:
    fitted = with_two_photos(train)
    identity = Identity()
    identity.mean, identity.matrix = fit_matrix(
        both_ways(identity.edges, fitted.images), fitted.people, len(identity.matrix), COMPONENTS
    )
    people = len(fitted.people.unique())
    made = {
        "data": "LFW, training split, people with two photos or more",
        "people": people,
        "photos": len(fitted.people),
    }
    save_weights(NAME, identity, {"network": identity.settings, **made, "components": COMPONENTS})


def measure_shipped(identity: Identity, held: lfw.Faces) -> float:
    """The AUC of the shipped measure on pairs of people held out."""
    held = with_two_photos(held)
    return auc_of(torch.cat([identity.embed(x.float() / 255) for x in held.images.split(256)]), draw_pairs(held.people))


def range_over_people(identity: Identity, held: lfw.Faces, draws: int = 500) -> tuple[float, float]:
    """The range that holds 95 % of the AUC when the people of the same-person pairs are drawn again (bootstrap)."""
    codes = torch.cat([identity.embed(x.float() / 255) for x in held.images.split(256)])
    same, different = draw_pairs(held.people)
    near, far = ((codes[some[:, 0]] - codes[some[:, 1]]).norm(dim=1) for some in (same, different))
    random = np.random.default_rng(0)
    whose = held.people[same[:, 0]].numpy()
    own = [torch.from_numpy(np.flatnonzero(whose == person)) for person in np.unique(whose)]
    found = [auc(near[torch.cat([own[k] for k in random.integers(0, len(own), len(own))])], far) for _ in range(draws)]
    return tuple(np.quantile(found, (0.025, 0.975)).round(4).tolist())


def evaluate(train: lfw.Faces, held: lfw.Faces) -> dict:
    """Write what a notebook and the model card may quote: the AUC beside those of simpler measures."""
    identity = weights.load("faces-64-identity")
    fitted, held = with_two_photos(train), with_two_photos(held)
    pairs = draw_pairs(held.people)
    rows = {"pixels": auc_of(held.images.float(), pairs, cosine=False)}
    spaces = {"grey pixels of one mean and contrast": pixels, "edges": identity.edges}
    for name, function in spaces.items():
        codes, codes_held = both_ways(function, fitted.images), both_ways(function, held.images)
        pca = fit_components(codes, COMPONENTS)
        rows[name] = auc_of(codes_held - codes.mean(0), pairs)
        rows[f"{name}, principal components"] = auc_of(torch.from_numpy(pca.transform(codes_held.numpy())), pairs)
        if function is pixels:
            mean, matrix = fit_matrix(codes, fitted.people, len(identity.matrix), COMPONENTS)
            rows[f"{name}, discriminants (Fisherfaces)"] = auc_of((codes_held - mean) @ matrix.T, pairs)
    rows["edges, discriminants (shipped)"] = measure_shipped(identity, held)
    result = {
        "command": "python -m training.faces.train_identity --evaluate",
        "measure": "AUC: how often two photos of one person are nearer than two photos of different people",
        "pairs": RULE,
        "held_out": {
            "people": len(held.people.unique()),
            "photos": len(held.people),
            "pairs_of_one_person": len(pairs[0]),
            "pairs_of_different_people": len(pairs[1]),
        },
        "auc": {name: round(value, 4) for name, value in rows.items()},
        "shipped_range": range_over_people(identity, held),
    }
    (WEIGHTS / f"{NAME}.json").write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    put_into_card(result, WEIGHTS / "README.md")
    return result


def put_into_card(result: dict, card: Path) -> None:
    """The table that a person reads, between the two marks of the model card."""
    held = result["held_out"]
    text = [
        f"{held['people']} people held out, {held['photos']} photos: {held['pairs_of_one_person']:,} pairs of one "
        f"person, {held['pairs_of_different_people']:,} of different people.",
        "",
        "| compared by | AUC |",
        "|---|---|",
        *(f"| {name} | {value:.3f} |" for name, value in result["auc"].items()),
        "",
        "With other people as many, the last would lie between {:.3f} and {:.3f} in 95 % of the cases.".format(
            *result["shipped_range"]
        ),
    ]
    content = card.read_text(encoding="utf-8")
    before, rest = content.split(BEGIN)
    card.write_text("\n".join([before + BEGIN, *text, END]) + rest.split(END)[1], encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    only = parser.add_mutually_exclusive_group()
    only.add_argument("--evaluate", action="store_true", help="only measure the shipped weights")
    only.add_argument("--choose", action="store_true", help="only compare settings, on training people")
    options = parser.parse_args()
    train = lfw.load("train")
    if options.choose:
        choose(train)
        return
    if not options.evaluate:
        train_and_ship(train)
    print(json.dumps(evaluate(train, lfw.load("held_out")), indent=2))


if __name__ == "__main__":
    main()
