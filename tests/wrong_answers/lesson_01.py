"""Typical wrong answers to the exercises of lesson 01."""

import torch


def distances(anchors, alikes, others):
    return (anchors - alikes).flatten(1).norm(dim=1), (anchors - others).flatten(1).norm(dim=1)


def strictly_nearer(*triple):
    near, far = distances(*triple)
    return (near < far).float().mean().item()


def not_farther(*triple):
    near, far = distances(*triple)
    return (near <= far).float().mean().item()


def ratio_of_distances(*triple):
    near, far = distances(*triple)
    return (far.mean() / (near.mean() + far.mean() + 1e-12)).item()


def expand(codes, mean, components):
    return mean + codes @ components[: codes.shape[1]]


def squeeze(pictures, mean, components, k):
    return (pictures - mean) @ components[:k].T


def equally(variances, budget):
    return [budget // len(variances)] * len(variances)


def by_variance(variances, budget):
    bits = (budget * variances / variances.sum()).floor().long()
    bits[0] += budget - bits.sum()
    return bits.tolist()


WRONG = {
    "01-identify": [
        lambda codes: len(torch.unique(codes.mul(100).round(), dim=0)) / len(codes),  # counts a shared code once
        lambda codes: (torch.unique(codes, dim=0, return_counts=True)[1] == 1).float().sum().item() / len(codes),
        lambda codes: len(torch.unique(codes.mul(100).round()[:, 0])) / len(codes),  # the first number only
        lambda codes: 1.0,
    ],
    "01-compress": [
        (lambda pictures, mean, components, k: pictures @ components[:k].T, expand),  # the average stays in
        (lambda pictures, mean, components, k: (pictures - mean)[:, :k], expand),  # the first pixels
        (squeeze, lambda codes, mean, components: codes @ components[: codes.shape[1]]),
        (lambda pictures, mean, components, k: (pictures - mean) @ components[-k:].T, expand),  # the last components
    ],
    "01-triplets": [strictly_nearer, not_farther, ratio_of_distances, lambda *triple: 0.5],
    "01-bits": [
        equally,
        by_variance,
        lambda variances, budget: [budget] + [0] * (len(variances) - 1),
        lambda variances, budget: [8] * len(variances),  # overspends
    ],
    "01-fool": [
        lambda pictures: pictures,
        lambda pictures: torch.rand_like(pictures),
        lambda pictures: 1 - pictures,
        lambda pictures: torch.roll(pictures, 14, -1),  # torn apart
        lambda pictures: torch.roll(pictures, 1, -1)[:, :, 1:],
    ],
}
