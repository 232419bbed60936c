"""What the exercises of lesson 02, on plots of a latent space, ask of an answer."""

import torch

from latentlib import metrics, space
from latentlib.exercises import SENTENCES, Sentence, exercise, same_as

SENTENCES["02-closer"] = Sentence(
    "Pictures that are alike lie closer together in latent space.",
    verdict="half true",
    why="Alike in what? A code brings together what it kept; for kind, colour and turn three different codes win.",
)
SENTENCES["02-colour"] = Sentence(
    "Irrelevant information, such as the colour of a chair, is ignored in latent space.",
    verdict="half true",
    why="A code drops colour when its task does not need it or when it has no room; with room, it keeps colour.",
)
SENTENCES["02-smaller"] = Sentence(
    "Making the code smaller moves alike pictures closer together.",
    verdict="half true",
    why="Chairs do, a little; chairs of one colour come apart, and random directions bring nothing closer.",
)


@exercise("02-triplets", "A test that cannot be fooled", why="Whoever knows nothing scores one half, no more.")
def _(alike_share):
    a, b, c = torch.randn(3, 300, 4)
    nothing, half = torch.zeros(2, 3), torch.cat([a[:10], torch.zeros(10, 4)])
    pictures = torch.rand(3, 300, 1, 4, 4) * torch.linspace(0.1, 3, 4)
    stretched = torch.tensor([0.1, 1.0, 1.0, 5.0])
    cases = [(nothing, nothing, nothing), (a, b, c), (a, a + 0.9 * b, c), tuple(pictures)]
    cases += [(half, half.flip(0), half.flip(0)), (half, half, half.flip(0))]
    same_as(metrics.triplet_accuracy, alike_share, [*cases, (a * stretched, b * stretched, c * stretched)])


@exercise("02-forget", "Make a code forget", why="A straight line reads nothing any more; a curved reader still may.")
def _(forget):
    codes = 3 + torch.randn(50, 8)
    slanted = torch.randn(3, 8) + 2 * torch.randn(1, 8)  # far from right angles

    def reference(codes, directions):
        basis = torch.linalg.qr(directions.double().T).Q
        return codes - (codes.double() @ basis @ basis.T)

    same_as(reference, forget, [(codes, torch.eye(8)[2:3] * 5), (codes[:1], slanted), (codes, slanted)], 1e-3)


@exercise("02-kept", "How many neighbours are true?", why="This number can be asked of any plot that you are shown.")
def _(neighbours_kept):
    codes = torch.randn(60, 6) * torch.tensor([6.0, 4, 1, 1, 1, 1]) + 4

    def reference(codes, page, k=5):
        true, seen = (space.neighbours(x, x, k + 1)[1][:, 1:] for x in (codes, page))  # the nearest is oneself
        return (true[:, :, None] == seen[:, None, :]).any(2).double().mean()

    pages = (codes[:, :2], codes[:, 2:4], codes + 1, torch.randn(60, 2))
    same_as(reference, neighbours_kept, [*((codes, page) for page in pages), (codes, pages[0], 3)])
