"""Right and wrong answers to the exercises of lesson 09."""

import numpy as np
import torch
import torch.nn.functional as F

from tests.answers import wrappers

# --- 09-splice


def splice(a, b, column):
    return torch.cat([a[..., :column], b[..., column:]], dim=-1)


def splice_in_place(a, b, column):
    made = b.clone()
    made[..., :column] = a[..., :column]
    return made


def splice_by_where(a, b, column):
    return torch.where(torch.arange(a.shape[-1]) < column, a, b)


def splice_by_numpy(a, b, column):
    return np.concatenate([np.asarray(a)[..., :column], np.asarray(b)[..., column:]], axis=3)


def splice_by_mask(a, b, column):
    share = (torch.arange(a.shape[-1]) < column).double()
    return a * share + b * (1 - share)


def splice_spoiling(a, b, column):
    b[..., :column] = a[..., :column]
    return b


# --- 09-flow


def flow(point=lambda n, c, t: (1 - t) * n + t * c, wanted=lambda n, c: c - n, of=lambda e: e.square().mean()):
    return lambda network, noise, code, t: of(network(point(noise, code, t), t) - wanted(noise, code))


def flow_by_mse(network, noise, code, t):
    return F.mse_loss(network(torch.lerp(noise, code, t), t), code - noise)


def flow_by_loop(network, noise, code, t):
    drawn = network(noise + t * (code - noise), t)
    return sum((d - (c - n)).square().mean() for d, c, n in zip(drawn, code, noise, strict=True)) / len(noise)


# --- 09-draw


def euler(network, noise, steps, start=0.0, end=1.0, scale=1.0):
    x = noise
    for k in range(steps):
        t = torch.full((len(x), 1), start + (end - start) * k / steps)
        x = x + scale * network(x, t) / steps
    return x


def midpoint(network, noise, steps):
    x = noise
    for k in range(steps):
        half = x + network(x, torch.full((len(x), 1), k / steps)) / steps / 2
        x = x + network(half, torch.full((len(x), 1), (k + 0.5) / steps)) / steps
    return x


def heun(network, noise, steps):
    x = noise
    for k in range(steps):
        one = network(x, torch.full((len(x), 1), k / steps))
        two = network(x + one / steps, torch.full((len(x), 1), (k + 1) / steps))
        x = x + (one + two) / 2 / steps
    return x


def by_linspace(network, noise, steps):
    x, places = noise, torch.linspace(0, 1, steps + 1)
    for k in range(steps):
        x = x + network(x, places[k].expand(len(x), 1)) * (places[k + 1] - places[k])
    return x


def in_numpy(network, noise, steps):
    x = noise.numpy().copy()
    for k in range(steps):
        x += np.asarray(network(torch.from_numpy(x), torch.full((len(x), 1), k / steps))) / steps
    return x


def middles(network, noise, steps):
    x = noise
    for k in range(steps):
        x = x + network(x, torch.full((len(x), 1), (k + 0.5) / steps)) / steps
    return x


def spoiling(network, noise, steps):
    for k in range(steps):
        noise += network(noise, torch.full((len(noise), 1), k / steps)) / steps
    return noise


def frozen(network, noise, steps):
    return noise + sum(network(noise, torch.full((len(noise), 1), k / steps)) for k in range(steps)) / steps


RIGHT = {
    "09-splice": [splice, splice_in_place, splice_by_where, splice_by_numpy, splice_by_mask, *wrappers(splice)],
    "09-flow": [
        flow(),
        flow_by_mse,
        flow_by_loop,
        flow(lambda n, c, t: n + t * (c - n)),
        flow(lambda n, c, t: torch.lerp(n, c, t.expand_as(n))),
        flow(of=lambda e: (e * e).mean()),
        flow(of=lambda e: e.pow(2).flatten().mean()),
        flow(of=lambda e: e.double().square().mean()),
        flow(of=lambda e: e.square().mean(1).mean()),
        flow(of=lambda e: e.square().mean()[None]),
    ],
    "09-draw": [
        euler,
        midpoint,
        heun,
        by_linspace,
        in_numpy,
        middles,
        lambda network, noise, steps: euler(network, noise, 4 * steps),  # finer is right, too
        lambda network, noise, steps: euler(network, noise.clone(), steps).tolist(),
        lambda network, noise, steps: euler(network, noise, steps).double(),
        lambda network, noise, steps: euler(network, noise.detach(), steps).numpy(),
    ],
}
WRONG = {
    "09-splice": [
        lambda a, b, k: splice(b, a, k),
        lambda a, b, k: splice(a, b, min(k + 1, a.shape[-1])),
        lambda a, b, k: splice(a, b, a.shape[-1] - k),
        lambda a, b, k: torch.cat([a[..., :k, :], b[..., k:, :]], dim=-2),  # rows
        lambda a, b, k: torch.cat([a[:, :k], b[:, k:]], dim=1),  # channels
        lambda a, b, k: (a + b) / 2,
        lambda a, b, k: torch.cat([a[..., :k], b[..., : a.shape[-1] - k]], dim=-1),
        lambda a, b, k: splice(a, b, 3),  # always in the middle
        lambda a, b, k: torch.cat([a[..., :k], b[..., -k:]], dim=-1),
        splice_spoiling,
    ],
    "09-flow": [
        flow(lambda n, c, t: t * n + (1 - t) * c),  # from code to noise
        flow(wanted=lambda n, c: n - c),
        flow(wanted=lambda n, c: c),
        flow(lambda n, c, t: c + t * n),
        flow(lambda n, c, t: (1 - t).sqrt() * n + t.sqrt() * c),  # another path
        flow(of=lambda e: e.abs().mean()),
        flow(of=lambda e: e.square().sum()),
        flow(of=lambda e: e.mean().square()),  # errors cancel
        flow(of=lambda e: e.square().mean().sqrt()),
        flow(of=lambda e: e.square().mean().item()),  # no gradient
        lambda network, noise, code, t: (network(noise, t) - (code - noise)).square().mean(),
    ],
    "09-draw": [
        lambda network, noise, steps: euler(network, noise, steps, scale=steps),  # forgets to divide
        lambda network, noise, steps: euler(network, noise, steps, start=1.0, end=0.0),  # backwards
        lambda network, noise, steps: euler(network, noise, steps, scale=-1.0),
        lambda network, noise, steps: euler(network, noise, 1),
        lambda network, noise, steps: euler(network, noise, steps - 1),
        lambda network, noise, steps: euler(network, noise, steps, end=2.0),
        lambda network, noise, steps: euler(network, noise, steps, end=0.0),  # t stays 0
        lambda network, noise, steps: network(noise, torch.ones(len(noise), 1)),
        frozen,
        spoiling,
    ],
}
