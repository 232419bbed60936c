"""The comparison of ways to find a face: each row says what it claims to, and only its own is done again."""

from __future__ import annotations

import json

import pytest
import torch

from benchmarks import bench_inversion
from latentlib import weights
from latentlib.gan import inversion
from latentlib.gan.inversion import Point
from latentlib.models.encoder import Encoder
from latentlib.models.identity import Identity
from latentlib.models.stylegan2 import Discriminator, Generator
from latentlib.weights import save_weights
from training import lfw
from training.faces import compare_inversions
from training.faces.compare_inversions import METHODS

pytestmark = pytest.mark.usefixtures("one_thread")
CHANNELS = {4: 8, 8: 8, 16: 4, 32: 4, 64: 4}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Small networks of random weights, as they are shipped."""
    torch.manual_seed(0)
    networks = {
        "faces-64": Generator(64, 12, 16, 2, CHANNELS),
        "faces-64-discriminator": Discriminator(64, CHANNELS),
        "faces-64-encoder": Encoder(64, 10, 16, CHANNELS),
    }
    networks["faces-64"].compute_w_avg(500)
    identity = Identity()
    networks["faces-64-identity"] = identity
    folder = tmp_path_factory.mktemp("weights")
    for name, network in networks.items():
        save_weights(name, network, {"network": network.settings}, folder)
    return folder


@pytest.fixture
def compare(folder, monkeypatch):
    """The command on ten random photos of six people; the detectors find a face in every second picture."""
    photos = torch.randint(0, 256, (10, 3, 64, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    people = torch.tensor([3, 3, 5, 6, 6, 7, 8, 8, 9, 9])
    held = lfw.Faces(photos, people)
    monkeypatch.setattr(compare_inversions.lfw, "load", lambda split: {"held_out": held}[split])
    shares = {"face": 0.5}
    monkeypatch.setattr(compare_inversions, "detector_shares", lambda images, workers: shares)
    monkeypatch.setattr(compare_inversions, "BATCH", 2)

    def compare(*arguments):
        return compare_inversions.main([*arguments, "--device", "cpu", "--folder", str(folder)])

    yield compare
    (folder / compare_inversions.FILE).unlink(missing_ok=True)


def test_every_method_gets_a_row_in_the_file_and_in_the_table(compare, folder, capsys):
    result = compare("--photos", "6", "--steps", "4")
    stored = json.loads((folder / compare_inversions.FILE).read_text())
    assert stored == result
    assert stored["people"] == [3, 5, 6, 7, 8, 9]
    assert list(stored["methods"]) == list(METHODS)
    for method, row in stored["methods"].items():
        assert row["steps"] == (0 if method == "encoder" else 4)
        assert row["psnr"] >= row["psnr_least"] > 0
        assert row["seconds_a_photo"] > 0
        assert row["middle"]["pictures"] == 3  # one pair in each batch of two
        assert "CPU with 1 threads" in row["machine"]
    rows = stored["methods"]
    assert all(
        row["edit"]["effect"] != 0 and row["edit"]["identity_moved"] > 0
        for row in (*rows.values(), stored["generated"])
    )
    assert rows["w+"]["psnr"] > rows["encoder"]["psnr"]
    assert rows["p-norm"]["unusual"] <= rows["w+"]["unusual"]
    assert stored["photos"]["detail"] == pytest.approx(1)
    assert stored["averages"]["pictures"] == 3
    assert stored["averages"]["detail"] < 0.8  # averages of noise are duller
    table = compare_inversions.table(stored)
    assert table in capsys.readouterr().out
    assert len(table.splitlines()) == 2 + len(METHODS) + 2
    assert all(line.count("|") == 11 for line in table.splitlines())
    assert f"| {rows['w+']['psnr']:.1f} dB |" in table


def test_only_the_wanted_part_is_done_again(compare, folder):
    first = compare("--photos", "6", "--steps", "2")
    again = compare("--photos", "6", "--steps", "3", "--part", "w", "--part", "encoder")
    changed = {name for name in METHODS if first["methods"][name] != again["methods"][name]}
    assert changed == {"w", "encoder"}
    assert again["methods"]["w"]["steps"] == 3


def test_rows_of_other_weights_or_photos_are_forgotten(compare, folder):
    result = compare("--photos", "6", "--steps", "2", "--part", "w", "--part", "encoder")
    path = folder / compare_inversions.FILE
    assert set(compare_inversions.read_result(path, 6, folder)["methods"]) == {"w", "encoder"}
    assert compare_inversions.read_result(path, 5, folder) == {"methods": {}}
    result["methods"]["encoder"]["weights"] = "of another encoder"
    path.write_text(json.dumps(result))
    assert set(compare_inversions.read_result(path, 6, folder)["methods"]) == {"w"}
    path.unlink()
    assert compare_inversions.read_result(path, 6, folder) == {"methods": {}}


def test_quick_writes_nothing_and_one_photo_alone_is_refused(compare, folder, capsys):
    result = compare("--quick", "--part", "w", "--photos", "9")
    assert len(result["people"]) == 4
    assert not (folder / compare_inversions.FILE).exists()
    with pytest.raises(SystemExit):
        compare("--photos", "1")
    assert "a half-way point needs two" in capsys.readouterr().err


def test_half_way_is_half_way_between_every_two(folder):
    generator = weights.load("faces-64", "cpu", folder)
    images = generator.draw(generator.mapping(torch.randn(3, 12, generator=torch.Generator().manual_seed(4))))
    found = inversion.invert(generator, images, "w", steps=3, progress=False)
    drawn = compare_inversions.middles(found)
    assert drawn.shape == (3, 3, 64, 64)
    expected = generator.draw((found.codes[:1] + found.codes[2:]) / 2)
    assert torch.allclose(drawn[1], expected[0], atol=1e-5)


def test_a_face_follows_the_edit_of_the_light_and_no_random_one(folder):
    generator = weights.load("faces-64", "cpu", folder)
    identity = weights.load("faces-64-identity", "cpu", folder)
    step, spread = compare_inversions.light_step(generator)
    other = torch.randn(step.shape, generator=torch.Generator().manual_seed(6))
    codes = generator.mapping(torch.randn(64, 12, generator=torch.Generator().manual_seed(5)))[:, None].repeat(1, 10, 1)
    rows = [
        compare_inversions.edit_row(*compare_inversions.edit(codes, generator.draw, identity, way), spread)
        for way in (step, -step, other * step.norm() / other.norm())
    ]
    assert rows[0]["effect"] > 0.3
    assert rows[1]["effect"] == pytest.approx(-rows[0]["effect"], abs=1e-5)
    assert abs(rows[2]["effect"]) < 0.5 * rows[0]["effect"]


def test_light_from_the_left_counts_as_more():
    dark, left = torch.zeros(1, 3, 64, 64), torch.zeros(1, 3, 64, 64)
    left[..., :32] = 0.5
    assert compare_inversions.light(torch.cat([dark, left, left.flip(3)])).tolist() == pytest.approx([0, 0.5, -0.5])


def test_the_shipped_comparison_is_of_the_shipped_weights():
    path = compare_inversions.WEIGHTS / compare_inversions.FILE
    if not path.exists():
        pytest.skip("no comparison is shipped yet")
    result = json.loads(path.read_text(encoding="utf-8"))
    assert set(result["methods"]) == set(METHODS)
    for method, row in result["methods"].items():
        assert row["weights"] == compare_inversions.weights_of(method, compare_inversions.WEIGHTS)
        assert row["steps"] == compare_inversions.STEPS[method]


# ------------------------------------------------------------------------------------------------------ the benchmark


def test_the_projector_s_schedule_gets_nearer(folder):
    generator = weights.load("faces-64", "cpu", folder)
    images = generator.draw(generator.mapping(torch.randn(2, 12, generator=torch.Generator().manual_seed(4))))
    history = bench_inversion.projector(generator, images, steps=40)
    assert [point.step for point in history] == list(range(41))
    assert history[-1].error < 0.5 * history[0].error
    assert not any(parameter.requires_grad for parameter in generator.parameters())


def test_rows_compare_at_the_end_and_at_the_peer_s_last_error():
    ours = [Point(0, 0.0, 0.5), Point(1, 2.0, 0.02), Point(2, 4.0, 0.01)]
    peer = [Point(0, 0.0, 0.5), Point(9, 20.0, 0.03)]
    end, error, reached = bench_inversion.compare("8 photos", 2, ours, peer)
    assert (end.value, end.peer, end.ratio) == (2, 10, 5)
    assert (error.value, error.peer, error.ratio) == (10, 30, pytest.approx(3))
    assert (reached.value, reached.ratio) == (1, 10)
    never = bench_inversion.compare("8 photos", 2, ours, [Point(9, 20.0, 0.001)])[2]
    assert (never.value, never.ratio) == (float("inf"), 0)


def test_the_benchmark_draws_its_curves(folder, monkeypatch, tmp_path):
    monkeypatch.setattr(bench_inversion, "pick_device", lambda: torch.device("cpu"))
    load = weights.load
    tiny = {path.stem for path in folder.glob("*.safetensors")}
    here = lambda name, device: load(name, device, folder if name in tiny else weights.WEIGHTS)  # noqa: E731
    monkeypatch.setattr(weights, "load", here)
    rows = bench_inversion.run(steps=3, projector_steps=4, curves=tmp_path / "new" / "curves.png")
    assert [row.name.split(",")[0] for row in rows] == ["one photo"] * 3 + ["8 photos"] * 3
    assert (tmp_path / "new" / "curves.png").stat().st_size > 5000
