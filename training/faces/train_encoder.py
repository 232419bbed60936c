"""Train the encoder of faces on the generator's own samples and on LFW. Kill it at any moment; it goes on.

python -m training.faces.train_encoder --minutes 20                     start, or go on from the last checkpoint
python -m training.faces.train_encoder --warm-start data/weights        start from the shipped encoder
python -m training.faces.train_encoder --export data/weights            ship the last checkpoint

A sample's code is known exactly and there is no end of samples, but they are not photos. A photo has no code, so there
the picture that the generator draws from the answer is compared. When the shipped generator has changed since the last
checkpoint, the run says so and goes on from the encoder's weights.
"""

import copy
import math
from pathlib import Path

import torch
import torch.nn.functional as F

from latentlib import weights
from latentlib.device import seed_everything
from latentlib.models.encoder import Encoder
from latentlib.weights import checksum, read_weights
from training import lfw, runs
from training.faces.networks import mixed_styles, random_crossovers, random_photos
from training.runs import Stop
from training.saving import save_weights

NAME = "faces-64-encoder"
RECIPE = {
    "seed": 0,
    "batch": 32,
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


@torch.no_grad()
def draw_codes(generator, count: int, recipe: dict) -> torch.Tensor:
    """Codes w_plus (count, num_ws, w_dim) that cover W and some of W+ around it."""
    device = generator.w_avg.device
    z, layers = torch.randn(2, count, generator.z_dim, device=device), generator.num_ws
    ws = mixed_styles(generator, z, random_crossovers(count, layers, recipe["style_mixing"], device))
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


@torch.no_grad()
def spread_of_w(generator, samples: int = 20_000) -> torch.Tensor:
    """(w_dim, w_dim): the covariance of the mapping's codes."""
    z = torch.randn(samples, generator.z_dim, generator=torch.Generator().manual_seed(0))
    w = generator.mapping(z.to(generator.w_avg.device)).float()
    w = w - w.mean(dim=0)
    return w.T @ w / (samples - 1)


def whitening(covariance: torch.Tensor) -> torch.Tensor:
    """(w_dim, w_dim): m so that dᵀ m d is 1 on average for the usual distances d of a w from the mean."""
    floor = 0.02 * covariance.diagonal().mean() * torch.eye(len(covariance), device=covariance.device)
    inverse = torch.linalg.inv(covariance + floor)
    return inverse / torch.einsum("ij,ji->", inverse, covariance)


def picture_metric(generator, covariance: torch.Tensor, recipe: dict, batch: int = 32) -> torch.Tensor:
    """(num_ws, w_dim, w_dim): m[l] so that dᵀ m[l] d is about the mean squared change of the picture (in [-1, 1]) when
    the w of layer l changes by d; the mean of JᵀJ over samples, from one random projection of J for each.

    A share "whitened" of the squared error in units of the spread of w is mixed in, for directions that show little.
    """
    torch.manual_seed(recipe["seed"])
    batches, total = math.ceil(recipe["probes"] / batch), 0.0
    for _ in range(batches):
        ws = draw_codes(generator, batch, recipe).requires_grad_(True)
        with runs.autocast(ws.device):
            image = generator.synthesis(ws, noise=None)
        probe = torch.randn_like(image) / math.sqrt(image[0].numel())
        (slope,) = torch.autograd.grad((image * probe).sum(), ws)
        total = total + torch.einsum("nli,nlj->lij", slope.float(), slope.float())
    metric = total / (batches * batch)
    usual = torch.einsum("lij,ji->l", metric, covariance)  # what that spread in one layer does to the picture
    return torch.lerp(metric, whitening(covariance) * usual[:, None, None], recipe["whitened"])


class Trainer(runs.Trainer):
    """photos: (n, 3, r, r) uint8 of training people, or None; identity: the measure of it; digest: the generator's."""

    modules = ("encoder", "ema", "optimizer")
    values = ("metric", "since", "generator_checksum", "settings")

    def __init__(self, recipe: dict, generator, discriminator, digest: str, photos=None, identity=None):
        super().__init__(recipe, generator.w_avg.device)
        if recipe["photos"] and photos is None:
            raise Stop("this recipe has a share of photos, but there are none; choose --set photos=0")
        self.generator, self.discriminator, self.generator_checksum = generator, discriminator, digest
        self.photos, self.identity = photos if recipe["photos"] else None, identity
        seed_everything(recipe["seed"])
        channels = discriminator.settings["channels"]
        encoder = Encoder(generator.resolution, generator.num_ws, generator.w_dim, channels)
        known = encoder.state_dict()
        seen = {key: value for key, value in discriminator.state_dict().items() if key in known}
        encoder.load_state_dict(seen, strict=False)  # what the discriminator has learned to see
        encoder.w_avg.copy_(generator.w_avg)
        self.settings = encoder.settings
        self.encoder = encoder.to(self.device, memory_format=torch.channels_last)
        covariance = spread_of_w(generator)
        self.whitened, self.metric = whitening(covariance), picture_metric(generator, covariance, recipe)
        self._begin()

    def _begin(self) -> None:
        """A new optimiser and a new running mean, from the encoder as it is."""
        self.since = 0  # images seen with this generator
        self.ema = copy.deepcopy(self.encoder).requires_grad_(False)
        self.optimizer = torch.optim.Adam(self.encoder.parameters(), lr=self.recipe["learning_rate"], betas=(0.9, 0.99))

    def _batch(self) -> tuple[torch.Tensor, torch.Tensor]:
        """(codes of the samples, pictures in [-1, 1]: the samples, then the photos), each step its own."""
        count = self.recipe["batch"]
        self.seed_step()
        photos = round(count * self.recipe["photos"])
        codes = draw_codes(self.generator, count - photos, self.recipe)
        with torch.no_grad(), runs.autocast(self.device):
            pictures = self.generator.synthesis(codes, noise=None).clamp(-1, 1)
        if photos:
            pictures = torch.cat([pictures, random_photos(self.photos, photos, self.device)])
        return codes, pictures

    def step(self) -> dict[str, torch.Tensor]:
        """One batch; gives the errors."""
        recipe = self.recipe
        codes, pictures = self._batch()
        with runs.autocast(self.device):
            found = self.encoder(disturb(pictures, recipe)).float()
        error = found[: len(codes)] - codes
        losses = {"code": torch.einsum("nli,lij,nlj->", error, self.metric, error) / max(len(codes), 1)}
        away = found[len(codes) :] - self.generator.w_avg
        length = torch.einsum("nli,ij,nlj->", away, self.whitened, away)
        losses["length"] = length / max(away.shape[0] * away.shape[1], 1)
        judged = slice(len(codes) if recipe["photos"] else 0, None)  # samples have their codes to learn from
        target = pictures[judged]
        with torch.no_grad(), runs.autocast(self.device):
            wanted = self.discriminator.features(target)
        with runs.autocast(self.device):
            drawn = self.generator.synthesis(found[judged], noise=None)
            features = self.discriminator.features(drawn)
        losses["picture"] = (drawn - target).square().mean()
        losses["features"] = sum(
            (a.float() - b.float()).square().mean() / b.float().square().mean()
            for a, b in zip(features, wanted, strict=True)
        ) / len(features)
        if recipe["identity"] and recipe["photos"]:
            people = self.identity.embed(torch.cat([drawn.float(), target]) / 2 + 0.5).chunk(2)
            losses["identity"] = 1 - F.cosine_similarity(*people).mean()
        ramp = min(1.0, (self.since + recipe["batch"]) / recipe["ramp"])
        self.optimizer.param_groups[0]["lr"] = recipe["learning_rate"] * ramp
        self.learn(sum(loss * recipe[name] for name, loss in losses.items()), self.optimizer)
        self.images_seen += recipe["batch"]
        self.since += recipe["batch"]
        self.average(self.ema, self.encoder, min(recipe["ema_half_life"], recipe["ema_ramp"] * self.since))
        return {name: loss.detach() for name, loss in losses.items()}

    def restore(self, state: dict) -> None:
        """Go on from a checkpoint; of one that was trained on another generator only the weights are taken."""
        if state["generator_checksum"] == self.generator_checksum:
            super().restore(state)
            return
        print("the shipped generator has changed: its samples are new, and so is the optimiser", flush=True)
        self.images_seen, self.seconds = state["images_seen"], state["seconds"]
        self.continue_from(state["ema"])

    def continue_from(self, weights: dict) -> None:
        """Begin with these weights on this generator; the offsets they learned now start at this generator's mean."""
        try:
            self.encoder.load_state_dict({**weights, "w_avg": self.generator.w_avg})
        except RuntimeError as error:
            raise Stop(f"these weights are of another size than this generator's encoder: {error}") from error
        self._begin()


def export(state: dict, folder: Path) -> Path:
    """Ship a checkpoint: the averaged encoder, with the recipe and the checksum of the generator it belongs to."""
    made = {key: state[key] for key in ("recipe", "images_seen", "since")} | {"generator": state["generator_checksum"]}
    made["minutes"] = round(state["seconds"] / 60, 1)
    made["trained_on"] = "samples and LFW" if state["recipe"]["photos"] else "samples"
    return save_weights(NAME, state["ema"], {"network": state["settings"], **made}, folder, keep_float32=("w_avg",))


def main(argv=None) -> None:
    parser = runs.options(__doc__, "encoder-64")
    parser.add_argument(
        "--weights", type=Path, metavar="FOLDER", default=weights.WEIGHTS, help="the generator's folder"
    )
    asked = parser.parse_args(argv)

    def build(state: dict | None, device: torch.device) -> Trainer:
        recipe = runs.changed({**RECIPE, **(state["recipe"] if state else {})}, asked.set)
        photos = None
        if recipe["photos"]:
            try:
                photos = lfw.load("train").images
            except RuntimeError as error:
                print(f"training on samples alone: {error}")
                recipe["photos"] = 0.0
        generator, discriminator, identity = (
            weights.load(name, device, asked.weights) if wanted else None
            for name, wanted in (
                ("faces-64", True),
                ("faces-64-discriminator", True),
                ("faces-64-identity", recipe["identity"] and recipe["photos"]),
            )
        )
        digest = checksum("faces-64", asked.weights)
        trainer = Trainer(recipe, generator, discriminator, digest, photos, identity)
        if state:
            trainer.restore(state)
        elif asked.warm_start:
            shipped, settings = read_weights(NAME, asked.warm_start)
            trainer.continue_from(shipped)
            trainer.images_seen, trainer.seconds = settings["images_seen"], settings["minutes"] * 60
        return trainer

    runs.run(asked, build, export)


if __name__ == "__main__":
    main()
