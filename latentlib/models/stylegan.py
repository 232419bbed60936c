"""A style-based generator and its discriminator, as drawn in the StyleGAN2 paper (Karras et al. 2020, figures 2 and 7).

    z ── mapping ──> w ── one affine for each layer ──> styles
    constant 4×4 ─> block 4 ─> block 8 ─> … ─> block 64        each block also adds its part to an RGB picture

Pictures are (n, 3, size, size) in [-1, 1]. The names of the parts are those of NVIDIA's networks.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import nn

CHANNELS = {4: 160, 8: 160, 16: 128, 32: 64, 64: 32}
SLOPE = 0.2  # of every leaky ReLU; each is followed by a gain of √2 that keeps the variance


def upsample(x: torch.Tensor) -> torch.Tensor:
    """Twice the size. Linear interpolation is StyleGAN2's [1, 3, 3, 1] filter, but for its treatment of the border."""
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


class FullyConnected(nn.Module):
    """A linear layer whose weights are stored at unit variance and scaled when used (equalised learning rate)."""

    def __init__(
        self,
        inputs: int,  # numbers in
        outputs: int,  # numbers out
        activate: bool = True,  # leaky ReLU afterwards?
        bias: float = 0.0,  # what the bias starts at
        lr_multiplier: float = 1.0,  # how fast it learns, relative to the rest
    ):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / lr_multiplier)
        self.bias = nn.Parameter(torch.full((outputs,), bias / lr_multiplier))
        self.weight_gain, self.bias_gain = lr_multiplier / math.sqrt(inputs), lr_multiplier
        self.activate = activate

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.linear(x * self.weight_gain, self.weight, self.bias * self.bias_gain)
        return F.leaky_relu(x, SLOPE) * math.sqrt(2) if self.activate else x


class Mapping(nn.Module):
    """z -> w: numbers drawn from a Gaussian become a code whose directions the synthesis network finds useful."""

    def __init__(
        self,
        z_dim: int = 256,  # numbers in a z
        w_dim: int = 256,  # numbers in a w
        layers: int = 4,  # fully connected layers
    ):
        super().__init__()
        self.z_dim, self.w_dim, self.layers = z_dim, w_dim, layers
        for index in range(layers):
            fc = FullyConnected(z_dim if index == 0 else w_dim, w_dim, lr_multiplier=0.01)
            setattr(self, f"fc{index}", fc)

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        x = z * (z.square().mean(dim=1, keepdim=True) + 1e-8).rsqrt()  # (n, z_dim), length √z_dim
        for index in range(self.layers):
            x = getattr(self, f"fc{index}")(x)
        return x  # (n, w_dim)


def modulated_convolution(
    x: torch.Tensor,  # (n, channels_in, h, w)
    weight: torch.Tensor,  # (channels_out, channels_in, k, k), shared by all pictures
    style: torch.Tensor,  # (n, channels_in), one scale for each channel of each picture
    demodulate: bool = True,  # bring the result back to unit variance?
    gain: float = 1.0,  # multiplies the result
) -> torch.Tensor:
    """Convolve with weights that the style has scaled (section 2.2 of the paper), without building those weights.

    Scaling the weights' inputs is scaling x; dividing the weights' outputs by their length is scaling the result. So
    one shared convolution serves the whole batch: the same function as a grouped convolution, far faster on a CPU.
    """
    style = style.float()
    x = x * style[:, :, None, None].to(x.dtype)
    x = F.conv2d(x, weight, padding=weight.shape[-1] // 2)
    if demodulate:
        length = style.square() @ weight.float().square().sum(dim=(2, 3)).T  # (n, channels_out)
        x = x * ((length + 1e-8).rsqrt() * gain)[:, :, None, None].to(x.dtype)
    elif gain != 1.0:
        x = x * gain
    return x


class SynthesisLayer(nn.Module):
    """Modulated 3×3 convolution, (upsampling,) noise, bias, leaky ReLU."""

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        w_dim: int,
        resolution: int,  # side of the result
        up: bool = False,  # double the size after the convolution? (before it would cost four times as much)
    ):
        super().__init__()
        self.affine = FullyConnected(w_dim, channels_in, activate=False, bias=1.0)
        self.weight = nn.Parameter(torch.randn(channels_out, channels_in, 3, 3))
        self.bias = nn.Parameter(torch.zeros(channels_out))
        self.noise_strength = nn.Parameter(torch.zeros(()))
        self.register_buffer("noise_const", torch.randn(resolution, resolution))
        self.weight_gain = 1 / math.sqrt(channels_in * 9)
        self.resolution, self.up = resolution, up

    def forward(self, x: torch.Tensor, w: torch.Tensor, noise="random") -> torch.Tensor:
        # √2·leaky_relu(x) = leaky_relu(√2·x), so the gain is spent where it costs nothing.
        x = modulated_convolution(x, self.weight, self.affine(w) * self.weight_gain, gain=math.sqrt(2))
        if self.up:
            x = upsample(x)
        shift = self.bias[:, None, None] * math.sqrt(2)
        if noise is not None:
            if isinstance(noise, str):
                shape = (len(x), 1, self.resolution, self.resolution)
                noise = torch.randn(shape, device=x.device) if noise == "random" else self.noise_const
            x = x + (noise * (self.noise_strength * math.sqrt(2))).to(x.dtype)
        return F.leaky_relu_(x + shift.to(x.dtype), SLOPE)


class ToRGB(nn.Module):
    """Modulated 1×1 convolution to three colours; no demodulation, so the style decides how much it adds."""

    def __init__(self, channels: int, w_dim: int):
        super().__init__()
        self.affine = FullyConnected(w_dim, channels, activate=False, bias=1.0)
        self.weight = nn.Parameter(torch.randn(3, channels, 1, 1))
        self.bias = nn.Parameter(torch.zeros(3))
        self.weight_gain = 1 / math.sqrt(channels)

    def forward(self, x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        rgb = modulated_convolution(x, self.weight, self.affine(w) * self.weight_gain, demodulate=False)
        return rgb.float() + self.bias[:, None, None]


class SynthesisBlock(nn.Module):
    """One resolution: two convolutions (the first block has a constant and one), and a share of the RGB picture."""

    def __init__(self, channels_in: int, channels_out: int, w_dim: int, resolution: int):
        super().__init__()
        self.first = channels_in == 0
        if self.first:
            self.const = nn.Parameter(torch.randn(channels_out, resolution, resolution))
        else:
            self.conv0 = SynthesisLayer(channels_in, channels_out, w_dim, resolution, up=True)
        self.conv1 = SynthesisLayer(channels_out, channels_out, w_dim, resolution)
        self.torgb = ToRGB(channels_out, w_dim)
        self.convolutions = 1 if self.first else 2

    def forward(self, x, rgb, ws, noises):  # ws: (n, convolutions + 1, w_dim)
        if self.first:
            x = self.const.expand(len(ws), -1, -1, -1).contiguous(memory_format=torch.channels_last)
        else:
            x = self.conv0(x, ws[:, 0], noises[0])
        x = self.conv1(x, ws[:, -2], noises[-1])
        part = self.torgb(x, ws[:, -1])
        return x, part if rgb is None else upsample(rgb) + part


class Synthesis(nn.Module):
    """w, one for each layer, -> picture. A block's torgb shares its w with the next block's first convolution."""

    def __init__(
        self,
        resolution: int = 64,  # side of the picture, a power of two
        w_dim: int = 256,  # numbers in a w
        channels: dict[int, int] | None = None,  # feature channels at each resolution; CHANNELS when left out
    ):
        super().__init__()
        if resolution < 8 or resolution & (resolution - 1):
            raise ValueError(f"resolution must be a power of two from 8 up, got {resolution}")
        channels = CHANNELS if channels is None else channels
        self.resolutions = [2**i for i in range(2, resolution.bit_length())]  # 4, 8, … resolution
        missing = [r for r in self.resolutions if r not in channels]
        if missing:
            raise ValueError(f"channels must name a number for each of {self.resolutions}, {missing} missing")
        self.resolution, self.w_dim = resolution, w_dim
        before = 0
        for r in self.resolutions:
            setattr(self, f"b{r}", SynthesisBlock(before, channels[r], w_dim, r))
            before = channels[r]
        self.num_layers = 2 * len(self.resolutions) - 1  # convolutions, each with noise
        self.num_ws = self.num_layers + 1

    def forward(self, w: torch.Tensor, noise="random", resolution: int | None = None) -> torch.Tensor:
        """Pictures (n, 3, resolution, resolution), about [-1, 1].

        w: (n, w_dim), the same for all layers, or w_plus (n, num_ws, w_dim).
        noise: "random" (new each time), "fixed" (the stored maps), None (left out), or a list of num_layers maps that
        broadcast to (n, 1, r, r).
        resolution: stop at a smaller picture; the RGB skips make each block's sum one.
        """
        ws = w[:, None].expand(-1, self.num_ws, -1) if w.ndim == 2 else w
        if ws.ndim != 3 or ws.shape[1:] != (self.num_ws, self.w_dim):
            raise ValueError(
                f"w must be (n, {self.w_dim}) or (n, {self.num_ws}, {self.w_dim}), got {tuple(w.shape)}"
                + ("; add a batch axis with w[None]" if w.ndim == 1 else "")
            )
        if isinstance(noise, str) and noise not in ("random", "fixed"):
            raise ValueError(
                f'noise must be "random", "fixed", None or a list of {self.num_layers} maps, got {noise!r}'
            )
        noises = list(noise) if isinstance(noise, (list, tuple)) else [noise] * self.num_layers
        if len(noises) != self.num_layers:
            raise ValueError(f"noise must have one map for each of {self.num_layers} layers, got {len(noises)}")
        x = rgb = None
        layer = 0
        for r in self.resolutions:
            block = getattr(self, f"b{r}")
            count = block.convolutions
            x, rgb = block(x, rgb, ws[:, layer : layer + count + 1], noises[layer : layer + count])
            layer += count
            if r == resolution:
                break
        return rgb


class Generator(nn.Module):
    """Mapping and synthesis together, with the centre of the codes that a trained network has."""

    def __init__(
        self,
        resolution: int = 64,
        z_dim: int = 256,
        w_dim: int = 256,
        mapping_layers: int = 4,
        channels: dict[int, int] | None = None,
    ):
        super().__init__()
        self.settings = {
            "resolution": resolution,
            "z_dim": z_dim,
            "w_dim": w_dim,
            "mapping_layers": mapping_layers,
            "channels": dict(CHANNELS if channels is None else channels),
        }
        self.resolution, self.z_dim, self.w_dim = resolution, z_dim, w_dim
        self.mapping = Mapping(z_dim, w_dim, mapping_layers)
        self.synthesis = Synthesis(resolution, w_dim, channels)
        self.num_ws = self.synthesis.num_ws
        self.register_buffer("w_mean", torch.zeros(w_dim))
        self.register_buffer("w_covariance", torch.eye(w_dim))

    def truncate(self, w: torch.Tensor, truncation: float = 1.0) -> torch.Tensor:
        """Pull codes towards their mean: 1 leaves them, 0 gives the mean face. Works on w and on w_plus."""
        return w if truncation == 1 else self.w_mean + (w - self.w_mean) * truncation

    def forward(self, z: torch.Tensor, truncation: float = 1.0, noise="random") -> torch.Tensor:
        """(n, z_dim) -> pictures (n, 3, resolution, resolution), about [-1, 1]."""
        return self.synthesis(self.truncate(self.mapping(z), truncation), noise)

    def draw(self, w: torch.Tensor) -> torch.Tensor:
        """w (n, w_dim) or w_plus (n, num_ws, w_dim) -> pictures (n, 3, resolution, resolution) in [0, 1], noise off."""
        return (self.synthesis(w, noise=None) / 2 + 0.5).clamp(0, 1)

    @torch.no_grad()
    def measure_w(self, samples: int = 20_000, seed: int = 0) -> None:
        """Set w_mean and w_covariance from the codes of that many random z."""
        generator = torch.Generator().manual_seed(seed)
        z = torch.randn(samples, self.z_dim, generator=generator).to(self.w_mean.device)
        w = self.mapping.float()(z)
        self.w_mean.copy_(w.mean(dim=0))
        self.w_covariance.copy_(torch.cov(w.T))


class Convolution(nn.Module):
    """Plain convolution with equalised learning rate."""

    def __init__(self, channels_in: int, channels_out: int, kernel: int, activate: bool = True, gain: float = 1.0):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(channels_out, channels_in, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(channels_out)) if activate else None
        self.gain = gain * (math.sqrt(2) if activate else 1.0)  # √2·leaky_relu(x) = leaky_relu(√2·x)
        self.weight_gain = self.gain / math.sqrt(channels_in * kernel**2)
        self.activate = activate

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        bias = None if self.bias is None else self.bias * self.gain
        x = F.conv2d(x, self.weight * self.weight_gain, bias, padding=self.weight.shape[-1] // 2)
        return F.leaky_relu_(x, SLOPE) if self.activate else x


class DiscriminatorBlock(nn.Module):
    """Residual block that halves the size; the second convolution comes after the halving, at a quarter of the cost."""

    def __init__(self, channels_in: int, channels_out: int):
        super().__init__()
        self.conv0 = Convolution(channels_in, channels_in, 3)
        self.conv1 = Convolution(channels_in, channels_out, 3, gain=math.sqrt(0.5))
        self.skip = Convolution(channels_in, channels_out, 1, activate=False, gain=math.sqrt(0.5))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        skip = self.skip(F.avg_pool2d(x, 2))
        return skip + self.conv1(F.avg_pool2d(self.conv0(x), 2))


def minibatch_deviation(x: torch.Tensor, kinds: int = 1) -> torch.Tensor:
    """Append one channel: how much the pictures of a group differ. It lets the discriminator see a lack of variety.

    Groups have at most four pictures. kinds: of pictures that lie one after the other in the batch, as many of each;
    a group is of one kind.
    """
    n, _, h, w = x.shape
    group = math.gcd(n // kinds, 4)
    deviation = x.float().reshape(n // group, group, -1).var(dim=1, unbiased=False).add(1e-8).sqrt().mean(dim=1)
    channel = deviation.repeat_interleave(group)[:, None, None, None].expand(-1, 1, h, w)
    return torch.cat([x, channel.to(x.dtype)], dim=1)


class Discriminator(nn.Module):
    """Picture -> one number: high for a photo, low for a generated picture."""

    def __init__(
        self,
        resolution: int = 64,  # side of the picture, a power of two
        channels: dict[int, int] | None = None,  # feature channels at each resolution; CHANNELS when left out
    ):
        super().__init__()
        channels = dict(CHANNELS if channels is None else channels)
        self.settings = {"resolution": resolution, "channels": channels}
        self.resolutions = [2**i for i in range(resolution.bit_length() - 1, 2, -1)]  # resolution, … 8
        self.fromrgb = Convolution(3, channels[resolution], 1)
        for r in self.resolutions:
            setattr(self, f"b{r}", DiscriminatorBlock(channels[r], channels[r // 2]))
        self.conv = Convolution(channels[4] + 1, channels[4], 3)
        self.fc = FullyConnected(channels[4] * 16, channels[4])
        self.out = FullyConnected(channels[4], 1, activate=False)

    def features(self, image: torch.Tensor) -> list[torch.Tensor]:
        """What each block sees, from fine to coarse: (n, channels, r, r) for r = resolution / 2, … 4."""
        x = self.fromrgb(image.contiguous(memory_format=torch.channels_last))
        found = []
        for r in self.resolutions:
            x = getattr(self, f"b{r}")(x)
            found.append(x)
        return found

    def forward(self, image: torch.Tensor, alone: bool = False) -> torch.Tensor:
        """(n, 3, r, r) in [-1, 1] -> (n,); alone: judge each by itself, not also how much up to four of them differ."""
        return self.judge(self.features(image)[-1], kinds=len(image) if alone else 1)

    def judge(self, x: torch.Tensor, kinds: int = 1) -> torch.Tensor:
        """The last layers: (n, channels, 4, 4) -> (n,); kinds: as in ``minibatch_deviation``."""
        x = self.conv(minibatch_deviation(x, kinds))
        x = self.fc(x.flatten(1))
        return self.out(x).float()[:, 0]
