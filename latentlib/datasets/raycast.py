"""Draws boxes on a studio floor: rays against boxes, soft shadows, many pictures at once.

Four rays go through each pixel in which there may be a box. Each ray is cut with each box (the slab method: Kay and
Kajiya, "Ray tracing complex scenes", SIGGRAPH 1986, section 3), and the nearest face is lit by a key light that casts
soft shadows, a fill light and the sky.

The same input gives the same pixels on every machine: pixels are computed in float32 with +, -, *, / and comparisons,
one at a time (IEEE 754 fixes how each rounds), never with a matrix product or a long sum, and rounded to 8 bits.
"""

from typing import NamedTuple

import torch
from torch import Tensor

# Where rays pass through a pixel, right and down: a turned grid, no two on one height or in one column.
FOUR = ((0.375, 0.125), (0.875, 0.375), (0.625, 0.875), (0.125, 0.625))
DISTANCE, AIM, HALF_VIEW = 4.0, 0.44, 0.168  # camera to aim in metres, height of the aim, tangent of half the angle
KEY = (-0.42, 1.0, 0.42)  # towards the key light: right, up and to the viewer
WOOD = (0.74, 0.53, 0.34)
NEAR, BACK, TINT = (0.955, 0.945, 0.93), (0.86, 0.885, 0.91), (1.0, 0.97, 0.92)  # floor, distance, shadow
SHADE, REACH = 0.24, 0.18  # depth of the shadow; how far the dark under a seat reaches beyond it, in metres
FAR = 1e6


class View(NamedTuple):
    """Camera and light of each picture in the furniture's own axes, all (3, n, 1); the light's vector has length 1."""

    eye: Tensor
    forward: Tensor
    right: Tensor
    up: Tensor
    light: Tensor


class Scene(NamedTuple):
    """All that a ray can meet: boxes as (3, b, n, 1), their planes across x, y and z."""

    view: View
    low: Tensor
    high: Tensor
    enter: Tensor  # where a ray to the light goes in: planes divided by the light's vector
    leave: Tensor  # and where it comes out
    soft: Tensor  # (b, n, 1) the length inside a box that takes the whole light
    size: int


def draw(
    boxes: Tensor,  # (n, b, 2, 3) lowest and highest x (right), y (up), z (front) in metres; inside out: not there
    painted: tuple[bool, ...],  # which boxes are painted; the others are bare wood
    paint: Tensor,  # (n, 3) in [0, 1]
    turn: Tensor,  # (n,) degrees, anticlockwise seen from above
    tilt: Tensor,  # (n,) degrees of the camera above the horizontal
    size: int,  # side of the picture in pixels
    casters: tuple[int, ...],  # the boxes that cast shadows on others; the first is the seat, under which it is dark
) -> Tensor:
    """Pictures of boxes, (n, 3, size, size) float32 in [0, 1], in whole multiples of 1/255."""
    there = boxes[:, :, 0, 0] < boxes[:, :, 1, 0]  # (n, b)
    used = [b for b, some in enumerate(there.any(0).tolist()) if some or b == casters[0]]
    scene = set_up(boxes[:, used], camera(turn, tilt), size)
    seat, casters = used.index(casters[0]), [used.index(b) for b in casters if b in used]
    place = torch.arange(size, device=paint.device)
    x, y = place.repeat(size)[None], place.repeat_interleave(size)[None]  # of each pixel: (1, size * size)
    where = touched(scene, x, y)
    colour = cover = 0
    wood = torch.tensor([not painted[b] for b in used], device=paint.device)
    for right, down in FOUR:
        seen, met = trace(scene, x[:, where] + right, y[:, where] + down, paint.T[..., None], wood, seat, casters)
        colour, cover = colour + seen, cover + met
    image = studio(scene, x, y, seat)  # (3, n, size * size)
    image[:, :, where] = image[:, :, where] * (1 - cover / 4) + colour / 4
    # A tensor of one number, because dividing by a Python number multiplies by its inverse on a GPU.
    image.clamp_(0, 1).mul_(255).round_().div_(torch.full((), 255.0, device=image.device))
    return image.transpose(0, 1).unflatten(2, (size, size))


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
    return View(*(vector.float().to(turn.device)[..., None] for vector in (eye, forward, right, up, light)))


def set_up(boxes: Tensor, view: View, size: int) -> Scene:
    low, high = boxes.permute(2, 3, 1, 0)[..., None].contiguous()  # each (3, b, n, 1)
    high = torch.where(low > high, low, high)  # what is not there has no inside
    one, two = low / view.light[:, None], high / view.light[:, None]
    enter, leave = torch.minimum(one, two), torch.maximum(one, two)
    # The higher a box is above the floor, the softer its shadow; but a thin one must keep some.
    soft = torch.minimum((leave - enter).amin(0), low[1].clamp(0, 1) * 0.3 + 0.1).clamp(min=1e-3)
    return Scene(view, low, high, enter, leave, soft, size)


def rays(scene: Scene, x: Tensor, y: Tensor) -> Tensor:
    """Directions, one metre forward, of the rays through places in pixels: (1, rays) twice -> (3, n, rays)."""
    step, view = 2 * HALF_VIEW / scene.size, scene.view
    return view.forward + view.right * (x * step - HALF_VIEW) + view.up * (HALF_VIEW - y * step)


def slabs(low: Tensor, high: Tensor, slope: Tensor) -> tuple[Tensor, Tensor]:
    """Where rays go into a box and come out: its ends from the eye (3, n, 1) and 1 / rays -> (n, rays) twice."""
    one, two = low * slope, high * slope
    return torch.minimum(one, two).amax(0), torch.maximum(one, two).amin(0)


def touched(scene: Scene, x: Tensor, y: Tensor) -> Tensor:
    """The pixels in which a ray of any picture may meet a box, because it meets the box round all its boxes."""
    low, high, hit = scene.low.amin(1), torch.where(scene.low < FAR, scene.high, -FAR).amax(1), False
    for right, down in FOUR:
        enter, leave = slabs(low - scene.view.eye, high - scene.view.eye, 1 / rays(scene, x + right, y + down))
        hit = hit | (enter < leave).any(0)
    return hit.nonzero()[:, 0]


def darkness(scene: Scene, box: int, along: Tensor) -> Tensor:
    """How much of the key light a box takes from points, 0 to 1: (n, rays). along: points / light, (3, n, rays).

    A ray to the light is inside the box from the last of three entries to the first of three exits; the longer it is
    inside, the darker the point, so that shadows have soft edges.
    """
    enter = (scene.enter[:, box] - along).amax(0).clamp_(min=0.004)
    return (scene.leave[:, box] - along).amin(0).sub_(enter).div_(scene.soft[box]).clamp_(0, 1)


def studio(scene: Scene, x: Tensor, y: Tensor, seat: int) -> Tensor:
    """The room behind, with the shadow of the boxes on its floor, in pixels (1, rays): (3, n, rays)."""
    size, device = scene.size, scene.low.device
    grid = FOUR if size < 64 else FOUR[::2]  # shadows have soft edges: two rays are enough but for large pixels
    dark = sum(shadow(scene, x + right, y + down, seat) for right, down in grid) * (1 / len(grid))
    near, far, tint = (torch.tensor(colour, device=device)[:, None, None] for colour in (NEAR, BACK, TINT))
    return (1 - dark * tint) * (near + (far - near) * (1 - (y + 0.5) / size))


def shadow(scene: Scene, x: Tensor, y: Tensor, seat: int) -> Tensor:
    """How dark the floor is where rays through places in pixels (1, rays) meet it: (n, rays)."""
    ray = rays(scene, x, y)
    point = ray * (scene.view.eye[1] / (-ray[1]).clamp(min=1e-3)) + scene.view.eye
    point[1] = 0
    under = 1
    for axis in (0, 2):
        inside = torch.minimum(point[axis] - scene.low[axis, seat], scene.high[axis, seat] - point[axis])
        inside = inside.add_(REACH).mul_(0.5 / REACH).clamp_(0, 1)
        under = inside * inside * (3 - inside * 2) * under  # from 0 to 1 without a corner
    along = point.div_(scene.view.light)
    dark = torch.zeros_like(under)
    for box in range(len(scene.soft)):
        torch.maximum(dark, darkness(scene, box, along), out=dark)
    return 1 - (1 - dark * SHADE) * (1 - under * 0.22)


def trace(
    scene: Scene, x: Tensor, y: Tensor, paint: Tensor, wood: Tensor, seat: int, casters: list[int]
) -> tuple[Tensor, Tensor]:
    """What rays through places (1, rays) see: colours (3, n, rays), black for nothing; and 1 where they met a box.

    paint: (3, n, 1); wood: (b,) bool, the boxes that are not painted
    """
    view, ray = scene.view, rays(scene, x, y)
    slope, low, high = 1 / ray, scene.low - view.eye[:, None], scene.high - view.eye[:, None]
    depth = torch.full_like(ray[0], FAR)
    nearest = torch.zeros_like(depth, dtype=torch.long)
    for box in range(len(wood)):
        enter, leave = slabs(low[:, box], high[:, box], slope)
        met = (enter < leave) & (enter < depth)
        depth, nearest = torch.where(met, enter, depth), torch.where(met, box, nearest)
    one, two = (ends[..., 0].transpose(1, 2).gather(2, nearest.expand(3, -1, -1)) * slope for ends in (low, high))
    # The last of the three planes that a ray crosses on its way in: 0, 1, 2 for the face across x, y, z; 3 for nothing.
    face = torch.where(depth < FAR, torch.minimum(one, two).max(0).indices, 3)
    point = ray * depth + view.eye
    above = point[1] - scene.low[1, seat]
    sky = torch.where(above > 0, 1.0, 0.60 - above * 1.1).clamp_(max=1.0)  # darker just under the seat
    along, lit = point.div_(view.light), 1
    for box in casters:
        lit = (1 - darkness(scene, box, along)) * lit
    # Light on the faces across x, y and z that look to the viewer, and on nothing: two (n, 4).
    facing = torch.where(view.forward < 0, 1.0, -1.0)
    least = torch.tensor([0.46, 0.56, 0.46], device=facing.device)[:, None, None]
    ambient, key = (facing * view.right).clamp(min=0) * 0.10 + least, (facing * view.light).clamp(min=0) * 0.62
    ambient, key = (torch.cat([k, torch.zeros_like(k[:1])])[..., 0].T.gather(1, face) for k in (ambient, key))
    colour = torch.where(wood[nearest], torch.tensor(WOOD, device=paint.device)[:, None, None], paint)
    return colour * (ambient * sky + key * lit), (face < 3).float()
