"""Right and wrong answers to the exercises of lesson 06."""

import numpy as np
import torch
import torch.nn.functional as F

from tests.answers import wrappers

# --- 06-search


def searcher(loss_of, optimizer_of=lambda code: torch.optim.Adam([code], lr=0.1), zero=True, begin=torch.clone):
    def search(draw, picture, code, steps):
        code = begin(code).requires_grad_()
        optimizer = optimizer_of(code)
        for _ in range(steps):
            loss = loss_of(draw(code), picture)
            if zero:
                optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return code.detach()

    return search


def squared(drawn, picture):
    return (drawn - picture).square().mean()


def by_grad(draw, picture, code, steps):
    for _ in range(steps):
        code = code.detach().requires_grad_()
        (slope,) = torch.autograd.grad(squared(draw(code), picture), code)
        code = code - 10.0 * slope
    return code.detach()


def keeps_best(draw, picture, code, steps):
    code, best = code.clone().requires_grad_(), (float("inf"), code)
    optimizer = torch.optim.Adam([code], lr=0.1)
    for _ in range(steps + 1):
        loss = squared(draw(code), picture)
        best = min(best, (loss.item(), code.detach().clone()), key=lambda pair: pair[0])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return best[1]


def by_lbfgs(draw, picture, code, steps):
    code = code.clone().requires_grad_()
    optimizer = torch.optim.LBFGS([code], lr=0.5, max_iter=1)

    def closure():
        optimizer.zero_grad()
        loss = squared(draw(code), picture)
        loss.backward()
        return loss

    for _ in range(steps):
        optimizer.step(closure)
    return code.detach()


right = searcher(squared)


def as_array(draw, picture, code, steps):
    return right(draw, picture, code, steps).numpy()


def as_list(draw, picture, code, steps):
    return right(draw, picture, code, steps).tolist()


def never_steps(draw, picture, code, steps):
    return code.clone()


def one_step(draw, picture, code, steps):
    return right(draw, picture, code, 1)


def always_400(draw, picture, code, steps):
    return right(draw, picture, code, 400)


def with_gradient(draw, picture, code, steps):
    return right(draw, picture, code, steps).requires_grad_()


def random_walk(draw, picture, code, steps):
    dice = torch.Generator().manual_seed(0)
    tries = code + torch.randn(steps, *code.shape, generator=dice) / 3
    return min(tries, key=lambda one: squared(draw(one), picture))


# --- 06-psnr


def psnr(a, b):
    return -10 * (a - b).square().mean((1, 2, 3)).log10()


def psnr_by_loop(a, b):
    return [10 * np.log10(1 / float(F.mse_loss(x, y))) for x, y in zip(a, b, strict=True)]


def psnr_by_numpy(a, b):
    return 20 * np.log10(1 / np.sqrt(((np.asarray(a) - np.asarray(b)) ** 2).mean(axis=(1, 2, 3))))


def psnr_flat(a, b):
    return 10 * torch.log10(1 / F.mse_loss(a, b, reduction="none").flatten(1).mean(1))


# --- 06-unusual


def unusual(codes, mean, directions, variances):
    return ((codes - mean) @ directions.T / variances.sqrt()).square().mean(-1).sqrt()


def unusual_by_sum(codes, mean, directions, variances):
    return torch.sqrt((((codes - mean) @ directions.T) ** 2 / variances).sum(-1) / len(variances))


def unusual_by_numpy(codes, mean, directions, variances):
    along = (np.asarray(codes) - np.asarray(mean)) @ np.asarray(directions).T
    return np.sqrt((along**2 / np.asarray(variances)).mean(-1))


def unusual_by_matrix(codes, mean, directions, variances):
    inverse = directions.T @ torch.diag(1 / variances) @ directions
    apart = codes - mean
    return ((apart @ inverse * apart).sum(-1) / len(variances)).sqrt()


def unusual_by_norm(codes, mean, directions, variances):
    return ((codes - mean) @ (directions / variances.sqrt()[:, None]).T).norm(dim=-1) / len(variances) ** 0.5


RIGHT = {
    "06-search": [
        right,
        searcher(F.mse_loss),
        searcher(lambda d, p: (d - p).square().sum()),
        searcher(lambda d, p: (d - p).square().mean().sqrt()),
        searcher(squared, lambda code: torch.optim.SGD([code], lr=5.0, momentum=0.8)),
        searcher(squared, lambda code: torch.optim.RMSprop([code], lr=0.02)),
        searcher(squared, begin=lambda code: code.detach().clone()),
        by_grad,
        keeps_best,
        by_lbfgs,
        as_array,
        as_list,
    ],
    "06-psnr": [psnr, psnr_by_loop, psnr_by_numpy, psnr_flat, *wrappers(psnr)],
    "06-unusual": [
        unusual,
        unusual_by_sum,
        unusual_by_numpy,
        unusual_by_matrix,
        unusual_by_norm,
        *wrappers(unusual),
    ],
}
WRONG = {
    "06-search": [
        never_steps,
        one_step,
        always_400,
        with_gradient,
        random_walk,
        searcher(lambda d, p: -squared(d, p)),
        searcher(lambda d, p: (d - p).mean()),  # differences cancel
        searcher(lambda d, p: (d.mean() - p.mean()).square()),  # the mean grey alone
        searcher(squared, lambda code: torch.optim.Adam([code], lr=1e-4)),
        searcher(squared, begin=lambda code: code),  # changes what it was given
        searcher(squared, zero=False),  # gradients add up
    ],
    "06-psnr": [
        lambda a, b: -psnr(a, b),
        lambda a, b: psnr(a, b) / 10,
        lambda a, b: psnr(a, b) * 2,  # of the root
        lambda a, b: -10 * (a - b).square().mean((1, 2, 3)).log(),  # natural logarithm
        lambda a, b: -10 * (a - b).square().mean().log10(),  # one for all
        lambda a, b: -10 * (a - b).square().sum((1, 2, 3)).log10(),
        lambda a, b: -10 * (a - b).abs().mean((1, 2, 3)).log10(),
        lambda a, b: 10 * (a.square().mean((1, 2, 3)) / (a - b).square().mean((1, 2, 3))).log10(),  # SNR
        lambda a, b: -10 * (a.mean(1) - b.mean(1)).square().mean((1, 2)).log10(),  # grey
        lambda a, b: -10 * (a - b).square().mean((2, 3)).log10(),  # one for each colour
    ],
    "06-unusual": [
        lambda c, m, d, v: unusual(c, m, d, v) ** 2,
        lambda c, m, d, v: (c - m).norm(dim=-1),
        lambda c, m, d, v: ((c - m) @ d.T).square().mean(-1).sqrt(),
        lambda c, m, d, v: ((c - m) @ d.T / v).square().mean(-1).sqrt(),  # by variances
        lambda c, m, d, v: (c @ d.T / v.sqrt()).square().mean(-1).sqrt(),  # from zero
        lambda c, m, d, v: ((c - m) @ d.T / v.sqrt()).abs().mean(-1),
        lambda c, m, d, v: ((c - m) @ d.T / v.sqrt()).abs().amax(-1),
        lambda c, m, d, v: ((c - m) @ d.T / v.sqrt()).norm(dim=-1),  # not the mean
        lambda c, m, d, v: ((c - m) @ d[:, : len(d[0])].T / v.sqrt()).square().mean().sqrt(),  # one for all
        lambda c, m, d, v: ((c - m) @ d.T / v.sqrt()).median(-1).values.abs(),
    ],
}
