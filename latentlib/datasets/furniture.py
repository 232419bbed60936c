"""Furniture: chairs and tables, ray-cast in torch from known factors, so that claims about codes can be tested.

A piece of furniture is a handful of boxes. A pinhole camera sends four rays through each pixel; each ray is cut with
each box (slab method: Kay and Kajiya, "Ray tracing complex scenes", SIGGRAPH 1986, section 3), the nearest face is lit
by a key light with soft shadows, a fill light and the sky, and the rest of the picture is a pale floor.

The same factors give the same pixels on every machine: what decides a pixel is computed with +, -, *, / and
comparisons in float32 only, one operation at a time (IEEE 754 fixes how each of these rounds), sines and cosines come
rounded from float64, and pixels are rounded to 8 bits.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

FACTORS = ("kind", "width", "depth", "height", "leg", "back", "arms", "turn", "tilt", "red", "green", "blue")

# From lowest to highest, in metres, degrees and parts of full intensity; kind and arms are 0 or 1.
_CHAIR = {"width": (0.42, 0.62), "depth": (0.40, 0.56), "height": (0.36, 0.50), "back": (0.28, 0.50), "arms": (0, 1)}
_TABLE = {"width": (0.60, 0.92), "depth": (0.44, 0.64), "height": (0.44, 0.76), "back": (0.0, 0.0), "arms": (0, 0)}
_BOTH = {"leg": (0.032, 0.075), "turn": (-60.0, 60.0), "tilt": (12.0, 30.0)}
_COLOUR = {"red": (0.08, 0.95), "green": (0.08, 0.95), "blue": (0.08, 0.95)}
KIND_RANGES = ({"kind": (0, 0), **_CHAIR, **_BOTH, **_COLOUR}, {"kind": (1, 1), **_TABLE, **_BOTH, **_COLOUR})
RANGES = {
    name: (min(kind[name][0] for kind in KIND_RANGES), max(kind[name][1] for kind in KIND_RANGES)) for name in FACTORS
}

PAINTS = {
    "red": (0.76, 0.22, 0.20),
    "orange": (0.88, 0.48, 0.18),
    "yellow": (0.89, 0.72, 0.24),
    "green": (0.33, 0.58, 0.32),
    "teal": (0.16, 0.54, 0.54),
    "blue": (0.20, 0.40, 0.72),
    "navy": (0.17, 0.22, 0.40),
    "purple": (0.50, 0.30, 0.60),
    "pink": (0.86, 0.50, 0.58),
    "grey": (0.45, 0.47, 0.50),
    "brown": (0.48, 0.31, 0.20),
    "sky blue": (0.48, 0.70, 0.84),
}

_WOOD = (0.74, 0.53, 0.34)
_TILE = 4  # pixels; a box is tested only in the tiles that its outline touches
# Four rays through each pixel, on a turned grid: no two on one height or in one column.
_SAMPLES = ((-0.125, -0.375), (0.375, -0.125), (0.125, 0.375), (-0.375, 0.125))
_DISTANCE, _AIM, _HALF_VIEW = 4.0, 0.44, 0.168  # camera to aim in metres, height of the aim, tangent of half the angle
_KEY = (-0.42, 1.0, 0.42)  # towards the key light: right, up and to the viewer
_NEAR, _BACK, _TINT = (0.955, 0.945, 0.93), (0.86, 0.885, 0.91), (1.0, 0.97, 0.92)  # floor, distance, shadow
_SHADE, _REACH = 0.24, 0.18  # depth of the shadow; how far the dark under a seat reaches beyond it, in metres
_FAR = 1e6


class Furniture(NamedTuple):
    """Rendered furniture: images (n, 3, size, size) float32 in [0, 1] and the factors (n, 12) they were made from."""

    images: Tensor
    factors: Tensor


def column(name: str) -> int:
    """The column of a factor in a table of factors; raises ValueError with the known names otherwise."""
    if name not in FACTORS:
        raise ValueError(f'unknown factor "{name}"; the factors are {", ".join(FACTORS)}')
    return FACTORS.index(name)


def sample_factors(n: int, seed: int = 0, kind: int | None = None, device: torch.device | str = "cpu") -> Tensor:
    """Factors of n random pieces of furniture, (n, 12) float32, columns as in FACTORS.

    Each factor is spread evenly over its range in KIND_RANGES: kind 0 chair or 1 table (half each, or only the one
    asked for); width, depth, height (of the seat or the table top), leg (thickness) and back (height above the seat)
    in metres; arms 0 or 1; turn in degrees, 0 faces the viewer; tilt of the camera in degrees above the horizontal;
    red, green, blue in 0 to 1: one of twelve paints with a random shift. Tables have neither back nor arms: both are 0.
    The same n, seed and kind give the same factors.
    """
    if kind not in (None, 0, 1):
        raise ValueError(f"kind must be 0 (chair), 1 (table) or None (both), got {kind!r}")
    generator = torch.Generator().manual_seed(seed)
    random = torch.rand(n, len(FACTORS), generator=generator)
    paint = torch.randint(len(PAINTS), (n,), generator=generator)
    low, high = (torch.tensor([[k[name][i] for name in FACTORS] for k in KIND_RANGES]) for i in (0, 1))
    which = (random[:, 0] < 0.5).long() if kind is None else torch.full((n,), kind)
    factors = low[which] + (high - low)[which] * random
    factors[:, column("arms")] = ((which == 0) & (random[:, column("arms")] < 0.5)).float()
    shift = (random[:, column("red") :] - 0.5) * 0.3
    factors[:, column("red") :] = (torch.tensor(list(PAINTS.values()))[paint] + shift).clamp(*_COLOUR["red"])
    return factors.to(device)


def describe(factors: Tensor) -> str:
    """One row of factors as a short phrase: "red chair with armrests, 0.50 m wide, seat at 0.44 m"."""
    row = dict(zip(FACTORS, _checked(factors.reshape(1, -1))[0].tolist(), strict=True))
    colour = [row["red"], row["green"], row["blue"]]
    paint = min(PAINTS, key=lambda name: sum((a - b) ** 2 for a, b in zip(PAINTS[name], colour, strict=True)))
    if row["kind"] >= 0.5:
        return f"{paint} table, {row['width']:.2f} m wide, top at {row['height']:.2f} m"
    arms = " with armrests" if row["arms"] >= 0.5 else ""
    return f"{paint} chair{arms}, {row['width']:.2f} m wide, seat at {row['height']:.2f} m"


def load(
    n: int, seed: int = 0, size: int = 64, kind: int | None = None, device: torch.device | str = "cpu"
) -> Furniture:
    """n random pieces of furniture: the arguments are those of `sample_factors` and `render`."""
    factors = sample_factors(n, seed, kind, device)
    return Furniture(render(factors, size), factors)


@torch.no_grad()
def render(factors: Tensor, size: int = 64) -> Tensor:
    """Pictures of furniture: factors (n, 12), see `sample_factors` -> (n, 3, size, size) float32 in [0, 1].

    size: side of the picture in pixels, a multiple of 8. Pixels are whole multiples of 1/255, and a picture does not
    depend on the others in its batch. Factors beyond their ranges are drawn as far as the view allows.
    Raises ValueError when the factors have another shape or are not finite, or the size does not fit.
    """
    factors = _checked(factors)
    if size < _TILE or size % _TILE:
        raise ValueError(f"size must be a positive multiple of {_TILE} pixels, got {size}")
    images = torch.empty(len(factors), 3, size, size, device=factors.device)
    # As many pictures at once as the processor's cache likes; a GPU wants more.
    chunk = max(1, (32 if factors.device.type == "cpu" else 1024) * 64 * 64 // (size * size))
    if factors.device.type == "cpu":
        # Linux's allocator keeps freed blocks up to twice the largest block freed so far, so this (untouched) block
        # saves handing memory back and forth with the system: a third of the time.
        torch.empty(30 << 20, dtype=torch.uint8)
    for start in range(0, len(factors), chunk):
        images[start : start + chunk] = _picture(factors[start : start + chunk], size)
    return images


def _checked(factors: Tensor) -> Tensor:
    if factors.ndim != 2 or factors.shape[1] != len(FACTORS):
        raise ValueError(
            f"factors must be (n, {len(FACTORS)}), got {tuple(factors.shape)}; make them with sample_factors, or add a "
            "batch axis with factors[None]"
        )
    if not bool(torch.isfinite(factors).all()):
        raise ValueError("factors must be finite numbers, got nan or infinity")
    return factors.float()


# --- the furniture: boxes ---------------------------------------------------------------------------------------------

_SEAT, _PANEL, _ARMS = 0, 6, (7, 8)
_PAINTED = (True, False, False, False, False, False, True, True, True, False, False)  # else bare wood


def _boxes(factors: Tensor) -> Tensor:
    """The eleven boxes of each piece, (n, 11, 2, 3): lowest and highest x (right), y (up), z (front) in metres.

    0 seat or table top, 1 its frame, 2 to 5 legs, 6 panel of the back, 7 and 8 armrests, 9 and 10 their posts.
    A part that a piece does not have lies inside out, so that no ray meets it.
    """
    f = dict(zip(FACTORS, factors.unbind(1), strict=True))
    table, arms = f["kind"] >= 0.5, (f["arms"] >= 0.5) & (f["kind"] < 0.5)
    x, z, y, leg = f["width"] * 0.5, f["depth"] * 0.5, f["height"], f["leg"]
    under = y - torch.where(table, 0.04, 0.06)  # below the cushion, or the board
    inner = torch.where(table, 0.03, 0.0)  # a table's legs stand in a little
    frame = under - torch.where(table, 0.07, 0.035)
    xo, zo = x - inner, z - inner
    top = y + f["back"]
    rear = torch.where(table, under, top - 0.02)
    open_back = y + f["back"] * 0.34
    arm = y + 0.2
    zero = torch.zeros_like(x)
    # Surfaces of two parts never lie in one plane where both show: some parts stand 4 to 12 mm in or out.
    parts = [
        (-x, under, -z, x, y, z),
        (-xo + 0.008, frame, -zo + 0.008, xo - 0.008, under, zo - 0.008),
        (-xo, zero, zo - leg, leg - xo, under, zo),
        (xo - leg, zero, zo - leg, xo, under, zo),
        (-xo, zero, -zo, leg - xo, rear, leg - zo),
        (xo - leg, zero, -zo, xo, rear, leg - zo),
        (0.004 - x, open_back, 0.004 - z, x - 0.004, top, leg - z - 0.004),
        (-x - 0.012, arm - 0.035, leg - z, -x + 0.055, arm, z),
        (x - 0.055, arm - 0.035, leg - z, x + 0.012, arm, z),
        (-x, under, z - leg - 0.02, leg - x, arm - 0.035, z - 0.02),
        (x - leg, under, z - leg - 0.02, x, arm - 0.035, z - 0.02),
    ]
    boxes = torch.stack([torch.stack(part, dim=1) for part in parts], dim=1).unflatten(2, (2, 3))
    there = torch.stack([table | ~table] * 6 + [~table] + [arms] * 4, dim=1)
    nowhere = torch.tensor([[_FAR] * 3, [-_FAR] * 3], device=factors.device)
    return torch.where(there[:, :, None, None], boxes, nowhere)


# --- the picture ------------------------------------------------------------------------------------------------------


class _View(NamedTuple):
    """Camera and light of each picture in the furniture's own axes, all (n, 3)."""

    eye: Tensor
    forward: Tensor
    right: Tensor
    up: Tensor
    light: Tensor


def _view(factors: Tensor) -> _View:
    angle = torch.deg2rad(factors[:, [column("turn"), column("tilt")]].cpu().double())
    (st, ct), (sv, cv) = ((angle[:, i].sin(), angle[:, i].cos()) for i in (0, 1))
    zero = torch.zeros_like(st)
    forward = torch.stack([st * cv, -sv, -ct * cv], 1)
    right = torch.stack([ct, zero, st], 1)
    up = torch.stack([st * sv, cv, -ct * sv], 1)
    eye = torch.tensor([0.0, _AIM, 0.0]) - _DISTANCE * forward
    key = torch.tensor(_KEY, dtype=torch.float64)
    key = key / key.norm()
    light = right * key[0] + torch.stack([zero, key[1] + zero, zero], 1) + torch.stack([-st, zero, ct], 1) * key[2]
    light = torch.where(light.abs() < 1e-4, 1e-4, light)
    return _View(*(v.float().to(factors.device) for v in (eye, forward, right, up, light)))


def _screen(size: int, samples, device) -> tuple[Tensor, Tensor]:
    """Where rays cross the screen, right and up: two (tiles, samples * pixels of a tile)."""
    pixel = torch.arange(size, device=device).reshape(-1, _TILE)
    tiles = len(pixel)
    rows = pixel[:, None, None, :, None].expand(tiles, tiles, len(samples), _TILE, _TILE)
    columns = pixel[None, :, None, None, :].expand(tiles, tiles, len(samples), _TILE, _TILE)
    dx, dy = torch.tensor(samples, device=device).T[:, None, None, :, None, None]
    step = 2 * _HALF_VIEW / size
    u = (columns + (0.5 + dx)) * step - _HALF_VIEW
    v = _HALF_VIEW - (rows + (0.5 + dy)) * step
    return u.flatten(2).flatten(0, 1), v.flatten(2).flatten(0, 1)


def _corners(boxes: Tensor) -> Tensor:
    """(n, b, 2, 3) -> the eight corners (n, b, 8, 3)."""
    low, high = boxes.unbind(2)
    pick = torch.tensor([[i >> k & 1 for k in range(3)] for i in range(8)], device=boxes.device, dtype=torch.bool)
    return torch.where(pick, high[:, :, None], low[:, :, None])


def _touched(points: Tensor, view: _View, size: int) -> Tensor:
    """The tiles that the outline of points (n, b, p, 3) touches: (n, b, tiles) bool; a little generous."""
    ray = points - view.eye[:, None, None]
    ahead = (ray * view.forward[:, None, None]).sum(3)
    ahead = ahead.clamp(min=1e-3)
    u = (ray * view.right[:, None, None]).sum(3) / ahead
    v = (ray * view.up[:, None, None]).sum(3) / ahead
    count = size // _TILE
    edge = (torch.arange(count + 1, device=points.device) * (2 / count) - 1) * _HALF_VIEW
    slack = 1e-4
    across = (u.amin(2, True) - slack < edge[1:]) & (u.amax(2, True) + slack > edge[:-1])
    down = (-v.amax(2, True) - slack < edge[1:]) & (-v.amin(2, True) + slack > edge[:-1])
    return (down[:, :, :, None] & across[:, :, None, :]).flatten(2)


class _Shadows(NamedTuple):
    """Where rays to the light enter and leave each box, per axis, and the length inside that takes the whole light."""

    near: Tensor  # (n, b, 3)
    far: Tensor  # (n, b, 3)
    soft: Tensor  # (n, b)

    @classmethod
    def of(cls, boxes: Tensor, view: _View) -> _Shadows:
        sides = boxes / view.light[:, None, None]
        near, far = torch.minimum(*sides.unbind(2)), torch.maximum(*sides.unbind(2))
        thickness = (far - near).amin(2)
        # A box high above the floor has a softer shadow; but a thin one must not lose it.
        return cls(near, far, torch.minimum(thickness, boxes[:, :, 0, 1].clamp(0, 1) * 0.3 + 0.06).clamp(min=1e-3))

    def cast(self, picture: Tensor, box: Tensor | int, along: Tensor) -> Tensor:
        """How much of the key light a box takes from points, 0 to 1: (rows, pixels).

        A ray to the light is inside the box from the last of three entries to the first of three exits; the longer it
        is inside, the darker the point, so that shadows have soft edges. along: points divided by the light's
        direction (rows, 3, pixels).
        """
        enter = self.near[picture, box][:, :, None] - along
        leave = self.far[picture, box][:, :, None] - along
        enter = torch.maximum(torch.maximum(enter[:, 0], enter[:, 1]), enter[:, 2]).clamp_(min=0.004)
        leave = torch.minimum(torch.minimum(leave[:, 0], leave[:, 1]), leave[:, 2])
        return leave.sub_(enter).div_(self.soft[picture, box][:, None]).clamp_(0, 1)


def _picture(factors: Tensor, size: int) -> Tensor:
    boxes, view = _boxes(factors), _view(factors)
    n, device = len(factors), factors.device
    there = boxes[:, :, 0, 0] < boxes[:, :, 1, 0]  # (n, b)
    shadows = _Shadows.of(boxes, view)
    image = _floor(boxes, there, view, shadows, size)  # (n, tiles, 3, pixels)

    # Rays only for the tiles that furniture touches; in rows of samples * pixels of one tile.
    touched = _touched(_corners(boxes), view, size) & there[:, :, None]
    picture, tile = touched.any(1).nonzero().unbind(1)
    ray = _rays(view, picture, tile, size, _SAMPLES)  # (rows, 3, samples)
    depth, wood, side, top = _nearest(boxes, view, touched[picture, :, tile], picture, ray)

    point = ray.mul_(depth[:, None]).add_(view.eye[picture][:, :, None])
    below = (boxes[picture, _SEAT, 0, 1][:, None] - point[:, 1]).clamp_(min=0)
    sky = (below * 1.1).add_(0.60).clamp_(max=1.0).masked_fill_(below == 0, 1.0)  # darker just under the seat
    along = point.div_(view.light[picture][:, :, None])
    lit = torch.ones_like(depth)
    for b in (_SEAT, _PANEL, *_ARMS):
        row = there[picture, b].nonzero()[:, 0]
        lit[row] *= 1 - shadows.cast(picture[row], b, along[row])

    ambient, key = (_by_face(shade[picture][:, :, None], side, top) for shade in _lights(view))
    light = ambient.mul_(sky).add_(key.mul_(lit)).mul_(depth < _FAR)
    cover = _mean((depth < _FAR).float())
    behind = image[picture, tile]
    for c in range(3):
        colour = torch.where(wood, _WOOD[c], factors[picture, column("red") + c][:, None])
        behind[:, c] = behind[:, c] * (1 - cover) + _mean(colour.mul_(light))
    image[picture, tile] = behind
    count = size // _TILE
    image = image.reshape(n, count, count, 3, _TILE, _TILE).permute(0, 3, 1, 4, 2, 5).reshape(n, 3, size, size)
    return torch.round(image.clamp(0, 1) * 255) / torch.full((), 255.0, device=device)


def _rays(view: _View, picture: Tensor, tile: Tensor, size: int, samples) -> Tensor:
    """Directions of the rays through tiles of pictures: (rows, 3, samples * pixels of a tile)."""
    u, v = (table[tile][:, None] for table in _screen(size, samples, tile.device))
    ray = view.right[picture][:, :, None] * u
    return ray.add_(view.up[picture][:, :, None] * v).add_(view.forward[picture][:, :, None])


def _nearest(boxes, view, touched, picture, ray) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """What each ray meets first: its depth (_FAR for nothing) and three marks: bare wood, a side face, an upper face."""
    slope = 1 / ray
    depth = torch.full_like(ray[:, 0], _FAR)
    wood, side, top = torch.zeros(3, *depth.shape, dtype=torch.bool, device=ray.device)
    painted = torch.tensor(_PAINTED, device=ray.device)
    for row, b in _turns(touched):
        at = picture[row]
        one, two = ((boxes[at, b, i] - view.eye[at])[:, :, None] * slope[row] for i in (0, 1))
        x, y, z = torch.minimum(one, two).unbind(1)
        last = torch.maximum(one, two)
        first = torch.maximum(torch.maximum(x, y), z)
        last = torch.minimum(torch.minimum(last[:, 0], last[:, 1]), last[:, 2])
        before = depth[row]
        hit = (first < last) & (first < before)
        depth[row] = torch.where(hit, first, before)
        wood[row] = torch.where(hit, ~painted[b][:, None], wood[row])
        side[row] = torch.where(hit, x == first, side[row])
        top[row] = torch.where(hit, y == first, top[row])
    return depth, wood, side, top


def _turns(touched: Tensor):
    """Goes through the boxes that each row touches (rows, b): first one box of every row, then a second, and so on."""
    count = touched.sum(1)
    box = (~touched).int().argsort(dim=1, stable=True)
    for k in range(int(count.max()) if len(count) else 0):
        row = (count > k).nonzero()[:, 0]
        yield row, box[row, k]


def _mean(samples: Tensor) -> Tensor:
    """(rows, 4 * pixels) -> (rows, pixels), added in a fixed order."""
    one, two, three, four = samples.chunk(4, dim=1)
    return ((one + two) + (three + four)) * 0.25


def _by_face(shade: Tensor, side: Tensor, top: Tensor) -> Tensor:
    return torch.where(top, shade[:, 1], torch.where(side, shade[:, 0], shade[:, 2]))


def _lights(view: _View) -> tuple[Tensor, Tensor]:
    """Ambient light and key light on the faces that look along x, y and z to the viewer: two (n, 3)."""
    facing = torch.where(view.forward < 0, 1.0, -1.0)
    fill = (facing * view.right).clamp(min=0) * 0.10
    ambient = 0.46 + fill + torch.tensor([0.0, 0.10, 0.0], device=fill.device)
    return ambient, (facing * view.light).clamp(min=0) * 0.62


def _floor(boxes: Tensor, there: Tensor, view: _View, shadows: _Shadows, size: int) -> Tensor:
    """The empty studio with the furniture's shadow on its floor: (n, tiles, 3, pixels of a tile)."""
    n, device = len(boxes), boxes.device
    light = view.light[:, None, None]
    corners = _corners(boxes)
    touched = _touched(corners - light * (corners[..., 1:2] / light[..., 1:2]), view, size) & there[:, :, None]
    low, high = boxes[:, _SEAT, 0].clone(), boxes[:, _SEAT, 1].clone()
    low[:, 1] = high[:, 1] = 0
    around = torch.stack([low - _REACH, high + _REACH], 1)[:, None]
    picture, tile = (touched.any(1) | _touched(_corners(around), view, size)[:, 0]).nonzero().unbind(1)
    ray = _rays(view, picture, tile, size, ((0.0, 0.0),))
    distance = torch.where(ray[:, 1] < -1e-3, view.eye[picture, 1][:, None] / -ray[:, 1], _FAR)
    point = ray.mul_(distance[:, None]).add_(view.eye[picture][:, :, None])
    point[:, 1] = 0
    inside = torch.minimum(point - low[picture][:, :, None], high[picture][:, :, None] - point)
    inside = ((inside + _REACH) * (0.5 / _REACH)).clamp_(0, 1)
    inside = inside * inside * (3 - 2 * inside)
    along = point.div_(view.light[picture][:, :, None])
    lit = torch.ones_like(distance)
    for row, b in _turns(touched[picture, :, tile]):
        lit[row] = torch.minimum(lit[row], 1 - shadows.cast(picture[row], b, along[row]))
    shade = torch.zeros(n, (size // _TILE) ** 2, _TILE * _TILE, device=device)
    shade[picture, tile] = 1 - (lit * _SHADE + (1 - _SHADE)) * (1 - inside[:, 0] * inside[:, 2] * 0.22)
    height = (_screen(size, ((0.0, 0.0),), device)[1] + _HALF_VIEW) * (0.5 / _HALF_VIEW)  # 0 below, 1 above
    near, far, tint = (torch.tensor(colour, device=device)[:, None] for colour in (_NEAR, _BACK, _TINT))
    return (near + (far - near) * height[:, None]) * (1 - shade[:, :, None] * tint)
