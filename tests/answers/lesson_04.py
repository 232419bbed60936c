"""Right and wrong answers to the exercises of lesson 04."""

import numpy as np
import torch
from scipy.stats import bootstrap

from latentlib import space
from tests.answers import wrappers

# --- 04-lerp


def lerp(start, end, t):
    return start * (1 - t) + end * t


def lerp_by_torch(start, end, t):
    return torch.lerp(start, end, torch.as_tensor(t))


def lerp_by_numpy(start, end, t):
    start, end, t = (np.asarray(x, dtype=np.float64) for x in (start, end, t))
    return start + (end - start) * t


def lerp_by_loop(start, end, t):
    rows = max(len(start), len(t) if isinstance(t, torch.Tensor) else 1)
    start, end = start.expand(rows, -1), end.expand(rows, -1)
    shares = t.flatten().tolist() if isinstance(t, torch.Tensor) else [t] * rows
    return [
        [(1 - s) * float(a) + s * float(b) for a, b in zip(*pair, strict=True)]
        for *pair, s in zip(start, end, shares, strict=True)
    ]


def lerp_clamped(start, end, t):
    t = torch.as_tensor(t).clamp(0, 1)
    return end - (end - start) * (1 - t)


def lerp_backwards(start, end, t):
    return start * t + end * (1 - t)


def lerp_without_start(start, end, t):
    return (end - start) * t


def lerp_smooth(start, end, t):
    t = t * t * (3 - 2 * t)
    return start * (1 - t) + end * t


def lerp_middle(start, end, t):
    return (start + end) / 2 + 0 * t


def lerp_one_t(start, end, t):
    t = float(torch.as_tensor(t).flatten()[0])
    return start * (1 - t) + end * t


def lerp_one_start(start, end, t):
    return start[:1] * (1 - t) + end * t


def lerp_arc(start, end, t):
    return space.slerp(start, end, torch.as_tensor(t).flatten())


def lerp_length(start, end, t):
    mixed = start * (1 - t) + end * t
    wanted = start.norm(dim=1, keepdim=True) * (1 - t) + end.norm(dim=1, keepdim=True) * t
    return mixed * wanted / mixed.norm(dim=1, keepdim=True).clamp(min=1e-6)


def lerp_in_tenths(start, end, t):
    t = torch.as_tensor(t).mul(10).round() / 10
    return start * (1 - t) + end * t


def lerp_overlooked(start, end, t):
    return start * (1 - t) + end * t**2


def lerp_transposed(start, end, t):
    return (start * (1 - t) + end * t).T


# --- 04-interval


def interval(differences, n=None, low=0.025, high=0.975, rounds=1000):
    n = len(differences) if n is None else n
    means = torch.stack([differences[torch.randint(len(differences), (n,))].mean() for _ in range(rounds)])
    return means.quantile(low), means.quantile(high)


def interval_in_one_go(differences):
    n = len(differences)
    means = torch.as_tensor(differences)[torch.randint(n, (2000, n))].mean(dim=1).sort().values
    return means[49].item(), means[1950].item()


def interval_by_scipy(differences):
    held = (np.asarray(differences),)
    found = bootstrap(held, np.mean, n_resamples=1000, method="percentile", rng=np.random.default_rng(0))
    return found.confidence_interval.low, found.confidence_interval.high


def interval_by_numpy(differences):
    dice, values = np.random.default_rng(), np.asarray(differences)
    return np.percentile(dice.choice(values, (1000, len(values))).mean(axis=1), [2.5, 97.5])


def interval_by_counts(differences):
    n = len(differences)
    counts = torch.distributions.Multinomial(n, torch.full((n,), 1 / n)).sample((1500,))
    return tuple((counts @ differences / n).quantile(torch.tensor([0.025, 0.975])).tolist())


def interval_by_formula(differences):
    half = 1.96 * differences.std() / len(differences) ** 0.5
    return [differences.mean() - half, differences.mean() + half]


def interval_of_the_data(differences):
    return differences.quantile(0.025), differences.quantile(0.975)


def interval_without_repeats(differences):
    n = len(differences)
    means = torch.stack([differences[torch.randperm(n)].mean() for _ in range(200)])
    return means.quantile(0.025), means.quantile(0.975)


def interval_never_the_last(differences):
    n = len(differences)
    means = torch.stack([differences[torch.randint(n - 1, (n,))].mean() for _ in range(1000)])
    return means.quantile(0.025), means.quantile(0.975)


def interval_of_medians(differences):
    n = len(differences)
    middles = torch.stack([differences[torch.randint(n, (n,))].median() for _ in range(1000)])
    return middles.quantile(0.025), middles.quantile(0.975)


def interval_upside_down(differences):
    return interval(differences)[::-1]


def interval_of_sizes(differences):
    return interval(differences.abs())


def interval_one_error(differences):
    half = differences.std() / len(differences) ** 0.5
    return differences.mean() - half, differences.mean() + half


# --- 04-slerp


def slerp(start, end, t, guard=0.001):
    first, last = (x.norm(dim=1, keepdim=True) for x in (start, end))
    a, b = start / first, end / last
    angle = torch.acos((a * b).sum(dim=1, keepdim=True).clamp(-1, 1))
    straight = a * (1 - t) + b * t
    arc = (torch.sin((1 - t) * angle) * a + torch.sin(t * angle) * b) / torch.sin(angle)
    return torch.where(angle < guard, straight, arc) * (first * (1 - t) + last * t)


def slerp_of_the_course(start, end, t):
    return space.slerp(start, end, t.flatten() if isinstance(t, torch.Tensor) else t)


def slerp_by_numpy(start, end, t):
    start, end, t = (np.asarray(x, dtype=np.float64) for x in (start, end, t))
    first, last = (np.linalg.norm(x, axis=1, keepdims=True) for x in (start, end))
    a, b = start / first, end / last
    angle = np.arccos(np.clip((a * b).sum(1, keepdims=True), -1, 1))
    sine = np.where(angle < 1e-4, 1, np.sin(angle))
    arc = np.where(angle < 1e-4, a, (np.sin((1 - t) * angle) * a + np.sin(t * angle) * b) / sine)
    return arc * (first + (last - first) * t)


def slerp_by_a_right_angle(start, end, t):
    first, last = start.norm(dim=1, keepdim=True), end.norm(dim=1, keepdim=True)
    a, b = start / first, end / last
    cosine = (a * b).sum(1, keepdim=True)
    across = b - cosine * a
    sine = across.norm(dim=1, keepdim=True)
    angle = torch.atan2(sine, cosine)
    return (torch.cos(t * angle) * a + torch.sin(t * angle) * across / sine.clamp(min=1e-7)) * (
        first * (1 - t) + last * t
    )


def slerp_by_rows(start, end, t):
    shares = t.flatten().tolist() if isinstance(t, torch.Tensor) else [t] * len(start)
    return [slerp(a[None], b[None], s)[0].tolist() for a, b, s in zip(start, end, shares, strict=True)]


def slerp_naive(start, end, t):
    return slerp(start, end, t, guard=-1.0)


def slerp_guarded_by_a_tenth(start, end, t):
    return slerp(start, end, t, guard=0.1)


def slerp_guarded_by_a_half(start, end, t):
    return slerp(start, end, t, guard=0.51)


def slerp_whole_batch(start, end, t):
    a, b = (x / x.norm(dim=1, keepdim=True) for x in (start, end))
    angle = torch.acos((a * b).sum(dim=1).clamp(-1, 1))
    return start * (1 - t) + end * t if (angle < 0.001).any() else slerp(start, end, t)


def slerp_lengths_stay(start, end, t):
    first = start.norm(dim=1, keepdim=True)
    return slerp(start, end / end.norm(dim=1, keepdim=True) * first, t)


def slerp_normalised_lerp(start, end, t):
    mixed = start / start.norm(dim=1, keepdim=True) * (1 - t) + end / end.norm(dim=1, keepdim=True) * t
    lengths = start.norm(dim=1, keepdim=True) * (1 - t) + end.norm(dim=1, keepdim=True) * t
    return mixed / mixed.norm(dim=1, keepdim=True) * lengths


def slerp_straight(start, end, t):
    return start * (1 - t) + end * t


def slerp_unnormalised(start, end, t):
    a, b = (x / x.norm(dim=1, keepdim=True) for x in (start, end))
    angle = torch.acos((a * b).sum(dim=1, keepdim=True).clamp(-1, 1))
    arc = (torch.sin((1 - t) * angle) * start + torch.sin(t * angle) * end) / torch.sin(angle)
    return torch.where(angle < 0.001, start * (1 - t) + end * t, arc)


def slerp_zeros(start, end, t):
    return slerp(start, end, t, guard=-1.0).nan_to_num()


def slerp_backwards(start, end, t):
    return slerp(end, start, t)


def slerp_degrees(start, end, t):
    a, b = (x / x.norm(dim=1, keepdim=True) for x in (start, end))
    angle = torch.rad2deg(torch.acos((a * b).sum(dim=1, keepdim=True).clamp(-1, 1)))
    arc = (torch.sin((1 - t) * angle) * a + torch.sin(t * angle) * b) / torch.sin(angle)
    arc = torch.where(angle < 0.1, a * (1 - t) + b * t, arc)
    return arc * (start.norm(dim=1, keepdim=True) * (1 - t) + end.norm(dim=1, keepdim=True) * t)


RIGHT = {
    "04-lerp": [lerp, lerp_by_torch, lerp_by_numpy, lerp_by_loop, lerp_clamped, *wrappers(lerp)],
    "04-interval": [
        *(interval, interval_in_one_go, interval_by_scipy, interval_by_numpy, interval_by_counts, interval_by_formula),
        *wrappers(interval_in_one_go),
    ],
    "04-slerp": [
        *(slerp, slerp_of_the_course, slerp_by_numpy, slerp_by_a_right_angle, slerp_by_rows),
        *wrappers(slerp),
    ],
}
WRONG = {
    "04-lerp": [
        *(lerp_backwards, lerp_without_start, lerp_smooth, lerp_middle, lerp_one_t, lerp_one_start, lerp_arc),
        *(lerp_length, lerp_in_tenths, lerp_overlooked, lerp_transposed),
    ],
    "04-interval": [
        lambda differences: interval(differences, low=0.05, high=0.95),
        lambda differences: interval(differences, low=0.01, high=0.99),
        lambda differences: interval(differences, n=len(differences) // 2),
        lambda differences: interval(differences, low=0, high=1),
        *(interval_of_the_data, interval_without_repeats, interval_never_the_last, interval_of_medians),
        *(interval_upside_down, interval_of_sizes, interval_one_error),
    ],
    "04-slerp": [
        *(slerp_naive, slerp_guarded_by_a_tenth, slerp_guarded_by_a_half, slerp_whole_batch, slerp_lengths_stay),
        *(slerp_normalised_lerp, slerp_straight, slerp_unnormalised, slerp_zeros, slerp_backwards, slerp_degrees),
    ],
}
