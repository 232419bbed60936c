"""Right and wrong answers to the exercises of lesson 00."""

import numpy as np
import torch
from scipy.spatial.distance import cdist

from tests.answers import wrappers

# --- 00-walk


def walk(code, direction, amounts):
    return code + amounts[:, None] * direction


def walk_by_outer(code, direction, amounts):
    return torch.outer(amounts, direction) + code


def walk_by_loop(code, direction, amounts):
    return [[float(c) + float(a) * float(d) for c, d in zip(code, direction, strict=True)] for a in amounts]


def walk_by_numpy(code, direction, amounts):
    return np.asarray(code) + np.asarray(amounts, dtype=np.float64)[:, None] @ np.asarray(direction)[None]


def walk_by_lerp(code, direction, amounts):
    return torch.stack([torch.lerp(code, code + direction, a) for a in amounts])


def walk_scaled(code, direction, amounts):
    return code + amounts[:, None] * direction / direction.norm()


def walk_mixed(code, direction, amounts):
    return code * (1 - amounts[:, None]) + amounts[:, None] * direction


def walk_one_way(code, direction, amounts):
    return code + amounts.abs()[:, None] * direction


def walk_fenced(code, direction, amounts):
    return code + amounts.clamp(-5, 5)[:, None] * direction


def walk_evenly(code, direction, amounts):
    return code + torch.linspace(amounts.min(), amounts.max(), len(amounts))[:, None] * direction


def walk_summed(code, direction, amounts):
    return code + amounts.cumsum(0)[:, None] * direction


def walk_in_place(code, direction, amounts):
    made = amounts[:, None] * direction + code
    code += direction
    return made


def walk_turned(code, direction, amounts):
    return (code + amounts[:, None] * direction).T


def walk_without_code(code, direction, amounts):
    return amounts[:, None] * direction


def walk_rounded(code, direction, amounts):
    return code + amounts.round()[:, None] * direction


# --- 00-random


def draw(data, n):
    return data.mean(0) + data.std(0) * torch.randn(n, data.shape[1])


def draw_by_normal(data, n):
    return torch.normal(data.mean(0).expand(n, -1), data.std(0).expand(n, -1))


def draw_by_numpy(data, n):
    table = np.asarray(data)
    return np.random.default_rng(1).normal(table.mean(0), table.std(0), (n, table.shape[1]))


def draw_columns(data, n):
    return torch.stack([column[torch.randint(len(data), (n,))] for column in data.T], dim=1)


def draw_flat(data, n):
    return data.mean(0) + data.std(0) * (torch.rand(n, data.shape[1]) * 2 - 1) * 3**0.5


def draw_variance(data, n):
    return data.mean(0) + data.var(0) * torch.randn(n, data.shape[1])


def draw_one_mean(data, n):
    return data.mean() + data.std(0) * torch.randn(n, data.shape[1])


def draw_one_spread(data, n):
    return data.mean(0) + data.std() * torch.randn(n, data.shape[1])


def draw_together(data, n):
    return data.mean(0) + data.std(0) * torch.randn(n, 1)


def draw_one_row(data, n):
    return (data.mean(0) + data.std(0) * torch.randn(data.shape[1])).expand(n, -1)


def draw_from_data(data, n):
    return data[torch.randint(len(data), (n,))]


def draw_with_relations(data, n):
    return data.mean(0) + torch.randn(n, len(data)) @ (data - data.mean(0)) / len(data) ** 0.5


def draw_narrow(data, n):
    return data.mean(0) + data.std(0) * (torch.rand(n, data.shape[1]) * 2 - 1)


def draw_positive(data, n):
    return data.mean(0) + data.std(0) * torch.rand(n, data.shape[1])


def draw_as_many_as_data(data, n):
    return data.mean(0) + data.std(0) * torch.randn(len(data), data.shape[1])


# --- 00-search


def nearest(codes, query):
    return (codes - query).norm(dim=1).argmin()


def nearest_squared(codes, query):
    return int((codes - query).square().sum(1).argmin())


def nearest_by_cdist(codes, query):
    return cdist(np.asarray(codes), np.asarray(query)[None])[:, 0].argmin()


def nearest_by_sort(codes, query):
    return sorted(range(len(codes)), key=lambda i: sum((a - b) ** 2 for a, b in zip(codes[i], query, strict=True)))[0]


def nearest_by_topk(codes, query):
    return torch.cdist(codes, query[None])[:, 0].topk(1, largest=False).indices


WRONG_DISTANCES = {
    "sum of differences": lambda c, q: (c - q).abs().sum(1),
    "largest difference": lambda c, q: (c - q).abs().amax(1),
    "signed sum": lambda c, q: (c - q).sum(1).abs(),
    "first number": lambda c, q: (c - q)[:, 0].abs(),
    "minus the product": lambda c, q: -(c @ q),
    "minus the cosine": lambda c, q: -torch.cosine_similarity(c, q[None]),
    "lengths": lambda c, q: (c.norm(dim=1) - q.norm()).abs(),
    "each number by its spread": lambda c, q: ((c - q) / c.std(0)).norm(dim=1),
    "farthest": lambda c, q: -(c - q).norm(dim=1),
}


def distance_itself(codes, query):
    return (codes - query).norm(dim=1).min()


RIGHT = {
    "00-walk": [walk, walk_by_outer, walk_by_loop, walk_by_numpy, walk_by_lerp, *wrappers(walk)],
    "00-random": [draw, draw_by_normal, draw_by_numpy, draw_columns, draw_flat, *wrappers(draw)],
    "00-search": [
        *(nearest, nearest_squared, nearest_by_cdist, nearest_by_sort, nearest_by_topk),
        *wrappers(nearest),
    ],
}
WRONG = {
    "00-walk": [
        *(walk_scaled, walk_mixed, walk_one_way, walk_fenced, walk_evenly, walk_summed, walk_in_place, walk_turned),
        *(walk_without_code, walk_rounded),
    ],
    "00-random": [
        *(draw_variance, draw_one_mean, draw_one_spread, draw_together, draw_one_row, draw_from_data),
        *(draw_with_relations, draw_narrow, draw_positive, draw_as_many_as_data),
    ],
    "00-search": [
        *(lambda codes, query, far=far: int(far(codes, query).argmin()) for far in WRONG_DISTANCES.values()),
        distance_itself,
    ],
}
