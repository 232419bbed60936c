"""Right and wrong answers to the exercises of lesson 03."""

import math

import numpy as np
import torch
from torch.distributions import Normal, kl_divergence

from tests.answers import wrappers

# --- 03-step


def step(model, optimizer, images, targets, loss):
    value = loss(model(images), targets)
    optimizer.zero_grad()
    value.backward()
    optimizer.step()
    return value


def step_by_grad(model, optimizer, images, targets, loss):
    weights = list(model.parameters())
    value = loss(model(images), targets)
    for weight, slope in zip(weights, torch.autograd.grad(value, weights), strict=True):
        weight.grad = slope
    optimizer.step()
    return value.item()


def step_by_closure(model, optimizer, images, targets, loss):
    def closure():
        optimizer.zero_grad()
        value = loss(model(images), targets)
        value.backward()
        return value

    return optimizer.step(closure)


def step_clean_afterwards(model, optimizer, images, targets, loss):
    value = loss(model.forward(images), targets)
    value.backward()
    optimizer.step()
    model.zero_grad(set_to_none=False)
    return [float(value)]


def step_other_input(model, optimizer, images, targets, loss):
    value = loss(model(images), images)
    optimizer.zero_grad()
    value.backward()
    optimizer.step()
    return value


def step_never_forgets(model, optimizer, images, targets, loss):
    value = loss(model(images), targets)
    value.backward()
    optimizer.step()
    return value


def step_forgets_too_late(model, optimizer, images, targets, loss):
    value = loss(model(images), targets)
    value.backward()
    optimizer.zero_grad(set_to_none=False)
    optimizer.step()
    return value


def step_moves_first(model, optimizer, images, targets, loss):
    optimizer.step()
    value = loss(model(images), targets)
    optimizer.zero_grad()
    value.backward()
    return value


def step_tells_the_loss_after(model, optimizer, images, targets, loss):
    step(model, optimizer, images, targets, loss)
    return loss(model(images), targets)


def step_own_loss(model, optimizer, images, targets, loss):
    return step(
        model, optimizer, images, targets, lambda output, target: (output - target).square().sum() / len(target)
    )


def step_swapped(model, optimizer, images, targets, loss):
    return step(model, optimizer, images, targets, lambda output, target: loss(target, output))


def step_twice(model, optimizer, images, targets, loss):
    value = step(model, optimizer, images, targets, loss)
    step(model, optimizer, images, targets, loss)
    return value


def step_first_picture(model, optimizer, images, targets, loss):
    return step(model, optimizer, images[:1], targets[:1], loss)


def step_own_rate(model, optimizer, images, targets, loss):
    value = loss(model(images), targets)
    model.zero_grad()
    value.backward()
    with torch.no_grad():
        for weight in model.parameters():
            weight -= 0.01 * weight.grad
    return value


def step_mean(model, optimizer, images, targets, loss):
    return step(model, optimizer, images, targets, lambda output, target: loss(output, target) / len(target))


def step_uphill(model, optimizer, images, targets, loss):
    value = loss(model(images), targets)
    optimizer.zero_grad()
    (-value).backward()
    optimizer.step()
    return value


# --- 03-sample


def draw(mean, log_variance):
    return mean + torch.exp(0.5 * log_variance) * torch.randn_like(mean)


def draw_by_rsample(mean, log_variance):
    return Normal(mean, log_variance.exp().sqrt()).rsample()


def draw_by_numpy_dice(mean, log_variance):
    dice = np.random.default_rng().normal(size=tuple(mean.shape))
    return torch.from_numpy(dice) * (log_variance / 2).exp() + mean


def draw_by_columns(mean, log_variance):
    columns = [
        m + math.e ** (v / 2) * torch.empty(len(m)).normal_() for m, v in zip(mean.T, log_variance.T, strict=True)
    ]
    return torch.stack(columns, dim=1)


def draw_by_box_muller(mean, log_variance):
    radius = (-2 * torch.log(1 - torch.rand_like(mean))).sqrt()
    return torch.addcmul(mean, log_variance.exp() ** 0.5, radius * torch.cos(2 * math.pi * torch.rand_like(mean)))


def draw_many_small(mean, log_variance):
    dice = (torch.randint(0, 2, (64, *mean.shape)).float() * 2 - 1).sum(0) / 8
    return mean + dice * torch.exp(log_variance).sqrt()


def draw_double(mean, log_variance):
    return draw(mean.double(), log_variance.double())


def draw_negative(mean, log_variance):
    return mean - torch.exp(log_variance / 2) * torch.randn(*mean.shape)


def draw_logs(mean, log_variance):
    return (
        mean
        + torch.randn_like(log_variance) * torch.logaddexp(log_variance, log_variance).sub(math.log(2)).div(2).exp()
    )


def draw_rows(mean, log_variance):
    return [m + s * torch.randn(3) for m, s in zip(mean, (log_variance / 2).exp(), strict=True)]


def draw_variance(mean, log_variance):
    return mean + log_variance.exp() * torch.randn_like(mean)


def draw_log(mean, log_variance):
    return mean + log_variance * torch.randn_like(mean)


def draw_without_square(mean, log_variance):
    return mean + torch.exp(2 * log_variance) * torch.randn_like(mean)


def draw_one_dice_per_row(mean, log_variance):
    return mean + torch.exp(0.5 * log_variance) * torch.randn(len(mean), 1)


def draw_uniform(mean, log_variance):
    return mean + torch.exp(0.5 * log_variance) * (torch.rand_like(mean) * 2 - 1) * 3**0.5


def draw_positive(mean, log_variance):
    return mean + torch.exp(0.5 * log_variance) * torch.randn_like(mean).abs()


def draw_without_slopes(mean, log_variance):
    return torch.normal(mean, torch.exp(0.5 * log_variance))


def draw_mean_stands_still(mean, log_variance):
    return draw(mean.detach(), log_variance)


def draw_the_same(mean, log_variance):
    return mean + torch.exp(0.5 * log_variance) * torch.randn(mean.shape, generator=torch.Generator().manual_seed(0))


def draw_only_the_mean(mean, log_variance):
    return mean + 0 * log_variance


def draw_around_zero(mean, log_variance):
    return torch.exp(0.5 * log_variance) * torch.randn_like(mean) + 0 * mean


# --- 03-kl


def kl(mean, log_variance):
    return 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance).sum() / len(mean)


def kl_of_torch(mean, log_variance):
    return kl_divergence(Normal(mean, (0.5 * log_variance).exp()), Normal(0.0, 1.0)).sum(1).mean()


def kl_of_the_paper(mean, log_variance):
    return -0.5 * torch.mean(torch.sum(1 + log_variance - mean.pow(2) - log_variance.exp(), dim=1))


def kl_by_loop(mean, log_variance):
    total = 0
    for m, v in zip(mean.flatten(), log_variance.flatten(), strict=True):
        total = total + (m * m + math.e**v - 1 - v) / 2
    return total / mean.shape[0]


def kl_double(mean, log_variance):
    return kl(mean.double(), log_variance.double())


def kl_by_std(mean, log_variance):
    std = torch.exp(log_variance / 2)
    return (mean.square() / 2 + std.square() / 2 - 0.5 - torch.log(std)).sum(1).mean(0)


def kl_in_a_list(mean, log_variance):
    return [kl(mean, log_variance)]


def kl_einsum(mean, log_variance):
    squares = torch.einsum("nd,nd->n", mean, mean) + (log_variance.exp() - log_variance).sum(1)
    return (squares - mean.shape[1]).mean() / 2


def kl_expm1(mean, log_variance):
    return (mean.norm() ** 2 + (torch.expm1(log_variance) - log_variance).sum()) / (2 * len(mean))


def kl_rows(mean, log_variance):
    return sum(kl(mean[i : i + 1], log_variance[i : i + 1]) for i in range(len(mean))) / len(mean)


WRONG_TERMS = {
    "not divided": lambda m, v: 0.5 * (m**2 + v.exp() - 1 - v).sum(),
    "mean over all": lambda m, v: 0.5 * (m**2 + v.exp() - 1 - v).mean(),
    "not halved": lambda m, v: (m**2 + v.exp() - 1 - v).sum() / len(m),
    "without the 1": lambda m, v: 0.5 * (m**2 + v.exp() - v).sum() / len(m),
    "variance for its logarithm": lambda m, v: 0.5 * (m**2 + v - 1 - v.abs().clamp(min=1e-6).log()).sum() / len(m),
    "wrong sign": lambda m, v: 0.5 * (1 + v - m**2 - v.exp()).sum() / len(m),
    "mean not squared": lambda m, v: 0.5 * (m.abs() + v.exp() - 1 - v).sum() / len(m),
    "standard deviation": lambda m, v: 0.5 * (m**2 + (v / 2).exp() - 1 - v / 2).sum() / len(m),
    "the other way round": lambda m, v: 0.5 * ((1 + m**2) / v.exp() - 1 + v).sum() / len(m),
    "only the means": lambda m, v: 0.5 * (m**2).sum() / len(m) + 0 * v.sum(),
    "no slope of the mean": lambda m, v: 0.5 * (m.detach() ** 2 + v.exp() - 1 - v).sum() / len(m),
    "first number": lambda m, v: kl(m[:, :1], v[:, :1]),
}


def kl_without_slopes(mean, log_variance):
    return kl(mean, log_variance).item()


RIGHT = {
    "03-step": [step, step_by_grad, step_by_closure, step_clean_afterwards, *wrappers(step)],
    "03-sample": [
        *(draw, draw_by_rsample, draw_by_numpy_dice, draw_by_columns, draw_by_box_muller, draw_many_small),
        *(draw_double, draw_negative, draw_logs, draw_rows),
    ],
    "03-kl": [
        *(kl, kl_of_torch, kl_of_the_paper, kl_by_loop, kl_double, kl_by_std, kl_in_a_list, kl_einsum, kl_expm1),
        kl_rows,
    ],
}
WRONG = {
    "03-step": [
        *(step_other_input, step_never_forgets, step_forgets_too_late, step_moves_first, step_tells_the_loss_after),
        *(step_own_loss, step_swapped, step_twice, step_first_picture, step_own_rate, step_mean, step_uphill),
    ],
    "03-sample": [
        *(draw_variance, draw_log, draw_without_square, draw_one_dice_per_row, draw_uniform, draw_positive),
        *(draw_without_slopes, draw_mean_stands_still, draw_the_same, draw_only_the_mean, draw_around_zero),
    ],
    "03-kl": [*WRONG_TERMS.values(), kl_without_slopes],
}
