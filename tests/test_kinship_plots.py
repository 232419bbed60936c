"""The judges' table crosses out what the ghost passes; on the map no label stands on another."""

from itertools import pairwise

import pytest

from latentlib.plots import kinship

KINDS = ("child", "ghost", "another couple's child", "the mean face", "the nearest stranger")
TABLE = {
    "own parents nearest": dict(zip(KINDS, (0.7, 1.0, 0.0, 0.03, 0.73), strict=True)),
    "detail <1>": dict(zip(KINDS, (1.01, 0.82, 1.03, 1.02, 1.04), strict=True)),
}


def test_struck_rows_are_crossed_out_and_text_is_escaped():
    html = kinship.KinshipTable(TABLE, ["own parents nearest"])._repr_html_()
    assert "<s>own parents nearest</s>" in html
    assert "<s>1.00</s>" in html
    assert "detail &lt;1&gt;" in html
    assert "<s>1.01</s>" not in html


def test_no_label_on_another(monkeypatch):
    shown = []
    monkeypatch.setattr(kinship, "show", lambda fig, alt: shown.append((fig, alt)))
    kinship.kinship_map(TABLE, "own parents nearest", "detail <1>", "a map")
    ((fig, alt),) = shown
    assert alt == "a map"
    (ax,) = fig.axes
    assert {text.get_text() for text in ax.texts} == set(KINDS)
    fig.canvas.draw()
    for right in (False, True):
        places = sorted(text.xy[1] for text in ax.texts if (text.get_ha() == "right") is right)
        assert all(b - a > 0.06 * 0.22 for a, b in pairwise(places))


def test_an_unknown_row_is_an_error():
    with pytest.raises(KeyError):
        kinship.kinship_map(TABLE, "likeness", "detail <1>", "a map")
