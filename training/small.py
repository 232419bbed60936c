"""The networks that learn in minutes on one core: digits and furniture. Muon for the matrices, Adam for the biases."""

import argparse
import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from latentlib.gan.tuning import orthogonal
from training import runs
from training.saving import save_weights

ADAM_RATE = 0.002


class Muon(torch.optim.Optimizer):
    """latentlib.gan.tuning.Muon as an optimizer of PyTorch's, whose state a checkpoint can hold."""

    def __init__(self, parameters: list[torch.Tensor], lr: float, momentum: float = 0.9):
        super().__init__(parameters, {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self) -> None:
        for group in self.param_groups:
            for p in group["params"]:
                past = self.state[p].setdefault("momentum", torch.zeros_like(p))
                past.mul_(group["momentum"]).add_(p.grad)
                step = orthogonal((p.grad + group["momentum"] * past).reshape(len(p), -1))
                p.add_(step.reshape(p.shape), alpha=-0.2 * group["lr"] * max(step.shape) ** 0.5)


class Recipe(NamedTuple):
    """One network and how it learns."""

    build: Callable[[], nn.Module]
    settings: dict  # what weights.load needs to build it again
    steps: int
    batch: int
    muon_rate: float
    loss: Callable[[nn.Module, Tensor, Tensor], Tensor]  # model, images, targets -> a number to make small
    draw: Callable[[int, torch.device], tuple[Tensor, Tensor]]  # number of the step -> its images and targets
    ship: Callable[[nn.Module], tuple[nn.Module, dict]] = lambda model: (model, {})  # what is shipped, and its settings


class Trainer(runs.Trainer):
    """The rate goes up during the first twentieth of the steps, then straight down to nothing."""

    modules = ("model", "muon", "adam")

    def __init__(self, recipe: Recipe, device: torch.device):
        super().__init__({"seed": 0, "batch": recipe.batch, "images": recipe.batch * recipe.steps}, device)
        self.small = recipe
        torch.manual_seed(0)
        self.model = recipe.build().to(device, memory_format=torch.channels_last).train()
        self.muon = Muon([p for p in self.model.parameters() if p.ndim > 1], recipe.muon_rate)
        self.adam = torch.optim.Adam([p for p in self.model.parameters() if p.ndim == 1], ADAM_RATE)

    def step(self) -> dict[str, Tensor]:
        """One batch; gives the loss."""
        number = self.images_seen // self.small.batch
        progress = (number + 1) / (self.small.steps + 1)
        share = min(progress / 0.05, (1 - progress) / 0.95)
        self.muon.param_groups[0]["lr"] = share * self.small.muon_rate
        self.adam.param_groups[0]["lr"] = share * ADAM_RATE
        self.seed_step()
        images, targets = self.small.draw(number, self.device)
        with runs.autocast(self.device):
            loss = self.small.loss(self.model, images, targets)
        self.model.zero_grad()
        loss.backward()
        self.muon.step()
        self.adam.step()
        self.images_seen += self.small.batch
        return {"loss": loss.detach()}


def rebuild(loss: Callable[[object, Tensor], Tensor]) -> Callable[[nn.Module, Tensor, Tensor], Tensor]:
    """A loss of what a model makes of the images beside the images themselves, in full precision."""

    def full_precision(output):  # a tensor, or a tuple of tensors as from a VAE
        return tuple(part.float() for part in output) if isinstance(output, tuple) else output.float()

    return lambda model, images, targets: loss(full_precision(model(images)), images)


def main(doc: str, recipes: dict[str, Recipe], trained_on: str, argv: list[str] | None = None) -> None:
    """The command line of both kinds: train what is not trained yet, one after the other, and ship each."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(recipes)}; none means all")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--minutes", type=float, default=math.inf, help="for each; the same command goes on")
    asked = parser.parse_args(argv)
    if unknown := set(asked.names) - set(recipes):
        parser.error(f"no recipe for {', '.join(sorted(unknown))}; there are: {', '.join(recipes)}")
    with runs.session(asked.device) as device:
        for name in asked.names or recipes:
            path = runs.runs_folder() / name / "checkpoint.pt"
            trainer = Trainer(recipes[name], device)
            if state := runs.read_checkpoint(path, device):
                trainer.restore(state)
            print(f"{name}: step {trainer.images_seen // trainer.small.batch} of {trainer.small.steps}", flush=True)
            runs.go_on(trainer, path, trainer.recipe["images"], asked.minutes * 60)
            if trainer.images_seen < trainer.recipe["images"]:
                print(f"{name} is not done; run the same command again to go on")
                return
            model, settings = trainer.small.ship(trainer.model.eval())
            save_weights(name, model, {"network": trainer.small.settings, "trained_on": trained_on, **settings})
