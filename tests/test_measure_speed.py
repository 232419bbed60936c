"""The table of the trainer's tricks: each variant is the same training, and the shipped table is the shipped file."""

import json
from pathlib import Path

import pytest
import torch

from training import cards
from training.faces import measure_speed
from training.faces import trainer as face_trainer

TRAINING = Path(__file__).resolve().parents[1] / "training"
SMALL = {
    **face_trainer.RECIPE,
    "batch": 4,
    "channels": {4: 4, 8: 4, 16: 4, 32: 4, 64: 4},
    "z_dim": 8,
    "w_dim": 8,
    "mapping_layers": 1,
}


def small():
    return face_trainer.Trainer(SMALL, torch.zeros(8, 3, 64, 64, dtype=torch.uint8), torch.device("cpu"))


def drawn(trainer):
    w = torch.randn(2, 8, generator=torch.Generator().manual_seed(0))
    return trainer.generator.synthesis(w, noise=None)


def channels_last(trainer):
    return trainer.generator.synthesis.b64.conv1.weight.is_contiguous(memory_format=torch.channels_last)


def test_other_memory_formats_draw_the_same():
    trainer = small()
    torch.nn.init.normal_(trainer.generator.synthesis.b64.torgb.weight)
    before = drawn(trainer)
    assert channels_last(trainer)
    measure_speed.contiguous(trainer)
    assert not channels_last(trainer)
    assert torch.allclose(drawn(trainer), before, atol=1e-5)


def test_upsampling_first_convolves_the_larger_picture(monkeypatch):
    trainer = small()
    sizes = []
    convolve = torch.nn.functional.conv2d

    def noted(x, *rest, **more):
        sizes.append(x.shape[-1])
        return convolve(x, *rest, **more)

    monkeypatch.setattr(torch.nn.functional, "conv2d", noted)
    shape = drawn(trainer).shape
    before = sizes.count(64)
    measure_speed.upsample_first(trainer)
    sizes.clear()
    assert drawn(trainer).shape == shape
    assert sizes.count(64) == before + 1


@pytest.mark.skipif(not hasattr(torch.compiler, "set_stance"), reason="this PyTorch cannot leave out steps")
def test_compiled_networks_train_with_and_without_second_derivatives():
    """Without the C++ compiler behind it, but with the tracing that refuses second derivatives."""
    recipe = {**SMALL, "channels": {4: 4, 8: 4}, "growth": {}, "r1_every": 2}
    trainer = face_trainer.Trainer(recipe, torch.zeros(8, 3, 8, 8, dtype=torch.uint8), torch.device("cpu"))
    measure_speed.compiled(trainer, backend="aot_eager")
    torch._dynamo.utils.counters.clear()
    for _ in range(2):  # the first with R1
        assert all(torch.isfinite(loss) for loss in trainer.step().values())
    assert trainer.images_seen == 8
    assert torch._dynamo.utils.counters["frames"]["ok"] > 0
    torch._dynamo.reset()


def test_rows_are_measured_in_their_own_processes():
    rows = [measure_speed.ROWS[0], measure_speed.ROWS[1], measure_speed.ROWS[-1]]
    result = measure_speed.measure(rows, torch.device("cpu"), SMALL, steps=1)
    assert [row["name"] for row in result["rows"]] == [row.name for row in rows]
    assert all(row["images_a_second"] > 0 for row in result["rows"])
    text = measure_speed.table({"tricks": result})
    assert text.count("\n|") == 1 + len(rows)
    assert "| 1.00 |" in text


def test_every_row_has_a_name_of_its_own():
    names = [row.name for row in measure_speed.ROWS + measure_speed.COMPILED]
    assert len(set(names)) == len(names)
    assert measure_speed.STEPS % face_trainer.RECIPE["r1_every"] == 0


def test_text_goes_between_the_marks(tmp_path):
    card = tmp_path / "README.md"
    card.write_text("before\n<!-- a -->\nold\n<!-- b -->\nafter\n")
    for text in ("first", "second"):
        cards.put_between(card, "<!-- a -->", "<!-- b -->", text)
        assert cards.between(card, "<!-- a -->", "<!-- b -->") == text
    assert card.read_text() == "before\n<!-- a -->\nsecond\n<!-- b -->\nafter\n"
    with pytest.raises(ValueError, match="unpack"):
        cards.put_between(card, "<!-- no -->", "<!-- b -->", "lost")
    assert "second" in card.read_text()


def test_the_shipped_table_is_the_shipped_measurement():
    shown = cards.between(TRAINING / "README.md", measure_speed.BEGIN, measure_speed.END)
    file = TRAINING / "faces" / "speed.json"
    if not file.exists():
        assert shown == "Not measured yet."
        return
    assert shown == measure_speed.table(json.loads(file.read_text(encoding="utf-8")))
