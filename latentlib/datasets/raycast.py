"""Draws boxes on a studio floor: rays against boxes, soft shadows, four rays a pixel, many pictures at once.

Each ray is cut with each box (the slab method: Kay and Kajiya, "Ray tracing complex scenes", SIGGRAPH 1986, section 3),
and the nearest face is lit by a key light that casts soft shadows, a fill light and the sky. To be fast without a
compiler, a box is tested only in those tiles of the picture (4×4 pixels) that its outline touches.

The same input gives the same pixels on every machine: all that decides a pixel is computed in float32 with +, -, *, /
and comparisons, one operation at a time (IEEE 754 fixes how each of these rounds), never with a matrix product or a
sum over a dimension; sines and cosines come rounded from float64; and pixels are rounded to 8 bits.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

TILE = 4
# Four rays through each pixel, on a turned grid: no two on one height or in one column.
SAMPLES = ((-0.125, -0.375), (0.375, -0.125), (0.125, 0.375), (-0.375, 0.125))
DIRECTIONS = ((1, 0), (0, 1), (1, 2), (1, -2))  # right, up: across which outlines are tried, see touches
DISTANCE, AIM, HALF_VIEW = 4.0, 0.44, 0.168  # camera to aim in metres, height of the aim, tangent of half the angle
KEY = (-0.42, 1.0, 0.42)  # towards the key light: right, up and to the viewer
WOOD = (0.74, 0.53, 0.34)
NEAR, BACK, TINT = (0.955, 0.945, 0.93), (0.86, 0.885, 0.91), (1.0, 0.97, 0.92)  # floor, distance, shadow
SHADE, REACH = 0.24, 0.18  # depth of the shadow; how far the dark under a seat reaches beyond it, in metres
FAR = 1e6


class View(NamedTuple):
    """Camera and light of each picture in the furniture's own axes, all (n, 3); the light's vector has length 1."""

    eye: Tensor
    forward: Tensor
    right: Tensor
    up: Tensor
    light: Tensor


class Shadows(NamedTuple):
    """Where rays to the light enter and leave each box, per axis, and the length inside that takes the whole light."""

    near: Tensor  # (n, b, 3)
    far: Tensor  # (n, b, 3)
    soft: Tensor  # (n, b)


def draw(
    boxes: Tensor,  # (n, b, 2, 3) lowest and highest x (right), y (up), z (front) in metres; inside out: not there
    painted: tuple[bool, ...],  # which boxes are painted; the others are bare wood
    paint: Tensor,  # (n, 3) in [0, 1]
    turn: Tensor,  # (n,) degrees, anticlockwise seen from above
    tilt: Tensor,  # (n,) degrees of the camera above the horizontal
    size: int,  # side of the picture in pixels, a multiple of 4
    casters: tuple[int, ...],  # the boxes that cast shadows on others; the first is the seat, under which it is dark
) -> Tensor:
    """Pictures of boxes, (n, 3, size, size) float32 in [0, 1], in whole multiples of 1/255."""
    n, view = len(boxes), camera(turn, tilt)
    there = boxes[:, :, 0, 0] < boxes[:, :, 1, 0]  # (n, b)
    shadows = cast_shadows(boxes, view)
    image = studio(boxes, there, view, shadows, size, casters[0])  # (n, tiles, 3, pixels)

    # Rays only for the tiles that a box touches: a row is one tile of one picture, with samples * pixels rays.
    touched = touches(corners(boxes), view, size) & there[:, :, None]
    picture, tile = touched.any(1).nonzero().unbind(1)
    ray = rays(view, picture, tile, size)  # (rows, 3, samples)
    depth, wood, side, top = nearest(boxes, painted, view, touched[picture, :, tile], picture, ray)

    point = ray.mul_(depth[:, None]).add_(view.eye[picture][:, :, None])
    below = (boxes[picture, casters[0], 0, 1][:, None] - point[:, 1]).clamp_(min=0)
    sky = (below * 1.1).add_(0.60).clamp_(max=1.0).masked_fill_(below == 0, 1.0)  # darker just under the seat
    along = point.div_(view.light[picture][:, :, None])
    lit = torch.ones_like(depth)
    for b in casters:
        row = there[picture, b].nonzero()[:, 0]
        lit[row] *= 1 - darkness(shadows, picture[row], b, along[row])

    ambient, key = (by_face(light[picture][:, :, None], side, top) for light in lights(view))
    light = ambient.mul_(sky).add_(key.mul_(lit)).masked_fill_(depth == FAR, 0)
    behind = image[picture, tile] * (1 - mean((depth < FAR).float()))[:, None]
    for c in range(3):
        behind[:, c] += mean(torch.where(wood, WOOD[c], paint[picture, c][:, None]).mul_(light))
    image[picture, tile] = behind
    count = size // TILE
    image = image.reshape(n, count, count, 3, TILE, TILE).permute(0, 3, 1, 4, 2, 5).reshape(n, 3, size, size)
    # A tensor of one number, because dividing by a Python number multiplies by its inverse on a GPU.
    return torch.round(image.clamp_(0, 1).mul_(255)).div_(torch.full((), 255.0, device=image.device))


def camera(turn: Tensor, tilt: Tensor) -> View:
    """The camera goes round the furniture, and the light goes with it: as if the furniture turned before them."""
    (st, ct), (sv, cv) = ((a.sin(), a.cos()) for a in (torch.deg2rad(a.cpu().double()) for a in (turn, tilt)))
    zero, one = torch.zeros_like(st), torch.ones_like(st)
    forward = torch.stack([st * cv, -sv, -ct * cv], 1)
    right = torch.stack([ct, zero, st], 1)
    up = torch.stack([st * sv, cv, -ct * sv], 1)
    eye = torch.stack([zero, AIM * one, zero], 1) - DISTANCE * forward
    light = right * KEY[0] + torch.stack([-st * KEY[2], KEY[1] * one, ct * KEY[2]], 1)
    light = light / sum(k * k for k in KEY) ** 0.5
    light = torch.where(light.abs() < 1e-4, 1e-4, light)  # so that dividing by it is safe
    return View(*(vector.float().to(turn.device) for vector in (eye, forward, right, up, light)))


def rays(view: View, picture: Tensor, tile: Tensor, size: int) -> Tensor:
    """Directions of the rays through tiles of pictures: (rows, 3, samples * pixels of a tile); one metre forward."""
    u, v = (table[tile][:, None] for table in screen(size, tile.device))
    ray = view.right[picture][:, :, None] * u
    return ray.add_(view.up[picture][:, :, None] * v).add_(view.forward[picture][:, :, None])


def screen(size: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Where rays cross the screen, to the right and up: two (tiles, samples * pixels of a tile)."""
    pixel = torch.arange(size, device=device).reshape(-1, TILE)
    shape = (len(pixel), len(pixel), len(SAMPLES), TILE, TILE)
    right, down = torch.tensor(SAMPLES, device=device).T[:, None, None, :, None, None]
    x = pixel[None, :, None, None, :].expand(shape) + (right + 0.5)
    y = pixel[:, None, None, :, None].expand(shape) + (down + 0.5)
    step = 2 * HALF_VIEW / size
    return (x * step - HALF_VIEW).reshape(len(pixel) ** 2, -1), (HALF_VIEW - y * step).reshape(len(pixel) ** 2, -1)


def corners(boxes: Tensor) -> Tensor:
    """(n, b, 2, 3) -> the eight corners of each box, (n, b, 8, 3)."""
    low, high = boxes.unbind(2)
    pick = torch.tensor([[bool(i >> axis & 1) for axis in range(3)] for i in range(8)], device=boxes.device)
    return torch.where(pick, high[:, :, None], low[:, :, None])


def touches(points: Tensor, view: View, size: int) -> Tensor:
    """The tiles that the outline of points (n, b, p, 3) touches, a little generous: (n, b, tiles) bool.

    A tile is out when a line separates it from all points; four directions are tried.
    """
    line = points - view.eye[:, None, None]
    ahead = (line * view.forward[:, None, None]).sum(3).clamp(min=1e-3)
    u = (line * view.right[:, None, None]).sum(3) / ahead
    v = (line * view.up[:, None, None]).sum(3) / ahead
    middle = ((torch.arange(size // TILE, device=points.device) + 0.5) * (2 * TILE / size) - 1) * HALF_VIEW
    touched = torch.ones(1, dtype=torch.bool, device=points.device)
    for across, upward in DIRECTIONS:
        place = across * u + upward * v
        tile = (across * middle - upward * middle[:, None]).flatten()
        reach = (abs(across) + abs(upward)) * HALF_VIEW * TILE / size + 1e-4
        touched = touched & (place.amin(2, True) - reach < tile) & (place.amax(2, True) + reach > tile)
    return touched


def turns(touched: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Rows and a box for each, until each row (rows, b) has had all the boxes that it touches."""
    count = touched.sum(1)
    box = (~touched).int().argsort(dim=1, stable=True)
    for k in range(int(count.max()) if len(count) else 0):
        row = (count > k).nonzero()[:, 0]
        yield row, box[row, k]


def nearest(boxes, painted, view, touched, picture, ray) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """What each ray meets first, all (rows, samples): depth, FAR for nothing; and three marks: it is bare wood, it is a
    side face (x), it is an upper face (y); else it is a front face (z)."""
    slope = 1 / ray
    depth = torch.full_like(ray[:, 0], FAR)
    wood, side, top = torch.zeros(3, *depth.shape, dtype=torch.bool, device=ray.device)
    bare = ~torch.tensor(painted, device=ray.device)
    for row, b in turns(touched):
        at, inverse = picture[row], slope[row]
        one, two = ((boxes[at, b, i] - view.eye[at])[:, :, None] * inverse for i in (0, 1))
        x, y, z = torch.minimum(one, two).unbind(1)
        leave = torch.maximum(one, two, out=two)
        first = torch.maximum(torch.maximum(x, y), z)
        last = torch.minimum(torch.minimum(leave[:, 0], leave[:, 1]), leave[:, 2])
        before = depth[row]
        hit = (first < last) & (first < before)
        depth[row] = torch.where(hit, first, before)
        wood[row] = torch.where(hit, bare[b][:, None], wood[row])
        side[row] = torch.where(hit, x == first, side[row])
        top[row] = torch.where(hit, y == first, top[row])
    return depth, wood, side, top


def cast_shadows(boxes: Tensor, view: View) -> Shadows:
    one, two = (boxes / view.light[:, None, None]).unbind(2)
    near, far = torch.minimum(one, two), torch.maximum(one, two)
    # The higher a box is above the floor, the softer its shadow; but a thin one must keep some.
    soft = torch.minimum((far - near).amin(2), boxes[:, :, 0, 1].clamp(0, 1) * 0.3 + 0.1)
    return Shadows(near, far, soft.clamp(min=1e-3))


def darkness(shadows: Shadows, picture: Tensor, box: Tensor | int, along: Tensor) -> Tensor:
    """How much of the key light a box takes from points, 0 to 1: (rows, samples).

    A ray to the light is inside the box from the last of three entries to the first of three exits; the longer it is
    inside, the darker the point, so that shadows have soft edges. along: points divided by the light's vector
    (rows, 3, samples).
    """
    enter = shadows.near[picture, box][:, :, None] - along
    leave = shadows.far[picture, box][:, :, None] - along
    enter = torch.maximum(torch.maximum(enter[:, 0], enter[:, 1]), enter[:, 2]).clamp_(min=0.004)
    leave = torch.minimum(torch.minimum(leave[:, 0], leave[:, 1]), leave[:, 2])
    return leave.sub_(enter).div_(shadows.soft[picture, box][:, None]).clamp_(0, 1)


def lights(view: View) -> tuple[Tensor, Tensor]:
    """Ambient light and key light on the faces that look along x, y and z to the viewer: two (n, 3)."""
    facing = torch.where(view.forward < 0, 1.0, -1.0)
    fill = (facing * view.right).clamp(min=0) * 0.10
    ambient = fill + torch.tensor([0.46, 0.56, 0.46], device=fill.device)
    return ambient, (facing * view.light).clamp(min=0) * 0.62


def by_face(light: Tensor, side: Tensor, top: Tensor) -> Tensor:
    """(rows, 3, 1) -> (rows, samples): the entry of the axis that each face looks along."""
    return torch.where(top, light[:, 1], torch.where(side, light[:, 0], light[:, 2]))


def mean(samples: Tensor) -> Tensor:
    """(..., 4 * pixels) -> (..., pixels), added in a fixed order."""
    one, two, three, four = samples.chunk(4, dim=-1)
    return ((one + two) + (three + four)) * 0.25


def studio(boxes: Tensor, there: Tensor, view: View, shadows: Shadows, size: int, seat: int) -> Tensor:
    """The room behind, with the shadow of the boxes on its floor: (n, tiles, 3, pixels of a tile)."""
    n, device = len(boxes), boxes.device
    corner, light = corners(boxes), view.light[:, None, None]
    touched = touches(corner - light * (corner[..., 1:2] / light[..., 1:2]), view, size) & there[:, :, None]
    low, high = boxes[:, seat, 0].clone(), boxes[:, seat, 1].clone()
    low[:, 1] = high[:, 1] = 0
    around = torch.stack([low - REACH, high + REACH], 1)[:, None]
    picture, tile = (touched.any(1) | touches(corners(around), view, size)[:, 0]).nonzero().unbind(1)
    ray = rays(view, picture, tile, size)
    distance = torch.where(ray[:, 1] < -1e-3, view.eye[picture, 1][:, None] / -ray[:, 1], FAR)
    point = ray.mul_(distance[:, None]).add_(view.eye[picture][:, :, None])
    point[:, 1] = 0
    under = 1
    for axis in (0, 2):
        place = point[:, axis]
        inside = torch.minimum(place - low[picture, axis][:, None], high[picture, axis][:, None] - place)
        inside = inside.add_(REACH).mul_(0.5 / REACH).clamp_(0, 1)
        under = inside * inside * (3 - inside * 2) * under  # from 0 to 1 without a corner
    along = point.div_(view.light[picture][:, :, None])
    lit = torch.ones_like(distance)
    for row, b in turns(touched[picture, :, tile]):
        lit[row] = torch.minimum(lit[row], 1 - darkness(shadows, picture[row], b, along[row]))
    shade = torch.zeros(n, (size // TILE) ** 2, TILE * TILE, device=device)
    shade[picture, tile] = 1 - mean((lit * SHADE + (1 - SHADE)) * (1 - under * 0.22))
    height = mean((screen(size, device)[1] + HALF_VIEW) * (0.5 / HALF_VIEW))  # 0 below, 1 above
    near, far, tint = (torch.tensor(colour, device=device)[:, None] for colour in (NEAR, BACK, TINT))
    return (near + (far - near) * height[:, None]) * (1 - shade[:, :, None] * tint)
