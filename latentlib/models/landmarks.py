"""BlazeFace, short range: finds faces and six points on each (Bazarevsky et al. 2019, arXiv 1907.05047).

    picture 128×128 ─> 5×5 convolution ─> 11 blocks ─> 16×16 places, 2 guesses each ─┐
                                            └─> 5 blocks ─>  8×8 places, 6 guesses each ┴─> 896 guesses

A guess is a score, a box and six points, told from the middle of its place. The weights are Google's (MediaPipe,
Apache-2.0), converted by ``training/faces/convert_landmarks.py``; the network is small enough to run on any CPU.
"""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import nn

SIDE = 128  # pixels of the picture that the network sees
# Channels before and after each block; those that bring 32 and 48 halve the size, and so does the first coarse one.
FINE = (24, 24, 28, 32, 36, 42, 48, 56, 64, 72, 80, 88)
COARSE = (88, 96, 96, 96, 96, 96)


class BlazeBlock(nn.Module):
    """A 3×3 convolution of each channel by itself, a 1×1 convolution that mixes them, and a way around both."""

    def __init__(self, channels_in: int, channels_out: int, halve: bool = False):
        super().__init__()
        self.stride, self.more = (2 if halve else 1), channels_out - channels_in
        self.depthwise = nn.Conv2d(channels_in, channels_in, 3, self.stride, 0 if halve else 1, groups=channels_in)
        self.pointwise = nn.Conv2d(channels_in, channels_out, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        around = F.max_pool2d(x, 2) if self.stride == 2 else x
        around = F.pad(around, (0, 0, 0, 0, 0, self.more))  # new channels begin as zeros
        if self.stride == 2:
            x = F.pad(x, (0, 1, 0, 1))
        return F.relu(around + self.pointwise(self.depthwise(x)))


class BlazeFace(nn.Module):
    """Pictures (n, 3, 128, 128) in [-1, 1] -> scores (n, 896) and (n, 896, 8, 2) in pixels of these 128.

    Of the eight pairs of a guess the first is the box's middle, the second its width and height; then come six points:
    the eye on the picture's left, the other eye, the tip of the nose, the middle of the mouth, the two ears.
    """

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 24, 5, stride=2)
        self.fine = nn.Sequential(*(BlazeBlock(a, b, halve=b in (32, 48)) for a, b in pairwise(FINE)))
        self.coarse = nn.Sequential(*(BlazeBlock(a, b, halve=a == 88) for a, b in pairwise(COARSE)))
        self.scores_fine, self.points_fine = nn.Conv2d(88, 2, 1), nn.Conv2d(88, 2 * 16, 1)
        self.scores_coarse, self.points_coarse = nn.Conv2d(96, 6, 1), nn.Conv2d(96, 6 * 16, 1)
        places = [((i % side + 0.5) / side, (i // side + 0.5) / side) for side in (16, 8) for i in range(side**2)]
        often = torch.tensor([2] * 256 + [6] * 64)
        self.register_buffer("places", torch.tensor(places).repeat_interleave(often, dim=0) * SIDE, persistent=False)

    def forward(self, pictures: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        n = len(pictures)
        x = F.relu(self.first(F.pad(pictures, (1, 2, 1, 2))))  # (n, 24, 64, 64)
        fine = self.fine(x)  # (n, 88, 16, 16)
        coarse = self.coarse(fine)  # (n, 96, 8, 8)

        def in_a_row(answer: torch.Tensor, numbers: int) -> torch.Tensor:  # place by place, guess by guess
            return answer.permute(0, 2, 3, 1).reshape(n, -1, numbers)

        scores = torch.cat([in_a_row(self.scores_fine(fine), 1), in_a_row(self.scores_coarse(coarse), 1)], dim=1)
        points = torch.cat([in_a_row(self.points_fine(fine), 16), in_a_row(self.points_coarse(coarse), 16)], dim=1)
        points = points.unflatten(2, (8, 2))
        away = self.places[:, None].repeat(1, 8, 1)
        away[:, 1] = 0  # width and height are no places
        return scores[..., 0].sigmoid(), points + away
