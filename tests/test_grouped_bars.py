"""Bars in groups: the same series in every group, drawn in one colour each."""

import matplotlib
import pytest

from latentlib.plots import figures


@pytest.fixture
def shown(monkeypatch):
    made = []
    monkeypatch.setattr(figures, "show", lambda fig, alt: made.append((fig, alt)))
    return made


def test_each_series_keeps_its_colour_and_each_bar_its_number(shown):
    values = {"kind": {"pixels": 0.5, "autoencoder": 0.75}, "colour": {"pixels": 0.25, "autoencoder": 1.0}}
    figures.grouped_bars(values, alt="Two groups of bars", xlabel="share", mark=("guessing", 0.5))
    ((fig, alt),) = shown
    ax = fig.axes[0]
    pixels, autoencoder = ax.containers[0], ax.containers[1]
    assert [bar.get_width() for bar in pixels] == [0.5, 0.25]
    assert [bar.get_width() for bar in autoencoder] == [0.75, 1.0]
    assert {matplotlib.colors.to_hex(bar.get_facecolor()).upper() for bar in pixels} == {figures.colour("pixels")}
    assert [label.get_text() for label in ax.get_yticklabels()] == ["kind", "colour"]
    assert {"0.50", "0.25", "0.75", "1.00"} <= {text.get_text() for text in ax.texts}
    assert alt == "Two groups of bars"


def test_a_new_series_never_gets_a_taken_colour(shown):
    figures.grouped_bars({"kind": {"something": 0.5, "autoencoder": 0.75}}, alt="Two bars", xlabel="share")
    bars = shown[0][0].axes[0].containers
    assert bars[0][0].get_facecolor() != bars[1][0].get_facecolor()


def test_groups_with_other_series_are_refused():
    with pytest.raises(ValueError, match="same series"):
        figures.grouped_bars({"kind": {"a": 1.0}, "colour": {"b": 1.0}}, alt="Bars", xlabel="share")
