"""StyleGAN2's published equations evaluated in float64 with explicit sums, and none of the code that is under test.

    python tests/reference_stylegan2.py     write tests/stylegan2_reference.npz (64 and 256 pixels)

Written from Karras et al. 2020 (sections 2 and 4, appendix B): weights are modulated and demodulated picture by
picture, doubling puts zeros between the pixels and then sums, and the filter [1, 3, 3, 1] is a sum of sixteen shifted
pictures. Weights are random, but the same everywhere: NumPy draws them.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

STORED = Path(__file__).with_name("stylegan2_reference.npz")
WIDTHS = {  # of the networks that are compared: resolution -> channels
    64: {4: 32, 8: 32, 16: 24, 32: 16, 64: 8},
    256: {4: 48, 8: 48, 16: 48, 32: 32, 64: 24, 128: 16, 256: 8},
}
Z_DIM = {64: 24, 256: 32}  # and w_dim
LAYERS = {64: 2, 256: 3}  # of the mapping
CLAMP = {64: 2.0, 256: 256.0}  # at 64 low enough that it cuts
EVERY = {64: 4, 256: 16}  # every so many pixels of a picture are stored


def random_weights(resolution: int) -> dict[str, np.ndarray]:
    """A state_dict of NVIDIA's generator in float32, drawn by NumPy with a fixed seed; biases and noise too."""
    dice = np.random.default_rng(resolution)
    size, channels = Z_DIM[resolution], WIDTHS[resolution]
    taps = np.outer([1, 3, 3, 1], [1, 3, 3, 1]) / 64
    weights = {"mapping.w_avg": 0.3 * dice.standard_normal(size)}
    for k in range(LAYERS[resolution]):
        weights[f"mapping.fc{k}.weight"] = 100 * dice.standard_normal((size, size))
        weights[f"mapping.fc{k}.bias"] = 10 * dice.standard_normal(size)

    def part(name: str, before: int, after: int, kernel: int, bias: int) -> None:
        weights[f"{name}.affine.weight"] = dice.standard_normal((before, size))
        weights[f"{name}.affine.bias"] = 1 + 0.1 * dice.standard_normal(before)
        weights[f"{name}.weight"] = dice.standard_normal((after, before, kernel, kernel))
        weights[f"{name}.bias"] = 0.2 * dice.standard_normal(bias)

    before = None
    for r, count in channels.items():
        block = f"synthesis.b{r}"
        weights[f"{block}.resample_filter"] = taps
        if before is None:
            weights[f"{block}.const"] = dice.standard_normal((count, r, r))
        for layer in ("conv1",) if before is None else ("conv0", "conv1"):
            part(f"{block}.{layer}", before if layer == "conv0" else count, count, 3, count)
            weights[f"{block}.{layer}.noise_const"] = dice.standard_normal((r, r))
            weights[f"{block}.{layer}.noise_strength"] = np.asarray(0.3 * dice.standard_normal())
            weights[f"{block}.{layer}.resample_filter"] = taps
        part(f"{block}.torgb", count, 3, 1, 3)
        weights[f"{block}.torgb.weight"] *= 0.3
        before = count
    return {name: np.asarray(value, np.float32) for name, value in weights.items()}


def random_codes(resolution: int) -> tuple[np.ndarray, np.ndarray]:
    """z (2, z_dim) and a w_plus (1, num_ws, w_dim) with another code in each layer."""
    dice = np.random.default_rng(resolution + 1)
    layers = 2 * len(WIDTHS[resolution])
    z = dice.standard_normal((2, Z_DIM[resolution]))
    return z.astype(np.float32), dice.standard_normal((1, layers, Z_DIM[resolution])).astype(np.float32)


# --- the equations


def leaky(x: np.ndarray, clamp: float) -> np.ndarray:
    return np.clip(np.where(x < 0, 0.2 * x, x) * np.sqrt(2), -clamp, clamp)


def mapping(weights: dict, z: np.ndarray) -> np.ndarray:
    """z of length √z_dim, then layers whose learning rate is a hundredth: (z_dim,) -> (w_dim,)."""
    x = z.astype(np.float64) / np.sqrt((z.astype(np.float64) ** 2).mean() + 1e-8)
    layer = 0
    while f"mapping.fc{layer}.weight" in weights:
        weight, bias = (weights[f"mapping.fc{layer}.{kind}"].astype(np.float64) for kind in ("weight", "bias"))
        x = leaky(weight @ x * 0.01 / np.sqrt(len(x)) + 0.01 * bias, np.inf)
        layer += 1
    return x


def shifted(x: np.ndarray, down: int, right: int) -> np.ndarray:
    """The value at (y + down, x + right), zero outside."""
    _, h, w = x.shape
    moved = np.zeros_like(x)
    ys, xs = slice(max(0, -down), min(h, h - down)), slice(max(0, -right), min(w, w - right))
    moved[:, ys, xs] = x[:, ys.start + down : ys.stop + down, xs.start + right : xs.stop + right]
    return moved


def convolved(x: np.ndarray, kernel: np.ndarray, flip: bool) -> np.ndarray:
    """(i, h, w) and (o, i, k, k) -> (o, h, w): the sum over all inputs and places; ``flip`` turns the kernel round."""
    reach = kernel.shape[-1] // 2
    total = 0.0
    for a in range(-reach, reach + 1):
        for b in range(-reach, reach + 1):
            weight = kernel[:, :, reach - a, reach - b] if flip else kernel[:, :, reach + a, reach + b]
            total = total + np.tensordot(weight, shifted(x, a, b), 1)
    return total


def spread(x: np.ndarray) -> np.ndarray:
    """Zeros between the pixels: (c, h, w) -> (c, 2h, 2w), the pixels at even places."""
    large = np.zeros((x.shape[0], 2 * x.shape[1], 2 * x.shape[2]))
    large[:, ::2, ::2] = x
    return large


def doubled(x: np.ndarray) -> np.ndarray:
    """A picture at twice the size: zeros between, then [1, 3, 3, 1] with a gain of 4 in all."""
    large, total = spread(x), 0.0
    for a, up in zip((-2, -1, 0, 1), (1, 3, 3, 1), strict=True):
        for b, along in zip((-2, -1, 0, 1), (1, 3, 3, 1), strict=True):
            total = total + up * along / 16 * shifted(large, a, b)
    return total


def layer(weights: dict, name: str, x: np.ndarray, w: np.ndarray, up: bool, noise: bool, clamp: float) -> np.ndarray:
    """Modulate, demodulate, (double,) convolve, add noise and bias, bend, cut off."""
    get = {kind: weights[f"{name}.{kind}"].astype(np.float64) for kind in ("weight", "bias", "affine.weight")}
    style = get["affine.weight"] @ w / np.sqrt(len(w)) + weights[f"{name}.affine.bias"]
    kernel = get["weight"] * style[None, :, None, None]
    kernel /= np.sqrt((kernel**2).sum(axis=(1, 2, 3), keepdims=True) + 1e-8)
    if up:
        # A pixel puts the whole kernel down from its own place on, so the result is a row and a column longer.
        large = np.pad(spread(x), ((0, 0), (2, 3), (2, 3)))
        x = smoothed(convolved(large, kernel, flip=True)[:, 1:, 1:], x.shape[1])
    else:
        x = convolved(x, kernel, flip=False)
    if noise:
        x = x + weights[f"{name}.noise_const"].astype(np.float64) * float(weights[f"{name}.noise_strength"])
    return leaky(x + get["bias"][:, None, None], clamp)


def smoothed(x: np.ndarray, side: int) -> np.ndarray:
    """[1, 3, 3, 1] with a gain of 4; of the doubling convolution's result the first (c, 2r, 2r)."""
    total = 0.0
    for a, up in zip((-1, 0, 1, 2), (1, 3, 3, 1), strict=True):
        for b, along in zip((-1, 0, 1, 2), (1, 3, 3, 1), strict=True):
            total = total + up * along / 16 * shifted(x, a, b)
    return total[:, : 2 * side, : 2 * side]


def synthesis(weights: dict, w_plus: np.ndarray, noise: bool, clamp: float) -> np.ndarray:
    """w_plus (num_ws, w_dim) -> picture (3, r, r)."""
    resolutions = [2**i for i in range(2, 2 + len(w_plus) // 2)]
    x = weights["synthesis.b4.const"].astype(np.float64)
    picture, place = None, 0
    for r in resolutions:
        block = f"synthesis.b{r}"
        if r > 4:
            x = layer(weights, f"{block}.conv0", x, w_plus[place], True, noise, clamp)
            place += 1
        x = layer(weights, f"{block}.conv1", x, w_plus[place], False, noise, clamp)
        place += 1
        w = w_plus[place]  # the next block's first convolution has it too
        weight, affine = (weights[f"{block}.torgb.{kind}"].astype(np.float64) for kind in ("weight", "affine.weight"))
        style = (affine @ w / np.sqrt(len(w)) + weights[f"{block}.torgb.affine.bias"]) / np.sqrt(len(x))
        part = np.tensordot(weight[:, :, 0, 0] * style, x, 1) + weights[f"{block}.torgb.bias"][:, None, None]
        part = np.clip(part, -clamp, clamp)
        picture = part if picture is None else doubled(picture) + part
    return picture


# --- what is stored


def settings(resolution: int) -> dict[str, tuple[np.ndarray, bool]]:
    """name -> (w_plus (num_ws, w_dim), noise), all that is compared at a resolution."""
    weights, (z, other) = random_weights(resolution), random_codes(resolution)
    layers = other.shape[1]
    first, second = (mapping(weights, one) for one in z)
    mean = weights["mapping.w_avg"].astype(np.float64)
    half = mean + 0.5 * (first - mean)
    mixed = np.stack([first] * (layers // 2) + [second] * (layers - layers // 2))
    one = {"w": first, "truncation 0.5": half}
    found = {f"{name}, noise {kind}": (np.stack([w] * layers), kind == "fixed")
             for name, w in one.items() for kind in ("off", "fixed")}  # fmt: skip
    return found | {"w_plus": (other[0].astype(np.float64), False), "style mixing": (mixed, True)}


def thinned(picture: np.ndarray, resolution: int) -> np.ndarray:
    """Some pixels of a picture, among them those of the border and odd and even places: (3, k, k)."""
    places = sorted(
        {*range(0, resolution, EVERY[resolution]), *range(3, resolution, EVERY[resolution]), resolution - 1}
    )
    return picture[:, places][:, :, places]


def write() -> None:
    stored = {}
    for resolution in (64, 256):
        weights = random_weights(resolution)
        for name, (w_plus, noise) in settings(resolution).items():
            picture = synthesis(weights, w_plus, noise, CLAMP[resolution])
            stored[f"{resolution} {name}"] = thinned(picture, resolution).astype(np.float32)
    np.savez_compressed(STORED, **stored)
    print(f"{STORED.name}: {len(stored)} pictures, {STORED.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    write()
