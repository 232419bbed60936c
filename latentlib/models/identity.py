"""Whom does a face look like? A small linear measure, Fisherfaces (Belhumeur, Hespanha and Kriegman 1997) on edges.

    picture ─> grey, a little blurred ─> edges in 8 directions, summed in cells ─> one matrix ─> code of length 1

The cells are those of histograms of oriented gradients (Dalal and Triggs 2005). The matrix, principal components and
then linear discriminants, was fitted so that photos of one person lie close together and those of different people far
apart. It cannot recognise anybody: it only ranks pairs better than pixels do.
"""

import math

import torch
import torch.nn.functional as F
from torch import nn

from latentlib.models.autoencoder import check_batch, shrunk

SEEN = (slice(10, 58), slice(8, 56))  # rows and columns of the picture that are looked at
CELL, STRIDE = 8, 4  # pixels: the side of a cell, and the way from one to the next, so that there are 11 × 11 cells
DIRECTIONS = 8  # of edges, all around the circle: from dark to light is not from light to dark
FEATURES = DIRECTIONS * 11 * 11


class Identity(nn.Module):
    """Pictures -> codes in which two photos of one person are, on average, closer than photos of two people."""

    def __init__(self, size: int = 50):  # numbers in a code
        super().__init__()
        self.settings = {"size": size}
        self.register_buffer("mean", torch.zeros(FEATURES))  # of the edges of the faces it was fitted to
        self.register_buffer("matrix", torch.zeros(size, FEATURES))

    def edges(self, images: torch.Tensor) -> torch.Tensor:
        """How strong the edges in each direction are in each cell: (n, 3, 64, 64) in [0, 1] -> (n, FEATURES).

        Colour is dropped; the mean and the contrast of a picture, and of each part of it, are divided out; the blur
        makes a sharp and a soft picture of the same face alike. Larger pictures are averaged down to 64 pixels.
        """
        images = shrunk(images, 64)
        check_batch("images", images, (3, 64, 64))
        weights = images.new_tensor([0.299, 0.587, 0.114])[:, None, None]
        grey = F.pad((images * weights).sum(1, keepdim=True), (3, 3, 3, 3), mode="reflect")
        bell = torch.exp(-(torch.arange(-3, 4).to(grey) ** 2) / 2)  # torchvision would take 80 MB for it
        grey = F.conv2d(grey, torch.outer(bell, bell)[None, None] / bell.sum() ** 2)  # (n, 1, 64, 64)
        wide = F.pad(grey, (1, 1, 1, 1), mode="replicate")
        right, down = wide[..., 1:-1, 2:] - wide[..., 1:-1, :-2], wide[..., 2:, 1:-1] - wide[..., :-2, 1:-1]
        right, down = right[..., *SEEN], down[..., *SEEN]
        angles = torch.arange(DIRECTIONS, device=images.device)[:, None, None] * (2 * math.pi / DIRECTIONS)
        strength = (right.square() + down.square() + 1e-12).sqrt()  # (n, 1, h, w)
        facing = (right * angles.cos() + down * angles.sin()).clamp(min=0) / strength  # cosine, (n, directions, h, w)
        edges = strength * facing.square().square()
        cells = F.avg_pool2d(edges, CELL, STRIDE)  # (n, directions, rows, columns)
        around = F.avg_pool2d(cells.sum(1, keepdim=True), 3, 1, padding=1, count_include_pad=False)
        cells = (cells / (around + 0.002) + 1e-6).sqrt().flatten(1)  # no slope is infinite where there is no edge
        cells = cells - cells.mean(1, keepdim=True)
        return cells / cells.norm(dim=1, keepdim=True).clamp(min=1e-6) * math.sqrt(FEATURES)

    def embed(self, images: torch.Tensor) -> torch.Tensor:
        """Codes of length 1: (n, 3, 64, 64) in [0, 1] -> (n, size). A face and its mirror image have the same one."""
        edges = self.edges(images) + self.edges(images.flip(3))
        return F.normalize((edges / 2 - self.mean) @ self.matrix.T, dim=1)
