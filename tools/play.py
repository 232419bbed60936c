"""Build the page to play, `build/site/play`: `python -m tools.play`. The course's networks run in a browser.

The networks are exported to ONNX with their weights in half precision; onnxruntime-web runs them, compiled into one
script with the page's own modules, the weights and the runtime's WebAssembly: a page opened from a folder may load
neither modules nor WebAssembly. Its one link leads to the site around it. Needs node and npm; their packages and the
exporter are installed into build/play on the first run.
"""

import base64
import gzip
import json
import math
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch._decomp import get_decompositions
from torch.fx.experimental.proxy_tensor import make_fx

from latentlib import space, weights
from latentlib.datasets import digits, furniture, portraits
from latentlib.gan import blending, inversion, tuning
from latentlib.models import flow
from latentlib.models.landmarks import SIDE
from latentlib.plots import LABEL_COLOURS, to_png
from latentlib.settings import offline
from latentlib.widgets.card import XMP
from tools.course import ROOT, once

SOURCE = ROOT / "site" / "play"
WORK = ROOT / "build" / "play"
PAGE = ROOT / "build" / "site" / "play"
DIRECTIONS = 6  # sliders of "Change a face"
CODES = 20_000  # from which the directions are found
POINTS = 1500  # digits on the map
PIECES, FLOW_STEPS = 1600, 1200  # of furniture that the flow learns from, and its steps: as in lesson 09
P_NORM_WEIGHT = 0.001  # in the page's search; keeps the codes of photos among usual ones
FEW = 64  # a tensor of up to that many numbers stays in single precision: it saves nothing, and may be an epsilon
CREDITS = {
    "Grace Hopper": "Grace Hopper, computer scientist and rear admiral, 1984: a photo of the US Navy in the public "
    "domain, from matplotlib's sample data.",
    "Eileen Collins": "Eileen Collins, astronaut, first woman to command a Space Shuttle: a photo of NASA in the "
    "public domain, from scikit-image's sample data.",
}
ENTRIES = ["play=main.js", "later.js", "own.js", "index.html", "play.css"]  # the second and third: fetched late
ESBUILD = ["--bundle", "--format=iife", "--minify", "--charset=utf8", "--target=es2022", "--legal-comments=eof"]
ESBUILD += ["--loader:.onnx=binary", "--loader:.gz=binary", "--loader:.html=copy", "--log-level=warning"]


class Part(nn.Module):
    """A network as the page runs it: one tensor in, one out."""

    def __init__(self, network: nn.Module, run: Callable[[nn.Module, Tensor], Tensor]):
        super().__init__()
        self.network, self.run = network, run

    def forward(self, x: Tensor) -> Tensor:
        return self.run(self.network, x)


def guesses(network: nn.Module, x: Tensor) -> Tensor:
    """BlazeFace with one output: (1, 3, 128, 128) in [-1, 1] -> (896, 17), a score and eight points for each guess."""
    scores, points = network(x)
    return torch.cat([scores[0, :, None], points[0].flatten(1)], dim=1)


def plain(name: str) -> nn.Module:
    return weights.load(name, "cpu").to(memory_format=torch.contiguous_format).requires_grad_(False)


def networks() -> dict[str, tuple[nn.Module, Tensor]]:
    """What the page runs: name -> (network, an input to try it on, with a batch axis of 1)."""
    generator, vae = plain("faces-64"), plain("digits-vae-2")
    numbers = torch.Generator().manual_seed(4)
    z = torch.randn(2, generator.z_dim, generator=numbers)
    w_plus = blending.blend(*blending.per_layer(generator.mapping(z), generator.num_ws), crossover=4)[None]
    code = torch.randn(1, 2, generator=numbers)
    return {
        "mapping": (generator.mapping, z[:1]),
        "faces": (Part(generator, lambda generator, codes: generator.draw(codes)), w_plus),
        "encode": (Part(vae, lambda vae, pictures: vae.encode(pictures)), vae.decode(code)),
        "decode": (Part(vae, lambda vae, codes: vae.decode(codes)), code),
    }


def own_photos() -> dict[str, tuple[nn.Module, Tensor]]:
    """What photos of one's own need, as ``networks``: landmarks, encoder, and a step of the search."""
    generator, encoder = plain("faces-64"), plain("faces-64-encoder")
    photo = portraits.load().images[1]
    seen = F.interpolate(photo[None], (SIDE, SIDE), mode="bilinear") * 2 - 1
    return {
        "landmarks": (Part(plain("face-landmarks"), guesses), seen),
        "encoder": (encoder, photo[None] * 2 - 1),
        "step": search_step(generator, encoder, photo),
    }


def furniture_from_noise(steps: int = FLOW_STEPS) -> dict[str, tuple[nn.Module, Tensor]]:
    """What leads noise to furniture, as ``networks``: a flow that is trained here, in seconds, and the decoder.

    The flow takes a point, its t and the kind in one row, (1, 34); the decoder takes codes of mean 0 and spread 1.
    """
    model, factors = plain("furniture-walk"), furniture.sample_factors(PIECES)
    codes = torch.cat([model.encode(furniture.render(part)) for part in factors.split(100)])
    unscaled = nn.Linear(model.latent_dim, model.latent_dim)
    unscaled.weight.data, unscaled.bias.data = codes.std(0).diag(), codes.mean(0)
    codes = (codes - codes.mean(0)) / codes.std(0)
    torch.manual_seed(0)
    network = flow.Flow()
    optimizer = torch.optim.Adam(network.parameters(), 2e-3)
    for step in range(steps):
        chosen = torch.randint(PIECES, (512,))
        kind, noise, t = factors[chosen, :1], torch.randn(512, model.latent_dim), torch.rand(512, 1)
        value = flow.loss(lambda x, t, kind=kind: network(x, t, kind), noise, codes[chosen], t)
        optimizer.param_groups[0]["lr"] = 2e-3 * (1 - step / steps)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
    drawer = nn.Sequential(unscaled, Part(model, lambda model, codes: model.decode(codes)))
    network = Part(network, lambda network, row: network(row[:, :-2], row[:, -2:-1], row[:, -1:]))
    return {"flow": (network, torch.cat([noise[:1], t[:1], kind[:1]], 1)), "furniture": (drawer, codes[:1])}


def search_step(generator: nn.Module, encoder: nn.Module, photo: Tensor) -> tuple[nn.Module, Tensor]:
    """One step of a search in W+ as a network of its own, and an input to try it on.

    A vector of a code (num_ws · w_dim numbers) and the wanted picture (3 · r · r, in [0, 1]) -> a vector of the loss,
    its gradient at the code and what the code draws. The gradient's own operations are written out, so that a runtime
    that knows no gradients computes it.
    """
    shape, side = (1, generator.num_ws, generator.w_dim), generator.resolution
    unusual = inversion.mahalanobis_p(generator)

    def loss(code: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor]:
        drawn = generator.synthesis(code, noise=None) / 2 + 0.5
        return (drawn - wanted).square().mean() + P_NORM_WEIGHT * unusual(code)[0], drawn

    def step(x: Tensor) -> Tensor:
        code, wanted = x[: math.prod(shape)].reshape(shape), x[math.prod(shape) :].reshape(1, 3, side, side)
        gradient, (value, drawn) = torch.func.grad_and_value(loss, has_aux=True)(code, wanted)
        return torch.cat([value[None], gradient.flatten(), drawn.flatten()])

    example = torch.cat([encoder(photo[None] * 2 - 1).flatten(), photo.flatten()])
    return make_fx(step, decomposition_table=WRITTEN_OUT)(example), example


def convolution_backward(gradient, x, weight, bias, stride, padding, dilation, transposed, out, groups, wanted):
    """The gradient of a convolution's input is a transposed convolution; its weights are constants here."""
    return F.conv_transpose2d(gradient, weight, stride=stride, padding=padding), None, None


def doubling_backward(gradient: Tensor, output_size, input_size, *_) -> Tensor:
    """Doubling by linear interpolation is a matrix from either side; its gradient goes back by the transposed one."""
    spread = F.interpolate(torch.eye(input_size[-1])[None], scale_factor=2, mode="linear", align_corners=False)[0]
    return spread @ gradient @ spread.T


aten = torch.ops.aten
WRITTEN_OUT = {
    **get_decompositions([aten.leaky_relu_backward, aten.select_backward, aten.slice_backward]),
    aten.convolution_backward.default: convolution_backward,
    aten.upsample_bilinear2d_backward.default: doubling_backward,
}


def packed(tensor: Tensor) -> dict:
    """A tensor as JSON can hold it: its shape, and its numbers as float32, little-endian, in base64."""
    numbers = tensor.detach().cpu().contiguous().float().numpy().astype("<f4")
    return {"shape": list(tensor.shape), "data": base64.b64encode(numbers.tobytes()).decode()}


def tuned_copy(generator: nn.Module, images: Tensor) -> tuple[Tensor, nn.Module]:
    """Codes (n, num_ws, w_dim) of pictures, and a copy of the generator tuned to draw them, as in notebook 07."""
    encoder, discriminator = (weights.load(f"faces-64-{name}", "cpu") for name in ("encoder", "discriminator"))
    codes = tuning.pivots(generator, images, encoder, progress=False).codes
    return codes, tuning.tune(generator, codes, images, discriminator=discriminator, progress=False)


@torch.no_grad()
def compared(parts: dict[str, tuple[nn.Module, Tensor]]) -> dict:
    """What torch makes of each network's input: the page makes it too and compares."""
    return {name: {"input": packed(x), "output": packed(network(x))} for name, (network, x) in parts.items()}


@torch.no_grad()
def numbers(parts: dict[str, tuple[nn.Module, Tensor]], portrait_codes: Tensor) -> dict:
    """What the page needs beside the networks: directions, codes, the map, and what torch makes of the same inputs."""
    generator, vae = parts["faces"][0].network, parts["encode"][0].network
    codes = generator.mapping(inversion.random_z(generator, CODES, seed=0))
    principal = space.principal_directions(codes, DIRECTIONS)
    pictures, people = digits.load(), portraits.load()
    couple = blending.per_layer(codes[:2], generator.num_ws)
    blends = torch.stack([blending.blend(*couple, 0.3), blending.blend(*couple, 0.6, crossover=4)])
    return {
        "mean": packed(generator.w_avg),
        "directions": packed(principal.directions * principal.variances.sqrt()[:, None]),  # a standard deviation each
        "portraits": [
            {
                "name": name,
                "code": packed(code),
                "credit": CREDITS[name],
                "photo": "data:image/png;base64," + base64.b64encode(to_png(image[None], width=64)).decode(),
            }
            for name, code, image in zip(people.names, portrait_codes, people.images, strict=True)
        ],
        "map": {
            "codes": packed(vae.encode(pictures.test_images[:POINTS])),
            "labels": pictures.test_labels[:POINTS].tolist(),
            "from": pictures.name,
            "colours": LABEL_COLOURS,
        },
        "softness": blending.SOFTNESS,
        "xmp": XMP.decode(),
        "checks": compared(parts) | {"blend": {"input": packed(couple), "output": packed(blends)}},
    }


def exported(network: nn.Module, example: Tensor) -> bytes:
    """A network as an ONNX file whose large weights are stored in half precision, with a cast back behind each of them.

    The runtime does the casts once, when it loads the file; it computes in single precision.
    """
    from onnx import TensorProto, helper, numpy_helper  # out of build/play

    names = {"input_names": ["x"], "output_names": ["y"]}
    model = torch.onnx.export(network.eval(), (example,), dynamo=True, verbose=False, **names).model_proto
    for weight in model.graph.initializer:
        whole = numpy_helper.to_array(weight)
        if weight.data_type == TensorProto.FLOAT and whole.size > FEW:
            name, stored = weight.name, f"{weight.name}_half"
            weight.CopyFrom(numpy_helper.from_array(whole.astype("float16"), stored))
            model.graph.node.insert(0, helper.make_node("Cast", [stored], [name], to=TensorProto.FLOAT))
    return model.SerializeToString()


def fetch() -> None:
    """Install the exporter and the packages of npm into build/play; SystemExit with one sentence when that fails."""
    packages, requirements = SOURCE / "package.json", SOURCE / "requirements.txt"
    npm = shutil.which("npm")
    able = (npm and not offline()) or (WORK / "npm.txt").is_file()
    WORK.mkdir(parents=True, exist_ok=True)
    shutil.copy(packages, WORK)
    node = [npm, "install", "--prefix", WORK, "--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts"]
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--upgrade"]
    pip += ["--target", WORK / "python", "-r", requirements]
    if not (able and once(WORK / "npm.txt", packages, node) and once(WORK / "pip.txt", requirements, pip)):
        sys.exit("Left out: the page to play needs npm (from nodejs.org) and a network, to fetch its parts.")


def build() -> Path:
    """Build the page; gives the path of its index.html."""
    fetch()
    sys.path.append(str(WORK / "python"))  # last: what .venv has goes first
    parts, tools = WORK / "parts", WORK / "node_modules"
    shutil.rmtree(parts, ignore_errors=True)
    shutil.copytree(SOURCE, parts)
    made, own = networks() | furniture_from_noise(), own_photos()
    codes, copy = tuned_copy(made["faces"][0].network, portraits.load().images)
    made["portraits"] = Part(copy, lambda copy, codes: copy.draw(codes)), codes.mean(0, keepdim=True)
    for name, (network, example) in (made | own).items():
        (parts / f"{name}.onnx").write_bytes(exported(network, example))
    told = numbers(made, codes)
    later = {name: told["checks"].pop(name) for name in ("portraits", "encode", "decode", "flow", "furniture")}
    for name, content in (("numbers", told), ("numbers-later", later), ("own", compared(own))):
        (parts / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")
    runtime = tools / "onnxruntime-web" / "dist" / "ort-wasm-simd-threaded.wasm"
    (parts / "runtime.wasm.gz").write_bytes(gzip.compress(runtime.read_bytes(), mtime=0))
    esbuild = shutil.which("esbuild", path=str(tools / ".bin"))
    subprocess.run([esbuild, *ENTRIES, *ESBUILD, f"--outdir={PAGE}"], cwd=parts, check=True)
    return PAGE / "index.html"


if __name__ == "__main__":
    print(build())
