"""Typical wrong answers to the exercises of lesson 06."""

import torch


def _search(draw, wanted, start, steps, rate=0.05, sign=1, trained=True):
    code = start.repeat(len(wanted), 1).requires_grad_()
    optimizer = torch.optim.Adam([code], lr=rate)
    for _ in range(steps):
        error = sign * (draw(code) - wanted).square().flatten(1).mean(1).sum()
        optimizer.zero_grad()
        error.backward()
        if trained:
            optimizer.step()
    return code.detach()


def uphill(draw, wanted, start, steps=150):
    return _search(draw, wanted, start, steps, sign=-1)


def never_steps(draw, wanted, start, steps=150):
    return _search(draw, wanted, start, steps, trained=False)


def one_code_for_all(draw, wanted, start, steps=150):
    return _search(draw, wanted.mean(0, keepdim=True), start, steps).repeat(len(wanted), 1)


def mean_of_differences(draw, wanted, start, steps=150):
    """Errors of either sign cancel."""
    code = start.repeat(len(wanted), 1).requires_grad_()
    optimizer = torch.optim.Adam([code], lr=0.05)
    for _ in range(steps):
        error = (draw(code) - wanted).flatten(1).mean(1).square().sum()
        optimizer.zero_grad()
        error.backward()
        optimizer.step()
    return code.detach()


def best_overall(codes, errors):
    return codes[errors.mean(1).argmin()]


def worst(codes, errors):
    return codes[errors.argmax(0), torch.arange(codes.shape[1])]


def average(codes, errors):
    return codes.mean(0)


def axis_by_axis(codes, sample):
    return ((codes - sample.mean(0)) / sample.std(0)).square().mean(1)


def euclid(codes, sample):
    return (codes - sample.mean(0)).square().mean(1)


def not_divided(codes, sample):
    away = codes - sample.mean(0)
    return (away @ torch.linalg.inv(torch.cov(sample.T)) * away).sum(1)


WRONG = {
    "06-find": [uphill, never_steps, one_code_for_all, mean_of_differences],
    "06-gained": [
        lambda found, true, mean: (found - true).norm(dim=1) / (mean - true).norm(dim=1),
        lambda found, true, mean: (1 - (found - true).norm(dim=1) / (mean - true).norm(dim=1)).clamp(min=0),
        lambda found, true, mean: (found - mean).norm(dim=1) / (true - mean).norm(dim=1),
    ],
    "06-upside": [
        lambda upright, upside_down, needed=3.0: bool(upright.mean() - upside_down.mean() >= needed),
        lambda upright, upside_down, needed=3.0: bool((upright > upside_down).all()),
        lambda upright, upside_down, needed=3.0: bool((upright - upside_down).abs().mean() >= needed),
    ],
    "06-best": [best_overall, worst, average],
    "06-unusual": [axis_by_axis, euclid, not_divided],
}
