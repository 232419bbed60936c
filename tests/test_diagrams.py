"""diagrams: drawings of ideas show the numbers that they were given."""

import pytest
import torch

from latentlib.plots import diagrams


@pytest.fixture
def shown(monkeypatch):
    """The figures that would be published, with their alt text."""
    figures = []
    monkeypatch.setattr(diagrams, "show", lambda fig, alt: figures.append((fig, alt)))
    return figures


def words(fig) -> list[str]:
    return [text.get_text() for ax in fig.axes for text in ax.texts]


def test_the_bottleneck_shows_the_code_when_it_is_short(shown):
    picture = torch.rand(1, 5, 5)
    diagrams.bottleneck(picture, torch.tensor([1.0, -2.5, 0.0]), picture, alt="A funnel")
    diagrams.bottleneck(picture, torch.zeros(64), picture, alt="A funnel")
    assert "1.0\n−2.5\n0.0" in words(shown[0][0])
    assert "3 numbers" in words(shown[0][0])
    assert "5×5: 25 numbers" in words(shown[0][0])
    assert "…" in words(shown[1][0])


def test_the_map_draws_what_the_decoder_makes_of_each_place(shown):
    codes = torch.tensor([[0.0, 0.0], [1.0, 1.0], [9.0, 9.0]])  # the last one lies outside
    seen = []

    def decode(places):
        seen.append(places)
        return torch.sigmoid(places).mean(1)[:, None, None, None].expand(-1, 1, 4, 4)

    diagrams.decoded_map(decode, codes, torch.tensor([0, 1, 2]), (-1, -1), (2, 3), steps=4, alt="A map")
    places = seen[0]
    torch.testing.assert_close(places[0], torch.tensor([-1 + 3 / 8, 3 - 4 / 8]))  # left and top first
    torch.testing.assert_close(places[-1], torch.tensor([2 - 3 / 8, -1 + 4 / 8]))
    fig = shown[0][0]
    assert fig.axes[0].get_xlim() == (-1, 2)
    assert set(words(fig)) == {"0", "1"}
    sheet = fig.axes[1].images[0].get_array()
    assert sheet.shape[:2] == (16, 16)
    assert sheet[0, -1].max() > sheet[-1, 0].max()  # y grows upwards


def test_dots_carry_their_intervals(shown):
    diagrams.dots(
        {"a": {"pixels": (0.7, 0.02), "code": (0.9, 0.01)}}, xlabel="share", alt="Two dots", mark=("half", 0.5)
    )
    fig = shown[0][0]
    assert words(fig) == ["0.70", "0.90"]
    assert len(fig.axes[0].containers) == 2
    with pytest.raises(ValueError, match="same names"):
        diagrams.dots({"a": {"x": (1, 0)}, "b": {"y": (1, 0)}}, xlabel="share", alt="no")


def test_signed_is_white_at_zero_and_has_one_scale():
    pictures = torch.tensor([[0.0, 2.0], [-2.0, 1.0]]).view(2, 1, 1, 2)
    shades = diagrams.signed(pictures)
    assert shades.shape == (2, 3, 1, 2)
    assert (shades[0, :, 0, 0] == 1).all()
    red, blue = shades[0, :, 0, 1], shades[1, :, 0, 0]
    assert red[0] > red[2]
    assert blue[2] > blue[0]
    torch.testing.assert_close(shades[1, :, 0, 1], (1 + red) / 2)  # half as much, half as strong
    assert diagrams.signed(torch.zeros(1, 1, 2, 2)).eq(1).all()
