"""Right and wrong answers to the exercises of lesson 01."""

import heapq
from collections import Counter

import numpy as np
import torch
from torch.nn import functional as F

from tests.answers import wrappers

# --- 01-compress


def compress(pictures, mean, components, k):
    return mean + (pictures - mean) @ components[:k].T @ components[:k]


def compress_by_linear(pictures, mean, components, k):
    return F.linear(F.linear(pictures - mean, components[:k]), components[:k].T, mean)


def compress_by_numpy(pictures, mean, components, k):
    pictures, mean, components = (np.asarray(x, dtype=np.float64) for x in (pictures, mean, components))
    return mean + (pictures - mean) @ components[:k].T @ components[:k]


def compress_by_loop(pictures, mean, components, k):
    rows = []
    for picture in pictures:
        drawn = mean.clone()
        for component in components[:k]:
            drawn += ((picture - mean) * component).sum() * component
        rows.append(drawn)
    return rows


def compress_with_mean_inside(pictures, mean, components, k):
    return mean + pictures @ components[:k].T @ components[:k]


def compress_without_mean(pictures, mean, components, k):
    return (pictures - mean) @ components[:k].T @ components[:k]


def compress_around_own_mean(pictures, mean, components, k):
    return compress(pictures, pictures.mean(0), components, k)


def compress_last(pictures, mean, components, k):
    return compress(pictures, mean, components[-k:], k)


def compress_one_more(pictures, mean, components, k):
    return compress(pictures, mean, components, k + 1)


def compress_all(pictures, mean, components, k):
    return compress(pictures, mean, components, len(components))


def compress_nothing(pictures, mean, components, k):
    return pictures


def compress_pixels(pictures, mean, components, k):
    return torch.cat([pictures[:, :k], mean[k:].expand(len(pictures), -1)], dim=1)


def compress_to_codes(pictures, mean, components, k):
    return (pictures - mean) @ components[:k].T


def compress_clamped(pictures, mean, components, k):
    return compress(pictures, mean, components, k).clamp(0, 1)


# --- 01-bits


def spend(variances, budget):
    bits, error = torch.zeros(len(variances)), variances.clone()
    for _ in range(budget):
        most = error.argmax()
        bits[most] += 1
        error[most] /= 4
    return bits


def spend_by_heap(variances, budget):
    heap, bits = [(-float(v), i) for i, v in enumerate(variances)], [0] * len(variances)
    heapq.heapify(heap)
    for _ in range(budget):
        error, i = heapq.heappop(heap)
        bits[i] += 1
        heapq.heappush(heap, (error / 4, i))
    return bits


def spend_by_sorting(variances, budget):
    gains = sorted(((float(v) * 0.25**b, i) for i, v in enumerate(variances) for b in range(budget)), reverse=True)
    return np.bincount([i for _, i in gains[:budget]], minlength=len(variances))


def spend_by_power(variances, budget):
    bits = np.zeros(len(variances), int)
    for _ in range(budget):
        bits[np.argmax(np.asarray(variances) * 0.25**bits)] += 1
    return bits


def spend_halving(variances, budget):
    bits, error = torch.zeros(len(variances)), variances.clone()
    for _ in range(budget):
        most = error.argmax()
        bits[most] += 1
        error[most] /= 2
    return bits


def spend_sixteenth(variances, budget):
    bits, error = torch.zeros(len(variances)), variances.clone()
    for _ in range(budget):
        most = error.argmax()
        bits[most] += 1
        error[most] /= 16
    return bits


def spend_sorted(variances, budget):
    return spend(variances, budget).sort(descending=True).values


def spend_least(variances, budget):
    return spend(1 / variances, budget)


def spend_evenly(variances, budget):
    bits = torch.full((len(variances),), budget // len(variances))
    bits[: budget % len(variances)] += 1
    return bits


def spend_by_share(variances, budget):
    bits = (budget * variances / variances.sum()).floor()
    bits[variances.argmax()] += budget - bits.sum()
    return bits


def spend_on_first(variances, budget):
    return torch.tensor([budget] + [0] * (len(variances) - 1))


def spend_fractions(variances, budget):
    return torch.full((len(variances),), budget / len(variances))


def spend_one_less(variances, budget):
    return spend(variances, budget - 1)


def spend_without_loop(variances, budget):
    bits = 0.5 * (variances / variances.log().mean().exp()).log2() + budget / len(variances)
    return bits.clamp(min=0).round()


# --- 01-identify


def alone(rows):
    counted = Counter(rows)
    return sum(counted[row] == 1 for row in rows) / len(rows)


def identify(codes):
    _, which, sharing = torch.unique(codes.mul(100).round(), dim=0, return_inverse=True, return_counts=True)
    return (sharing[which] == 1).float().mean()


def identify_by_counter(codes):
    return alone([tuple(row) for row in codes.mul(100).round().int().tolist()])


def identify_by_text(codes):
    return alone([" ".join(f"{value:.2f}" for value in row) for row in codes.tolist()])


def identify_by_numpy(codes):
    _, counts = np.unique(np.asarray(codes).round(2), axis=0, return_counts=True)
    return (counts == 1).sum() / len(codes)


def identify_by_pairs(codes):
    rounded = codes.mul(100).round()
    return ((rounded[:, None] == rounded[None]).all(2).sum(1) == 1).double().mean()


def identify_cut(codes):
    return identify(codes.mul(100).trunc() / 100)


def identify_floored(codes):
    return identify(codes.mul(100).floor() / 100)


def identify_different(codes):
    return len(torch.unique(codes.mul(100).round(), dim=0)) / len(codes)


def identify_exactly(codes):
    return (torch.unique(codes, dim=0, return_counts=True)[1] == 1).sum() / len(codes)


def identify_one_decimal(codes):
    return identify(codes / 10)


def identify_first(codes):
    return identify(codes[:, :1])


def identify_among_groups(codes):
    counts = torch.unique(codes.mul(100).round(), dim=0, return_counts=True)[1]
    return (counts == 1).float().mean()


def identify_counted(codes):
    return identify(codes) * len(codes)


def identify_shared(codes):
    return 1 - identify(codes)


def identify_each_number(codes):
    return torch.stack([identify(column[:, None]) for column in codes.T]).mean()


RIGHT = {
    "01-compress": [
        *(compress, compress_by_linear, compress_by_numpy, compress_by_loop),
        *wrappers(compress),
    ],
    "01-bits": [spend, spend_by_heap, spend_by_sorting, spend_by_power, *wrappers(spend)],
    "01-identify": [
        *(identify, identify_by_counter, identify_by_text, identify_by_numpy, identify_by_pairs),
        *wrappers(identify),
    ],
}
WRONG = {
    "01-compress": [
        *(compress_with_mean_inside, compress_without_mean, compress_around_own_mean, compress_last),
        *(compress_one_more, compress_all, compress_nothing, compress_pixels, compress_to_codes, compress_clamped),
    ],
    "01-bits": [
        *(spend_halving, spend_sixteenth, spend_sorted, spend_least, spend_evenly, spend_by_share),
        *(spend_on_first, spend_fractions, spend_one_less, spend_without_loop),
    ],
    "01-identify": [
        *(identify_cut, identify_floored, identify_different, identify_exactly, identify_one_decimal),
        *(identify_first, identify_among_groups, identify_counted, identify_shared, identify_each_number),
    ],
}
