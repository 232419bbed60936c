"""The checks of lesson 03, autoencoders."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from latentlib.exercises.checks import Wrong, exercise


@exercise(
    "03-loop",
    "One step of learning",
    why="These five lines train every network of this course, and nearly every network there is.",
)
def _(one_step):
    torch.manual_seed(11)
    network = nn.Sequential(nn.Linear(6, 2), nn.Linear(2, 6))
    batches = torch.rand(3, 5, 6)
    expected, yours = copy.deepcopy(network), copy.deepcopy(network)
    losses = []
    for batch in batches:  # plain gradient steps, by hand
        loss = (expected(batch) - batch).square().sum() / len(batch)
        slopes = torch.autograd.grad(loss, list(expected.parameters()))
        losses.append(loss.item())
        with torch.no_grad():
            for weight, slope in zip(expected.parameters(), slopes, strict=True):
                weight -= 0.01 * slope
    optimizer = torch.optim.SGD(yours.parameters(), lr=0.01)
    for number, (batch, loss) in enumerate(zip(batches, losses, strict=True), 1):
        before = [weight.clone() for weight in yours.parameters()]
        got = torch.as_tensor(one_step(yours, optimizer, batch)).detach()
        if number == 1 and abs(got.item() - loss) > 1e-3 * loss:
            return (
                f"5 pictures of 6 pixels: their squared error, summed over the pixels and divided by the number of "
                f"pictures, is {loss:.3f}; your loss is {got.item():.3f}. Compare what comes out with what went in."
            )
        moved = any((a != b).any() for a, b in zip(before, yours.parameters(), strict=True))
        if not moved:
            return "after your step all weights are what they were. Ask for the slopes, then let the optimizer move."
        if number == 1 and far(expected_after_one(network, batches[0]), yours):
            return "the weights move, but not down the slope of the loss: ask the loss itself for its slopes."
    if far(expected, yours):
        return (
            "the first step is right; later steps go too far. Slopes add up until the optimizer is told to forget "
            "the last step's."
        )
    return None


def expected_after_one(network: nn.Module, batch: Tensor) -> nn.Module:
    moved = copy.deepcopy(network)
    ((moved(batch) - batch).square().sum() / len(batch)).backward()
    torch.optim.SGD(moved.parameters(), lr=0.01).step()
    return moved


def far(one: nn.Module, other: nn.Module) -> bool:
    pairs = zip(one.parameters(), other.parameters(), strict=True)
    return any(not torch.allclose(a, b, atol=1e-5) for a, b in pairs)


@exercise(
    "03-ruler",
    "A ruler that passes its own test",
    why="It sees what the other two let through, and it does so whatever the ink: tested first, it may now judge.",
)
def _(ruler):
    from latentlib import weights
    from latentlib.datasets.digits import load

    machine, digits = weights.load("digits-30"), load("bundled")
    real, seen = digits.test_images, digits.train_images[::5]
    chance = torch.Generator().manual_seed(5)
    with torch.no_grad():
        usual = ruler(seen, machine)
        if tuple(usual.shape) != (len(seen),):
            return f"{len(seen)} pictures should get {len(seen)} numbers; yours gives {tuple(usual.shape)}."
        usual = usual.quantile(0.95)
        cases = {  # name -> pictures, least and greatest share that may be farther than real ones usually are
            "real digits": (real, 0.0, 0.15),
            "real digits in pale ink": (0.6 * real, 0.0, 0.15),
            "a blank sheet": (torch.zeros(1, 1, 28, 28), 1.0, 1.0),
            "the average of all digits": (digits.train_images.mean(0, keepdim=True), 1.0, 1.0),
            "noise": (torch.rand(20, 1, 28, 28, generator=chance), 1.0, 1.0),
            "ghosts, each half of two digits": ((real + real.roll(5, 0)) / 2, 0.4, 1.0),
        }
        for name, (pictures, least, most) in cases.items():
            share = (ruler(pictures, machine) > usual).float().mean().item()
            if not least <= share <= most:
                wanted = f"at most {most:.0%}" if least == 0 else f"at least {least:.0%}"
                text = f"{name}: {wanted} should be farther off than 95 in 100 real digits are; by yours {share:.0%}."
                return Wrong(text, pictures[:6])
    return None


@exercise(
    "03-cloud",
    "Draw from a cloud",
    why="Since the dice are thrown outside, slopes reach the cloud: this is the reparameterisation trick.",
)
def _(draw):
    torch.manual_seed(3)
    mean = torch.tensor([[1.0, -2.0, 0.0]]).expand(40_000, 3).clone().requires_grad_()
    log_variance = torch.tensor([[0.0, -3.0, 1.5]]).expand(40_000, 3).clone().requires_grad_()
    codes = draw(mean, log_variance)
    if codes.shape != mean.shape:
        return f"40,000 clouds of 3 numbers should give as many codes; yours give {tuple(codes.shape)}."
    spread = codes.std(0).tolist()
    wanted = (0.5 * log_variance[0]).exp().tolist()
    if (codes.mean(0) - mean[0]).abs().max() > 0.05:
        return "the codes of a cloud around 1 should have the mean 1; yours do not."
    if max(abs(a / b - 1) for a, b in zip(spread, wanted, strict=True)) > 0.05:
        told = ", ".join(f"{value:.2f}" for value in wanted)
        found = ", ".join(f"{value:.2f}" for value in spread)
        return f"log-variances 0, −3 and 1.5 are standard deviations of {told}; your codes have {found}."
    middle = codes - codes.mean(0)
    if (middle[:, 0] * middle[:, 2]).mean().abs() > 0.1 * spread[0] * spread[2]:
        return "each number of a code needs dice of its own; in yours they go up and down together."
    if not codes.requires_grad:
        return "no slope comes through your codes, so that the encoder could never learn from them."
    codes.square().sum().backward()
    if mean.grad is None or log_variance.grad is None or log_variance.grad.abs().sum() == 0:
        return "slopes should reach the mean and the log-variance; in yours one of them gets none."
    return None


@exercise(
    "03-straight",
    "An autoencoder without bends",
    why="A straight autoencoder can at best find PCA's own plane: all that a deep one gains, it gains by bending.",
)
def _(straight):
    torch.manual_seed(2)
    network = straight(4)
    pictures = torch.rand(64, 1, 28, 28)
    with torch.no_grad():
        out = network(pictures)
        if out.shape != pictures.shape:
            return f"64 pictures (64, 1, 28, 28) should come back in that shape; yours are {tuple(out.shape)}."
        large = 20 * torch.randn(3, 1, 28, 28)
        flat, base = 0 * pictures[:1], network(0 * pictures[:1])
        bent = network(large[:1] + large[1:2]) - network(large[:1]) - network(large[1:2]) + network(flat)
        if bent.abs().max() > 1e-3 * max(1.0, network(large).abs().max().item()):
            return "what comes out for a sum of pictures should be the sum of what comes out; in yours something bends."
        rank = int(torch.linalg.matrix_rank((out - base).flatten(1).double(), rtol=1e-4))
    if rank != 4:
        return f"with a code of 4 numbers, copies of 64 pictures vary in 4 directions; yours vary in {rank}."
    return None


@exercise(
    "03-one-number",
    "One number is enough",
    why="One number can identify everything and describe nothing; a network would never find this code.",
)
def _(functions):
    pack, unpack = functions
    torch.manual_seed(8)
    pictures = (torch.rand(300, 1, 5, 5) < 0.5).float()
    pictures[0], pictures[1] = 0, 1
    codes = pack(pictures)
    if codes.numel() != 300:
        return f"300 pictures should get one number each; yours get {codes.numel()} numbers."
    returned = unpack(codes)
    if returned.shape != pictures.shape:
        return f"300 numbers should give pictures (300, 1, 5, 5) again; yours give {tuple(returned.shape)}."
    wrong = (returned - pictures).abs().amax((1, 2, 3)) > 1e-6
    if wrong.any():
        which = int(wrong.nonzero()[0])
        text = f"of 300 pictures of 25 black or white pixels {int(wrong.sum())} do not come back; here is one of them."
        return Wrong(text, torch.stack([pictures[which], returned[which].float().clamp(0, 1)]), ("goes in", "yours"))
    return None
