"""StyleGAN2 as in NVIDIA's official files: its order of operations and its names of parts (Karras et al. 2020).

    z ── mapping ──> w ── one affine for each layer ──> styles
    constant 4×4 ─> block 4 ─> block 8 ─> … ─> block 1024      each block also adds its part to an RGB picture

Used like the course's own generator (models/stylegan.py); the same codes, sizes and ranges. The differences:

- doubling is a transposed convolution, its seams smoothed by the filter [1, 3, 3, 1]; the course convolves, then
  interpolates;
- what leaves a convolution is cut off at ±256, so that 16-bit numbers can hold it;
- the finest resolutions are drawn in 16-bit numbers on an NVIDIA GPU, if the file says so.

Pictures are (n, 3, size, size) in [-1, 1]. A state_dict of NVIDIA's networks fits as it is.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import nn

from latentlib.models import stylegan
from latentlib.models.stylegan import SLOPE, FullyConnected

CLAMP = 256.0  # NVIDIA's conv_clamp
TAPS = (1.0, 3.0, 3.0, 1.0)


def official_channels(resolution: int, base: int = 32768, most: int = 512) -> dict[int, int]:
    """Feature channels of the official networks: {4: 512, … 32: 512, 64: 512, …}; base 16384 for the 256-pixel file."""
    return {2**i: min(base // 2**i, most) for i in range(2, resolution.bit_length())}


def filter_2d() -> torch.Tensor:
    """[1, 3, 3, 1] in both directions, (4, 4), with sum 1."""
    return torch.tensor([[a * b / sum(TAPS) ** 2 for b in TAPS] for a in TAPS])


def smooth(x: torch.Tensor, kernel: torch.Tensor, padding: int, gain: float = 1.0, stride: int = 1) -> torch.Tensor:
    """Each channel of (n, c, h, w) filtered by itself, the border padded with zeros."""
    channels = x.shape[1]
    kernel = (kernel.flip(0, 1) * gain).to(x.dtype).expand(channels, 1, -1, -1)
    return F.conv2d(x, kernel, padding=padding, stride=stride, groups=channels)


def upsample(image: torch.Tensor, kernel: torch.Tensor) -> torch.Tensor:
    """Twice the size: zeros between the pixels, then the filter; the gain of 4 makes up for the zeros."""
    channels = image.shape[1]
    kernel = (kernel * 4).to(image.dtype).expand(channels, 1, -1, -1)
    return F.conv_transpose2d(image, kernel, stride=2, padding=1, groups=channels)


def modulated_convolution(
    x: torch.Tensor,  # (n, channels_in, h, w)
    weight: torch.Tensor,  # (channels_out, channels_in, k, k), shared by all pictures
    style: torch.Tensor,  # (n, channels_in), one scale for each channel of each picture
    demodulate: bool = True,  # bring the result back to unit variance?
    up_filter: torch.Tensor | None = None,  # (4, 4): double the size, and smooth with it
    gain: float = 1.0,  # multiplies a demodulated result
) -> torch.Tensor:
    """Convolve with weights that the style has scaled (section 2.2 of the paper), without building those weights.

    As in models/stylegan.py, x is scaled before and the result afterwards, and one convolution serves the whole batch.
    """
    style = style.float()
    if demodulate and x.dtype == torch.float16:  # 16-bit numbers end at 65,504; demodulation takes these factors out
        weight = weight / (weight.abs().amax(dim=(1, 2, 3), keepdim=True) * math.sqrt(weight[0].numel()))
        style = style / style.abs().amax(dim=1, keepdim=True)
    x = x * style[:, :, None, None].to(x.dtype)
    if up_filter is None:
        x = F.conv2d(x, weight.to(x.dtype), padding=weight.shape[-1] // 2)
    else:  # side r -> 2r + 1 -> 2r
        x = F.conv_transpose2d(x, weight.transpose(0, 1).to(x.dtype), stride=2)
        x = smooth(x, up_filter, padding=1, gain=4.0)
    if demodulate:
        length = style.square() @ weight.float().square().sum(dim=(2, 3)).T  # (n, channels_out)
        x = x * ((length + 1e-8).rsqrt() * gain)[:, :, None, None].to(x.dtype)
    return x


def cut_off(x: torch.Tensor, clamp: float | None) -> torch.Tensor:
    return x if clamp is None else x.clamp(-clamp, clamp)


class Mapping(stylegan.Mapping):
    """z -> w, as in the course's generator; NVIDIA keeps the mean of all w here."""

    def __init__(self, z_dim: int = 512, w_dim: int = 512, layers: int = 8):
        super().__init__(z_dim, w_dim, layers)
        self.register_buffer("w_avg", torch.zeros(w_dim))


class SynthesisLayer(nn.Module):
    """Modulated 3×3 convolution (one that doubles the size, or not), noise, bias, leaky ReLU."""

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        w_dim: int,
        resolution: int,  # side of the result
        up: bool = False,  # double the size?
        clamp: float | None = CLAMP,  # results are cut off at ± this
    ):
        super().__init__()
        self.affine = FullyConnected(w_dim, channels_in, activate=False, bias=1.0)
        # Demodulation takes any factor out of these weights, so they need no gain.
        self.weight = nn.Parameter(torch.randn(channels_out, channels_in, 3, 3))
        self.bias = nn.Parameter(torch.zeros(channels_out))
        self.noise_strength = nn.Parameter(torch.zeros(()))
        self.register_buffer("noise_const", torch.randn(resolution, resolution))
        self.register_buffer("resample_filter", filter_2d())
        self.resolution, self.up, self.clamp = resolution, up, clamp

    def forward(self, x: torch.Tensor, w: torch.Tensor, noise="random") -> torch.Tensor:
        up_filter = self.resample_filter if self.up else None
        # √2·leaky_relu(x) = leaky_relu(√2·x), so the gain is spent where it costs nothing.
        x = modulated_convolution(x, self.weight, self.affine(w), up_filter=up_filter, gain=math.sqrt(2))
        shift = self.bias[:, None, None] * math.sqrt(2)
        if noise is not None:
            if isinstance(noise, str):
                shape = (len(x), 1, self.resolution, self.resolution)
                noise = torch.randn(shape, device=x.device) if noise == "random" else self.noise_const
            x = x + (noise * (self.noise_strength * math.sqrt(2))).to(x.dtype)
        return cut_off(F.leaky_relu_(x + shift.to(x.dtype), SLOPE), self.clamp)


class ToRGB(nn.Module):
    """Modulated 1×1 convolution to three colours; no demodulation, so the style decides how much it adds."""

    def __init__(self, channels: int, w_dim: int, clamp: float | None = CLAMP):
        super().__init__()
        self.affine = FullyConnected(w_dim, channels, activate=False, bias=1.0)
        self.weight = nn.Parameter(torch.randn(3, channels, 1, 1))
        self.bias = nn.Parameter(torch.zeros(3))
        self.weight_gain, self.clamp = 1 / math.sqrt(channels), clamp

    def forward(self, x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        style = self.affine(w) * self.weight_gain
        x = modulated_convolution(x, self.weight, style, demodulate=False)
        return cut_off(x + self.bias[:, None, None].to(x.dtype), self.clamp).float()


class SynthesisBlock(nn.Module):
    """One resolution: two convolutions (the first block has a constant and one), and a share of the RGB picture."""

    def __init__(
        self,
        channels_in: int,  # 0 for the first block
        channels_out: int,
        w_dim: int,
        resolution: int,
        clamp: float | None = CLAMP,
        half: bool = False,  # 16-bit numbers on an NVIDIA GPU?
    ):
        super().__init__()
        self.first, self.half = channels_in == 0, half
        if self.first:
            self.const = nn.Parameter(torch.randn(channels_out, resolution, resolution))
        else:
            self.conv0 = SynthesisLayer(channels_in, channels_out, w_dim, resolution, up=True, clamp=clamp)
        self.conv1 = SynthesisLayer(channels_out, channels_out, w_dim, resolution, clamp=clamp)
        self.torgb = ToRGB(channels_out, w_dim, clamp)
        self.register_buffer("resample_filter", filter_2d())
        self.convolutions = 1 if self.first else 2

    def forward(self, x, rgb, ws, noises):  # ws: (n, convolutions + 1, w_dim)
        if self.first:
            x = self.const.expand(len(ws), -1, -1, -1).contiguous(memory_format=torch.channels_last)
        x = x.to(in_half(self.half, x))
        if not self.first:
            x = self.conv0(x, ws[:, 0], noises[0])
        x = self.conv1(x, ws[:, -2], noises[-1])
        part = self.torgb(x, ws[:, -1])
        return x, part if rgb is None else upsample(rgb, self.resample_filter) + part


class Synthesis(stylegan.Synthesis):
    """w, one for each layer, -> picture. It is called as the course's; what it is made of is NVIDIA's."""

    def __init__(
        self,
        resolution: int,  # side of the picture, a power of two
        w_dim: int,  # numbers in a w
        channels: dict[int, int],  # feature channels at each resolution
        clamp: float | None = CLAMP,  # what leaves a convolution is cut off at ± this; None: never
        half_resolutions: int = 0,  # so many of the finest resolutions in 16-bit numbers on an NVIDIA GPU
    ):
        nn.Module.__init__(self)
        self.resolution, self.w_dim = resolution, w_dim
        self.resolutions = list(channels)  # 4, 8, … resolution
        finest = half_from(resolution, half_resolutions)
        before = 0
        for r, count in channels.items():
            setattr(self, f"b{r}", SynthesisBlock(before, count, w_dim, r, clamp, half=r >= finest))
            before = count
        self.num_layers = 2 * len(channels) - 1  # convolutions, each with noise
        self.num_ws = self.num_layers + 1


class Generator(stylegan.Generator):
    """Mapping and synthesis together. Truncation, drawing and calling are those of the course's generator."""

    def __init__(
        self,
        resolution: int = 256,  # side of the picture, a power of two
        z_dim: int = 512,
        w_dim: int = 512,
        mapping_layers: int = 8,
        channels: dict[int, int] | None = None,  # feature channels at each resolution; None: official_channels
        clamp: float | None = CLAMP,  # what leaves a convolution is cut off at ± this; None: never
        half_resolutions: int = 0,  # so many of the finest resolutions in 16-bit numbers on an NVIDIA GPU
    ):
        nn.Module.__init__(self)
        channels = checked_channels(resolution, channels)
        self.settings = {
            "resolution": resolution,
            "z_dim": z_dim,
            "w_dim": w_dim,
            "mapping_layers": mapping_layers,
            "channels": channels,
            "clamp": clamp,
            "half_resolutions": half_resolutions,
        }
        self.resolution, self.z_dim, self.w_dim = resolution, z_dim, w_dim
        self.mapping = Mapping(z_dim, w_dim, mapping_layers)
        self.synthesis = Synthesis(resolution, w_dim, channels, clamp, half_resolutions)
        self.num_ws = self.synthesis.num_ws

    @property
    def w_mean(self) -> torch.Tensor:
        """(w_dim,), the mean of all w, which NVIDIA's files keep in the mapping."""
        return self.mapping.w_avg

    @torch.no_grad()
    def measure_w(self, samples: int = 20_000, seed: int = 0) -> None:
        """Set w_mean from the codes of that many random z."""
        z = torch.randn(samples, self.z_dim, generator=torch.Generator().manual_seed(seed))
        self.w_mean.copy_(self.mapping(z.to(self.w_mean)).mean(dim=0))


class Convolution(nn.Module):
    """Plain convolution with equalised learning rate; one that halves the size smooths first."""

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        kernel: int,
        activate: bool = True,  # bias and leaky ReLU afterwards?
        down: bool = False,  # halve the size?
        clamp: float | None = CLAMP,
        gain: float = 1.0,  # multiplies the result, and the clamp with it
    ):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(channels_out, channels_in, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(channels_out)) if activate else None
        self.register_buffer("resample_filter", filter_2d())
        self.gain = gain * (math.sqrt(2) if activate else 1.0)  # √2·leaky_relu(x) = leaky_relu(√2·x)
        self.weight_gain = self.gain / math.sqrt(channels_in * kernel**2)
        self.clamp = None if clamp is None else clamp * gain
        self.activate, self.down = activate, down

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        weight = (self.weight * self.weight_gain).to(x.dtype)
        bias = None if self.bias is None else (self.bias * self.gain).to(x.dtype)
        kernel = weight.shape[-1]
        if not self.down:
            x = F.conv2d(x, weight, bias, padding=kernel // 2)
        elif kernel == 1:
            x = F.conv2d(smooth(x, self.resample_filter, padding=1, stride=2), weight, bias)
        else:  # side r -> r + 1 -> r / 2
            x = F.conv2d(smooth(x, self.resample_filter, padding=2), weight, bias, stride=2)
        return cut_off(F.leaky_relu_(x, SLOPE) if self.activate else x, self.clamp)


class DiscriminatorBlock(nn.Module):
    """Residual block that halves the size; the first one also reads the colours."""

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        first: bool = False,
        clamp: float | None = CLAMP,
        half: bool = False,  # 16-bit numbers on an NVIDIA GPU?
    ):
        super().__init__()
        if first:
            self.fromrgb = Convolution(3, channels_in, 1, clamp=clamp)
        self.conv0 = Convolution(channels_in, channels_in, 3, clamp=clamp)
        self.conv1 = Convolution(channels_in, channels_out, 3, down=True, clamp=clamp, gain=math.sqrt(0.5))
        self.skip = Convolution(
            channels_in, channels_out, 1, activate=False, down=True, clamp=clamp, gain=math.sqrt(0.5)
        )
        self.register_buffer("resample_filter", filter_2d())
        self.first, self.half = first, half

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x.to(in_half(self.half, x))
        if self.first:
            x = self.fromrgb(x)
        return self.skip(x) + self.conv1(self.conv0(x))


def minibatch_deviation(x: torch.Tensor, group: int = 4) -> torch.Tensor:
    """Append one channel: how much the pictures of a group differ. Of 8 pictures, 0, 2, 4 and 6 are a group."""
    n, channels, h, w = x.shape
    group = math.gcd(n, group)
    deviation = x.reshape(group, n // group, channels, h, w).var(dim=0, unbiased=False).add(1e-8).sqrt()
    channel = deviation.mean(dim=(1, 2, 3)).repeat(group)[:, None, None, None].expand(-1, 1, h, w)
    return torch.cat([x, channel], dim=1)


class Judgement(nn.Module):
    """The discriminator's last layers: (n, channels, 4, 4) -> (n,)."""

    def __init__(self, channels: int, clamp: float | None = CLAMP):
        super().__init__()
        self.conv = Convolution(channels + 1, channels, 3, clamp=clamp)
        self.fc = FullyConnected(channels * 16, channels)
        self.out = FullyConnected(channels, 1, activate=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.conv(minibatch_deviation(x.float()))
        return self.out(self.fc(x.flatten(1)))[:, 0]


class Discriminator(nn.Module):
    """Picture -> one number: high for a photo, low for a generated picture."""

    def __init__(
        self,
        resolution: int = 256,  # side of the picture, a power of two
        channels: dict[int, int] | None = None,  # feature channels at each resolution; None: official_channels
        clamp: float | None = CLAMP,  # what leaves a convolution is cut off at ± this; None: never
        half_resolutions: int = 0,  # so many of the finest resolutions in 16-bit numbers on an NVIDIA GPU
    ):
        super().__init__()
        channels = checked_channels(resolution, channels)
        self.settings = {
            "resolution": resolution,
            "channels": channels,
            "clamp": clamp,
            "half_resolutions": half_resolutions,
        }
        self.resolutions = list(channels)[:0:-1]  # resolution, … 8
        finest = half_from(resolution, half_resolutions)
        for r in self.resolutions:
            block = DiscriminatorBlock(channels[r], channels[r // 2], r == resolution, clamp, half=r >= finest)
            setattr(self, f"b{r}", block)
        self.b4 = Judgement(channels[4], clamp)

    def features(self, image: torch.Tensor) -> list[torch.Tensor]:
        """What each block sees, from fine to coarse: (n, channels, r, r) for r = resolution / 2, … 4."""
        x = image.contiguous(memory_format=torch.channels_last)
        found = []
        for r in self.resolutions:
            x = getattr(self, f"b{r}")(x)
            found.append(x)
        return found

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.b4(self.features(image)[-1])


# --- what both networks ask


def half_from(resolution: int, half_resolutions: int) -> float:
    """The resolution from which on 16-bit numbers are used: never below 8, infinite for none."""
    return max(resolution * 2 / 2**half_resolutions, 8) if half_resolutions else math.inf


def in_half(half: bool, x: torch.Tensor) -> torch.dtype:
    """16-bit numbers where wanted, on an NVIDIA GPU, and only without gradients.

    A search by L-BFGS reads the curvature off differences of gradients, which they would round away.
    """
    return torch.float16 if half and x.is_cuda and not torch.is_grad_enabled() else torch.float32


def checked_channels(resolution: int, channels: dict[int, int] | None) -> dict[int, int]:
    """Channels at 4, 8, … resolution, in this order; ValueError with one sentence when they cannot be."""
    if resolution < 8 or resolution & (resolution - 1):
        raise ValueError(f"resolution must be a power of two from 8 up, got {resolution}")
    channels = official_channels(resolution) if channels is None else channels
    wanted = [2**i for i in range(2, resolution.bit_length())]
    if missing := [r for r in wanted if r not in channels]:
        raise ValueError(f"channels must name a number for each of {wanted}, {missing} missing")
    return {r: channels[r] for r in wanted}
