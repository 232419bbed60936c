"""Teach a network in NVIDIA's order of operations to draw what the course's face generator draws from the same w.

python -m training.faces.distil --minutes 40              start, or go on; kill it at any moment
python -m training.faces.distil --export data/weights     ship the last checkpoint as stylegan2-64
python -m training.faces.distil --evaluate                measure what is shipped; fills in the model card

The mapping is the teacher's. So are the weights that the synthesis starts from; a convolution that the teacher
enlarges afterwards becomes the transposed convolution that comes nearest to the two together. The learning rate follows
the minutes: it ends at 0 when they are over.
"""

from __future__ import annotations

import argparse
import math
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from latentlib import weights
from latentlib.device import autocast
from latentlib.metrics import psnr
from latentlib.models import stylegan, stylegan2
from training.cards import put_between
from training.runs import Stop, read_checkpoint, runs_folder, save_atomically, session, stop_signals

NAME = "stylegan2-64"
RECIPE = {
    "seed": 0,
    "batch": 16,
    "learning_rate": 2e-3,  # Adam, betas (0.9, 0.99)
    "features": 0.01,  # weight of the relative error of each block's features; 0 after two thirds of the time
    "smaller": 0.25,  # weight of the error of the pictures at 4, 8, … 32 pixels
}
CHECKPOINT_SECONDS = 120
HELD_OUT = 9_000_001  # seed of the codes that measure; training draws from others
BEGIN, END = f"<!-- evaluation of {NAME}: begin -->", f"<!-- evaluation of {NAME}: end -->"


# ------------------------------------------------------------------------------------------------ where it starts


@torch.no_grad()
def student_of(teacher: stylegan.Generator, pictures: int = 48) -> stylegan2.Generator:
    """A generator in NVIDIA's order that begins as near to the teacher as copying and linear regression bring it."""
    student = stylegan2.Generator(**teacher.settings, clamp=stylegan2.CLAMP)
    state = {key: value for key, value in teacher.state_dict().items() if key not in ("w_mean", "w_covariance")}
    student.load_state_dict({**state, "mapping.w_avg": teacher.w_mean}, strict=False)
    w_plus = codes(teacher, pictures, torch.Generator().manual_seed(1), plain=True)
    features = [x for x, _ in blocks(teacher.synthesis, w_plus)]
    for x, r in zip(features, student.synthesis.resolutions[1:], strict=False):
        block = getattr(student.synthesis, f"b{r}")
        style = block.conv0.affine(w_plus[:, 0])  # (n, channels_in)
        before = block.conv0.weight.clone()
        after = fitted(x * style[:, :, None, None], before)
        # Demodulation brings both to unit length, so the factor between them must be passed on to the next layer.
        lengths = [(k.square().sum((2, 3)) @ style.square().mean(0)).sqrt() for k in (before, after)]
        factor = lengths[0] / lengths[1]  # (channels_out,)
        block.conv0.weight.copy_(after)
        block.conv0.bias.mul_(factor)
        block.conv1.affine.weight.div_(factor[:, None])
        block.conv1.affine.bias.div_(factor)
    return student


def fitted(x: Tensor, weight: Tensor, places: int = 400, ridge: float = 1e-3) -> Tensor:
    """The weights of the transposed convolution, smoothed by [1, 3, 3, 1], that makes of x what the teacher's
    convolution and interpolation make of it, as nearly as the least squares bring it.

    x: (n, channels_in, r, r), scaled by the style; weight: (channels_out, channels_in, 3, 3) -> the same shape
    """
    channels, r = x.shape[1:3]
    wanted = stylegan.upsample(F.conv2d(x, weight, padding=1)).flatten(2)  # (n, channels_out, 4r²)
    chosen = torch.randperm(4 * r * r, generator=torch.Generator().manual_seed(0))[:places].to(x.device)
    taps = []
    for tap in range(9):
        one = torch.zeros(9).to(x)
        one[tap] = 1
        moved = F.conv_transpose2d(x, one.view(1, 1, 3, 3).expand(channels, 1, 3, 3), stride=2, groups=channels)
        moved = stylegan2.smooth(moved, stylegan2.filter_2d().to(x), padding=1, gain=4.0)
        taps.append(moved.flatten(2)[..., chosen])
    seen = torch.stack(taps, 2).permute(0, 3, 1, 2).reshape(-1, 9 * channels).double()  # (rows, 9 channels_in)
    target = wanted[..., chosen].transpose(1, 2).reshape(len(seen), -1).double()
    square = seen.T @ seen
    square += ridge * square.diagonal().mean() * torch.eye(len(square)).to(square)
    return torch.linalg.solve(square, seen.T @ target).T.reshape(weight.shape).to(weight)


# ------------------------------------------------------------------------------------------------------- what it sees


def codes(generator, count: int, numbers: torch.Generator, plain: bool = False) -> Tensor:
    """w_plus (count, num_ws, w_dim): half as the mapping gives them, a quarter further out and mixed of two people,
    a quarter with each layer moved by itself."""
    layers = generator.num_ws
    z = torch.randn(2 * count, generator.z_dim, generator=numbers)
    w, other = generator.mapping(z.to(generator.w_mean.device)).chunk(2)
    w_plus = w[:, None].repeat(1, layers, 1)
    if plain:
        return w_plus
    half, most = count // 2, count - count // 4
    places = torch.randint(1, layers, (most - half, 1), generator=numbers)
    mixed = (torch.arange(layers) >= places).to(w.device)  # (n, layers)
    w_plus[half:most] = torch.where(mixed[..., None], other[half:most, None], w_plus[half:most])
    w_plus[half:most] += 0.3 * (w_plus[half:most] - generator.w_mean)
    step = torch.rand(count - most, layers, 1, generator=numbers).to(w.device)
    w_plus[most:] += 0.7 * step * (other.roll(1, 0)[most:, None] - w_plus[most:])
    return w_plus


def blocks(synthesis, w_plus: Tensor) -> list[tuple[Tensor, Tensor]]:
    """(features, picture so far) of each resolution, noise off."""
    x = rgb = None
    layer, found = 0, []
    for r in synthesis.resolutions:
        block = getattr(synthesis, f"b{r}")
        x, rgb = block(x, rgb, w_plus[:, layer : layer + block.convolutions + 1], [None] * block.convolutions)
        layer += block.convolutions
        found.append((x, rgb))
    return found


class Trainer:
    """Everything a run needs; its state is what a checkpoint holds."""

    def __init__(self, teacher, device: torch.device, seconds: float):
        self.recipe, self.device, self.planned = RECIPE, device, seconds
        self.teacher = teacher
        self.student = student_of(teacher).to(device)
        self.student.mapping.requires_grad_(False)
        self.learning = [p for name, p in self.student.synthesis.named_parameters() if "noise" not in name]
        self.optimiser = torch.optim.Adam(self.learning, RECIPE["learning_rate"], betas=(0.9, 0.99))
        self.numbers = torch.Generator().manual_seed(RECIPE["seed"])
        self.images_seen, self.seconds = 0, 0.0

    def state(self) -> dict:
        return {
            "student": self.student.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "numbers": self.numbers.get_state(),
            "recipe": self.recipe,
            "images_seen": self.images_seen,
            "seconds": self.seconds,
            "teacher": weights.checksum("faces-64"),
        }

    def restore(self, state: dict) -> None:
        if state["teacher"] != weights.checksum("faces-64"):
            raise Stop("the checkpoint learned from another face generator; use another --run")
        self.student.load_state_dict(state["student"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.numbers.set_state(state["numbers"].cpu())
        self.images_seen, self.seconds = state["images_seen"], state["seconds"]

    def step(self) -> dict[str, Tensor]:
        """One batch; gives the losses."""
        done = min(self.seconds / self.planned, 1.0)
        warm = min(1.0, (self.images_seen + self.recipe["batch"]) / 2_000)
        for group in self.optimiser.param_groups:
            group["lr"] = self.recipe["learning_rate"] * warm * (1 + math.cos(math.pi * done)) / 2
        with torch.no_grad():
            w_plus = codes(self.teacher, self.recipe["batch"], self.numbers)
            wanted = blocks(self.teacher.synthesis, w_plus)
        with autocast(self.device, enabled=done < 0.75):  # the last touches in full precision
            drawn = blocks(self.student.synthesis, w_plus)
        pictures = [(rgb - target).square().mean() for (_, rgb), (_, target) in zip(drawn, wanted, strict=True)]
        features = [
            (x.float() - target).square().mean() / target.square().mean()
            for (x, _), (target, _) in zip(drawn, wanted, strict=True)
        ]
        losses = {"picture": pictures[-1], "smaller": sum(pictures[:-1]), "features": sum(features)}
        loss = losses["picture"] + self.recipe["smaller"] * losses["smaller"]
        if done < 2 / 3:
            loss = loss + self.recipe["features"] * losses["features"]
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self.optimiser.step()
        self.images_seen += self.recipe["batch"]
        return {name: value.detach() for name, value in losses.items()}


# ------------------------------------------------------------------------------------------------------------ the run


def train(trainer: Trainer, path: Path) -> None:
    """Go on until the planned seconds are over, Ctrl-C or SIGTERM."""
    started = saved = time.monotonic()
    before = trainer.seconds
    sums: dict[str, Tensor] = {}
    steps = 0
    with stop_signals() as asked:
        while trainer.seconds < trainer.planned and not asked:
            for name, value in trainer.step().items():
                sums[name] = sums.get(name, 0.0) + value
            steps += 1
            now = time.monotonic()
            trainer.seconds = before + now - started
            if now - saved > CHECKPOINT_SECONDS or asked or trainer.seconds >= trainer.planned:
                means = {name: float(total) / steps for name, total in sums.items()}
                if not all(math.isfinite(value) for value in means.values()):
                    raise Stop(f"the loss is no longer a number; the last good state is {path}")
                save_atomically(trainer.state(), path)
                text = ", ".join(f"{name} {value:.5f}" for name, value in means.items())
                print(
                    f"{trainer.images_seen} images, {trainer.seconds / 60:.1f} min, {text}, "
                    f"held out {likeness(trainer.student, trainer.teacher, 64)['as the mapping gives them'][0]:.1f} dB",
                    flush=True,
                )
                saved, sums, steps = time.monotonic(), {}, 0


# ------------------------------------------------------------------------------------------------------ what came out


@torch.no_grad()
def likeness(student, teacher, count: int = 512) -> dict[str, tuple[float, float, float]]:
    """PSNR in dB (mean, least, most) of the student's pictures beside the teacher's, of codes held out of training."""
    plain = codes(teacher, count, torch.Generator().manual_seed(HELD_OUT), plain=True)
    mixed = codes(teacher, 2 * count, torch.Generator().manual_seed(HELD_OUT + 1))[count:]
    found = {}
    for name, w_plus in {
        "as the mapping gives them": plain,
        "at truncation 0.7": teacher.truncate(plain, 0.7),
        "mixed, further out, or each layer moved": mixed,
    }.items():
        parts = [psnr(student.draw(part), teacher.draw(part)) for part in w_plus.split(32)]
        numbers = torch.cat(parts)
        found[name] = (numbers.mean().item(), numbers.min().item(), numbers.max().item())
    return found


def export(state: dict, folder: Path) -> None:
    network = stylegan2.Generator(**network_settings())
    network.load_state_dict(state["student"])
    made = {key: state[key] for key in ("recipe", "images_seen", "teacher")}
    made["minutes"] = round(state["seconds"] / 60, 1)
    weights.save_weights(NAME, network, {"network": network.settings, **made}, folder, ("mapping.w_avg",))


def network_settings() -> dict:
    return {**weights.load("faces-64", "cpu").settings, "clamp": stylegan2.CLAMP}


def evaluate(device: torch.device) -> None:
    """Measure the shipped file and fill in its model card."""
    _, settings = weights.read_weights(NAME)
    student = weights.load(NAME, device)
    rows = likeness(student, weights.load("faces-64", device))
    lines = ["| 512 codes held out of training | PSNR beside the course's generator, mean (range) |", "|---|---|"]
    lines += [f"| {name} | {mean:.1f} dB ({least:.1f} to {most:.1f}) |" for name, (mean, least, most) in rows.items()]
    lines += ["", f"{settings['images_seen']:,} pictures seen in {settings['minutes']:.0f} minutes on one core."]
    put_between(weights.WEIGHTS / "README.md", BEGIN, END, "\n".join(lines))
    print("\n".join(lines))


def main(argv=None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", default=NAME, help="name of the run's folder in LATENTLIB_RUNS")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, mps")
    parser.add_argument("--minutes", type=float, default=40, help="of training in all, over all starts")
    parser.add_argument("--export", type=Path, metavar="FOLDER", help="write the last checkpoint's weights and stop")
    parser.add_argument("--evaluate", action="store_true", help="measure the shipped weights and stop")
    arguments = parser.parse_args(argv)
    path = runs_folder() / arguments.run / "checkpoint.pt"
    with session(arguments.device) as device:
        if arguments.evaluate:
            return evaluate(device)
        state = read_checkpoint(path, device)
        if arguments.export:
            if state is None:
                raise Stop(f"there is no checkpoint at {path} to export")
            return export(state, arguments.export)
        trainer = Trainer(weights.load("faces-64", device), device, arguments.minutes * 60)
        if state:
            trainer.restore(state)
            print(f"going on from {trainer.images_seen} images", flush=True)
        train(trainer, path)


if __name__ == "__main__":
    main()
