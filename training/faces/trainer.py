"""The face generator's training: the recipe, one step of it, and all that a checkpoint must hold."""

import copy

import torch
import torch.nn.functional as F
from torch import nn

from latentlib.device import seed_everything
from latentlib.models.stylegan2 import Discriminator, Generator
from training import runs
from training.faces.networks import (
    GrowingDiscriminator,
    augment,
    mixed_styles,
    path_lengths,
    random_crossovers,
    random_photos,
)

RECIPE = {
    "seed": 0,
    "batch": 16,  # few photos a step: a CPU has time for few steps
    "images": 2_000_000,  # real pictures shown in all
    "channels": {4: 160, 8: 160, 16: 128, 32: 64, 64: 32},
    "discriminator_channels": {4: 160, 8: 160, 16: 128, 32: 64, 64: 32},
    "z_dim": 256,
    "w_dim": 256,
    "mapping_layers": 4,
    "growth": {16: 24_000, 32: 42_000},  # images seen at which a resolution is left for its double
    "fade": 6_000,  # images over which the discriminator takes to a new resolution
    "learning_rate": 2e-3,  # Adam, betas (0, 0.99), of both networks
    "decay_from": None,  # images seen from which the learning rate falls, in a straight line, to 0 at the last one
    "r1": 0.2,  # weight γ of the gradient penalty at 64 × 64, in proportion to the pixels elsewhere
    "r1_every": 16,
    "path_length": 2.0,
    "path_length_every": 8,
    "path_length_from": 100_000,  # images seen; at first it only costs
    "style_mixing": 0.9,
    "ema_half_life": 10_000,  # images
    "ema_ramp": 0.05,  # the half-life is at most this share of the images seen
    "augment_target": 0.6,  # ADA: the mean sign of the discriminator's answers to photos
    "augment_images": 150_000,  # images over which the probability could go from 0 to 1
    "augment_limit": 0.6,
}


class Trainer(runs.Trainer):
    """Generator and discriminator taught in turn; images: (n, 3, size, size) uint8."""

    modules = ("generator", "discriminator", "ema", "g_optimizer", "d_optimizer")
    values = ("augment_p", "path_mean")

    def __init__(self, recipe: dict, images: torch.Tensor, device: torch.device):
        super().__init__(recipe, device)
        self.images = images.to(device)
        seed_everything(recipe["seed"])
        channels, size = recipe["channels"], max(recipe["channels"])
        self.generator = Generator(size, recipe["z_dim"], recipe["w_dim"], recipe["mapping_layers"], channels)
        self.generator = self.generator.to(device, memory_format=torch.channels_last)
        for r in self.generator.synthesis.resolutions:
            if r > min(recipe["growth"], default=size):  # a new resolution begins by adding nothing
                nn.init.zeros_(getattr(self.generator.synthesis, f"b{r}").torgb.weight)
        discriminator = GrowingDiscriminator(Discriminator(size, recipe["discriminator_channels"]), recipe["growth"])
        self.discriminator = discriminator.to(device, memory_format=torch.channels_last)
        self.ema = copy.deepcopy(self.generator).requires_grad_(False)
        # The penalties ride along in ordinary steps, so that the rates need no correction for steps of their own.
        self.g_optimizer = self._adam(self.generator)
        self.d_optimizer = self._adam(self.discriminator)
        self.augment_p = 0.0
        self.path_mean = torch.zeros((), device=device)
        self.signs = torch.zeros(2, device=device)
        self.sample_z = torch.randn(64, recipe["z_dim"], generator=torch.Generator().manual_seed(1)).to(device)

    def _adam(self, module):
        return torch.optim.Adam(module.parameters(), lr=self.learning_rate, betas=(0.0, 0.99), eps=1e-8)

    @property
    def resolution(self) -> int:
        """The resolution that is trained now."""
        return next(
            (r for r, until in sorted(self.recipe["growth"].items()) if self.images_seen < until),
            max(self.recipe["channels"]),
        )

    @property
    def fade(self) -> float:
        """How far the discriminator has taken to this resolution, up to 1."""
        begun = max((until for until in self.recipe["growth"].values() if self.images_seen >= until), default=None)
        return 1.0 if begun is None else min(1.0, (self.images_seen - begun + 1) / self.recipe["fade"])

    def step(self) -> dict[str, torch.Tensor]:
        """One batch through both networks; the losses."""
        recipe, count = self.recipe, self.recipe["batch"]
        number = self.images_seen // recipe["batch"]
        for optimizer in (self.g_optimizer, self.d_optimizer):
            optimizer.param_groups[0]["lr"] = self.learning_rate
        self.seed_step()
        real = random_photos(self.images, count, self.device)
        real = F.avg_pool2d(real, real.shape[-1] // self.resolution)
        z = torch.randn(2, count, recipe["z_dim"], device=self.device)
        crossover = random_crossovers(count, self.generator.num_ws, recipe["style_mixing"], self.device)
        regularise = self.images_seen >= recipe["path_length_from"] and number % recipe["path_length_every"] == 0
        with runs.autocast(self.device):
            ws = mixed_styles(self.generator, z, crossover)
            fake = self.generator.synthesis(ws, None, self.resolution)
            lengths = path_lengths(fake, ws) if regularise else None
        d_loss, on_real = self._teach_discriminator(real, fake.detach(), number % recipe["r1_every"] == 0)
        g_loss = self._teach_generator(fake, lengths)
        half_life = min(recipe["ema_half_life"], recipe["ema_ramp"] * (self.images_seen + 1))
        self.average(self.ema, self.generator, half_life)
        self._adapt(on_real, number)
        self.images_seen += recipe["batch"]
        return {"g": g_loss, "d": d_loss}

    def _teach_discriminator(self, real, fake, penalise: bool) -> tuple[torch.Tensor, torch.Tensor]:
        """Photos up, samples down; now and then the gradient of its answers to photos is kept small (R1)."""
        real.requires_grad_(penalise)
        with runs.autocast(self.device, not penalise):
            shown = torch.cat([augment(real, self.augment_p), augment(fake, self.augment_p)])
            on_real, on_fake = self.discriminator(shown, self.fade, 2).chunk(2)
        loss = total = F.softplus(-on_real).mean() + F.softplus(on_fake).mean()
        if penalise:
            (slope,) = torch.autograd.grad(on_real.sum(), real, create_graph=True)
            weight = self.recipe["r1"] * (self.resolution / max(self.recipe["channels"])) ** 2
            total = loss + slope.square().sum(dim=(1, 2, 3)).mean() * (weight / 2 * self.recipe["r1_every"])
        self.learn(total, self.d_optimizer)
        return loss.detach(), on_real.detach()

    def _teach_generator(self, fake, lengths: torch.Tensor | None) -> torch.Tensor:
        """Its samples up; with path lengths also: all steps in w equally long."""
        self.discriminator.requires_grad_(False)
        with runs.autocast(self.device):
            answer = self.discriminator(augment(fake, self.augment_p), self.fade)
        loss = total = F.softplus(-answer).mean()
        if lengths is not None:
            weight = self.recipe["path_length"] * self.recipe["path_length_every"]
            total = loss + self._path_length(lengths) * weight
        self.learn(total, self.g_optimizer)
        self.discriminator.requires_grad_(True)
        return loss.detach()

    def _path_length(self, lengths: torch.Tensor) -> torch.Tensor:
        """A step in w should change the picture by the same amount everywhere: the spread about the running mean."""
        mean = lengths.detach().mean()
        self.path_mean = torch.where(self.path_mean == 0, mean, self.path_mean.lerp(mean, 0.02))
        return (lengths - self.path_mean).square().mean()

    @torch.no_grad()
    def _adapt(self, on_real, number) -> None:
        """ADA: augment more while the discriminator is too sure of the photos, less while it is not."""
        self.signs += torch.stack([on_real.sign().sum(), torch.tensor(float(len(on_real)), device=self.device)])
        if number % 4 == 3:
            mean = (self.signs[0] / self.signs[1]).item()
            self.signs.zero_()
            change = 4 * self.recipe["batch"] / self.recipe["augment_images"]
            change = change if mean > self.recipe["augment_target"] else -change
            self.augment_p = min(max(self.augment_p + change, 0.0), self.recipe["augment_limit"])

    @torch.no_grad()
    def samples(self, truncation: float = 0.7) -> torch.Tensor:
        """64 pictures of the averaged generator in [0, 1]: the same z each time."""
        w = torch.cat([self.ema.mapping(z) for z in self.sample_z.split(32)])
        generator = torch.Generator().manual_seed(2)
        many = torch.randn(4096, self.recipe["z_dim"], generator=generator).to(self.device)
        mean = self.ema.mapping(many).mean(dim=0)
        w = mean + (w - mean) * truncation
        pictures = torch.cat(
            [self.ema.synthesis(part, noise="fixed", resolution=self.resolution) for part in w.split(32)]
        )
        return (pictures.float() / 2 + 0.5).clamp(0, 1)
