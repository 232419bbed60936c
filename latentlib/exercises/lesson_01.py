"""What the exercises of lesson 01, on compression, ask of an answer."""

import torch

from latentlib.exercises import SENTENCES, Sentence, exercise, same_as

SENTENCES["01-identified"] = Sentence(
    "Squeezed to 3 numbers, every picture is identified by them.",
    verdict="half true",
    why="Nearly every picture has numbers of its own, but so it has with random mixtures; drawing is another matter.",
)
SENTENCES["01-structure"] = Sentence(
    "A network trained to classify learns structural similarity on the way.",
    verdict="half true",
    why="Here the digits it was taught come together; those it was never taught gain next to nothing.",
)


@exercise("01-compress", "Squeeze and draw again", why="A code is a list of amounts; later networks replace the sum.")
def _(reconstruct):
    components = torch.linalg.qr(torch.randn(4, 4)).Q[:3]  # of length 1, at right angles
    mean, pictures = 2 + torch.rand(4), torch.rand(2, 4)

    made = mean + torch.tensor([[0.5, -1.0, 2.0]]) @ components
    cases = [(mean[None], mean, components, 3), (made, mean, components, 3)]
    cases += [(pictures, mean, components, k) for k in (2, 1, 3)]
    same_as(lambda x, mean, kept, k: mean + (x - mean) @ kept[:k].T @ kept[:k], reconstruct, cases, 1e-3)


@exercise("01-bits", "Spend bits where they help", why="Real compressors do this: what hardly varies gets nothing.")
def _(spend):
    def left_over(variances, bits):  # what is left of the variance when each bit quarters it
        return (variances * 0.25**bits).sum()

    def greedy(variances, budget):
        bits = torch.zeros(len(variances))
        for _ in range(budget):
            bits[(variances * 0.25**bits).argmax()] += 1
        return left_over(variances, bits)

    def yours(variances, budget):
        bits = spend(variances, budget)
        whole = bits.shape == variances.shape and bits.sum() == budget and bits.equal(bits.clamp(min=0).round())
        told = f"{len(variances)} variances and a budget of {budget}: as many whole numbers should add up to {budget}"
        assert whole, f"{told}; yours are {', '.join(f'{b:g}' for b in bits.flatten()[:5])} …, in sum {bits.sum():g}"
        return left_over(variances, bits)

    small, many = torch.tensor([1.0, 16.0, 4.0]), 50 * 0.9 ** torch.arange(40.0)
    cases = [(small, 1), (small, 5), (many, 100), (many.flip(0), 30), (torch.ones(6), 8)]
    same_as(greedy, yours, cases, what="what is left of the error")


@exercise("01-identify", "Codes that nobody shares", why="To be unique is cheap: every serial number is.")
def _(own_codes):
    def reference(codes):
        _, which, sharing = torch.unique(codes.mul(100).round(), dim=0, return_inverse=True, return_counts=True)
        return (sharing[which] == 1).double().mean()

    steps = torch.randint(1, 9, (60, 2)) * 0.01 + torch.rand(60, 2) * 0.008 - 0.004
    pair = torch.tensor([[0.101, 0.2], [0.099, 0.2], [0.5, 0.5], [0.5, 0.9]])
    three = torch.tensor([[0.3, 0.1], [0.3, 0.1], [0.3, 0.1], [0.7, 0.1]])
    cases = [pair, -pair, three, steps, -steps, torch.linspace(0.02, 1, 50)[:, None].repeat(1, 3)]
    same_as(reference, own_codes, [(codes,) for codes in cases])
