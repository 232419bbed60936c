"""Teach a network in NVIDIA's order of operations to draw what the course's face generator draws from the same w.

python -m training.faces.distil                           start, or go on; kill it at any moment
python -m training.faces.distil --export data/weights     ship the last checkpoint as stylegan2-64

The mapping is the teacher's. So are the weights that the synthesis starts from; a convolution that the teacher
enlarges afterwards becomes the transposed convolution that comes nearest to the two together.
"""

import math
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from latentlib import weights
from latentlib.models import stylegan2
from training import runs
from training.runs import Stop
from training.saving import save_weights

NAME = "stylegan2-64"
NVIDIA = {"resample": "fir", "conv_clamp": 256.0}  # how the student differs from its teacher
RECIPE = {
    "seed": 0,
    "batch": 16,
    "images": 112_000,  # the learning rate ends at 0 with them: half an hour of one core
    "learning_rate": 2e-3,  # Adam, betas (0.9, 0.99)
    "features": 0.01,  # weight of the relative error of each block's features; 0 after two thirds of the images
    "smaller": 0.25,  # weight of the error of the pictures at 4, 8, … 32 pixels
}


# ------------------------------------------------------------------------------------------------ where it starts


@torch.no_grad()
def student_of(teacher: stylegan2.Generator, pictures: int = 48) -> stylegan2.Generator:
    """A generator in NVIDIA's order that begins as near to the teacher as copying and linear regression bring it."""
    student = stylegan2.Generator(**{**teacher.settings, **NVIDIA})
    student.load_state_dict(teacher.state_dict(), strict=False)  # all but the filters
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
    wanted = stylegan2.upsample(F.conv2d(x, weight, padding=1)).flatten(2)  # (n, channels_out, 4r²)
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
    w, other = generator.mapping(z.to(generator.w_avg.device)).chunk(2)
    w_plus = w[:, None].repeat(1, layers, 1)
    if plain:
        return w_plus
    half, most = count // 2, count - count // 4
    places = torch.randint(1, layers, (most - half, 1), generator=numbers)
    mixed = (torch.arange(layers) >= places).to(w.device)  # (n, layers)
    w_plus[half:most] = torch.where(mixed[..., None], other[half:most, None], w_plus[half:most])
    w_plus[half:most] += 0.3 * (w_plus[half:most] - generator.w_avg)
    step = torch.rand(count - most, layers, 1, generator=numbers).to(w.device)
    w_plus[most:] += 0.7 * step * (other.roll(1, 0)[most:, None] - w_plus[most:])
    return w_plus


def blocks(synthesis, w_plus: Tensor) -> list[tuple[Tensor, Tensor]]:
    """(features, picture so far) of each resolution, noise off."""
    found = [(None, None)]
    for r in synthesis.resolutions:
        found.append(synthesis.draw_blocks(w_plus, [r], *found[-1]))
    return found[1:]


class Trainer(runs.Trainer):
    """The student learns, the teacher shows."""

    modules = ("student", "optimizer")
    values = ("teacher_checksum",)

    def __init__(self, recipe: dict, teacher, digest: str):
        super().__init__(recipe, teacher.w_avg.device)
        self.teacher, self.teacher_checksum = teacher, digest
        self.student = student_of(teacher).to(self.device)
        self.student.mapping.requires_grad_(False)
        learning = [p for name, p in self.student.synthesis.named_parameters() if "noise" not in name]
        self.optimizer = torch.optim.Adam(learning, recipe["learning_rate"], betas=(0.9, 0.99))

    def restore(self, state: dict) -> None:
        if state["teacher_checksum"] != self.teacher_checksum:
            raise Stop("the checkpoint learned from another face generator; use another --run")
        super().restore(state)

    def step(self) -> dict[str, Tensor]:
        """One batch; gives the losses."""
        done = min(self.images_seen / self.recipe["images"], 1.0)
        warm = min(1.0, (self.images_seen + self.recipe["batch"]) / 2_000)
        for group in self.optimizer.param_groups:
            group["lr"] = self.recipe["learning_rate"] * warm * (1 + math.cos(math.pi * done)) / 2
        with torch.no_grad():
            numbers = torch.Generator().manual_seed(self.recipe["seed"] + self.images_seen)
            w_plus = codes(self.teacher, self.recipe["batch"], numbers)
            wanted = blocks(self.teacher.synthesis, w_plus)
        with runs.autocast(self.device, enabled=done < 0.75):  # the last touches in full precision
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
        self.learn(loss, self.optimizer)
        self.images_seen += self.recipe["batch"]
        return {name: value.detach() for name, value in losses.items()}


def export(state: dict, folder: Path) -> None:
    network = stylegan2.Generator(**{**weights.load("faces-64", "cpu").settings, **NVIDIA})
    network.load_state_dict(state["student"])
    made = {"recipe": state["recipe"], "images_seen": state["images_seen"], "teacher": state["teacher_checksum"]}
    made["minutes"] = round(state["seconds"] / 60, 1)
    save_weights(NAME, network, {"network": network.settings, **made}, folder, ("mapping.w_avg",))


def main(argv=None) -> None:
    asked = runs.options(__doc__, NAME).parse_args(argv)

    def build(state: dict | None, device: torch.device) -> Trainer:
        recipe = runs.changed(state["recipe"] if state else RECIPE, asked.set)
        trainer = Trainer(recipe, weights.load("faces-64", device), weights.checksum("faces-64"))
        if state:
            trainer.restore(state)
        return trainer

    runs.run(asked, build, export)


if __name__ == "__main__":
    main()
