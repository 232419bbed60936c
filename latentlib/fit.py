"""One ``fit`` for every network of the course: the data lies on the device, and the loop is all there is."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn.functional import softplus

from latentlib.device import single_thread

SHORT = 3e7  # multiplications: a step of fewer is faster on one core than on two that wait for each other


def squared_error(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Squared error summed over the pixels, mean over the pictures: (n, ...) and (n, ...) -> a scalar."""
    return (output - target).square().sum() / len(target)


def fit(
    model: nn.Module,  # learns in place; called as model(images)
    images: torch.Tensor,  # (n, ...) what goes in
    targets: torch.Tensor | None = None,  # (n, ...) what should come out; None: the images themselves
    *,
    epochs: int,  # how often each picture is seen
    loss: Callable[[Any, torch.Tensor], torch.Tensor] = squared_error,  # loss(output, target)
    batch_size: int = 256,  # pictures in a step
    learning_rate: float = 1e-3,  # of Adam
    seed: int = 0,  # of the order of the pictures and of what the model draws; same seed and device, same curve
) -> list[float]:
    """Train a model with Adam; gives the mean loss in each finished epoch.

    It learns on the images' device. A progress bar shows the loss. An interrupt (the stop button, Ctrl-C) ends the
    training and not the program: the model keeps what it learned.
    Raises ValueError when images and targets do not belong together, FloatingPointError when the loss is not a number.
    """
    targets = images if targets is None else targets
    if not 0 < len(images) == len(targets):
        raise ValueError(f"each picture needs one target: got {len(images)} images and {len(targets)} targets")
    device = images.device
    model.to(device).train()
    optimizer = torch.optim.Adam(model.parameters(), lr=learning_rate, fused=device.type in ("cpu", "cuda"))
    torch.manual_seed(seed)
    order, losses = torch.Generator().manual_seed(seed), []
    try:
        with progress(epochs, epochs * math.ceil(len(images) / batch_size)) as bar:
            for epoch in range(1, epochs + 1):
                total = torch.zeros((), device=device)
                for chosen in torch.randperm(len(images), generator=order).to(device).split(batch_size):
                    batch, target = images.index_select(0, chosen), targets.index_select(0, chosen)
                    # The sum stays on the device: reading it would make a GPU wait.
                    total += one_step(model, optimizer, batch, target, loss) * len(chosen)
                    bar.update()
                losses.append(total.item() / len(images))
                if not math.isfinite(losses[-1]):
                    raise FloatingPointError(
                        f"the loss became {losses[-1]} in epoch {epoch}; try a smaller learning_rate "
                        f"(it was {learning_rate:g}) and look for pictures with values that are not numbers"
                    )
                bar.set_postfix_str(f"epoch {epoch} of {epochs}, loss {losses[-1]:.4g}")
    except KeyboardInterrupt:
        print(f"Stopped after {len(losses)} of {epochs} epochs; the model keeps what it has learned.")
    finally:
        model.eval()
    return losses


def one_step(
    model: nn.Module,  # moves in place; called as model(images)
    optimizer: torch.optim.Optimizer,  # of the model's weights
    images: torch.Tensor,  # (n, ...) what goes in
    targets: torch.Tensor | None = None,  # (n, ...) what should come out; None: the images themselves
    loss: Callable[[Any, torch.Tensor], torch.Tensor] = squared_error,  # loss(output, target)
) -> torch.Tensor:
    """Learn from one batch; gives the loss before the step, a scalar on the device."""
    work = len(images) * sum(weight.numel() for weight in model.parameters())
    has_convolutions = any(isinstance(module, nn.Conv2d) for module in model.modules())
    with single_thread(work < SHORT and not has_convolutions):
        value = loss(model(images), images if targets is None else targets)
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


def progress(count: int, steps: int, unit: str = "epoch", shown: bool = True):
    """A progress bar, gone at the end; a saved notebook, which keeps no live widgets, says in text how long it was."""
    from tqdm.auto import tqdm
    from tqdm.notebook import tqdm_notebook

    if not shown or not issubclass(tqdm, tqdm_notebook):
        return tqdm(total=steps, unit="step", leave=False, disable=not shown)
    from IPython.display import display

    bar = tqdm(total=steps, unit="step", leave=False, display=False)
    view = {"version_major": 2, "version_minor": 0, "model_id": bar.container.model_id}
    text = f"  100%|██████████| {count} {unit}{'s' if count > 1 else ''}"  # a form that the notebook tests know
    display({"application/vnd.jupyter.widget-view+json": view, "text/plain": text}, raw=True)
    return bar
