"""How far samples are from photos: Fréchet distance on a network that no training here has seen, EfficientNet-Lite2,
and sliced Wasserstein distance of the finest detail.

python -m training.faces.frechet [FILE [SIZE]]   weights, or a checkpoint.pt's average; pictures enlarged to that size

On the pooled last features of 3,000 samples against 3,000 photos of LFW (Heusel et al. 2017, with another network, so
these numbers compare with each other only); 3,000 other photos are the measure's zero. Minutes; the extra [training].
"""

import sys
from pathlib import Path

import torch
import torch.nn.functional as F

from latentlib.weights import WEIGHTS
from training import lfw
from training.evaluate import samples_of, some
from training.faces.projected import LiteFeatures, generator_from
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


def sliced_wasserstein(a: torch.Tensor, b: torch.Tensor, seed: int = 0) -> float:
    """How far the finest detail of two sets of pictures (n, 3, r, r) uint8 is apart, times 1000.

    The mean distance of sorted projections of 128 patches of 7 × 7 from each picture, after ProGAN (Karras et al. 2018,
    section 5), but with averages of 2 × 2 pixels for its filter and 256 directions, so that no paper's numbers compare.
    """
    numbers, sets = torch.Generator().manual_seed(seed), []
    directions = F.normalize(torch.randn(147, 256, generator=numbers), dim=0)
    for images in (a.float(), b.float()):
        fine = images - F.interpolate(F.avg_pool2d(images, 2), scale_factor=2, mode="bilinear")
        corner = torch.randint(0, fine.shape[-1] - 6, (2, len(fine), 128, 1, 1), generator=numbers)
        rows, columns = corner[0] + torch.arange(7)[:, None], corner[1] + torch.arange(7)
        cut = fine.permute(0, 2, 3, 1)[torch.arange(len(fine))[:, None, None, None], rows, columns]
        cut = (cut - cut.mean((0, 1, 2, 3))) / cut.std((0, 1, 2, 3))
        sets.append((cut.reshape(-1, 147) @ directions).sort(dim=0).values)
    return 1000 * (sets[0] - sets[1]).abs().mean().item()


@torch.no_grad()
def seen(images: torch.Tensor, judge: LiteFeatures, device: torch.device) -> torch.Tensor:
    """(n, 3, r, r) uint8 -> (n, channels), what the judge makes of them."""
    parts = (F.interpolate(part.to(device) / 127.5 - 1, SIDE, mode="bilinear") for part in images.split(50))
    return torch.cat([judge.pooled(part.contiguous(memory_format=torch.channels_last)).cpu() for part in parts])


def main(argv: list[str]) -> None:
    path = Path(argv[0]) if argv else WEIGHTS / "faces-64.safetensors"
    with session("auto") as device:
        generator, _ = generator_from(path, int(argv[1]) if len(argv) > 1 else None)
        generator.to(device, memory_format=torch.channels_last)
        generator.compute_w_avg()
        judge = LiteFeatures(2).to(device)
        photos = some(lfw.load("train", size=generator.resolution).images, 2 * SAMPLES, 0)
        kept, others = seen(photos, judge, device).chunk(2)
        zero, parts = frechet(kept, others), photos.split(512)
        drawn = [samples_of(generator, 512, 1.0, seed=1 + k) for k in range(5)]
        far = [sum(map(sliced_wasserstein, sets, parts[5:10], range(5))) / 5 for sets in (drawn, parts[:5])]
        print(f"sliced Wasserstein ×1000, finest scale: {far[0]:.1f}, two halves of photos {far[1]:.1f}", flush=True)
        print(f"{path}, {generator.resolution} px; photos against photos: {zero:.1f}", flush=True)
        for psi in (1.0, 0.8, 0.7):
            found = frechet(seen(samples_of(generator, SAMPLES, psi, seed=0), judge, device), kept)
            print(f"ψ = {psi:g}: {found:.1f} ({found / zero:.2f} ×)", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
