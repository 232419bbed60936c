"""StyleGAN2's generator and discriminator (Karras et al. 2020, arXiv 1912.04958, figures 2 and 7).

    z ── mapping ──> w ── one affine for each layer ──> styles
    constant 4×4 ─> block 4 ─> block 8 ─> … ─> block 64        each block also adds its part to an RGB picture

Pictures are (n, 3, size, size) in [-1, 1]. The parts have the names of NVIDIA's networks, whose state_dicts fit as they
are. Of two ways to change the size, a network has one:

- "fir", NVIDIA's: a transposed or a strided convolution, smoothed by the filter [1, 3, 3, 1];
- "bilinear", the course's, twice as fast on a CPU: convolve at the smaller size, then interpolate (or average, then
  convolve).
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import nn

CHANNELS = {4: 160, 8: 160, 16: 128, 32: 64, 64: 32}  # of the course's networks
SLOPES = {"lrelu": 0.2, "relu": 0.0, "linear": 1.0}  # below zero, of each activation
SLOPE = SLOPES["lrelu"]


def official_channels(resolution: int, base: int = 32768, most: int = 512) -> dict[int, int]:
    """Channels of NVIDIA's networks, {4: 512, … 64: 512, 128: 256, …}; base 16384 for its small ones, as at 256 px."""
    return {2**i: min(base // 2**i, most) for i in range(2, resolution.bit_length())}


# ----------------------------------------------------------------------------------------------- parts that both share


def gain_of(activation: str) -> float:
    """What keeps the variance after an activation. f(√2·x) = √2·f(x) for all of SLOPES, so it is spent beforehand."""
    if activation not in SLOPES:
        raise ValueError(f"activation must be one of {', '.join(SLOPES)}, got {activation!r}")
    return 1.0 if activation == "linear" else math.sqrt(2)


def bend(x: torch.Tensor, activation: str, clamp: float | None = None) -> torch.Tensor:
    """The activation, in place; then what is beyond ±clamp is cut off."""
    if activation != "linear":
        x = F.leaky_relu_(x, SLOPES[activation])
    return x if clamp is None else x.clamp(-clamp, clamp)


def filter_2d() -> torch.Tensor:
    """[1, 3, 3, 1] in both directions, (4, 4), with sum 1."""
    taps = (1, 3, 3, 1)
    return torch.tensor([[a * b / 64 for b in taps] for a in taps])


def smooth(x: torch.Tensor, kernel: torch.Tensor, padding: int, gain: float = 1.0, stride: int = 1) -> torch.Tensor:
    """Each channel of (n, c, h, w) filtered by itself, the border padded with zeros."""
    kernel = (kernel.flip(0, 1) * gain).to(x.dtype).expand(x.shape[1], 1, -1, -1)
    return F.conv2d(x, kernel, padding=padding, stride=stride, groups=x.shape[1])


def upsample(x: torch.Tensor, kernel: torch.Tensor | None = None) -> torch.Tensor:
    """Twice the size, with a filter (zeros between the pixels, then the sum), or else by linear interpolation.

    With [1, 3, 3, 1] both are the same, but for the border.
    """
    if kernel is None:
        return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
    kernel = (kernel * 4).to(x.dtype).expand(x.shape[1], 1, -1, -1)  # 4 makes up for the zeros
    return F.conv_transpose2d(x, kernel, stride=2, padding=1, groups=x.shape[1])


class Resampling(nn.Module):
    """What may change the size of a picture, and keeps the filter for it where NVIDIA's networks do."""

    def __init__(self, resample: str):
        super().__init__()
        self.register_buffer("resample_filter", filter_2d() if resample == "fir" else None)


class FullyConnected(nn.Module):
    """A linear layer whose weights are stored at unit variance and scaled when used (equalised learning rate)."""

    def __init__(
        self,
        inputs: int,  # numbers in
        outputs: int,  # numbers out
        activation: str = "linear",
        bias: float = 0.0,  # what the bias starts at
        lr_multiplier: float = 1.0,  # how fast it learns, relative to the rest
    ):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / lr_multiplier)
        self.bias = nn.Parameter(torch.full((outputs,), bias / lr_multiplier))
        self.weight_gain, self.bias_gain = lr_multiplier / math.sqrt(inputs), lr_multiplier
        self.activation, self.act_gain = activation, gain_of(activation)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.linear(x * (self.weight_gain * self.act_gain), self.weight, self.bias * (self.bias_gain * self.act_gain))
        return bend(x, self.activation)


# -------------------------------------------------------------------------------------------------------- the generator


class Mapping(nn.Module):
    """z -> w: numbers drawn from a Gaussian become a code whose directions the synthesis network finds useful."""

    def __init__(self, z_dim: int, w_dim: int, num_layers: int, activation: str, lr_multiplier: float):
        super().__init__()
        self.z_dim, self.w_dim, self.num_layers = z_dim, w_dim, num_layers
        for index in range(num_layers):
            fc = FullyConnected(z_dim if index == 0 else w_dim, w_dim, activation, lr_multiplier=lr_multiplier)
            setattr(self, f"fc{index}", fc)
        self.register_buffer("w_avg", torch.zeros(w_dim))

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        x = z * (z.square().mean(dim=1, keepdim=True) + 1e-8).rsqrt()  # (n, z_dim), length √z_dim
        for index in range(self.num_layers):
            x = getattr(self, f"fc{index}")(x)
        return x  # (n, w_dim)


def modulated_convolution(
    x: torch.Tensor,  # (n, channels_in, h, w)
    weight: torch.Tensor,  # (channels_out, channels_in, k, k), shared by all pictures
    style: torch.Tensor,  # (n, channels_in), one scale for each channel of each picture
    demodulate: bool = True,  # bring the result back to unit variance?
    gain: float = 1.0,  # multiplies a demodulated result
    up: int = 1,  # 2: double the size
    up_filter: torch.Tensor | None = None,  # (4, 4), to double with; None: interpolate
) -> torch.Tensor:
    """Convolve with weights that the style has scaled (section 2.2 of the paper), without building those weights.

    Scaling the weights' inputs is scaling x; dividing the weights' outputs by their length is scaling the result. So
    one shared convolution serves the whole batch: the same function as a grouped convolution, far faster on a CPU.
    """
    style = style.float()
    x = x * style[:, :, None, None].to(x.dtype)
    if up == 2 and up_filter is not None:  # side r -> 2r + 1 -> 2r
        x = F.conv_transpose2d(x, weight.transpose(0, 1).to(x.dtype), stride=2)
        x = smooth(x, up_filter, padding=1, gain=4.0)
    else:
        x = F.conv2d(x, weight.to(x.dtype), padding=weight.shape[-1] // 2)
    if demodulate:
        length = style.square() @ weight.float().square().sum(dim=(2, 3)).T  # (n, channels_out)
        x = x * ((length + 1e-8).rsqrt() * gain)[:, :, None, None].to(x.dtype)
    return upsample(x) if up == 2 and up_filter is None else x  # last: before it a convolution costs four times as much


class SynthesisLayer(Resampling):
    """Modulated 3×3 convolution (one that doubles the size, or not), noise, bias, activation."""

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        w_dim: int,
        resolution: int,  # side of the result
        up: int,  # 2: double the size
        resample: str,
        activation: str,
        conv_clamp: float | None,
    ):
        super().__init__(resample)
        self.affine = FullyConnected(w_dim, channels_in, bias=1.0)
        self.weight = nn.Parameter(torch.randn(channels_out, channels_in, 3, 3))
        self.bias = nn.Parameter(torch.zeros(channels_out))
        self.noise_strength = nn.Parameter(torch.zeros(()))
        self.register_buffer("noise_const", torch.randn(resolution, resolution))
        self.resolution, self.up, self.activation, self.conv_clamp = resolution, up, activation, conv_clamp
        self.act_gain = gain_of(activation)

    def forward(self, x: torch.Tensor, w: torch.Tensor, noise="random") -> torch.Tensor:
        x = modulated_convolution(
            x, self.weight, self.affine(w), gain=self.act_gain, up=self.up, up_filter=self.resample_filter
        )
        if noise is not None:
            shape = (len(x), 1, self.resolution, self.resolution)
            values = torch.randn(shape, device=x.device) if noise == "random" else self.noise_const
            x = x + (values * (self.noise_strength * self.act_gain)).to(x.dtype)
        shift = self.bias[:, None, None] * self.act_gain
        return bend(x + shift.to(x.dtype), self.activation, self.conv_clamp)


class ToRGB(nn.Module):
    """Modulated 1×1 convolution to three colours; no demodulation, so the style decides how much it adds."""

    def __init__(self, channels: int, w_dim: int, conv_clamp: float | None):
        super().__init__()
        self.affine = FullyConnected(w_dim, channels, bias=1.0)
        self.weight = nn.Parameter(torch.randn(3, channels, 1, 1))
        self.bias = nn.Parameter(torch.zeros(3))
        self.weight_gain, self.conv_clamp = 1 / math.sqrt(channels), conv_clamp

    def forward(self, x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        rgb = modulated_convolution(x, self.weight, self.affine(w) * self.weight_gain, demodulate=False)
        return bend(rgb.float() + self.bias[:, None, None], "linear", self.conv_clamp)


class SynthesisBlock(Resampling):
    """One resolution: two convolutions (the first block has a constant and one), and a share of the RGB picture."""

    architecture = "skip"

    def __init__(
        self,
        channels_in: int,  # 0 for the first block
        channels_out: int,
        w_dim: int,
        resolution: int,
        resample: str,
        activation: str,
        conv_clamp: float | None,
    ):
        super().__init__(resample)
        settings = (resample, activation, conv_clamp)
        self.first = channels_in == 0
        self.num_conv = 1 if self.first else 2
        if self.first:
            self.const = nn.Parameter(torch.randn(channels_out, resolution, resolution))
        else:
            self.conv0 = SynthesisLayer(channels_in, channels_out, w_dim, resolution, 2, *settings)
        self.conv1 = SynthesisLayer(channels_out, channels_out, w_dim, resolution, 1, *settings)
        self.torgb = ToRGB(channels_out, w_dim, conv_clamp)

    def forward(self, x, rgb, ws, noise):  # ws: (n, num_conv + 1, w_dim)
        if self.first:
            x = self.const.expand(len(ws), -1, -1, -1).contiguous(memory_format=torch.channels_last)
        else:
            x = self.conv0(x, ws[:, 0], noise)
        x = self.conv1(x, ws[:, -2], noise)
        part = self.torgb(x, ws[:, -1])
        return x, part if rgb is None else upsample(rgb, self.resample_filter) + part


class Synthesis(nn.Module):
    """w, one for each layer, -> picture. A block's torgb shares its w with the next block's first convolution."""

    def __init__(self, w_dim: int, channels: dict[int, int], *settings):
        super().__init__()
        self.resolutions, self.resolution, self.w_dim = list(channels), max(channels), w_dim  # 4, 8, … resolution
        before = 0
        for r, count in channels.items():
            setattr(self, f"b{r}", SynthesisBlock(before, count, w_dim, r, *settings))
            before = count
        self.num_layers = 2 * len(channels) - 1  # convolutions, each with noise
        self.num_ws = self.num_layers + 1

    def forward(self, w: torch.Tensor, noise="random", resolution: int | None = None) -> torch.Tensor:
        """Pictures (n, 3, resolution, resolution), about [-1, 1].

        w: (n, w_dim), the same for all layers, or w_plus (n, num_ws, w_dim).
        noise: "random" (new each time), "fixed" (the stored maps), or None (left out).
        resolution: stop at a smaller picture; the RGB skips make each block's sum one.
        """
        ws = w[:, None].expand(-1, self.num_ws, -1) if w.ndim == 2 else w
        if ws.ndim != 3 or ws.shape[1:] != (self.num_ws, self.w_dim):
            raise ValueError(
                f"w must be (n, {self.w_dim}) or (n, {self.num_ws}, {self.w_dim}), got {tuple(w.shape)}"
                + ("; add a batch axis with w[None]" if w.ndim == 1 else "")
            )
        if noise not in ("random", "fixed", None):
            raise ValueError(f'noise must be "random", "fixed" or None, got {noise!r}')
        x = rgb = None
        layer = 0
        for r in self.resolutions:
            block = getattr(self, f"b{r}")
            x, rgb = block(x, rgb, ws[:, layer : layer + block.num_conv + 1], noise)
            layer += block.num_conv
            if r == resolution:
                break
        return rgb


class Generator(nn.Module):
    """Mapping and synthesis together, with the centre of the codes that a trained network has."""

    def __init__(
        self,
        resolution: int = 64,  # side of the picture, a power of two
        z_dim: int = 256,
        w_dim: int = 256,
        mapping_layers: int = 4,
        channels: dict[int, int] | None = None,  # feature channels at each resolution; CHANNELS when left out
        resample: str = "bilinear",  # how the size changes: "bilinear" or "fir"
        activation: str = "lrelu",  # of all layers: "lrelu", "relu" or "linear"
        lr_multiplier: float = 0.01,  # of the mapping's layers
        conv_clamp: float | None = None,  # what leaves a convolution is cut off at ± this; NVIDIA: 256
    ):
        super().__init__()
        channels = checked_channels(resolution, channels)
        self.settings = arguments(locals())
        self.resolution, self.z_dim, self.w_dim = resolution, z_dim, w_dim
        self.mapping = Mapping(z_dim, w_dim, mapping_layers, activation, lr_multiplier)
        self.synthesis = Synthesis(w_dim, channels, resample, activation, conv_clamp)
        self.num_ws = self.synthesis.num_ws

    @property
    def w_avg(self) -> torch.Tensor:
        """(w_dim,), the mean of all w, which NVIDIA's networks keep in the mapping."""
        return self.mapping.w_avg

    def truncate(self, w: torch.Tensor, psi: float = 1.0) -> torch.Tensor:
        """Pull codes towards their mean: 1 leaves them, 0 gives the mean face. Works on w and on w_plus."""
        return w if psi == 1 else self.w_avg + (w - self.w_avg) * psi

    def forward(self, z: torch.Tensor, psi: float = 1.0, noise="random") -> torch.Tensor:
        """(n, z_dim) -> pictures (n, 3, resolution, resolution), about [-1, 1]."""
        return self.synthesis(self.truncate(self.mapping(z), psi), noise)

    def draw(self, w: torch.Tensor) -> torch.Tensor:
        """w (n, w_dim) or w_plus (n, num_ws, w_dim) -> pictures (n, 3, resolution, resolution) in [0, 1], noise off."""
        return (self.synthesis(w, noise=None) / 2 + 0.5).clamp(0, 1)

    @torch.no_grad()
    def compute_w_avg(self, samples: int = 20_000, seed: int = 0) -> None:
        """Set w_avg from the codes of that many random z."""
        z = torch.randn(samples, self.z_dim, generator=torch.Generator().manual_seed(seed))
        self.w_avg.copy_(self.mapping(z.to(self.w_avg)).mean(dim=0))


# ---------------------------------------------------------------------------------------------------- the discriminator


class Convolution(Resampling):
    """Plain convolution with equalised learning rate; it may halve the size."""

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        kernel: int,
        activation: str = "lrelu",  # "linear": no bias either, as in a skip
        down: int = 1,  # 2: halve the size
        gain: float = 1.0,  # multiplies the result, and the clamp with it
        resample: str = "bilinear",
        conv_clamp: float | None = None,
    ):
        super().__init__(resample)
        self.weight = nn.Parameter(torch.randn(channels_out, channels_in, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(channels_out)) if activation != "linear" else None
        self.weight_gain, self.act_gain = 1 / math.sqrt(channels_in * kernel**2), gain_of(activation)
        self.activation, self.down, self.gain, self.conv_clamp = activation, down, gain, conv_clamp
        self.padding = kernel // 2

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        gain = self.gain * self.act_gain
        weight = (self.weight * (self.weight_gain * gain)).to(x.dtype)
        bias = None if self.bias is None else (self.bias * gain).to(x.dtype)
        padding, stride = self.padding, 1
        if self.down == 2 and self.resample_filter is None:
            x = F.avg_pool2d(x, 2)
        elif self.down == 2 and padding == 0:
            x = smooth(x, self.resample_filter, padding=1, stride=2)
        elif self.down == 2:  # side r -> r + 1 -> r / 2
            x, padding, stride = smooth(x, self.resample_filter, padding=2), 0, 2
        x = F.conv2d(x, weight, bias, padding=padding, stride=stride)
        return bend(x, self.activation, None if self.conv_clamp is None else self.conv_clamp * self.gain)


class DiscriminatorBlock(Resampling):
    """Residual block that halves the size. The finest one also has what reads colours, ``fromrgb``."""

    architecture = "resnet"

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        reads_rgb: bool = False,
        resample: str = "bilinear",
        activation: str = "lrelu",
        conv_clamp: float | None = None,
    ):
        super().__init__(resample)
        both = {"resample": resample, "conv_clamp": conv_clamp}
        half = math.sqrt(0.5)  # two ways are added
        if reads_rgb:
            self.fromrgb = Convolution(3, channels_in, 1, activation, **both)
        self.conv0 = Convolution(channels_in, channels_in, 3, activation, **both)
        self.conv1 = Convolution(channels_in, channels_out, 3, activation, down=2, gain=half, **both)
        self.skip = Convolution(channels_in, channels_out, 1, "linear", down=2, gain=half, **both)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.skip(x) + self.conv1(self.conv0(x))


def minibatch_deviation(x: torch.Tensor, group_size: int | None = 4, kinds: int = 1) -> torch.Tensor:
    """Append one channel: how much the pictures of a group differ. It lets the discriminator see a lack of variety.

    group_size: most pictures in a group, None for all; a batch that it does not divide has smaller groups. Of 8
    pictures in groups of 4, the pictures 0, 2, 4 and 6 are one.
    kinds: of pictures that lie one after the other in the batch, as many of each; a group is of one kind.
    """
    n, _, h, w = x.shape
    each = n // kinds
    most = each if group_size is None else min(group_size, each)
    group = max(size for size in range(1, most + 1) if each % size == 0)
    grouped = x.float().reshape(kinds, group, each // group, -1)
    deviation = grouped.var(dim=1, unbiased=False).add(1e-8).sqrt().mean(dim=-1)  # (kinds, groups)
    channel = deviation[:, None].expand(-1, group, -1).reshape(n, 1, 1, 1).expand(-1, 1, h, w)
    return torch.cat([x, channel.to(x.dtype)], dim=1)


class Epilogue(nn.Module):
    """The discriminator's last layers: (n, channels, 4, 4) -> (n,)."""

    architecture = "resnet"

    def __init__(self, channels: int, group_size: int | None, activation: str, conv_clamp: float | None, resample: str):
        super().__init__()
        self.group_size = group_size
        self.conv = Convolution(channels + 1, channels, 3, activation, resample=resample, conv_clamp=conv_clamp)
        self.fc = FullyConnected(channels * 16, channels, activation)
        self.out = FullyConnected(channels, 1)

    def forward(self, x: torch.Tensor, group_size: int | None = 0, kinds: int = 1) -> torch.Tensor:
        """group_size, kinds: as in ``minibatch_deviation``; 0: the group size that it was made with."""
        x = minibatch_deviation(x, self.group_size if group_size == 0 else group_size, kinds)
        x = self.conv(x)
        return self.out(self.fc(x.flatten(1))).float()[:, 0]


class Discriminator(nn.Module):
    """Picture -> one number: high for a photo, low for a generated picture."""

    def __init__(
        self,
        resolution: int = 64,  # side of the picture, a power of two
        channels: dict[int, int] | None = None,  # feature channels at each resolution; CHANNELS when left out
        resample: str = "bilinear",  # how the size changes: "bilinear" or "fir"
        activation: str = "lrelu",  # of all layers: "lrelu", "relu" or "linear"
        group_size: int | None = 4,  # most pictures that are compared with each other; None: the whole batch
        conv_clamp: float | None = None,  # what leaves a convolution is cut off at ± this; NVIDIA: 256
    ):
        super().__init__()
        channels = checked_channels(resolution, channels)
        self.settings = arguments(locals())
        self.resolution, self.resolutions = resolution, list(channels)[:0:-1]  # resolution, … 8
        for r in self.resolutions:
            colours = r == resolution
            block = DiscriminatorBlock(channels[r], channels[r // 2], colours, resample, activation, conv_clamp)
            setattr(self, f"b{r}", block)
        self.b4 = Epilogue(channels[4], group_size, activation, conv_clamp, resample)

    def features(self, image: torch.Tensor) -> list[torch.Tensor]:
        """What each block sees, from fine to coarse: (n, channels, r, r) for r = resolution / 2, … 4."""
        x = getattr(self, f"b{self.resolution}").fromrgb(image.contiguous(memory_format=torch.channels_last))
        found = []
        for r in self.resolutions:
            x = getattr(self, f"b{r}")(x)
            found.append(x)
        return found

    def forward(self, image: torch.Tensor, group_size: int | None = 0) -> torch.Tensor:
        """(n, 3, r, r) in [-1, 1] -> (n,); group_size=1: each by itself, not also how much several of them differ."""
        return self.b4(self.features(image)[-1], group_size)


# --------------------------------------------------------------------------------------------- what both networks ask


def arguments(names: dict) -> dict:
    """Of a constructor's ``locals()`` those that it was given: what is saved beside the weights, to build it again."""
    return {name: value for name, value in names.items() if name not in ("self", "__class__")}


def checked_channels(resolution: int, channels: dict[int, int] | None) -> dict[int, int]:
    """Channels at 4, 8, … resolution, in this order (JSON makes texts of resolutions); ValueError if they cannot be."""
    if resolution < 8 or resolution & (resolution - 1):
        raise ValueError(f"resolution must be a power of two from 8 up, got {resolution}")
    channels = {int(r): count for r, count in (CHANNELS if channels is None else channels).items()}
    wanted = [2**i for i in range(2, resolution.bit_length())]
    if missing := [r for r in wanted if r not in channels]:
        raise ValueError(f"channels must name a number for each of {wanted}, {missing} missing")
    return {r: channels[r] for r in wanted}
