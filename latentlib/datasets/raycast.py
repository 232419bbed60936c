"""Draws boxes on a studio floor: rays against boxes, soft shadows, many pictures at once.

Each ray is cut with each box (the slab method: Kay and Kajiya, "Ray tracing complex scenes", SIGGRAPH 1986, section 3),
and the nearest face is lit by a key light that casts soft shadows, a fill light and the sky. What makes it fast without
a compiler:

- A box is tested only in those tiles of the picture (4×4 pixels) that its outline touches.
- A pixel gets four rays only if rays through its corners meet different faces (as in Whitted, "An improved illumination
  model for shaded display", CACM 1980); inside a face, two corners are enough.
- Tiles are the last dimension, so that what belongs to a tile meets long rows of rays in memory; and those that most
  boxes touch come first, so that "all tiles with a third box" are a slice, not a copy.
- maximum, index_select and scatter_ in place of where and indices in brackets, which are several times slower.

The same input gives the same pixels on every machine: all that decides a pixel is computed in float32 with +, -, *, /
and comparisons, one operation at a time (IEEE 754 fixes how each of these rounds), never with a matrix product or a
sum over a dimension; sines and cosines come rounded from float64; and pixels are rounded to 8 bits.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

TILE = 4
# Where rays pass through the pixels of a tile, to the right and down from its upper left corner.
CORNERS = ([range(TILE + 1)], [[row] for row in range(TILE + 1)])
# Four rays through one pixel, on a turned grid: no two on one height or in one column. Two are enough for the floor.
FOUR = ([[0.375, 0.875, 0.625, 0.125]], [[0.125, 0.375, 0.875, 0.625]])
TWO = ([[0.25, 0.75]], [[0.25, 0.75]])
FINE = 64  # in smaller pictures a leg can slip between the corners of pixels: there every pixel gets four rays
DISTANCE, AIM, HALF_VIEW = 4.0, 0.44, 0.168  # camera to aim in metres, height of the aim, tangent of half the angle
KEY = (-0.42, 1.0, 0.42)  # towards the key light: right, up and to the viewer
WOOD = (0.74, 0.53, 0.34)
NEAR, BACK, TINT = (0.955, 0.945, 0.93), (0.86, 0.885, 0.91), (1.0, 0.97, 0.92)  # floor, distance, shadow
SHADE, REACH = 0.24, 0.18  # depth of the shadow; how far the dark under a seat reaches beyond it, in metres
FAR, HUGE = 2.0**20, 1e30  # FAR has zeros in the bits of a mark
FRONT, SIDE, TOP, BARE, BOX = 1, 2, 3, 4, 8  # a mark: a face (0: nothing was met), plus bare wood, plus BOX * which
MARK = 127  # the lowest bits of a depth hold a mark; at four metres they are less than 0.1 mm


class View(NamedTuple):
    """Camera and light of each picture in the furniture's own axes, all (3, n); the light's vector has length 1."""

    eye: Tensor
    forward: Tensor
    right: Tensor
    up: Tensor
    light: Tensor


class Boxes(NamedTuple):
    """The boxes of all pictures one after another, lowest and highest x, y and z in several measures."""

    seen: Tensor  # (6, n * b) from the eye
    lit: Tensor  # (6, n * b) divided by the light's vector: where rays to the light enter, where they leave
    soft: Tensor  # (n * b,) the length inside that takes the whole light
    marks: Tensor  # (n * b,) int32, without a face


class Scene(NamedTuple):
    """All that a ray can meet."""

    view: View
    boxes: Boxes
    paint: Tensor  # (3, n)
    seat: Tensor  # (n,) height of the underside of the seat, under which it is dark
    casters: list[int]  # the boxes that cast shadows on others
    size: int


class Rows(NamedTuple):
    """Tiles or pixels that are drawn together, those that most boxes touch first."""

    picture: Tensor  # (rows,)
    x: Tensor  # (rows,) leftmost pixel
    y: Tensor  # (rows,) uppermost pixel
    turns: list[Tensor]  # the first, second, ... box to test, of as many rows as have that many


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
    n, device, view = len(boxes), boxes.device, camera(turn, tilt)
    there = boxes[:, :, 0, 0] < boxes[:, :, 1, 0]  # (n, b)
    used = [b for b, some in enumerate(there.any(0).tolist()) if some or b == casters[0]]
    boxes, there, painted = boxes[:, used], there[:, used], [painted[b] for b in used]
    casters = [used.index(b) for b in casters if b in used]
    scene = Scene(view, lay_out(boxes, there, painted, view), paint.T, boxes[:, casters[0], 0, 1], casters, size)
    image = studio(scene, boxes, there)  # (3, n * size * size)

    tiles = gather(touches(corners(boxes), view, size) & there[:, :, None], size)
    place = pixels(tiles, size)
    if size < FINE:
        colour, mark = trace(scene, tiles, in_each_pixel(FOUR))
        lay_over(image, place, mean(colour), mean(covered(mark)))
    else:
        # A ray through each corner of the pixels; a pixel whose corners differ gets four rays of its own.
        colour, mark = (part.unflatten(-2, (TILE + 1, TILE + 1)) for part in trace(scene, tiles, CORNERS))
        one, two, three, four = mark[:-1, :-1], mark[1:, 1:], mark[:-1, 1:], mark[1:, :-1]
        same = ((one == two) & (one == three) & (one == four)).flatten(0, 1)
        colour = (colour[:, :-1, :-1] + colour[:, 1:, 1:]).mul_(0.5).flatten(1, 2)
        lay_over(image, place, colour.mul_(same), covered(one.flatten(0, 1)).mul_(same))
        row, inside = (~same).T.nonzero().unbind(1)
        colour, mark = trace(scene, pick_out(tiles, row, inside), FOUR)
        lay_over(image, place[inside, row], mean(colour), mean(covered(mark)))
    # A tensor of one number, because dividing by a Python number multiplies by its inverse on a GPU.
    image.clamp_(0, 1).mul_(255).round_().div_(torch.full((), 255.0, device=device))
    return image.reshape(3, n, size, size).transpose(0, 1)


def camera(turn: Tensor, tilt: Tensor) -> View:
    """The camera goes round the furniture, and the light goes with it: as if the furniture turned before them."""
    (st, ct), (sv, cv) = ((a.sin(), a.cos()) for a in (torch.deg2rad(a.cpu().double()) for a in (turn, tilt)))
    zero, one = torch.zeros_like(st), torch.ones_like(st)
    forward = torch.stack([st * cv, -sv, -ct * cv])
    right = torch.stack([ct, zero, st])
    up = torch.stack([st * sv, cv, -ct * sv])
    eye = torch.stack([zero, AIM * one, zero]) - DISTANCE * forward
    light = right * KEY[0] + torch.stack([-st * KEY[2], KEY[1] * one, ct * KEY[2]])
    light = light / sum(k * k for k in KEY) ** 0.5
    light = torch.where(light.abs() < 1e-4, 1e-4, light)  # so that dividing by it is safe
    return View(*(vector.float().to(turn.device) for vector in (eye, forward, right, up, light)))


def lay_out(boxes: Tensor, there: Tensor, painted: tuple[bool, ...], view: View) -> Boxes:
    planes = boxes.permute(2, 3, 0, 1)  # (2, 3, n, b)
    one, two = planes / view.light[:, :, None]
    near, far = torch.minimum(one, two), torch.maximum(one, two)
    # The higher a box is above the floor, the softer its shadow; but a thin one must keep some.
    soft = torch.minimum((far - near).amin(0), boxes[:, :, 0, 1].clamp(0, 1) * 0.3 + 0.1).clamp_(min=1e-3)
    lit = torch.cat(
        [near.masked_fill_(~there, FAR), far.masked_fill_(~there, -FAR)]
    )  # nothing enters what is not there
    marks = torch.tensor([BOX * b + BARE * (not paint) for b, paint in enumerate(painted)], device=boxes.device)
    seen = (planes - view.eye[:, :, None]).reshape(6, -1)
    return Boxes(seen, lit.flatten(1), soft.flatten(), marks.int().repeat(len(boxes)))


def corners(boxes: Tensor) -> Tensor:
    """(n, b, 2, 3) -> the eight corners of each box, (3, 8, n, b)."""
    ends = boxes.permute(3, 2, 0, 1).contiguous()
    pick = torch.tensor([[i >> axis & 1 for i in range(8)] for axis in range(3)], device=boxes.device)
    return torch.stack([end.index_select(0, which) for end, which in zip(ends, pick, strict=True)])


def touches(points: Tensor, view: View, size: int) -> Tensor:
    """The tiles that the outline of points (3, p, n, b) touches, a little generous: (n, b, tiles) bool.

    A tile is out when a line separates it from all points; four directions are tried.
    """
    x, y, z = points - view.eye[:, None, :, None]
    right, up, ahead = (
        (x * axis[0]).add_(y * axis[1]).add_(z * axis[2])
        for axis in (axis[:, :, None] for axis in (view.right, view.up, view.forward))
    )
    ahead.clamp_(min=1e-3)
    u, v = right.div_(ahead), up.div_(ahead)
    across = ((torch.arange(size // TILE, device=x.device) + 0.5) * (2 * TILE / size) - 1) * HALF_VIEW
    down = -across[:, None]
    lines = ((u + 2 * v, across + 2 * down, 3), (u - 2 * v, across - 2 * down, 3), (u, across[None], 1), (v, down, 1))
    overlap = torch.full((*x.shape[1:], *lines[0][1].shape), FAR, device=x.device)
    for place, tile, reach in lines:
        reach = reach * HALF_VIEW * TILE / size + 1e-4
        low, high = place.amin(0)[:, :, None, None] - reach, place.amax(0)[:, :, None, None] + reach
        overlap = torch.minimum(overlap, torch.minimum(tile - low, high - tile), out=overlap)
    return (overlap > 0).flatten(2)


def gather(touched: Tensor, size: int, also: Tensor | None = None) -> Rows:
    """The tiles that boxes touch (n, b, tiles), and some others (n, tiles)."""
    b = touched.shape[1]
    wanted = touched.view(torch.uint8).amax(1)
    picture, tile = (wanted if also is None else wanted | also).nonzero().unbind(1)
    mine = touched.transpose(1, 2)[picture, tile]  # (rows, b)
    count, order = mine.sum(1).sort(descending=True)
    picture, tile = picture.index_select(0, order), tile.index_select(0, order)
    mine = mine.index_select(0, order).T.long()
    # The k-th box of a row goes to index k, all that it does not touch to index 0.
    box = torch.zeros(b + 1, len(tile), dtype=torch.long, device=tile.device)
    box.scatter_(0, mine.cumsum(0).mul_(mine), picture * b + torch.arange(b, device=tile.device)[:, None])
    ends = (count >= torch.arange(1, b + 1, device=tile.device)[:, None]).sum(1).tolist()
    side = size // TILE
    return Rows(picture, tile % side * TILE, tile // side * TILE, [box[k + 1, :m] for k, m in enumerate(ends) if m])


def pixels(rows: Rows, size: int) -> Tensor:
    """Where the pixels of tiles lie in (n, size, size): (pixels of a tile, rows)."""
    inside = torch.arange(TILE, device=rows.x.device)
    inside = (inside[:, None] * size + inside).flatten()
    return (rows.picture * size + rows.y) * size + rows.x + inside[:, None]


def pick_out(tiles: Rows, row: Tensor, inside: Tensor) -> Rows:
    """Single pixels of tiles: of which rows (rising), and which of the pixels in it."""
    picture, x, y = (part.index_select(0, row) for part in tiles[:3])
    ends = torch.searchsorted(
        row, torch.tensor([len(turn) for turn in tiles.turns], dtype=torch.long, device=row.device)
    )
    turns = [turn.index_select(0, row[:end]) for turn, end in zip(tiles.turns, ends.tolist(), strict=True)]
    return Rows(picture, x + inside % TILE, y + inside // TILE, turns)


def in_each_pixel(grid: tuple[list, list]) -> tuple[list, list]:
    """The same places in all pixels of a tile."""
    ((x,), (y,)), inside = grid, range(TILE * TILE)
    return [[p + i % TILE for i in inside] for p in x], [[p + i // TILE for i in inside] for p in y]


def rays(view: View, rows: Rows, grid: tuple[list, list], size: int) -> Tensor:
    """Directions of the rays through places in tiles or pixels, one metre forward: (3, rays, rows)."""
    x, y = (torch.tensor(places, device=rows.x.device)[:, :, None] for places in grid)
    step = 2 * HALF_VIEW / size
    u, v = (x + rows.x) * step - HALF_VIEW, HALF_VIEW - (y + rows.y) * step
    forward, right, up = (axis[:, None, None] for axis in (view.forward, view.right, view.up))
    return (right * u + (up * v).add_(forward)).flatten(1, 2)


def pick(view: View, picture: Tensor) -> View:
    """The view of each row: (3, n) -> (3, rows)."""
    return View(*(vector.index_select(1, picture) for vector in view))


def trace(scene: Scene, rows: Rows, grid: tuple[list, list]) -> tuple[Tensor, Tensor]:
    """What rays see: colours (3, rays, rows), black for nothing, and marks (rays, rows), 0 for nothing."""
    view, boxes, paint, seat, casters, size = scene
    picture = rows.picture
    ambient, key = (light.index_select(1, picture) for light in lights(view))
    view = pick(view, picture)
    ray = rays(view, rows, grid, size)
    depth = nearest(rows, ray, boxes)
    mark = depth.view(torch.int32) & MARK
    point = ray.mul_(depth).add_(view.eye[:, None])
    above = point[1] - seat.index_select(0, picture)
    sky = torch.maximum(0.60 - above * 1.1, above * HUGE).clamp_(max=1.0)  # darker just under the seat
    along = point.div_(view.light[:, None])
    lit = 1
    first = picture * (len(boxes.soft) // paint.shape[1])
    for b in casters:
        lit = (1 - darkness(boxes, first + b, along)).mul_(lit)
    face = (mark & (BARE - 1)).long().mul_(len(picture)).add_(torch.arange(len(picture), device=ray.device))
    ambient, key = (light.flatten().index_select(0, face.flatten()).view_as(sky) for light in (ambient, key))
    light = ambient.mul_(sky).add_(key.mul_(lit))
    paint = paint.index_select(1, picture)[:, None]
    wood = (mark & BARE).float().mul_(1 / BARE)
    bare = torch.tensor(WOOD, device=paint.device)[:, None, None] - paint
    return (bare * wood).add_(paint).mul_(light), mark


def nearest(rows: Rows, ray: Tensor, boxes: Boxes) -> Tensor:
    """How far each ray goes until it meets a box, FAR for nothing: (rays, rows).

    The mark of what it meets rides in the lowest bits, so that taking the nearest box also picks its mark.
    """
    slope = (1 / ray).clamp_(-FAR, FAR)
    depth = torch.full_like(ray[0], FAR)
    face = torch.tensor([SIDE, TOP, FRONT], dtype=torch.int32, device=ray.device)[:, None]
    for box in rows.turns:
        m = len(box)
        planes = boxes.seen.index_select(1, box)[:, None]
        one, two = planes[:3] * slope[..., :m], planes[3:] * slope[..., :m]
        enter, leave = torch.minimum(one, two), torch.maximum(one, two, out=two)
        enter.view(torch.int32).bitwise_and_(~MARK).bitwise_or_((face + boxes.marks.index_select(0, box))[:, None])
        first = enter.amax(0)
        missed = leave.amin(0).sub_(first).mul_(-HUGE)  # far below 0 if the ray is inside for a while, else far above
        torch.minimum(depth[:, :m], first.maximum(missed), out=depth[:, :m])
    return depth


def darkness(boxes: Boxes, box: Tensor, along: Tensor) -> Tensor:
    """How much of the key light a box takes from points, 0 to 1: (rays, rows).

    A ray to the light is inside the box from the last of three entries to the first of three exits; the longer it is
    inside, the darker the point, so that shadows have soft edges. along: points divided by the light's vector
    (3, rays, rows).
    """
    planes = boxes.lit.index_select(1, box)[:, None]
    room = planes[:3] - along
    enter = room.amax(0).clamp_(min=0.004)
    leave = torch.sub(planes[3:], along, out=room).amin(0)
    return leave.sub_(enter).div_(boxes.soft.index_select(0, box)).clamp_(0, 1)


def lights(view: View) -> tuple[Tensor, Tensor]:
    """Ambient light and key light on nothing, and on the faces that look along z, x and y to the viewer: two (4, n)."""
    facing = torch.where(view.forward < 0, 1.0, -1.0)
    fill = (facing * view.right).clamp(min=0) * 0.10
    ambient = fill + torch.tensor([0.46, 0.56, 0.46], device=fill.device)[:, None]
    key = (facing * view.light).clamp(min=0) * 0.62
    return tuple(torch.stack([torch.zeros_like(x), z, x, y]) for x, y, z in (ambient, key))


def covered(mark: Tensor) -> Tensor:
    """1 where something was met, else 0."""
    return mark.clamp(max=1).float()


def lay_over(image: Tensor, pixel: Tensor, colour: Tensor, cover: Tensor) -> None:
    """Lay colours (3, ...) over the pixels (...) of the image; where cover (...) is below 1, it shows through."""
    pixel = pixel.flatten()
    behind = image.index_select(1, pixel).mul_(1 - cover.flatten())
    image.scatter_(1, pixel.expand(3, -1), behind.add_(colour.flatten(1)))


def mean(samples: Tensor, count: int = 4) -> Tensor:
    """(..., count * pixels, rows) -> (..., pixels, rows), added in a fixed order."""
    parts = samples.chunk(count, dim=-2)
    pairs = [one + two for one, two in zip(parts[::2], parts[1::2], strict=True)]
    return sum(pairs[1:], pairs[0]) * (1 / count)


def studio(scene: Scene, boxes: Tensor, there: Tensor) -> Tensor:
    """The room behind, with the shadow of the boxes on its floor: (3, n * size * size)."""
    n, device, view, size, seat = len(boxes), boxes.device, scene.view, scene.size, scene.casters[0]
    corner, light = corners(boxes), view.light[:, None, :, None]
    touched = touches(corner - light * (corner[1] / light[1]), view, size) & there[:, :, None]
    low, high = boxes[:, seat, 0].clone(), boxes[:, seat, 1].clone()
    low[:, 1] = high[:, 1] = 0
    around = torch.stack([low - REACH, high + REACH], 1)[:, None]
    rows = gather(touched, size, also=touches(corners(around), view, size)[:, 0])
    low, high = (end.T.index_select(1, rows.picture) for end in (low, high))
    view = pick(view, rows.picture)
    ray = rays(view, rows, in_each_pixel(FOUR if size < FINE else TWO), size)
    distance = view.eye[1] / (-ray[1]).clamp_(min=1e-3)
    point = ray.mul_(distance).add_(view.eye[:, None])
    point[1] = 0
    under = 1
    for axis in (0, 2):
        inside = torch.minimum(point[axis] - low[axis], high[axis] - point[axis])
        inside.add_(REACH).mul_(0.5 / REACH).clamp_(0, 1)
        under = inside * inside * (3 - inside * 2) * under  # from 0 to 1 without a corner
    along = point.div_(view.light[:, None])
    dark = torch.zeros_like(distance)
    for box in rows.turns:
        m = len(box)
        torch.maximum(dark[:, :m], darkness(scene.boxes, box, along[..., :m]), out=dark[:, :m])
    dark = 1 - mean((1 - dark * SHADE) * (1 - under * 0.22), 4 if size < FINE else 2)
    shade = torch.zeros(n * size * size, device=device).scatter_(0, pixels(rows, size).flatten(), dark.flatten())
    height = 1 - (torch.arange(size, device=device) + 0.5) / size  # 0 below, 1 above
    near, far, tint = (torch.tensor(colour, device=device)[:, None, None, None] for colour in (NEAR, BACK, TINT))
    wall = near + (far - near) * height[:, None]  # (3, 1, size, 1)
    return (1 - shade.reshape(n, size, size) * tint).mul_(wall).flatten(1)
