"""Fit the measure of whom a face looks like, on LFW's people with two photos or more.

python -m training.faces.train_identity      # fit it and ship it; `training.evaluate identity` measures what is shipped

Fitting uses the training split alone: principal components of edges, then linear discriminants of the people
(Fisherfaces), as one matrix. Nothing to resume: it takes two minutes. Needs LFW and scikit-learn.
"""

import argparse

import torch

from latentlib.models.identity import Identity
from training import lfw
from training.saving import save_weights

NAME = "faces-64-identity"
COMPONENTS = 300  # principal components that the discriminants are made of


def with_two_photos(data: lfw.Faces) -> lfw.Faces:
    """Those photos whose person has another one."""
    _, place, photos = data.people.unique(return_inverse=True, return_counts=True)
    return lfw.Faces(*(part[photos[place] > 1] for part in data))


@torch.no_grad()
def both_ways(function, images: torch.Tensor) -> torch.Tensor:
    """A function of pictures (n, 3, 64, 64) uint8, for each picture averaged with its mirror image: (n, k)."""
    parts = (part.float() / 255 for part in images.split(256))
    return torch.cat([(function(part).flatten(1) + function(part.flip(3)).flatten(1)) / 2 for part in parts])


def fit_components(codes: torch.Tensor, count: int = COMPONENTS):
    from sklearn.decomposition import PCA

    pca = PCA(min(count, *codes.shape), svd_solver="randomized", random_state=0).fit(codes.numpy())
    # Averaged with its mirror image, a picture has only half as many numbers of its own; the rest are not divided by.
    pca.components_ = pca.components_[pca.explained_variance_ > 1e-5 * pca.explained_variance_[0]]
    return pca


def fit_matrix(codes: torch.Tensor, people: torch.Tensor, size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Principal components, then linear discriminants of the people, as one matrix: mean (d,), matrix (size, d)."""
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    pca = fit_components(codes, min(COMPONENTS, len(codes) - len(people.unique())))  # or no inverse within people
    lda = LinearDiscriminantAnalysis(solver="eigen").fit(pca.transform(codes.numpy()), people.numpy())
    matrix = torch.from_numpy((pca.components_.T @ lda.scalings_[:, :size]).T.copy()).float()
    return torch.from_numpy(pca.mean_).float(), matrix / matrix.abs().max()


def fit(data: lfw.Faces) -> tuple[Identity, dict]:
    """The measure, and how it was made."""
    data, identity = with_two_photos(data), Identity()
    codes = both_ways(identity.edges, data.images)
    identity.mean, identity.matrix = fit_matrix(codes, data.people, len(identity.matrix))
    made = {"data": "LFW, training split, people with two photos or more", "components": COMPONENTS}
    return identity, made | {"people": len(data.people.unique()), "photos": len(data.people)}


def main() -> None:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    identity, made = fit(lfw.load("train"))
    print(save_weights(NAME, identity, {"network": identity.settings, **made}))


if __name__ == "__main__":
    main()
