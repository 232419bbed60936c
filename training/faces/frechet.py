"""How far samples are from photos for a network that no training here has seen: Fréchet distance, EfficientNet-Lite2.

python -m training.faces.frechet [FILE]      a .safetensors file, or the average of a checkpoint.pt

On the pooled last features of 3,000 samples against 3,000 photos of LFW (Heusel et al. 2017, with another network, so
these numbers compare with each other only); 3,000 other photos are the measure's zero. Minutes; the extra [training].
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
import torch.nn.functional as F

from latentlib.weights import WEIGHTS
from training.evaluate import samples_of, some
from training.faces.projected import LiteFeatures, generator_from, photos_of
from training.runs import session

SAMPLES = 3000
SIDE = 128  # pixels of what the judge sees; smaller pictures are enlarged, photos and samples alike


def frechet(a: torch.Tensor, b: torch.Tensor) -> float:
    """The squared distance of the normal distributions with the means and covariances of features (n, channels)."""
    a, b = a.double(), b.double()
    of_a, of_b = torch.cov(a.T), torch.cov(b.T)
    values, vectors = torch.linalg.eigh(of_a)
    root = (vectors * values.clamp(min=0).sqrt()) @ vectors.T
    cross = torch.linalg.eigvalsh(root @ of_b @ root).clamp(min=0).sqrt().sum()
    return float((a.mean(0) - b.mean(0)).square().sum() + of_a.trace() + of_b.trace() - 2 * cross)


@torch.no_grad()
def seen(images: torch.Tensor, judge: LiteFeatures, device: torch.device) -> torch.Tensor:
    """(n, 3, r, r) uint8 -> (n, channels), what the judge makes of them."""
    parts = (F.interpolate(part.to(device) / 127.5 - 1, SIDE, mode="bilinear") for part in images.split(50))
    return torch.cat([judge.pooled(part.contiguous(memory_format=torch.channels_last)).cpu() for part in parts])


def main(argv: list[str]) -> None:
    path = Path(argv[0]) if argv else WEIGHTS / "faces-64.safetensors"
    with session("auto") as device:
        generator, _ = generator_from(path)
        generator.to(device, memory_format=torch.channels_last)
        generator.compute_w_avg()
        judge = LiteFeatures(2).to(device)
        kept, others = seen(some(photos_of(generator.resolution), 2 * SAMPLES, 0), judge, device).chunk(2)
        zero = frechet(kept, others)
        print(f"{path}, {generator.resolution} px; photos against photos: {zero:.1f}", flush=True)
        for psi in (1.0, 0.7):
            found = frechet(seen(samples_of(generator, SAMPLES, psi, seed=0), judge, device), kept)
            print(f"ψ = {psi:g}: {found:.1f} ({found / zero:.2f} ×)", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
