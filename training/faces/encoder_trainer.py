"""The face encoder's training: the recipe, what it learns from, one step of it, and all that a checkpoint must hold.

A sample's code is known exactly and there is no end of samples, but they are not photos. A photo has no code, so
there the picture that the generator draws from the answer is compared.
"""

from __future__ import annotations

import copy
import math

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch.optim.swa_utils import get_ema_multi_avg_fn

from latentlib.device import autocast, seed_everything
from latentlib.models.encoder import Encoder
from training.runs import Stop

NAME = "faces-64-encoder"
RECIPE = {
    "seed": 0,
    "batch": 32,  # over all processes
    "learning_rate": 1e-3,  # Adam, betas (0.9, 0.99)
    "ramp": 3_200,  # images over which the learning rate rises, from the start and after a change of the generator
    "photos": 0.5,  # share of the batch that are training photos; 0: samples alone
    "style_mixing": 0.5,  # share of the samples that change from one w to another at some layer
    "spread": [0.5, 1.3],  # how far a sample's w is pushed from the mean, at random between these
    "layer_spread": 0.35,  # each layer's own step besides, at random up to this share of the spread of w
    "blur": 0.3,  # share of the pictures that are blurred a little before they are encoded
    "noise": 0.04,  # greatest spread of noise added to a picture, in [-1, 1]
    "colour": 0.04,  # greatest change of each colour's strength
    "code": 1.0,  # weight of the code error (samples)
    "whitened": 0.1,  # share in it of the error in units of the spread of w
    "picture": 1.0,  # weight of the mean squared error of the picture drawn again, in [-1, 1]
    "features": 0.1,  # weight of the error of the discriminator's features, relative to their size
    "identity": 0.1,  # weight of the identity measure's distance between a photo and its drawing; 0: not asked
    "length": 0.01,  # weight of the length of a photo's codes (1 is usual): without codes to learn, they wander off
    "probes": 1024,  # samples from which the effect of each layer's w on the picture is measured
    "ema_half_life": 5_000,  # images; the shipped weights are a running mean of the trained ones
    "ema_ramp": 0.1,  # the half-life is at most this share of the images seen with this generator
}


# ----------------------------------------------------------------------------------------------- samples and photos


@torch.no_grad()
def draw_codes(generator, count: int, recipe: dict) -> torch.Tensor:
    """Codes w_plus (count, num_ws, w_dim) that cover W and some of W+ around it."""
    device = generator.w_avg.device
    w, other = generator.mapping(torch.randn(2 * count, generator.z_dim, device=device)).float().chunk(2)
    layers = generator.num_ws
    crossover = torch.randint(1, layers, (count,), device=device)
    crossover = torch.where(torch.rand(count, device=device) < recipe["style_mixing"], crossover, layers)
    layer = torch.arange(layers, device=device)[None, :, None]
    ws = torch.where(layer < crossover[:, None, None], w[:, None], other[:, None])
    least, most = recipe["spread"]
    spread = least + (most - least) * torch.rand(count, 1, 1, device=device)
    # The difference of two random w's has the directions that w itself has.
    a, b = generator.mapping(torch.randn(2 * count * layers, generator.z_dim, device=device)).float().chunk(2)
    steps = (a - b).reshape(count, layers, generator.w_dim) * (0.5**0.5 * recipe["layer_spread"])
    return generator.w_avg + (ws - generator.w_avg) * spread + steps * torch.rand(count, 1, 1, device=device)


def disturb(images: torch.Tensor, recipe: dict) -> torch.Tensor:
    """Pictures in [-1, 1] as another camera might have taken them: colours, blur and noise, nothing moved."""
    n, device = len(images), images.device
    strength = 1 + (torch.rand(n, 3, 1, 1, device=device) * 2 - 1) * recipe["colour"]
    images = (images + 1) * strength - 1
    blurred = F.avg_pool2d(F.pad(images, [1] * 4, mode="replicate"), 3, stride=1)
    chosen = torch.rand(n, 1, 1, 1, device=device) < recipe["blur"]
    share = torch.where(chosen, torch.rand(n, 1, 1, 1, device=device), 0.0)
    noise = torch.randn_like(images) * (torch.rand(n, 1, 1, 1, device=device) * recipe["noise"])
    return torch.lerp(images, blurred, share) + noise


def whitening(generator) -> torch.Tensor:
    """(w_dim, w_dim): m so that dᵀ m d is 1 on average for the usual distances d of a w from the mean."""
    covariance = generator.w_covariance
    floor = 0.02 * covariance.diagonal().mean() * torch.eye(generator.w_dim, device=covariance.device)
    inverse = torch.linalg.inv(covariance + floor)
    return inverse / torch.einsum("ij,ji->", inverse, covariance)


def picture_metric(generator, recipe: dict, batch: int = 32) -> torch.Tensor:
    """(num_ws, w_dim, w_dim): m[l] so that dᵀ m[l] d is about the mean squared change of the picture (in [-1, 1]) when
    the w of layer l changes by d; the mean of JᵀJ over samples, from one random projection of J for each.

    A share "whitened" of the squared error in units of the spread of w is mixed in, for directions that show little.
    """
    torch.manual_seed(recipe["seed"])
    total = 0.0
    for _ in range(math.ceil(recipe["probes"] / batch)):
        ws = draw_codes(generator, batch, recipe).requires_grad_(True)
        with autocast(ws.device):
            image = generator.synthesis(ws, noise=None)
        probe = torch.randn_like(image) / math.sqrt(image[0].numel())
        (slope,) = torch.autograd.grad((image * probe).sum(), ws)
        total = total + torch.einsum("nli,nlj->lij", slope.float(), slope.float())
    metric = total / (math.ceil(recipe["probes"] / batch) * batch)
    covariance, whitened = generator.w_covariance, whitening(generator)
    usual = torch.einsum("lij,ji->l", metric, covariance)  # what that spread in one layer does to the picture
    return torch.lerp(metric, whitened * usual[:, None, None], recipe["whitened"])


# --------------------------------------------------------------------------------------------------------- the trainer


class Trainer:
    """Everything a run needs; its state is what a checkpoint holds."""

    def __init__(
        self, recipe: dict, generator, discriminator, checksum: str, photos: torch.Tensor | None = None, identity=None
    ):
        """photos: (n, 3, r, r) uint8 of training people; checksum: the generator's; identity: the measure of it."""
        self.recipe, self.generator, self.discriminator, self.checksum = recipe, generator, discriminator, checksum
        self.photos = photos if recipe["photos"] else None
        self.identity = identity
        if recipe["photos"] and photos is None:
            raise Stop("this recipe has a share of photos, but there are none; choose --no-photos")
        self.device = generator.w_avg.device
        self.rank, self.world = (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)
        if recipe["batch"] % self.world:
            raise Stop(f"a batch of {recipe['batch']} cannot be shared by {self.world} processes")
        seed_everything(recipe["seed"])
        channels = discriminator.settings["channels"]
        encoder = Encoder(generator.resolution, generator.num_ws, generator.w_dim, channels)
        encoder.load_state_dict(
            {key: value for key, value in discriminator.state_dict().items() if key in encoder.state_dict()},
            strict=False,
        )  # what the discriminator has learned to see
        encoder.w_avg.copy_(generator.w_avg)
        self.encoder = encoder.to(self.device, memory_format=torch.channels_last)
        self.images_seen = self.since = 0  # since: images seen with this generator
        self.seconds = 0.0
        self.metric, self.whitened = None, whitening(generator)
        self._begin()

    def _begin(self) -> None:
        """A new optimiser and a new running mean, from the encoder as it is."""
        self.ema = copy.deepcopy(self.encoder).requires_grad_(False)
        rate = self.recipe["learning_rate"]
        self.optimizer = torch.optim.Adam(self.encoder.parameters(), lr=rate, betas=(0.9, 0.99))

    def _batch(self, number: int) -> tuple[torch.Tensor, torch.Tensor]:
        """(codes of the samples, pictures in [-1, 1]: the samples, then the photos); each step and process its own."""
        count = self.recipe["batch"] // self.world
        torch.manual_seed(hash((self.recipe["seed"], number, self.rank)) % 2**63)
        photos = round(count * self.recipe["photos"])
        codes = draw_codes(self.generator, count - photos, self.recipe)
        with torch.no_grad(), autocast(self.device):
            pictures = self.generator.synthesis(codes, noise=None).clamp(-1, 1)
        if photos:
            chosen = torch.randint(len(self.photos), (photos,))
            image = self.photos[chosen].to(self.device).float() / 127.5 - 1
            mirrored = torch.rand(photos, 1, 1, 1, device=self.device) < 0.5
            pictures = torch.cat([pictures, torch.where(mirrored, image.flip(3), image)])
        return codes, pictures

    def step(self) -> dict[str, torch.Tensor]:
        """One batch; gives the errors."""
        recipe = self.recipe
        if self.metric is None:
            self.metric = picture_metric(self.generator, recipe)
        codes, pictures = self._batch(self.images_seen // recipe["batch"])
        with autocast(self.device):
            found = self.encoder(disturb(pictures, recipe)).float()
        error = found[: len(codes)] - codes
        losses = {"code": torch.einsum("nli,lij,nlj->", error, self.metric, error) / max(len(codes), 1)}
        away = found[len(codes) :] - self.generator.w_avg
        length = torch.einsum("nli,ij,nlj->", away, self.whitened, away)
        losses["length"] = length / max(away.shape[0] * away.shape[1], 1)
        judged = slice(len(codes) if recipe["photos"] else 0, None)  # samples have their codes to learn from
        target = pictures[judged]
        with torch.no_grad(), autocast(self.device):
            wanted = self.discriminator.features(target)
        with autocast(self.device):
            drawn = self.generator.synthesis(found[judged], noise=None)
            features = self.discriminator.features(drawn)
        losses["picture"] = (drawn - target).square().mean()
        losses["features"] = sum(
            (a.float() - b.float()).square().mean() / b.float().square().mean()
            for a, b in zip(features, wanted, strict=True)
        ) / len(features)
        if recipe["identity"] and recipe["photos"]:
            losses["identity"] = self.identity.distance(drawn.float() / 2 + 0.5, target / 2 + 0.5).mean()
        self.optimizer.zero_grad(set_to_none=True)
        sum(loss * recipe[name] for name, loss in losses.items()).backward()
        if self.world > 1:
            self._share_gradients()
        ramp = min(1.0, (self.since + recipe["batch"]) / recipe["ramp"])
        self.optimizer.param_groups[0]["lr"] = recipe["learning_rate"] * ramp
        self.optimizer.step()
        self.images_seen += recipe["batch"]
        self.since += recipe["batch"]
        self._average()
        return {name: loss.detach() for name, loss in losses.items()}

    def _share_gradients(self) -> None:
        gradients = [p.grad for p in self.encoder.parameters()]
        joined = torch.cat([g.flatten() for g in gradients])
        dist.all_reduce(joined)
        for gradient, part in zip(gradients, joined.split([g.numel() for g in gradients]), strict=True):
            gradient.copy_(part.view_as(gradient) / self.world)

    @torch.no_grad()
    def _average(self) -> None:
        half_life = min(self.recipe["ema_half_life"], self.recipe["ema_ramp"] * self.since)
        average = get_ema_multi_avg_fn(0.5 ** (self.recipe["batch"] / half_life))
        average(list(self.ema.parameters()), list(self.encoder.parameters()), None)

    # ------------------------------------------------------------------------------------------------- checkpoints

    def state(self) -> dict:
        """What a checkpoint holds."""
        return {
            "recipe": self.recipe,
            "generator": self.checksum,
            "images_seen": self.images_seen,
            "since": self.since,
            "seconds": self.seconds,
            "metric": self.metric,
            "encoder": self.encoder.state_dict(),
            "ema": self.ema.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "settings": self.encoder.settings,
        }

    def restore(self, state: dict) -> bool:
        """Go on from a checkpoint. False when it was trained on another generator: then only its weights are taken."""
        self.images_seen, self.seconds = state["images_seen"], state["seconds"]
        if state["generator"] != self.checksum:
            self.continue_from(state["ema"])
            return False
        self.encoder.load_state_dict(state["encoder"])
        self.ema.load_state_dict(state["ema"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.since, self.metric = state["since"], state["metric"]
        return True

    def continue_from(self, weights: dict) -> None:
        """Begin with these weights on this generator; the offsets they learned now start at this generator's mean."""
        try:
            self.encoder.load_state_dict({**weights, "w_avg": self.generator.w_avg})
        except RuntimeError as error:
            raise Stop(f"these weights are of another size than this generator's encoder: {error}") from error
        self.since, self.metric = 0, None
        self._begin()

    def agreed(self, wish: bool) -> bool:
        """Whether any process wants to stop: all must stop after the same step."""
        if self.world == 1:
            return wish
        if self.images_seen // self.recipe["batch"] % 8:
            return False
        wishes = torch.tensor(float(wish), device=self.device)
        dist.all_reduce(wishes)
        return wishes.item() > 0

    def finite(self) -> bool:
        """Whether every weight is a number."""
        return all(bool(torch.isfinite(p).all()) for p in [*self.encoder.parameters(), *self.ema.parameters()])
