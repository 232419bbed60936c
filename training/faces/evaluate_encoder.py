"""Measure the shipped face encoder: how near its answer comes to photos and to generated faces, and in what time.

python -m training.faces.evaluate_encoder

prints the measures, writes data/weights/faces-64-encoder.json and puts the table into the model card (without LFW: of
generated faces only).
"""

from __future__ import annotations

import argparse
import json
import time

import torch

from latentlib import weights
from latentlib.device import describe
from latentlib.metrics import auc, perceptual_features, psnr, without_tone
from latentlib.weights import WEIGHTS, checksum, read_weights
from training import lfw
from training.cards import put_between
from training.faces.encoder_trainer import NAME
from training.faces.measure_kinship import draw_couples
from training.faces.measures import chosen_photos

JUDGES = ("identity", "features", "grey pixels")  # of likeness
BEGIN, END = f"<!-- evaluation of {NAME}: begin -->", f"<!-- evaluation of {NAME}: end -->"


# ---------------------------------------------------------------------------------------------------------- measuring


@torch.no_grad()
def reconstruction(encoder, generator, target: torch.Tensor) -> dict:
    """PSNR of pictures (n, 3, r, r) in [-1, 1] encoded and drawn again, beside that of the mean face."""
    drawn = torch.cat([generator.draw(encoder(part)) for part in target.split(32)])
    target = target / 2 + 0.5
    found = psnr(drawn, target)
    mean = psnr(generator.draw(generator.w_avg[None]).expand_as(target), target)
    return {
        "pictures": len(target),
        "psnr_mean": found.mean().item(),
        "psnr_least": found.min().item(),
        "psnr_most": found.max().item(),
        "psnr_of_the_mean_face": mean.mean().item(),
    }


@torch.no_grad()
def likeness(encoder, generator, identity, discriminator, held: lfw.Faces) -> dict:
    """How often an encoded face is nearer to another photo of the same person than to somebody else's (AUC, 0.5 by
    chance), and how often the photo itself is; by the identity measure, and by two that no loss holds in this form."""
    couples = draw_couples(held, held.people.unique(return_counts=True)[1].gt(1).sum().item() // 2)
    photos, others = (torch.cat(parts) for parts in zip(*couples, strict=True))
    drawn = torch.cat([generator.draw(encoder(part * 2 - 1)) for part in photos.split(32)])

    def features(faces: torch.Tensor) -> torch.Tensor:  # so that distances are those of metrics.perceptual_distance
        levels = perceptual_features(discriminator, faces)
        return torch.cat([level.flatten(1) / level[0, 0].numel() ** 0.5 for level in levels], 1)

    codes = (identity.embed, features, lambda faces: without_tone(faces)[:, :, 12:52, 16:48].flatten(1))
    result = {"people": len(photos)}
    own = torch.eye(len(photos), dtype=torch.bool)
    for name, code in zip(JUDGES, codes, strict=True):
        far = {kind: torch.cdist(code(faces), code(others)) for kind, faces in (("encoded", drawn), ("photo", photos))}
        result[name] = {kind: auc(matrix[own], matrix[~own]) for kind, matrix in far.items()}
    return result


@torch.no_grad()
def milliseconds(encoder, image: torch.Tensor, repeats: int = 20) -> float:
    """Processor time of one core for each picture of the batch: what other programs take is not the encoder's."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        encoder(image)
        began = time.process_time()
        for _ in range(repeats):
            encoder(image)
        return 1000 * (time.process_time() - began) / repeats / len(image)
    finally:
        torch.set_num_threads(threads)


def evaluate(encoder, made: dict, generator, weights: str, held: torch.Tensor | None) -> dict:
    """weights: checksum of the generator's file; held: (n, 3, r, r) uint8, photos of held-out people, or None: then
    only generated faces are measured."""
    torch.manual_seed(4)
    with torch.no_grad():
        samples = generator(torch.randn(256, generator.z_dim), noise=None).clamp(-1, 1)
    result = {
        "generator": weights,
        "trained_on_this_generator": made["generator"] == weights,
        "made": {key: made[key] for key in ("images_seen", "since", "minutes", "trained_on", "recipe")},
        "generated_faces": reconstruction(encoder, generator, samples),
        "core_ms_a_picture": {
            "alone": milliseconds(encoder, samples[:1]),
            "batch_of_8": milliseconds(encoder, samples[:8]),
        },
        "parameters": sum(p.numel() for p in encoder.parameters()),
        "machine": describe("cpu"),
    }
    if held is not None:
        result["held_out_photos"] = reconstruction(encoder, generator, held.float() / 127.5 - 1)
        result["held_out_photos"]["photos"] = "the first photo of each of the first 64 held-out people"
    return result


# -------------------------------------------------------------------------------------------------------------- report


def card(result: dict) -> str:
    """What the model card says between its two marks."""

    def row(name: str, measured: dict) -> str:
        spread = f"{measured['psnr_least']:.1f} to {measured['psnr_most']:.1f}"
        return (
            f"| {name} | {measured['pictures']} | {measured['psnr_mean']:.1f} dB ({spread}) "
            f"| {measured['psnr_of_the_mean_face']:.1f} dB |"
        )

    lines = ["| encoded and drawn again | pictures | PSNR, mean (range) | the mean face instead |", "|---|---|---|---|"]
    if "held_out_photos" in result:
        lines.append(row("photos of people never seen in training", result["held_out_photos"]))
    lines.append(row("generated faces", result["generated_faces"]))
    if "likeness" in result:
        told = result["likeness"]
        of = {kind: [f"{100 * told[judge][kind]:.0f}" for judge in JUDGES] for kind in ("encoded", "photo")}
        lines.append(
            "\nThe face that is drawn from the answer is nearer to another photo of the same person than to somebody "
            f"else's in {of['encoded'][0]} of 100 comparisons by the measure of identity below, in "
            f"{of['encoded'][1]} by the discriminator's features, in {of['encoded'][2]} by the face's grey pixels; "
            f"the photo itself in {', '.join(of['photo'])} ({told['people']} people never seen)."
        )
    made, ms = result["made"], result["core_ms_a_picture"]
    lines.append(
        f"\n{made['images_seen']:,} pictures shown, {made['since']:,} of them with the generator it belongs to, in "
        f"{made['minutes']:.0f} minutes; trained on {made['trained_on']}. {result['parameters'] / 1e6:.2f} M "
        f"parameters; {ms['alone']:.0f} ms of one core's time for one picture, {ms['batch_of_8']:.0f} ms each in a "
        "batch of 8."
    )
    if not result["trained_on_this_generator"]:
        lines.append("\n**It was trained on an earlier generator than the shipped one.**")
    return "\n".join(lines)


def main() -> None:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    made = read_weights(NAME)[1]
    try:
        held = lfw.load("held_out")
        photos = held.images[chosen_photos(held)]
    except RuntimeError as error:
        print(f"only generated faces are measured: {error}")
        held = photos = None
    encoder, generator = weights.load("faces-64-encoder", "cpu"), weights.load("faces-64", "cpu")
    result = evaluate(encoder, made, generator, checksum("faces-64"), photos)
    if held is not None:
        result["likeness"] = likeness(
            encoder,
            generator,
            *(weights.load(f"faces-64-{name}", "cpu") for name in ("identity", "discriminator")),
            held,
        )
    if not result["trained_on_this_generator"]:
        print(
            "the shipped generator is not the one that this encoder was trained on; go on with: "
            "python -m training.faces.train_encoder --minutes 20"
        )
    (WEIGHTS / f"{NAME}.json").write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=2))
    put_between(WEIGHTS / "README.md", BEGIN, END, card(result))


if __name__ == "__main__":
    main()
