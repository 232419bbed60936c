"""The breeding board: the same seed gives the same brood, a choice makes a parent, undo goes back, errors are said."""

from __future__ import annotations

import io

import pytest
import torch
from PIL import Image

from latentlib import widgets
from latentlib.gan import blending
from latentlib.widgets.family_card import CARD_SENTENCE

LAYERS, NUMBERS = 6, 5


class Painter:
    """Draws a code as its numbers; refuses when it is told to."""

    num_ws, w_dim = LAYERS, NUMBERS
    refuses = False

    def draw(self, w):
        if self.refuses:
            raise RuntimeError("out of paint")
        grey = torch.sigmoid(w)[:, None]  # (n, 1, num_ws, w_dim)
        return torch.nn.functional.interpolate(grey, (8, 8)).expand(-1, 3, -1, -1)


@pytest.fixture
def parents():
    return torch.randn(2, LAYERS, NUMBERS, generator=torch.Generator().manual_seed(3))


@pytest.fixture
def board(parents, tmp_path):
    return widgets.BreedingBoard(Painter(), parents, ("Ada", "Ben"), card=tmp_path / "card.png")


@pytest.fixture
def sent(board, monkeypatch):
    answers = []
    monkeypatch.setattr(board, "send", lambda content, buffers=(): answers.append((content, list(buffers))))
    board._handle_custom_msg({"kind": "show"}, [])  # as a page does when it opens
    return answers


def ask(board, sent, kind, **values):
    """As the page asks: it speaks of the brood that it shows."""
    version = [content["version"] for content, _ in sent if content["kind"] == "brood"][-1]
    board._handle_custom_msg({"kind": kind, "version": version, **values}, [])
    return sent[-1]


def test_the_same_seed_gives_the_same_brood(parents):
    one, again, other = (widgets.BreedingBoard(Painter(), parents, seed=seed) for seed in (4, 4, 5))
    for board in (one, again, other):
        board.choose(2)
    assert torch.equal(one.children, again.children)
    assert not torch.equal(one.children, other.children)


def test_a_page_gets_parents_children_genes_and_words(board, sent):
    content, pictures = sent[0]
    assert content["names"] == ["Ada", "Ben"]
    assert content["lineage"] == "Ada × Ben"
    assert content["first"]
    assert len(pictures) == 2 + len(content["genes"]) == 10
    with Image.open(io.BytesIO(pictures[5])) as image:
        assert image.format == "PNG"
        assert image.size == (128, 128)


def test_a_chosen_child_takes_the_place_of_the_older_parent(board, sent, parents):
    first_child = board.children[6].clone()
    content, _ = ask(board, sent, "choose", child=6)
    assert content["names"] == ["1.7", "Ben"]
    assert torch.equal(board.parents, torch.stack([first_child, parents[1]]))
    second_child = board.children[0].clone()
    content, _ = ask(board, sent, "choose", child=0)
    assert content["names"] == ["1.7", "2.1"]
    assert content["lineage"] == "Ada × Ben → 1.7 × Ben → 1.7 × 2.1"
    assert torch.equal(board.parents, torch.stack([first_child, second_child]))


def test_another_brood_has_the_same_parents(board, sent, parents):
    before = board.children
    content, _ = ask(board, sent, "another")
    assert torch.equal(board.parents, parents)
    assert not torch.equal(board.children, before)
    assert content["lineage"] == "Ada × Ben"


def test_undo_returns_bit_for_bit(board, sent):
    codes, (_, pictures) = board.children.clone(), sent[0]
    for kind in ("choose", "another", "choose", "undo", "undo"):
        ask(board, sent, kind, child=1)
    content, shown = ask(board, sent, "undo")
    assert torch.equal(board.children, codes)
    assert shown == pictures
    assert content["first"]
    count = len(sent)
    ask(board, sent, "undo")  # nothing is before the first brood
    assert len(sent) == count


def test_the_genes_agree_with_the_layers(board, sent, parents):
    for _ in range(3):
        content, _ = ask(board, sent, "choose", child=3)
    genes = torch.tensor(content["genes"])  # (8, LAYERS)
    rebuilt = parents[0] + genes[..., None] * (parents[1] - parents[0])
    torch.testing.assert_close(rebuilt, board.children, atol=1e-5, rtol=0)
    for shares, alt in zip(genes.tolist(), content["alts"], strict=True):
        words = alt.removeprefix("from coarse to fine: ").split(", ")
        assert words == ["Ada" if share < 0.25 else "Ben" if share > 0.75 else "both" for share in shares]


def test_layers_are_inherited_one_by_one(board):
    assert (board.genes.std(dim=1) > 0.1).all()  # no child takes the same share in all layers


@pytest.mark.parametrize("child", [-1, 8, 1.0, "2", None, True])
def test_a_bad_number_changes_nothing(board, sent, child):
    before = board.children
    count = len(sent)
    ask(board, sent, "choose", child=child)
    assert board.children is before
    assert len(sent) == count
    with pytest.raises(ValueError, match="child must be a whole number from 0 to 7"):
        board.choose(child)


def test_a_page_that_speaks_of_an_older_brood_is_not_obeyed(board, sent):
    ask(board, sent, "choose", child=1)
    after = board.children
    board._handle_custom_msg({"kind": "choose", "version": sent[0][0]["version"], "child": 1}, [])
    assert board.children is after


def test_an_error_of_the_generator_becomes_a_sentence_and_the_brood_stays(board, sent):
    before = board.children
    board.generator.refuses = True
    content, _ = ask(board, sent, "choose", child=1)
    assert content == {"kind": "said", "said": "That did not work. RuntimeError: out of paint.", "failed": True}
    assert board.children is before
    board.generator.refuses = False
    content, _ = ask(board, sent, "choose", child=1)
    assert content["kind"] == "brood"


def test_the_card_tells_the_lineage_and_what_it_is_not(board, sent):
    ask(board, sent, "choose", child=4)
    content, _ = ask(board, sent, "save")
    assert content["said"] == "The card was saved as card.png."
    with Image.open(board.card) as image:
        description = image.text["Description"]
    assert "Ada × Ben → 1.5 × Ben" in description
    assert CARD_SENTENCE in description


def test_codes_without_layers_are_repeated(parents):
    board = widgets.BreedingBoard(Painter(), parents[:, 0])
    assert torch.equal(board.parents, blending.per_layer(parents[:, 0], LAYERS))


@pytest.mark.parametrize("wrong", [torch.zeros(3, LAYERS, NUMBERS), torch.zeros(2, LAYERS + 1, NUMBERS), [1, 2]])
def test_wrong_parents_get_one_sentence(wrong):
    with pytest.raises(ValueError, match=r"parents must be the codes of two, \(2, 6, 5\) or \(2, 5\)"):
        widgets.BreedingBoard(Painter(), wrong)


def test_two_parents_have_two_names(parents):
    with pytest.raises(ValueError, match="must be two names; got 1"):
        widgets.BreedingBoard(Painter(), parents, ["Ada"])


def test_broods_become_more_alike(board):
    """What lesson 08 says of ten broods."""
    begun = board.children.std(dim=0).norm()
    for k in range(9):
        board.choose(k % 8)
    assert board.children.std(dim=0).norm() < 0.1 * begun
