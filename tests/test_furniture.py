from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from latentlib.datasets import furniture

GOLDEN = Path(__file__).parent / "furniture_golden.png"


def levels(images):
    """(n, 3, h, w) in [0, 1] -> whole numbers 0 to 255."""
    return (images * 255).round().to(torch.uint8)


def row(**changes):
    """The factors of a plain chair, with some changed."""
    plain = dict(zip(furniture.FACTORS, (0, 0.5, 0.48, 0.44, 0.045, 0.42, 0, 25, 22, 0.2, 0.4, 0.72), strict=True))
    plain |= changes
    return torch.tensor([[float(plain[name]) for name in furniture.FACTORS]])


def test_sampled_factors_stay_in_their_ranges_and_reach_across_them():
    factors = furniture.sample_factors(4000, seed=5)
    assert factors.shape == (4000, len(furniture.FACTORS))
    assert factors.dtype == torch.float32
    for kind in (0, 1):
        of_kind = factors[factors[:, 0] == kind]
        assert 1800 < len(of_kind) < 2200
        for i, name in enumerate(furniture.FACTORS):
            low, high = furniture.KIND_RANGES[kind][name]
            assert of_kind[:, i].min() >= low - 1e-6
            assert of_kind[:, i].max() <= high + 1e-6
            assert of_kind[:, i].max() - of_kind[:, i].min() >= 0.9 * (high - low), name
    tables = factors[factors[:, 0] == 1]
    assert (tables[:, furniture.column("back")] == 0).all()
    assert (tables[:, furniture.column("arms")] == 0).all()
    assert set(factors[:, furniture.column("arms")].tolist()) == {0.0, 1.0}


def test_ranges_hold_both_kinds():
    assert set(furniture.RANGES) == set(furniture.FACTORS)
    assert furniture.RANGES["kind"] == (0, 1)
    for ranges in furniture.KIND_RANGES:
        for name, (low, high) in ranges.items():
            assert furniture.RANGES[name][0] <= low <= high <= furniture.RANGES[name][1]


def test_the_seed_decides_and_kind_restricts():
    assert torch.equal(furniture.sample_factors(50, seed=1), furniture.sample_factors(50, seed=1))
    assert not torch.equal(furniture.sample_factors(50, seed=1), furniture.sample_factors(50, seed=2))
    for kind in (0, 1):
        assert (furniture.sample_factors(50, kind=kind)[:, 0] == kind).all()
    with pytest.raises(ValueError, match="kind must be"):
        furniture.sample_factors(5, kind=2)


def test_colours_span_the_colour_space():
    colours = furniture.sample_factors(4000)[:, furniture.column("red") :]
    spread = torch.linalg.eigvalsh(colours.T.cov()).sqrt()
    assert spread.min() > 0.08  # no colour direction is missing: a linear probe has something to find


def test_triples_are_two_chairs_of_different_colour_and_a_table():
    anchors, alikes, tables = furniture.triples(500, seed=3)
    assert anchors.shape == alikes.shape == tables.shape == (500, 12)
    assert (anchors[:, 0] == 0).all()
    assert (alikes[:, 0] == 0).all()
    assert (tables[:, 0] == 1).all()
    assert (anchors[:, -3:] - alikes[:, -3:]).norm(dim=1).min() > 0.4
    assert not torch.equal(anchors[:, 1:9], alikes[:, 1:9])
    assert torch.equal(alikes, furniture.triples(500, seed=3)[1])
    assert not torch.equal(alikes, furniture.triples(500, seed=4)[1])


def test_pictures_are_whole_levels_in_range():
    images = furniture.render(furniture.sample_factors(8), size=32)
    assert images.shape == (8, 3, 32, 32)
    assert images.dtype == torch.float32
    assert images.min() >= 0
    assert images.max() <= 1
    assert torch.equal(levels(images).float() / 255, images)


def test_a_picture_does_not_depend_on_its_batch_nor_on_the_run():
    factors = furniture.sample_factors(70, seed=2)
    images = furniture.render(factors)
    assert torch.equal(images, furniture.render(factors))
    for i in (0, 33, 69):
        assert torch.equal(images[i], furniture.render(factors[i : i + 1])[0])
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1 if threads > 1 else 2)
        assert torch.equal(images, furniture.render(factors))
    finally:
        torch.set_num_threads(threads)


def off_by_more_than_a_level(images, expected):
    """The share of pixels of which any channel is off by more than one level of 255."""
    apart = (levels(images).short() - levels(expected).short()).abs().amax(1)
    return (apart > 1).float().mean().item()


def golden_factors():
    return furniture.sample_factors(8, seed=20)


def test_the_pixels_are_those_of_every_other_machine():
    # Exact on the machines tried; one pixel in a thousand is allowed for hardware that does not round as IEEE 754.
    stored = torch.from_numpy(np.array(Image.open(GOLDEN))).permute(2, 0, 1)
    stored = stored.reshape(3, 64, 8, 64).permute(2, 0, 1, 3).float() / 255
    assert off_by_more_than_a_level(furniture.render(golden_factors()), stored) <= 0.001


def test_many_cores_draw_the_same_pixels(three_threads):
    factors = furniture.sample_factors(200, seed=3)
    together = furniture.render(factors)
    torch.set_num_threads(1)
    assert torch.equal(furniture.render(factors), together)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no NVIDIA GPU here")
def test_the_gpu_draws_the_same_pixels():
    factors = furniture.sample_factors(256, seed=9)
    assert off_by_more_than_a_level(furniture.render(factors.cuda()).cpu(), furniture.render(factors)) <= 0.001


def painted(images, red=0.2, green=0.4, blue=0.72):
    """Which pixels have the colour of blue paint, in any light: (n, h, w)."""
    r, g, b = images.unbind(1)
    return (b > 1.5 * g) & (g > 1.4 * r)


def test_the_factors_show_in_the_picture():
    plain = furniture.render(row())
    for name, value in {
        "kind": 1,
        "width": 0.6,
        "depth": 0.55,
        "height": 0.5,
        "leg": 0.07,
        "back": 0.3,
        "arms": 1,
    }.items():
        assert (furniture.render(row(**{name: value})) != plain).float().mean() > 0.01, name
    for name, value in {"turn": -20, "tilt": 30, "red": 0.5, "green": 0.6, "blue": 0.3}.items():
        assert (furniture.render(row(**{name: value})) != plain).float().mean() > 0.01, name


def test_wider_is_wider_higher_is_higher_and_arms_add_paint():
    def extent(factors, axis):
        seen = painted(furniture.render(factors))[0].any(axis)
        return seen.nonzero().max() - seen.nonzero().min()

    assert extent(row(turn=0, width=0.6), 0) > extent(row(turn=0, width=0.45), 0) + 5
    assert extent(row(turn=0, back=0.5), 1) > extent(row(turn=0, back=0.3), 1) + 5
    assert painted(furniture.render(row(arms=1))).sum() > painted(furniture.render(row())).sum() + 20


def test_a_turn_to_the_other_side_mirrors_the_outline():
    left, right = (painted(furniture.render(row(turn=turn, arms=1))) for turn in (-35, 35))
    assert (left.flip(2) != right).float().mean() < 0.01


def test_tables_have_neither_back_nor_arms():
    table = row(kind=1, width=0.8, back=0)
    assert torch.equal(furniture.render(table), furniture.render(row(kind=1, width=0.8, back=0.4, arms=1)))


def test_every_piece_fits_into_the_picture():
    factors = furniture.sample_factors(500, seed=11)
    factors[:, furniture.column("red") :] = torch.tensor([0.2, 0.4, 0.72])
    seen = painted(furniture.render(factors))
    border = seen[:, 0].any(1) | seen[:, -1].any(1) | seen[:, :, 0].any(1) | seen[:, :, -1].any(1)
    assert not border.any()


def test_the_floor_carries_a_shadow():
    image = furniture.render(row())[0]
    empty = furniture.render(row(width=-1, depth=-1, arms=0, leg=-1))[0]  # inside out: nothing is drawn but the studio
    floor = (image - empty)[:, 40:].mean(0)
    grey = (image.amax(0) - image.amin(0) < 0.12)[40:]
    assert (floor[grey] < -0.1).sum() > 20


def test_wrong_input_gets_one_clear_sentence():
    with pytest.raises(ValueError, match=r"factors must be \(n, 12\), got \(12,\)"):
        furniture.render(torch.zeros(12))
    with pytest.raises(ValueError, match="finite"):
        furniture.render(row(width=float("nan")))
    with pytest.raises(ValueError, match="multiple of"):
        furniture.render(row(), size=30)
    with pytest.raises(ValueError, match="unknown factor"):
        furniture.column("colour")


def test_no_furniture_no_pictures():
    assert furniture.render(torch.zeros(0, 12)).shape == (0, 3, 64, 64)


def test_describe_and_load():
    assert furniture.describe(row()[0]) == "blue chair, 0.50 m wide, seat at 0.44 m"
    assert furniture.describe(row(arms=1)[0]) == "blue chair with armrests, 0.50 m wide, seat at 0.44 m"
    assert furniture.describe(row(kind=1, width=0.8, height=0.7)) == "blue table, 0.80 m wide, top at 0.70 m"
    images, factors = furniture.load(3, seed=4, size=16, kind=1)
    assert images.shape == (3, 3, 16, 16)
    assert torch.equal(factors, furniture.sample_factors(3, seed=4, kind=1))
