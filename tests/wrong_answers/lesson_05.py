"""Typical wrong answers to the exercises of lesson 05."""

import torch


def ties_lost(photos, samples):
    return (photos[:, None] > samples[None]).float().mean().item()


def difference_of_means(photos, samples):
    return (photos.mean() - samples.mean()).item()


def above_zero(photos, samples):
    return ((photos > 0).float().mean() + (samples < 0).float().mean()).item() / 2


def turned_round(shape, colour, first, layers=10):
    codes = shape[:, None].repeat(1, layers, 1)
    codes[:, :first] = colour[:, None]
    return codes


def average(shape, colour, first, layers=10):
    share = first / layers
    return (share * shape + (1 - share) * colour)[:, None].repeat(1, layers, 1)


def always_half(shape, colour, first, layers=10):
    half = layers // 2
    return torch.cat([shape[:, None].repeat(1, half, 1), colour[:, None].repeat(1, layers - half, 1)], 1)


def not_centred(codes):
    return torch.linalg.eigh(codes.T @ codes)[1][:, -1]


def narrowest(codes):
    centred = codes - codes.mean(0)
    return torch.linalg.eigh(centred.T @ centred)[1][:, 0]


def a_row(codes):
    centred = codes - codes.mean(0)
    return torch.linalg.eigh(centred.T @ centred)[1][-1]


WRONG = {
    "05-judge": [ties_lost, difference_of_means, above_zero],
    "05-mix": [turned_round, average, always_half],
    "05-widest": [not_centred, narrowest, a_row],
    "05-pull": [
        lambda w, mean, psi: psi * w,
        lambda w, mean, psi: w + psi * (mean - w),
        lambda w, mean, psi: w.clamp(-psi, psi),
    ],
    "05-without": [
        lambda direction, other: direction - other,
        lambda direction, other: direction - (direction @ other) * other,
        lambda direction, other: direction - (direction @ other) / other.norm() * other,
    ],
}
