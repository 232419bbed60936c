"""StyleGAN2's generator and discriminator (Karras et al. 2020, arXiv 1912.04958, figures 2 and 7).

    z ── mapping ──> w ── one affine for each layer ──> styles
    constant 4×4 ─> block 4 ─> block 8 ─> … ─> block 64        each block also adds its part to an RGB picture

Pictures are (n, 3, size, size) in [-1, 1]. The parts have the names of NVIDIA's networks, whose generators' state_dicts
fit as they are. Of two ways to double the size, a generator has one:

- "fir", NVIDIA's: a transposed convolution, smoothed by the filter [1, 3, 3, 1];
- "bilinear", the course's, twice as fast on a CPU: convolve at the smaller size, then interpolate.
"""

import math

import torch
import torch.nn.functional as F
from torch import nn

from latentlib.models.autoencoder import check_batch, shrunk

CHANNELS = {4: 160, 8: 160, 16: 128, 32: 64, 64: 32}  # unless others are given
SLOPE = 0.2  # of the leaky ReLU below zero
GAIN = math.sqrt(2)  # keeps the variance after it; spent before it, since f(√2·x) = √2·f(x)
LR_MULTIPLIER = 0.01  # the mapping learns this much slower than the rest
Clamp = float | None  # what leaves a convolution is cut off at ± this


# ----------------------------------------------------------------------------------------------- parts that both share


def gaussian(*shape: int, std: float = 1.0) -> torch.Tensor:
    """What a weight is at first. On the meta device, where a file's numbers are awaited, drawing would take seconds."""
    x = torch.empty(shape)
    return x if x.is_meta else x.normal_(std=std)


def clip(x: torch.Tensor, limit: float | None) -> torch.Tensor:
    return x if limit is None else x.clamp(-limit, limit)


def filter_2d() -> torch.Tensor:
    """[1, 3, 3, 1] in both directions, (4, 4), with sum 1."""
    taps = (1, 3, 3, 1)
    return torch.tensor([[a * b / 64 for b in taps] for a in taps])


def smooth(x: torch.Tensor, kernel: torch.Tensor, padding: int, gain: float = 1.0) -> torch.Tensor:
    """Each channel of (n, c, h, w) filtered by itself, the border padded with zeros."""
    kernel = (kernel.flip(0, 1) * gain).to(x.dtype).expand(x.shape[1], 1, -1, -1)
    return F.conv2d(x, kernel, padding=padding, groups=x.shape[1])


def upsample(x: torch.Tensor, kernel: torch.Tensor | None = None) -> torch.Tensor:
    """Twice the size, with a filter (zeros between the pixels, then the sum), or else by linear interpolation."""
    if kernel is None:
        return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
    kernel = (kernel * 4).to(x.dtype).expand(x.shape[1], 1, -1, -1)  # 4 makes up for the zeros
    return F.conv_transpose2d(x, kernel, stride=2, padding=1, groups=x.shape[1])


class FullyConnected(nn.Module):
    """A linear layer whose weights are stored at unit variance and scaled when used (equalised learning rate)."""

    def __init__(self, inputs: int, outputs: int, act: bool = False, bias: float = 0.0, lr_multiplier: float = 1.0):
        super().__init__()
        self.weight = nn.Parameter(gaussian(outputs, inputs, std=1 / lr_multiplier))
        self.bias = nn.Parameter(torch.full((outputs,), bias / lr_multiplier))
        self.weight_gain, self.bias_gain = lr_multiplier / math.sqrt(inputs), lr_multiplier
        self.act = act  # leaky ReLU, or no activation

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        gain = GAIN if self.act else 1.0
        x = F.linear(x * (self.weight_gain * gain), self.weight, self.bias * (self.bias_gain * gain))
        return F.leaky_relu_(x, SLOPE) if self.act else x


# -------------------------------------------------------------------------------------------------------- the generator


class Mapping(nn.Module):
    """z -> w: numbers drawn from a Gaussian become a code whose directions the synthesis network finds useful."""

    def __init__(self, z_dim: int, w_dim: int, num_layers: int):
        super().__init__()
        for index in range(num_layers):
            layer = FullyConnected(w_dim if index else z_dim, w_dim, act=True, lr_multiplier=LR_MULTIPLIER)
            setattr(self, f"fc{index}", layer)
        self.register_buffer("w_avg", torch.zeros(w_dim))

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        x = z * (z.square().mean(dim=1, keepdim=True) + 1e-8).rsqrt()  # (n, z_dim), length √z_dim
        for layer in self.children():
            x = layer(x)
        return x  # (n, w_dim)


class SynthesisLayer(nn.Module):
    """Modulated 3×3 convolution (one that doubles the size, or not), noise, bias, activation.

    Modulated: convolved with weights that the style has scaled (section 2.2 of the paper). Those weights are not built.
    Scaling their inputs is scaling x; dividing their outputs by their length is scaling the result. So one convolution
    serves the whole batch: the same function as a grouped convolution, far faster on a CPU.
    """

    def __init__(
        self, channels_in: int, channels_out: int, w_dim: int, resolution: int, up: bool, resample: str, clamp: Clamp
    ):
        super().__init__()
        self.affine = FullyConnected(w_dim, channels_in, bias=1.0)
        self.weight = nn.Parameter(gaussian(channels_out, channels_in, 3, 3))
        self.bias = nn.Parameter(torch.zeros(channels_out))
        self.noise_strength = nn.Parameter(torch.zeros(()))
        self.register_buffer("resample_filter", filter_2d() if resample == "fir" else None)
        self.register_buffer("noise_const", gaussian(resolution, resolution))
        self.up, self.clamp = up, clamp

    def forward(self, x: torch.Tensor, w: torch.Tensor, noise: str | None) -> torch.Tensor:
        style = self.affine(w).float()  # (n, w_dim) -> (n, channels_in)
        x, weight = x * style[:, :, None, None].to(x.dtype), self.weight.to(x.dtype)
        if self.up and self.resample_filter is not None:  # side r -> 2r + 1 -> 2r
            x = F.conv_transpose2d(x, weight.transpose(0, 1), stride=2)
            x = smooth(x, self.resample_filter, padding=1, gain=4.0)
        else:
            x = F.conv2d(x, weight, padding=1)
        length = style.square() @ self.weight.float().square().sum(dim=(2, 3)).T  # (n, channels_out)
        x = x * ((length + 1e-8).rsqrt() * GAIN)[:, :, None, None].to(x.dtype)
        if self.up and self.resample_filter is None:
            x = upsample(x)  # last: before it a convolution costs four times as much
        if noise is not None:
            x = x + (self.noise_const * (self.noise_strength * GAIN)).to(x.dtype)
        x = x + (self.bias[:, None, None] * GAIN).to(x.dtype)
        return clip(F.leaky_relu_(x, SLOPE), self.clamp)


class ToRGB(nn.Module):
    """Modulated 1×1 convolution to three colours; not divided by any length, so the style decides how much it adds."""

    def __init__(self, channels: int, w_dim: int, clamp: Clamp):
        super().__init__()
        self.affine = FullyConnected(w_dim, channels, bias=1.0)
        self.weight = nn.Parameter(gaussian(3, channels, 1, 1))
        self.bias = nn.Parameter(torch.zeros(3))
        self.weight_gain, self.clamp = 1 / math.sqrt(channels), clamp

    def forward(self, x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        style = (self.affine(w) * self.weight_gain)[:, :, None, None]
        rgb = F.conv2d(x * style.to(x.dtype), self.weight.to(x.dtype))
        return clip(rgb.float() + self.bias[:, None, None], self.clamp)


class SynthesisBlock(nn.Module):
    """One resolution: two convolutions (the first block: a constant and one), and a share of the RGB picture."""

    def __init__(self, channels_in: int, channels_out: int, w_dim: int, resolution: int, resample: str, clamp: Clamp):
        super().__init__()
        self.register_buffer("resample_filter", filter_2d() if resample == "fir" else None)
        self.first = resolution == 4
        self.num_conv = 1 if self.first else 2
        if self.first:
            self.const = nn.Parameter(gaussian(channels_out, resolution, resolution))
        else:
            self.conv0 = SynthesisLayer(channels_in, channels_out, w_dim, resolution, True, resample, clamp)
        self.conv1 = SynthesisLayer(channels_out, channels_out, w_dim, resolution, False, resample, clamp)
        self.torgb = ToRGB(channels_out, w_dim, clamp)

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

    def __init__(self, w_dim: int, channels: dict[int, int], resample: str, clamp: Clamp, num_ws: int | None = None):
        super().__init__()
        self.resolutions, self.w_dim = list(channels), w_dim  # 4, 8, … resolution
        for r, count in channels.items():
            setattr(self, f"b{r}", SynthesisBlock(channels.get(r // 2, 0), count, w_dim, r, resample, clamp))
        self.num_ws = min(2 * len(channels), num_ws or math.inf)

    def forward(self, w: torch.Tensor, noise: str | None = None, resolution: int | None = None) -> torch.Tensor:
        """Pictures (n, 3, resolution, resolution), about [-1, 1].

        w: (n, w_dim), the same for all layers, or w_plus (n, num_ws, w_dim).
        noise: "fixed" adds the stored maps; None leaves them out.
        resolution: stop at a smaller picture; the RGB skips make each block's sum one.
        """
        ws = w[:, None].expand(-1, self.num_ws, -1) if w.ndim == 2 else w
        check_batch("w", ws, (self.num_ws, self.w_dim))
        if noise not in ("fixed", None):
            raise ValueError(f'noise must be "fixed" or None, got {noise!r}')
        return self.draw_blocks(ws, [r for r in self.resolutions if r <= (resolution or r)], noise=noise)[1]

    def draw_blocks(self, w_plus: torch.Tensor, resolutions: list[int], x=None, rgb=None, noise: str | None = None):
        """(features, picture) after some of the blocks; x, rgb: those of the blocks before."""
        for r in resolutions:
            block = getattr(self, f"b{r}")
            first = min(max(0, 2 * int(math.log2(r)) - 5), self.num_ws - 1)  # of the layers whose w the block reads
            ws = w_plus[:, first : first + block.num_conv + 1]  # or the last one, which it shares
            x, rgb = block(x, rgb, ws.expand(-1, block.num_conv + 1, -1), noise)
        return x, rgb


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
        conv_clamp: Clamp = None,  # what leaves a convolution is cut off at ± this; NVIDIA: 256
        num_ws: int | None = None,  # most that a code has, an even number: finer blocks share the last; None: none do
    ):
        super().__init__()
        channels = channels_of(resolution, channels)
        self.settings = arguments(locals())
        self.resolution, self.z_dim, self.w_dim = resolution, z_dim, w_dim
        self.mapping = Mapping(z_dim, w_dim, mapping_layers)
        self.synthesis = Synthesis(w_dim, channels, resample, conv_clamp, num_ws)
        self.num_ws = self.synthesis.num_ws

    @property
    def w_avg(self) -> torch.Tensor:
        """(w_dim,), the mean of all w, which NVIDIA's networks keep in the mapping."""
        return self.mapping.w_avg

    def truncate(self, w: torch.Tensor, psi: float = 1.0) -> torch.Tensor:
        """Pull codes towards their mean: 1 leaves them, 0 gives the mean face. Works on w and on w_plus."""
        return w if psi == 1 else self.w_avg + (w - self.w_avg) * psi

    def forward(self, z: torch.Tensor, psi: float = 1.0, noise: str | None = None) -> torch.Tensor:
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


class Convolution(nn.Module):
    """Plain convolution with equalised learning rate.

    down: halve the size, and the variance, since a block adds its two ways. act: False in a skip, which has no bias.
    """

    def __init__(self, channels_in: int, channels_out: int, kernel: int, down: bool = False, act: bool = True):
        super().__init__()
        self.weight = nn.Parameter(gaussian(channels_out, channels_in, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(channels_out)) if act else None
        self.gain = (math.sqrt(0.5) if down else 1.0) * (GAIN if act else 1.0)
        self.weight_gain, self.padding = 1 / math.sqrt(channels_in * kernel**2), kernel // 2
        self.down, self.act = down, act

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.avg_pool2d(x, 2) if self.down else x
        weight = (self.weight * (self.weight_gain * self.gain)).to(x.dtype)
        bias = (self.bias * self.gain).to(x.dtype) if self.act else None
        x = F.conv2d(x, weight, bias, padding=self.padding)
        return F.leaky_relu_(x, SLOPE) if self.act else x


class DiscriminatorBlock(nn.Module):
    """Residual block that halves the size. The finest one also has what reads colours, ``fromrgb``."""

    def __init__(self, channels_in: int, channels_out: int, reads_rgb: bool):
        super().__init__()
        if reads_rgb:
            self.fromrgb = Convolution(3, channels_in, 1)
        self.conv0 = Convolution(channels_in, channels_in, 3)
        self.conv1 = Convolution(channels_in, channels_out, 3, down=True)
        self.skip = Convolution(channels_in, channels_out, 1, down=True, act=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.skip(x) + self.conv1(self.conv0(x))


class Trunk(nn.Module):
    """A discriminator's blocks: all but what it makes of the features at 4 × 4."""

    def __init__(self, resolution: int, channels: dict[int, int]):
        super().__init__()
        self.resolution, self.resolutions = resolution, list(channels)[:0:-1]  # resolution, … 8
        for r in self.resolutions:
            setattr(self, f"b{r}", DiscriminatorBlock(channels[r], channels[r // 2], reads_rgb=r == resolution))

    def features(self, image: torch.Tensor) -> list[torch.Tensor]:
        """What each block sees, from fine to coarse: (n, channels, r, r) for r = resolution / 2, … 4.

        image: (n, 3, resolution, resolution) in [-1, 1]; a larger one is averaged down to that.
        """
        image = shrunk(image, self.resolution).contiguous(memory_format=torch.channels_last)
        x = getattr(self, f"b{self.resolution}").fromrgb(image)
        return [x := getattr(self, f"b{r}")(x) for r in self.resolutions]


def minibatch_deviation(x: torch.Tensor) -> torch.Tensor:
    """Append one channel: how much the pictures of a group differ. It lets the discriminator see a lack of variety.

    A group is four pictures, or as many as divide the batch: of 8 pictures the first, third, fifth and seventh are one.
    """
    n, _, h, w = x.shape
    group = next(size for size in (4, 3, 2, 1) if n % size == 0)
    grouped = x.float().reshape(group, n // group, -1)
    deviation = grouped.var(dim=0, unbiased=False).add(1e-8).sqrt().mean(dim=-1)  # (groups,)
    channel = deviation.repeat(group)[:, None, None, None].expand(-1, 1, h, w)
    return torch.cat([x, channel.to(x.dtype)], dim=1)


class Epilogue(nn.Module):
    """The discriminator's last layers: (n, channels, 4, 4) -> (n,)."""

    def __init__(self, channels: int):
        super().__init__()
        self.conv = Convolution(channels + 1, channels, 3)
        self.fc = FullyConnected(channels * 16, channels, act=True)
        self.out = FullyConnected(channels, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.conv(minibatch_deviation(x))
        return self.out(self.fc(x.flatten(1))).float()[:, 0]


class Discriminator(Trunk):
    """Picture -> one number: high for a photo, low for a generated picture."""

    def __init__(
        self,
        resolution: int = 64,  # side of the picture, a power of two
        channels: dict[int, int] | None = None,  # feature channels at each resolution; CHANNELS when left out
    ):
        channels = channels_of(resolution, channels)
        super().__init__(resolution, channels)
        self.settings = arguments(locals())
        self.b4 = Epilogue(channels[4])

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """(n, 3, resolution, resolution) in [-1, 1] -> (n,)."""
        return self.b4(self.features(image)[-1])


# --------------------------------------------------------------------------------------------- what both networks ask


def arguments(names: dict) -> dict:
    """Of a constructor's ``locals()`` those that it was given: what is saved beside the weights, to build it again."""
    return {name: value for name, value in names.items() if name not in ("self", "__class__")}


def channels_of(resolution: int, channels: dict[int, int] | None) -> dict[int, int]:
    """Channels at 4, 8, … resolution, in this order, of a table that may hold more; JSON makes texts of resolutions."""
    known = {int(r): count for r, count in (CHANNELS if channels is None else channels).items()}
    sizes = [2**i for i in range(2, resolution.bit_length())]
    if sizes[-1:] != [resolution] or not known.keys() >= set(sizes):
        raise ValueError(f"resolution must be a power of two whose channels are known, got {resolution} of {[*known]}")
    return {size: known[size] for size in sizes}
