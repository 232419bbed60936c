"""The face encoder's training in small: a recipe, networks of 16 × 16 pictures, photos, and shipped weights."""

import copy

import torch

from latentlib.models.stylegan2 import Discriminator, Generator
from latentlib.weights import save_weights
from training.faces import encoder_trainer

CHANNELS = {4: 8, 8: 8, 16: 8}
TINY = {**encoder_trainer.RECIPE, "identity": 0.0, "batch": 8, "probes": 64, "ramp": 16, "ema_half_life": 100}


def networks(seed=0):
    torch.manual_seed(seed)
    generator, discriminator = Generator(16, 8, 8, 2, CHANNELS), Discriminator(16, CHANNELS)
    generator.compute_w_avg(500)
    return generator.requires_grad_(False), discriminator.requires_grad_(False)


def photos(count=16, seed=1):
    """Pictures that the tiny generator can draw."""
    z = torch.randn(count, 8, generator=torch.Generator().manual_seed(seed))
    return networks()[0](z, noise=None).clamp(-1, 1).add(1).mul(127.5).byte()


def tiny(seed=0, checksum="first", **changes):
    return encoder_trainer.Trainer({**copy.deepcopy(TINY), **changes}, *networks(seed), checksum, photos())


def weights(trainer):
    return torch.cat([p.detach().flatten() for net in (trainer.encoder, trainer.ema) for p in net.parameters()])


def shipped(folder, seed=0):
    """A folder with the weights of a tiny generator and discriminator."""
    generator, discriminator = networks(seed)
    statistics = ("mapping.w_avg",)
    save_weights("faces-64", generator, {"network": generator.settings}, folder, statistics)
    save_weights("faces-64-discriminator", discriminator, {"network": discriminator.settings}, folder)
    return folder
