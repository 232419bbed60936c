"""One ``fit`` for every network of the course: the data lies on the device, and the loop is all there is."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn
from torch.nn.functional import softplus

from latentlib.device import autocast, pick_device, single_thread

SHORT = 3e7  # multiplications: a step of fewer is faster on one core than on two that wait for each other


@dataclass
class History:
    """What happened while a model learned; each list has one number for each finished epoch."""

    train_loss: list[float] = field(default_factory=list)
    validation_loss: list[float] = field(default_factory=list)  # stays empty without validation pictures
    seconds: float = 0.0  # from the start to the end of the last finished epoch
    interrupted: bool = False  # True when someone pressed stop


def squared_error(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Squared error summed over the pixels, mean over the pictures: (n, ...) and (n, ...) -> a scalar."""
    return (output - target).square().sum() / len(target)


def fit(
    model: nn.Module,  # learns in place; called as model(images)
    images: torch.Tensor,  # (n, ...) what goes in
    targets: torch.Tensor | None = None,  # (n, ...) what should come out; None: the images themselves
    *,
    epochs: int,  # how often each picture is seen
    loss: Callable[[Any, torch.Tensor], torch.Tensor] | None = None,  # loss(output, target); None: squared_error
    batch_size: int = 256,  # pictures in a step
    learning_rate: float = 1e-3,  # of Adam
    validation: torch.Tensor | tuple[torch.Tensor, torch.Tensor] | None = None,  # images, or (images, targets)
    on_epoch: Callable[[int, History, nn.Module], None] | None = None,  # gets the number of finished epochs first
    seed: int = 0,  # of the order of the pictures and of what the model draws; same seed and device, same curve
    device: torch.device | str | None = None,  # where to compute; None: where the model is, or the images are
    amp: bool = True,  # bfloat16 arithmetic where the device is faster with it, as latentlib.device.autocast says
) -> History:
    """Train a model with Adam, and tell how it went.

    All data is put on the device once. A progress bar shows the loss. An interrupt (the stop button, Ctrl-C) ends the
    training and not the program: the model keeps what it learned, and ``History.interrupted`` says so.
    Raises ValueError when images and targets do not belong together, FloatingPointError when the loss is not a number.
    """
    device = where(model, images) if device is None else pick_device(device)
    loss = loss or squared_error
    model.to(device)
    images, targets = _pair(images, targets, device)
    if validation is not None:
        validation = _pair(*(validation if isinstance(validation, tuple) else (validation, None)), device)
    optimizer = torch.optim.Adam(model.parameters(), lr=learning_rate, fused=device.type in ("cpu", "cuda"))
    torch.manual_seed(seed)
    order = torch.Generator().manual_seed(seed)
    history, start = History(), time.perf_counter()
    if has_convolutions(model):
        model.to(memory_format=torch.channels_last)  # faster on CPUs and GPUs; the weights stay the same
    try:
        with progress(epochs, epochs * math.ceil(len(images) / batch_size)) as bar:
            for epoch in range(1, epochs + 1):
                model.train()
                total = torch.zeros((), device=device)
                for chosen in torch.randperm(len(images), generator=order).to(device).split(batch_size):
                    batch = images.index_select(0, chosen)
                    target = batch if targets is images else targets.index_select(0, chosen)
                    value = one_step(model, optimizer, batch, target, loss, amp)
                    total += value * len(chosen)  # stays on the device: reading it would make a GPU wait
                    bar.update()
                history.train_loss.append(total.item() / len(images))
                if not math.isfinite(history.train_loss[-1]):
                    raise FloatingPointError(
                        f"the loss became {history.train_loss[-1]} in epoch {epoch}; try a smaller learning_rate "
                        f"(it was {learning_rate:g}) and look for pictures with values that are not numbers"
                    )
                if validation is not None:
                    history.validation_loss.append(evaluate(model, *validation, loss))
                history.seconds = time.perf_counter() - start
                bar.set_postfix_str(f"epoch {epoch} of {epochs}, loss {history.train_loss[-1]:.4g}")
                if on_epoch is not None:
                    on_epoch(epoch, history, model)
    except KeyboardInterrupt:
        history.interrupted = True
        print(f"Stopped after {len(history.train_loss)} of {epochs} epochs; the model keeps what it has learned.")
    finally:
        model.to(memory_format=torch.contiguous_format)
    model.eval()
    return history


def one_step(
    model: nn.Module,  # moves in place; called as model(images)
    optimizer: torch.optim.Optimizer,  # of the model's weights
    images: torch.Tensor,  # (n, ...) what goes in
    targets: torch.Tensor | None = None,  # (n, ...) what should come out; None: the images themselves
    loss: Callable[[Any, torch.Tensor], torch.Tensor] = squared_error,  # loss(output, target)
    amp: bool = False,  # bfloat16 arithmetic where the device is faster with it
) -> torch.Tensor:
    """Learn from one batch; gives the loss before the step, a scalar on the device."""
    work = len(images) * sum(weight.numel() for weight in model.parameters())
    with single_thread(work < SHORT and not has_convolutions(model)):
        with autocast(images.device, amp):
            output = model(images)
        value = loss(full_precision(output), images if targets is None else targets)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
    return value.detach()


def gan_step(
    artist: nn.Module,  # the generator: noise -> what it draws
    critic: nn.Module,  # the discriminator: (n, ...) -> answers (n, 1), high for real
    real: torch.Tensor,
    z: torch.Tensor,
    artist_optimizer: torch.optim.Optimizer,
    critic_optimizer: torch.optim.Optimizer,
) -> None:
    """Train both networks of a GAN once, the critic first (Goodfellow et al. 2014, the non-saturating game)."""
    drawn = artist(z)
    critic_loss = softplus(-critic(real)).mean() + softplus(critic(drawn.detach())).mean()
    critic_optimizer.zero_grad()
    critic_loss.backward()
    critic_optimizer.step()
    artist_loss = softplus(-critic(drawn)).mean()
    artist_optimizer.zero_grad()
    artist_loss.backward()
    artist_optimizer.step()


@torch.no_grad()
def evaluate(
    model: nn.Module,
    images: torch.Tensor,  # (n, ...)
    targets: torch.Tensor,  # (n, ...)
    loss: Callable[[Any, torch.Tensor], torch.Tensor] = squared_error,
    batch_size: int = 1000,
) -> float:
    """The mean loss over the pictures, in full precision and without learning."""
    model.eval()
    batches = zip(images.split(batch_size), targets.split(batch_size), strict=True)
    return sum(float(loss(full_precision(model(x)), y)) * len(x) for x, y in batches) / len(images)


def where(model: nn.Module, images: torch.Tensor) -> torch.device:
    """The device of the model's weights, or of the images when only these are on a faster one than the CPU."""
    held = next((weight.device for weight in model.parameters()), images.device)
    return images.device if held.type == "cpu" else held


def _pair(images: torch.Tensor, targets: torch.Tensor | None, device: torch.device) -> tuple[torch.Tensor, ...]:
    """Images and targets on the device; the same tensor twice when the images are their own targets."""
    count = len(images) if targets is None else len(targets)
    if not 0 < len(images) == count:
        raise ValueError(f"each picture needs one target: got {len(images)} images and {count} targets")
    images = images.to(device)
    return images, images if targets is None else targets.to(device)


def full_precision(output: Any) -> Any:
    """float32 tensors from what a model gives under autocast: a tensor, or a tuple of tensors as from a VAE."""
    if isinstance(output, tuple):
        return tuple(full_precision(part) for part in output)
    return output.float() if output.is_floating_point() else output


def has_convolutions(model: nn.Module) -> bool:
    return any(isinstance(module, nn.Conv2d) for module in model.modules())


def progress(count: int, steps: int, unit: str = "epoch"):
    """A progress bar, gone at the end; a saved notebook, which keeps no live widgets, says in text how long it was."""
    from tqdm.auto import tqdm
    from tqdm.notebook import tqdm_notebook

    if not issubclass(tqdm, tqdm_notebook):
        return tqdm(total=steps, unit="step", leave=False)
    from IPython.display import display

    bar = tqdm(total=steps, unit="step", leave=False, display=False)
    view = {"version_major": 2, "version_minor": 0, "model_id": bar.container.model_id}
    text = f"  100%|██████████| {count} {unit}{'s' if count > 1 else ''}"  # a form that the notebook tests know
    display({"application/vnd.jupyter.widget-view+json": view, "text/plain": text}, raw=True)
    return bar
