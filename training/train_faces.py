"""Train the course's face generator on LFW: one CPU, one GPU, or many with torchrun. Kill it at any moment; it goes on.

python training/train_faces.py                              start, or go on from the last checkpoint
torchrun --nproc-per-node 4 training/train_faces.py         the same on four GPUs (or CPU processes)
python training/train_faces.py --warm-start data/weights    start from the shipped weights
python training/train_faces.py --measure                    images per second with and without each trick
"""

from __future__ import annotations

import argparse
import copy
import json
import math
import os
import sys
import time
from pathlib import Path

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from latentlib.device import autocast, pick_device, seed_everything
from latentlib.models.stylegan import Convolution, Discriminator, Generator

RECIPE = {
    "seed": 0,
    "batch": 32,  # over all processes
    "images": 2_000_000,  # real pictures shown in all
    "channels": {4: 160, 8: 160, 16: 128, 32: 64, 64: 32},
    "z_dim": 256,
    "w_dim": 256,
    "mapping_layers": 4,
    "growth": {16: 24_000, 32: 44_000},  # images seen at which a resolution is left for its double
    "fade": 6_000,  # images over which the discriminator takes to a new resolution
    "learning_rate": 2e-3,  # Adam, betas (0, 0.99), of both networks
    "r1": 1.0,  # weight γ of the gradient penalty at 64 × 64, in proportion to the pixels elsewhere
    "r1_every": 16,
    "path_length": 2.0,
    "path_length_every": 8,
    "path_length_from": 60_000,  # images seen; at first it only costs
    "style_mixing": 0.9,
    "noise": False,  # True: random noise maps, as in the paper; without them all detail must come from w
    "ema_half_life": 10_000,  # images
    "ema_ramp": 0.05,  # the half-life is at most this share of the images seen
    "augment_target": 0.6,  # ADA: the mean sign of the discriminator's answers to photos
    "augment_images": 150_000,  # images over which the probability could go from 0 to 1
    "augment_limit": 0.6,
}
CHECKPOINT_SECONDS = 240
SAMPLE_SECONDS = 300


class Stop(Exception):
    """A reason to stop that a person can read; the last good checkpoint stays as it is."""


def runs_folder() -> Path:
    """Where runs are kept, outside the work tree: LATENTLIB_RUNS, else the user's cache folder."""
    default = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")) / "latentlib" / "runs"
    return Path(os.environ.get("LATENTLIB_RUNS") or default).expanduser()


# ------------------------------------------------------------------------------------------ networks while they train


class TrainedGenerator(nn.Module):
    """Generator with style mixing, and path lengths beside the pictures: one forward, as replicas want."""

    def __init__(self, generator: Generator, noise: bool):
        super().__init__()
        self.generator, self.noise = generator, "random" if noise else None

    def forward(self, z, other_z, crossover, resolution, path_lengths: bool):
        """crossover: (n,) the layer at which each picture changes from the w of z to that of other_z."""
        w, other = self.generator.mapping(torch.cat([z, other_z])).float().chunk(2)
        layer = torch.arange(self.generator.num_ws, device=z.device)[None, :, None]
        ws = torch.where(layer < crossover[:, None, None], w[:, None], other[:, None])
        image = self.generator.synthesis(ws, self.noise, resolution)
        if not path_lengths:
            return image, None
        # How far a random change of the picture is from w (StyleGAN2, section 3.2).
        noise = torch.randn_like(image) / math.sqrt(image.shape[2] * image.shape[3])
        (slope,) = torch.autograd.grad((image * noise).sum(), ws, create_graph=True)
        return image, slope.square().sum(dim=2).mean(dim=1).sqrt()


class GrowingDiscriminator(nn.Module):
    """Discriminator that can also judge smaller pictures and take to a new resolution gradually (ProGAN)."""

    def __init__(self, full: Discriminator, resolutions):
        super().__init__()
        self.full = full
        channels = full.settings["channels"]
        self.entries = nn.ModuleDict({str(r): Convolution(3, channels[r], 1) for r in resolutions})

    def forward(self, image, fade: float = 1.0):
        r = image.shape[-1]
        image = image.contiguous(memory_format=torch.channels_last)
        x = (self.full.fromrgb if r == self.full.settings["resolution"] else self.entries[str(r)])(image)
        while r > 4:
            x = getattr(self.full, f"b{r}")(x)
            r //= 2
            if fade < 1 and r == image.shape[-1] // 2:
                x = torch.lerp(self.entries[str(r)](F.avg_pool2d(image, 2)).to(x.dtype), x, fade)
        return self.full.judge(x)


def augment(image: torch.Tensor, p: float) -> torch.Tensor:
    """DiffAugment's colour, shift and cut-out, each done to each picture with probability p (as in ADA)."""
    if p <= 0:
        return image
    n, _, size, _ = image.shape

    def draw(*shape):
        return torch.rand(n, *shape, device=image.device)

    def sometimes(value, otherwise):
        return torch.where(draw(1, 1, 1) < p, value, torch.full_like(value, otherwise))

    image = image + sometimes(draw(1, 1, 1) - 0.5, 0.0)  # brightness
    grey = image.mean(dim=1, keepdim=True)
    image = torch.lerp(grey, image, sometimes(draw(1, 1, 1) * 2, 1.0))  # saturation
    mean = image.mean(dim=(1, 2, 3), keepdim=True)
    image = torch.lerp(mean, image, sometimes(draw(1, 1, 1) + 0.5, 1.0))  # contrast
    reach = size // 8
    shift = (draw(2) * (2 * reach + 1)).long() - reach
    shift = torch.where(draw(1) < p, shift, torch.zeros_like(shift))
    grid = torch.arange(size, device=image.device)
    rows = (grid + shift[:, :1] + reach)[:, None, :, None]
    columns = (grid + shift[:, 1:] + reach)[:, None, None, :]
    padded = F.pad(image, [reach] * 4)
    index = torch.arange(n, device=image.device)[:, None, None, None]
    channel = torch.arange(3, device=image.device)[None, :, None, None]
    image = padded[index, channel, rows, columns]
    centre = draw(2) * size
    inside = ((grid - centre[:, :1]).abs() < size / 4)[:, None, :, None] & ((grid - centre[:, 1:]).abs() < size / 4)[
        :, None, None, :
    ]
    return image * (~(inside & (draw(1, 1, 1) < p))).float()


# --------------------------------------------------------------------------------------------------------- the trainer


class Trainer:
    """Everything a run needs; its state is what a checkpoint holds."""

    def __init__(self, recipe: dict, images: torch.Tensor, device: torch.device, reduced_precision: bool = True):
        self.recipe, self.device, self.images = recipe, device, images.to(device)
        self.distributed = dist.is_available() and dist.is_initialized()
        self.rank = dist.get_rank() if self.distributed else 0
        self.world = dist.get_world_size() if self.distributed else 1
        if recipe["batch"] % self.world:
            raise Stop(
                f"a batch of {recipe['batch']} cannot be shared by {self.world} processes; choose another --batch"
            )
        self.reduced_precision = reduced_precision
        seed_everything(recipe["seed"])
        channels, size = recipe["channels"], max(recipe["channels"])
        self.generator = Generator(size, recipe["z_dim"], recipe["w_dim"], recipe["mapping_layers"], channels)
        self.generator = self.generator.to(device, memory_format=torch.channels_last)
        for r in self.generator.synthesis.resolutions:
            if r > min(recipe["growth"], default=size):  # a new resolution begins by adding nothing
                nn.init.zeros_(getattr(self.generator.synthesis, f"b{r}").torgb.weight)
        discriminator = GrowingDiscriminator(Discriminator(size, channels), recipe["growth"])
        self.discriminator = discriminator.to(device, memory_format=torch.channels_last)
        self.ema = copy.deepcopy(self.generator).requires_grad_(False)
        self.g = self._replicate(TrainedGenerator(self.generator, recipe["noise"]))
        self.d = self._replicate(self.discriminator)
        every = recipe["r1_every"]
        self.g_optimizer = self._adam(self.generator, 1.0)
        self.d_optimizer = self._adam(self.discriminator, every / (every + 1))  # lazy regularisation, appendix B
        self.images_seen, self.seconds = 0, 0.0
        self.augment_p = 0.0
        self.path_mean = torch.zeros((), device=device)
        self.signs = torch.zeros(2, device=device)
        self.sample_z = torch.randn(64, recipe["z_dim"], generator=torch.Generator().manual_seed(1)).to(device)

    def _replicate(self, module):
        if not self.distributed:
            return module
        ids = [self.device.index] if self.device.type == "cuda" else None
        # While the resolution grows, some parameters wait for their turn.
        return DistributedDataParallel(module, device_ids=ids, find_unused_parameters=True, broadcast_buffers=False)

    def _adam(self, module, ratio):
        rate = self.recipe["learning_rate"]
        return torch.optim.Adam(module.parameters(), lr=rate * ratio, betas=(0.0, 0.99**ratio), eps=1e-8)

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

    def _batch(self, count: int) -> torch.Tensor:
        """Random photos, half of them mirrored, in [-1, 1] at the current resolution."""
        chosen = torch.randint(len(self.images), (count,), device=self.device)
        image = self.images[chosen].float() / 127.5 - 1
        image = torch.where(torch.rand(count, 1, 1, 1, device=self.device) < 0.5, image.flip(3), image)
        return F.avg_pool2d(image, image.shape[-1] // self.resolution)

    def step(self) -> dict[str, float]:
        """One batch through both networks."""
        recipe, count = self.recipe, self.recipe["batch"] // self.world
        number = self.images_seen // recipe["batch"]
        torch.manual_seed(hash((recipe["seed"], number, self.rank)) % 2**63)  # each step and process its own
        resolution, fade = self.resolution, self.fade
        real = self._batch(count)
        z, other_z = torch.randn(2, count, recipe["z_dim"], device=self.device)
        layers = self.generator.num_ws
        crossover = torch.randint(1, layers, (count,), device=self.device)
        crossover = torch.where(torch.rand(count, device=self.device) < recipe["style_mixing"], crossover, layers)
        regularise = self.images_seen >= recipe["path_length_from"] and number % recipe["path_length_every"] == 0
        with autocast(self.device, self.reduced_precision):
            fake, lengths = self.g(z, other_z, crossover, resolution, regularise)

        # The discriminator: photos up, samples down; the gradient of its answers to photos is kept small (R1).
        penalise = number % recipe["r1_every"] == 0
        real.requires_grad_(penalise)
        with autocast(self.device, self.reduced_precision and not penalise):
            shown = torch.cat([augment(real, self.augment_p), augment(fake.detach(), self.augment_p)])
            on_real, on_fake = self.d(shown, fade).chunk(2)
        d_loss = F.softplus(-on_real).mean() + F.softplus(on_fake).mean()
        total = d_loss
        if penalise:
            (slope,) = torch.autograd.grad(on_real.sum(), real, create_graph=True)
            weight = recipe["r1"] * (resolution / max(recipe["channels"])) ** 2
            r1 = slope.square().sum(dim=(1, 2, 3)).mean()
            total = total + r1 * (weight / 2 * recipe["r1_every"])
        self.d_optimizer.zero_grad(set_to_none=True)
        total.backward()
        self.d_optimizer.step()

        # The generator: its samples up.
        self.discriminator.requires_grad_(False)
        with autocast(self.device, self.reduced_precision):
            answer = self.discriminator(augment(fake, self.augment_p), fade)
        g_loss = F.softplus(-answer).mean()
        total = g_loss
        if regularise:
            total = total + self._path_length(lengths) * (recipe["path_length"] * recipe["path_length_every"])
        self.g_optimizer.zero_grad(set_to_none=True)
        total.backward()
        self.g_optimizer.step()
        self.discriminator.requires_grad_(True)

        self._average()
        self._adapt(on_real.detach(), number)
        self.images_seen += recipe["batch"]
        return {"g": g_loss.detach(), "d": d_loss.detach()}

    def _path_length(self, lengths: torch.Tensor) -> torch.Tensor:
        """A step in w should change the picture by the same amount everywhere: the spread about the running mean."""
        mean = lengths.detach().mean()
        if self.distributed:
            dist.all_reduce(mean)
            mean /= self.world
        self.path_mean = torch.where(self.path_mean == 0, mean, self.path_mean.lerp(mean, 0.02))
        return (lengths - self.path_mean).square().mean()

    @torch.no_grad()
    def _average(self) -> None:
        """The shipped weights are a running mean of the trained ones."""
        half_life = min(self.recipe["ema_half_life"], self.recipe["ema_ramp"] * (self.images_seen + 1))
        share = 1 - 0.5 ** (self.recipe["batch"] / max(half_life, 1e-8))
        torch._foreach_lerp_(list(self.ema.parameters()), list(self.generator.parameters()), share)

    @torch.no_grad()
    def _adapt(self, on_real, number) -> None:
        """ADA: augment more while the discriminator is too sure of the photos, less while it is not."""
        self.signs += torch.stack([on_real.sign().sum(), torch.tensor(float(len(on_real)), device=self.device)])
        if number % 4 == 3:
            if self.distributed:
                dist.all_reduce(self.signs)
            mean = (self.signs[0] / self.signs[1]).item()
            self.signs.zero_()
            change = 4 * self.recipe["batch"] / self.recipe["augment_images"]
            change = change if mean > self.recipe["augment_target"] else -change
            self.augment_p = min(max(self.augment_p + change, 0.0), self.recipe["augment_limit"])

    # ------------------------------------------------------------------------------------------------- checkpoints

    def state(self) -> dict:
        return {
            "recipe": self.recipe,
            "images_seen": self.images_seen,
            "seconds": self.seconds,
            "augment_p": self.augment_p,
            "path_mean": self.path_mean,
            "generator": self.generator.state_dict(),
            "discriminator": self.discriminator.state_dict(),
            "ema": self.ema.state_dict(),
            "g_optimizer": self.g_optimizer.state_dict(),
            "d_optimizer": self.d_optimizer.state_dict(),
        }

    def restore(self, state: dict) -> None:
        for name in ("generator", "discriminator", "ema", "g_optimizer", "d_optimizer"):
            getattr(self, name).load_state_dict(state[name])
        every = self.recipe["r1_every"]
        for optimizer, ratio in ((self.g_optimizer, 1.0), (self.d_optimizer, every / (every + 1))):
            optimizer.param_groups[0]["lr"] = self.recipe["learning_rate"] * ratio  # the recipe may have been changed
        self.images_seen, self.seconds, self.augment_p = state["images_seen"], state["seconds"], state["augment_p"]
        self.path_mean = state["path_mean"].to(self.device)
        if not self.recipe["noise"]:  # a run that began with noise goes on without
            for network in (self.generator, self.ema):
                for name, parameter in network.named_parameters():
                    if name.endswith("noise_strength"):
                        parameter.detach().zero_()

    def agreed(self, over: bool) -> bool:
        """Whether any process wants to stop: all must stop after the same step."""
        if not self.distributed:
            return over
        if self.images_seen // self.recipe["batch"] % 16:
            return False
        wish = torch.tensor(float(over), device=self.device)
        dist.all_reduce(wish)
        return wish.item() > 0

    def finite(self) -> bool:
        tensors = [*self.generator.parameters(), *self.discriminator.parameters(), *self.ema.parameters()]
        return all(bool(torch.isfinite(t).all()) for t in tensors)

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


def save_atomically(state: dict, path: Path) -> None:
    """Write beside the last checkpoint, then take its place in one move: it is whole at any moment."""
    unfinished = path.with_suffix(".unfinished")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(unfinished, "wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, path)
    except (OSError, RuntimeError) as error:
        unfinished.unlink(missing_ok=True)
        raise Stop(
            f"the checkpoint could not be written ({error}); is the disk full? The last good state is at {path}"
        ) from error


def sheet(pictures: torch.Tensor, columns: int = 16):
    """(n, 3, h, w) in [0, 1] -> one PIL image, a grid."""
    from PIL import Image

    n, _, h, w = pictures.shape
    rows = math.ceil(n / columns)
    grid = torch.ones(rows * columns, 3, h, w)
    grid[:n] = pictures.cpu()
    grid = grid.reshape(rows, columns, 3, h, w).permute(0, 3, 1, 4, 2).reshape(rows * h, columns * w, 3)
    return Image.fromarray((grid * 255).round().byte().numpy())


def train(trainer: Trainer, folder: Path, hours: float = math.inf) -> None:
    """Go on until the recipe's number of images, the hours, Ctrl-C, or a reason to stop."""
    from tqdm.auto import tqdm

    path = folder / "checkpoint.pt"
    chief = trainer.rank == 0
    started = saved = drawn = time.monotonic()
    before = trainer.seconds
    bar = tqdm(
        total=trainer.recipe["images"], initial=trainer.images_seen, unit=" images", smoothing=0.05,
        disable=not chief, mininterval=10, maxinterval=60,
    )  # fmt: skip
    with bar:
        try:
            while trainer.images_seen < trainer.recipe["images"] and not trainer.agreed(now_over(started, hours)):
                losses = trainer.step()
                if not all(math.isfinite(value) for value in losses.values()):
                    raise Stop(
                        f"the loss is no longer a number after {trainer.images_seen} images; the last good state is at "
                        f"{path}. Start again from it with a smaller --learning-rate or a larger --r1"
                    )
                now = time.monotonic()
                trainer.seconds = before + now - started
                bar.update(trainer.recipe["batch"])
                if chief and now - saved > CHECKPOINT_SECONDS:
                    saved = now
                    keep(trainer, path)
                if chief and now - drawn > SAMPLE_SECONDS:
                    drawn = now
                    draw(trainer, folder)
                    tqdm.write(
                        f"{trainer.images_seen} images at {trainer.resolution} px, {trainer.seconds / 3600:.2f} h, "
                        f"g {losses['g']:.2f}, d {losses['d']:.2f}, augmentation {trainer.augment_p:.3f}, "
                        f"path length {trainer.path_mean:.3f}"
                    )
        except KeyboardInterrupt:
            print("stopped by hand; the next start goes on from here")
    if chief:
        keep(trainer, path)
        draw(trainer, folder)


def now_over(started: float, hours: float) -> bool:
    return time.monotonic() - started > hours * 3600


def keep(trainer: Trainer, path: Path) -> None:
    """Write a checkpoint, unless a weight is broken."""
    if not trainer.finite():
        raise Stop(
            f"a weight is no longer a number after {trainer.images_seen} images; the last good state is at {path}"
        )
    save_atomically(trainer.state(), path)


def draw(trainer: Trainer, folder: Path) -> None:
    """A picture of samples, and the latest under one name that an image viewer can keep open."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        picture = sheet(trainer.samples())
        picture.save(folder / f"samples-{trainer.images_seen:08d}.png")
        picture.save(folder / "samples.png")
    except OSError as error:
        raise Stop(f"the picture of samples could not be written ({error}); is the disk full?") from error


# ------------------------------------------------------------------------------------------------ weights in and out


def export(state: dict, folder: Path) -> None:
    """Ship a checkpoint: the averaged generator with the centre of its w, the discriminator, and a sheet of samples."""
    from latentlib.checkpoints import save_weights

    recipe = state["recipe"]
    size = max(recipe["channels"])
    generator = Generator(size, recipe["z_dim"], recipe["w_dim"], recipe["mapping_layers"], recipe["channels"])
    generator.load_state_dict(state["ema"])
    generator.measure_w()
    discriminator = Discriminator(size, recipe["channels"])
    full = {
        key.removeprefix("full."): value for key, value in state["discriminator"].items() if key.startswith("full.")
    }
    discriminator.load_state_dict(full)
    made = {"recipe": recipe, "images_seen": state["images_seen"], "hours": round(state["seconds"] / 3600, 2)}
    statistics = ("w_mean", "w_covariance")
    save_weights("faces-64", generator, {"network": generator.settings, **made}, folder, statistics)
    save_weights("faces-64-discriminator", discriminator, {"network": discriminator.settings, **made}, folder)
    with torch.no_grad():
        z = torch.randn(48, recipe["z_dim"], generator=torch.Generator().manual_seed(3))
        pictures = generator(z, truncation=0.7, noise="fixed").div(2).add(0.5).clamp(0, 1)
    sheet(pictures, columns=12).save(folder / "faces-64-samples.png", optimize=True)


def warm_start(trainer: Trainer, folder: Path) -> None:
    """Begin from shipped weights instead of from noise; the optimisers begin anew."""
    from latentlib.checkpoints import load_weights

    generator, settings = load_weights("faces-64", folder)
    discriminator, _ = load_weights("faces-64-discriminator", folder)
    try:
        trainer.generator.load_state_dict(generator)
        trainer.ema.load_state_dict(generator)
        trainer.discriminator.full.load_state_dict(discriminator)
    except RuntimeError as error:
        raise Stop(f"the weights in {folder} are of another size than this recipe's networks: {error}") from error
    trainer.images_seen = settings["images_seen"]
    trainer.seconds = settings["hours"] * 3600


# ------------------------------------------------------------------------------------------------------ command line


def parse(argv=None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", default="faces-64", help="name of the run's folder in LATENTLIB_RUNS")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, mps")
    parser.add_argument("--hours", type=float, default=math.inf, help="stop after that long; the next start goes on")
    parser.add_argument("--images", type=int, help="stop after that many photos shown in all")
    parser.add_argument("--batch", type=int, help="pictures a step, over all processes")
    parser.add_argument("--learning-rate", type=float)
    parser.add_argument("--r1", type=float, help="weight of the gradient penalty")
    parser.add_argument("--noise", action=argparse.BooleanOptionalAction, help="random noise maps in the generator")
    parser.add_argument("--growth", type=json.loads, help='such as \'{"16": 24000, "32": 80000}\'')
    parser.add_argument("--warm-start", type=Path, metavar="FOLDER", help="begin from shipped weights")
    parser.add_argument("--export", type=Path, metavar="FOLDER", help="write the last checkpoint's weights and stop")
    parser.add_argument("--measure", action="store_true", help="print images per second of each trick and stop")
    parser.add_argument("--compiled", action="store_true", help="with --measure: torch.compile too (minutes)")
    return parser.parse_args(argv)


def main(argv=None, images: torch.Tensor | None = None) -> None:
    """images: (n, 3, size, size) uint8 to train on instead of LFW."""
    arguments = parse(argv)
    device = pick_device(arguments.device)
    if arguments.measure:
        from measure_speed import measure

        return measure(device, compiled=arguments.compiled)
    if "RANK" in os.environ:  # started by torchrun
        if device.type == "cuda":
            device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
            torch.cuda.set_device(device)
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    folder = runs_folder() / arguments.run
    path = folder / "checkpoint.pt"
    try:
        state = read_checkpoint(path, device)
        if arguments.export:
            if state is None:
                raise Stop(f"there is no checkpoint at {path} to export")
            return export(state, arguments.export)
        recipe = dict(state["recipe"] if state else RECIPE)
        recipe.setdefault("noise", True)  # runs older than the choice had it
        for name in ("images", "batch", "learning_rate", "r1", "noise"):
            if getattr(arguments, name) is not None:
                recipe[name] = getattr(arguments, name)
        if arguments.growth is not None:
            recipe["growth"] = {int(resolution): int(until) for resolution, until in arguments.growth.items()}
        if images is None:
            from latentlib.datasets import faces

            images = faces.load("train").images
        trainer = Trainer(recipe, images, device)
        if state:
            trainer.restore(state)
        elif arguments.warm_start:
            warm_start(trainer, arguments.warm_start)
        if trainer.rank == 0 and trainer.images_seen:
            print(f"going on from {trainer.images_seen} images in {folder}", flush=True)
        train(trainer, folder, arguments.hours)
    except Stop as reason:
        sys.exit(str(reason))
    finally:
        if dist.is_initialized():
            dist.destroy_process_group()


def read_checkpoint(path: Path, device: torch.device) -> dict | None:
    """The state in a checkpoint, read without executing anything; None when there is none."""
    if not path.exists():
        return None
    try:
        return torch.load(path, map_location=device, weights_only=True)
    except Exception as error:
        raise Stop(f"the checkpoint {path} cannot be read ({error}); move it away, or use another --run") from error


if __name__ == "__main__":
    main()
