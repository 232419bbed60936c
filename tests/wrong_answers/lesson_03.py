"""Typical wrong answers to the exercises of lesson 03; each must be told why."""

import torch
from torch import nn


def error(one, other):
    return (one - other).square().sum() / len(one)


def never_moves(network, optimizer, batch):
    return error(network(batch), batch)


def forgets_to_forget(network, optimizer, batch):
    loss = error(network(batch), batch)
    loss.backward()
    optimizer.step()
    return loss


def forgets_too_late(network, optimizer, batch):
    loss = error(network(batch), batch)
    loss.backward()
    optimizer.zero_grad()
    optimizer.step()
    return loss


def mean_of_everything(network, optimizer, batch):
    loss = (network(batch) - batch).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss


def without_slopes(network, optimizer, batch):
    loss = error(network(batch).detach(), batch).requires_grad_()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss


def plain_round_trip(pictures, machine):  # a blank sheet passes
    return (machine(pictures) - pictures).flatten(1).norm(dim=1)


def ink_only(pictures, machine):
    return pictures.flatten(1).norm(dim=1)


def not_stretched(pictures, machine):  # pale ink fails
    return (machine(pictures) - pictures).flatten(1).norm(dim=1) / pictures.flatten(1).norm(dim=1).clamp(min=0.001)


def one_number_for_all(pictures, machine):
    return (machine(pictures) - pictures).norm()


def greyness(pictures, machine):
    return (pictures * (1 - pictures)).flatten(1).sum(1)


def straight_with_a_bend(latent_dim):
    return nn.Sequential(
        nn.Flatten(), nn.Linear(784, latent_dim), nn.ReLU(), nn.Linear(latent_dim, 784), nn.Unflatten(1, (1, 28, 28))
    )


def no_bottleneck(latent_dim):
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 784), nn.Unflatten(1, (1, 28, 28)))


def squeezed_at_the_end(latent_dim):
    return nn.Sequential(
        nn.Flatten(), nn.Linear(784, latent_dim), nn.Linear(latent_dim, 784), nn.Sigmoid(), nn.Unflatten(1, (1, 28, 28))
    )


def stays_flat(latent_dim):
    return nn.Sequential(nn.Flatten(), nn.Linear(784, latent_dim), nn.Linear(latent_dim, 784))


PLACES = 2.0 ** torch.arange(25)


def unpack(codes):
    return (codes[:, None].long() // PLACES.long() % 2).float().view(-1, 1, 5, 5)


WRONG = {
    "03-loop": [never_moves, forgets_to_forget, forgets_too_late, mean_of_everything, without_slopes],
    "03-ruler": [plain_round_trip, ink_only, not_stretched, one_number_for_all, greyness],
    "03-cloud": [
        lambda mean, log_variance: mean + log_variance.exp() * torch.randn_like(mean),
        lambda mean, log_variance: mean + log_variance * torch.randn_like(mean),
        lambda mean, log_variance: mean,
        lambda mean, log_variance: torch.normal(mean.detach(), (0.5 * log_variance).exp().detach()),
        lambda mean, log_variance: mean + (0.5 * log_variance).exp() * torch.randn(len(mean), 1),
    ],
    "03-straight": [straight_with_a_bend, no_bottleneck, squeezed_at_the_end, stays_flat],
    "03-one-number": [
        (lambda pictures: pictures.flatten(1).sum(1), unpack),
        (lambda pictures: pictures.flatten(1), unpack),
        (lambda pictures: (pictures.flatten(1) * PLACES).sum(1).half(), unpack),
        (lambda pictures: (pictures.flatten(1)[:, :24] * PLACES[:24]).sum(1), unpack),
    ],
}
