"""Typical wrong answers to the exercises of lesson 02."""

import torch

from latentlib.datasets import furniture

TURN = furniture.column("turn")


def changes_the_others(first, others):
    others[:, TURN] = first[:, TURN]
    return others


def turns_the_first(first, others):
    alike = first.clone()
    alike[:, TURN] = others[:, TURN]
    return alike


def takes_the_tilt(first, others):
    alike = others.clone()
    alike[:, TURN + 1] = first[:, TURN + 1]
    return alike


def fitted(codes, values, rows):
    table = torch.cat([codes, torch.ones(len(codes), 1)], dim=1)
    return (table @ torch.linalg.lstsq(table[rows], values[rows, None]).solution)[:, 0]


def r2(values, guess):
    return (1 - (values - guess).square().sum() / (values - values.mean()).square().sum()).item()


def on_the_fitted(codes, values, fit, test):
    return r2(values[fit], fitted(codes, values, fit)[fit])


def fits_all(codes, values, fit, test):
    return r2(values[test], fitted(codes, values, torch.arange(len(codes)))[test])


def without_the_mean(codes, values, fit, test):
    wrong = (values[test] - fitted(codes, values, fit)[test]).square().sum()
    return (1 - wrong / values[test].square().sum()).item()


def correlation(codes, values, fit, test):
    return torch.corrcoef(torch.stack([values[test], fitted(codes, values, fit)[test]]))[0, 1].item()


def near(points, k, largest=False, alone=True):
    far = torch.cdist(points, points)
    if alone:
        far.fill_diagonal_(-torch.inf if largest else torch.inf)
    return far.topk(k, largest=largest).indices


def kept(true, seen):
    return (true[:, :, None] == seen[:, None]).any(2).float().mean().item()


WRONG = {
    "02-turn": [changes_the_others, turns_the_first, takes_the_tilt, lambda first, others: first.clone()],
    "02-r2": [on_the_fitted, fits_all, without_the_mean, correlation],
    "02-kept": [
        lambda codes, page, k: kept(near(codes, k, alone=False), near(page, k, alone=False)),
        lambda codes, page, k: (near(codes, k) == near(page, k)).float().mean().item(),  # the same rank, too
        lambda codes, page, k: kept(near(codes, k, largest=True), near(page, k, largest=True)),
        lambda codes, page, k: (near(codes, k)[:, :1] == near(page, k)).any(1).float().mean().item(),
    ],
    "02-forget": [
        lambda codes, directions: codes - codes @ directions.T @ directions,  # as if they were a basis
        lambda codes, directions: torch.zeros_like(codes),
        lambda codes, directions: codes - directions.mean(0),
        lambda codes, directions: codes - codes @ directions[:1].T @ directions[:1] / directions[0].square().sum(),
    ],
    "02-lie": [
        lambda codes, labels: codes[:, :2],
        lambda codes, labels: torch.zeros(len(codes), 2),
        lambda codes, labels: torch.nn.functional.one_hot(labels).float(),
        lambda codes, labels: codes[:, :2] + labels[:, None] * 0.1,
    ],
}
