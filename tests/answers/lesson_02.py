"""Right and wrong answers to the exercises of lesson 02."""

import numpy as np
import torch
from scipy.spatial.distance import cdist
from sklearn.neighbors import NearestNeighbors

from latentlib import metrics
from tests.answers import wrappers

# --- 02-triplets


def distances(anchors, alikes, others):
    return (anchors - alikes).flatten(1).norm(dim=1), (anchors - others).flatten(1).norm(dim=1)


def share(near, far):
    return ((near < far).float() + (near == far).float() / 2).mean()


def triplets(*triple):
    return share(*distances(*triple))


def triplets_by_sign(*triple):
    near, far = distances(*triple)
    return ((far - near).sign().mean() + 1) / 2


def triplets_by_numpy(*triple):
    a, b, c = (np.asarray(x, dtype=np.float64).reshape(len(x), -1) for x in triple)
    near, far = ((a - b) ** 2).sum(1), ((a - c) ** 2).sum(1)
    return np.where(near == far, 0.5, near < far).mean()


def triplets_by_loop(anchors, alikes, others):
    points = []
    for a, b, c in zip(anchors, alikes, others, strict=True):
        near, far = float((a - b).norm()), float((a - c).norm())
        points.append(1.0 if near < far else 0.5 if near == far else 0.0)
    return sum(points) / len(points)


def triplets_ties_won(*triple):
    near, far = distances(*triple)
    return (near <= far).float().mean()


def triplets_ties_lost(*triple):
    near, far = distances(*triple)
    return (near < far).float().mean()


def triplets_first_number(*triple):
    return triplets(*(x.flatten(1)[:, :1] for x in triple))


def triplets_not_flat(anchors, alikes, others):
    return share((anchors - alikes).norm(dim=1), (anchors - others).norm(dim=1))


def triplets_alike_to_other(anchors, alikes, others):
    return triplets(alikes, anchors, others)


def triplets_turned_round(*triple):
    return 1 - triplets(*triple)


def triplets_city_blocks(anchors, alikes, others):
    return share((anchors - alikes).flatten(1).abs().sum(1), (anchors - others).flatten(1).abs().sum(1))


def triplets_by_angle(*triple):
    a, b, c = (x.flatten(1) for x in triple)
    return share(-torch.cosine_similarity(a, b), -torch.cosine_similarity(a, c))


def triplets_of_means(*triple):
    return share(*(x.mean()[None] for x in distances(*triple)))


def triplets_by_lengths(anchors, alikes, others):
    a, b, c = (x.flatten(1).norm(dim=1) for x in (anchors, alikes, others))
    return share((a - b).abs(), (a - c).abs())


# --- 02-forget


def forget(codes, directions):
    basis = torch.linalg.qr(directions.T).Q
    return codes - codes @ basis @ basis.T


def forget_by_pinv(codes, directions):
    return codes - codes @ torch.linalg.pinv(directions) @ directions


def forget_by_lstsq(codes, directions):
    return codes - (torch.linalg.lstsq(directions.T, codes.T).solution.T @ directions)


def forget_by_numpy(codes, directions):
    basis = np.linalg.svd(np.asarray(directions, dtype=np.float64), full_matrices=False)[2]
    return np.asarray(codes) - np.asarray(codes) @ basis.T @ basis


def forget_by_steps(codes, directions):
    done, codes = [], codes.clone()
    for direction in directions:
        for earlier in done:
            direction = direction - (direction @ earlier) * earlier
        done.append(direction / direction.norm())
        codes = codes - (codes @ done[-1])[:, None] * done[-1]
    return codes


def forget_as_if_at_right_angles(codes, directions):
    unit = directions / directions.norm(dim=1, keepdim=True)
    return codes - codes @ unit.T @ unit


def forget_one_by_one(codes, directions):
    for direction in directions / directions.norm(dim=1, keepdim=True):
        codes = codes - (codes @ direction)[:, None] * direction
    return codes


def forget_not_of_length_1(codes, directions):
    return codes - codes @ directions.T @ directions


def forget_first(codes, directions):
    return forget(codes, directions[:1])


def forget_from_the_mean(codes, directions):
    return forget(codes - codes.mean(0), directions) + codes.mean(0)


def forget_all_else(codes, directions):
    return codes - forget(codes, directions)


def forget_mirrored(codes, directions):
    return 2 * forget(codes, directions) - codes


def forget_numbers(codes, directions):
    codes = codes.clone()
    codes[:, directions.abs().amax(0) > directions.abs().mean()] = 0
    return codes


def forget_mean_direction(codes, directions):
    return forget(codes, directions.mean(0, keepdim=True))


def forget_in_place(codes, directions):
    codes -= codes @ torch.linalg.pinv(directions) @ directions
    return codes


# --- 02-kept


def nearest(points, k, largest=False, alone=True, p=2.0):
    far = torch.cdist(points, points, p=p)
    if alone:
        far.fill_diagonal_(-torch.inf if largest else torch.inf)
    return far.topk(k, largest=largest).indices


def both(true, seen):
    return (true[:, :, None] == seen[:, None, :]).any(2).float().mean()


def kept(codes, page, k=5):
    return both(nearest(codes, k), nearest(page, k))


def kept_by_sets(codes, page, k=5):
    pairs = zip(nearest(codes, k).tolist(), nearest(page, k).tolist(), strict=True)
    return sum(len(set(a) & set(b)) for a, b in pairs) / (k * len(codes))


def kept_by_sklearn(codes, page, k=5):
    near = [NearestNeighbors(n_neighbors=k).fit(np.asarray(x)).kneighbors(return_distance=False) for x in (codes, page)]
    return np.mean([len(np.intersect1d(a, b)) / k for a, b in zip(*near, strict=True)])


def kept_by_sorting(codes, page, k=5):
    near = [cdist(np.asarray(x), np.asarray(x)).argsort(1)[:, 1 : k + 1] for x in (codes, page)]
    return (near[0][:, :, None] == near[1][:, None]).any(2).mean()


def kept_with_oneself(codes, page, k=5):
    return both(nearest(codes, k, alone=False), nearest(page, k, alone=False))


def kept_in_order(codes, page, k=5):
    return (nearest(codes, k) == nearest(page, k)).float().mean()


def kept_farthest(codes, page, k=5):
    return both(nearest(codes, k, largest=True), nearest(page, k, largest=True))


def kept_of_all(codes, page, k=5):
    share = kept(codes, page, k)
    return share / (2 - share)


def kept_always_five(codes, page, k=5):
    return kept(codes, page, 5)


def kept_on_page(codes, page, k=5):
    return kept(page, page, k)


def kept_city_blocks(codes, page, k=5):
    return both(nearest(codes, k, p=1.0), nearest(page, k, p=1.0))


def kept_first(codes, page, k=5):
    return both(nearest(codes, 1), nearest(page, k))


def kept_counted(codes, page, k=5):
    return kept(codes, page, k) * k


def kept_any(codes, page, k=5):
    return (nearest(codes, k)[:, :, None] == nearest(page, k)[:, None, :]).any(2).any(1).float().mean()


RIGHT = {
    "02-triplets": [
        *(triplets, triplets_by_sign, triplets_by_numpy, triplets_by_loop, metrics.triplet_accuracy),
        *wrappers(triplets),
    ],
    "02-forget": [
        *(forget, forget_by_pinv, forget_by_lstsq, forget_by_numpy, forget_by_steps),
        *wrappers(forget),
    ],
    "02-kept": [kept, kept_by_sets, kept_by_sklearn, kept_by_sorting, *wrappers(kept)],
}
WRONG = {
    "02-triplets": [
        *(triplets_ties_won, triplets_ties_lost, triplets_first_number, triplets_not_flat, triplets_alike_to_other),
        *(triplets_turned_round, triplets_city_blocks, triplets_by_angle, triplets_of_means, triplets_by_lengths),
    ],
    "02-forget": [
        *(forget_as_if_at_right_angles, forget_one_by_one, forget_not_of_length_1, forget_first, forget_from_the_mean),
        *(forget_all_else, forget_mirrored, forget_numbers, forget_mean_direction, forget_in_place),
    ],
    "02-kept": [
        *(kept_with_oneself, kept_in_order, kept_farthest, kept_of_all, kept_always_five, kept_on_page),
        *(kept_city_blocks, kept_first, kept_counted, kept_any),
    ],
}
