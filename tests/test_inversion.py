"""A code is found again, the best is kept, and what cannot work is said in a sentence."""

from __future__ import annotations

import copy
import itertools

import pytest
import torch
from torch import nn

from latentlib import weights
from latentlib.gan import inversion
from latentlib.gan.inversion import METHODS, invert
from latentlib.gan.lbfgs import Evaluation, batched_lbfgs
from latentlib.gan.w_space import p_norm, preconditioner
from latentlib.metrics import perceptual_distance, psnr
from latentlib.models.stylegan2 import Discriminator, Generator

pytestmark = pytest.mark.usefixtures("one_thread")
CHANNELS = {4: 16, 8: 16, 16: 8}


@pytest.fixture(scope="module")
def generator():
    torch.manual_seed(0)
    network = Generator(16, 12, 10, 2, CHANNELS).eval().requires_grad_(False)
    network.compute_w_avg(2000)
    return network


@pytest.fixture(scope="module")
def discriminator():
    torch.manual_seed(1)
    return Discriminator(16, CHANNELS).eval().requires_grad_(False)


@pytest.fixture(scope="module")
def codes(generator):
    z = torch.randn(3, generator.z_dim, generator=torch.Generator().manual_seed(5))
    return generator.mapping(z)  # (3, w_dim)


@pytest.fixture(scope="module")
def images(generator, codes):
    return generator.draw(codes)


@pytest.fixture(scope="module")
def encoder(generator, codes):
    """Knows the three pictures' codes by heart, but not exactly."""

    class Memory(nn.Module):
        def forward(self, images):
            drawn = generator.draw(codes) * 2 - 1
            nearest = (images[:, None] - drawn).square().flatten(2).sum(2).argmin(1)
            return codes[nearest][:, None].expand(-1, generator.num_ws, -1) + 0.1

    return Memory()


@pytest.fixture
def run(generator, encoder):
    """invert without a bar, with the encoder."""

    def run(images, method="w+", steps=30, **options):
        options = {"encoder": encoder, "progress": False} | options
        return invert(generator, images, method, steps=steps, **options)

    return run


# ------------------------------------------------------------------------------------------------------ what is found


def test_a_generated_picture_s_code_is_found_again_in_w(run, generator, codes, images):
    found = run(images, "w", steps=60)
    assert torch.allclose(found.codes, codes[:, None].expand(-1, generator.num_ws, -1), atol=1e-3)
    assert found.errors.max() < 1e-9
    assert psnr(found.images, images).min() > 80


@pytest.mark.parametrize("method", METHODS)
def test_every_method_gives_codes_that_draw_its_images_and_beats_the_mean_face(method, run, generator, images):
    found = run(images, method, snapshots=4)
    n = len(images)
    assert found.method == method
    assert found.codes.shape == (n, generator.num_ws, generator.w_dim)
    assert found.images.shape == images.shape
    assert found.errors.shape == (n,)
    assert torch.allclose(found.generator.draw(found.codes), found.images, atol=1e-4)
    assert torch.allclose((found.images - images).square().mean((1, 2, 3)), found.errors, atol=1e-7)
    mean_face = (generator.draw(generator.w_avg.expand(n, -1)) - images).square().mean((1, 2, 3))
    assert (found.errors < (0.5 if method == "encoder" else 0.25) * mean_face).all()
    assert found.steps == (0 if method == "encoder" else 30)
    assert not found.interrupted
    assert 0 < found.seconds < 600
    assert found.snapshots.shape == (4, *images.shape)
    assert torch.equal(found.snapshots[-1], found.images)
    assert found.snapshot_steps == ([0] * 4 if method == "encoder" else [0, 10, 20, 30])
    assert (found.z is not None) == (method == "z")


def test_z_draws_the_same_codes_and_has_the_length_of_a_random_z(run, generator, images):
    found = run(images, "z")
    assert torch.allclose(found.z.square().mean(1), torch.ones(3), atol=1e-5)
    w = generator.mapping(found.z)[:, None].expand(-1, generator.num_ws, -1)
    assert torch.allclose(w, found.codes, atol=1e-4)


def test_w_uses_one_code_for_all_layers_and_w_plus_may_differ(run, images):
    for method, same in (("z", True), ("w", True), ("w+", False), ("hybrid", False)):
        codes = run(images, method).codes
        assert (codes == codes[:, :1]).all().item() == same


def test_any_picture_is_nearer_in_w_plus_than_in_w(run):
    noise = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(3))
    assert (run(noise, "w+", steps=60).errors < run(noise, "w", steps=60).errors).all()


def test_p_norm_stays_nearer_to_usual_codes_at_the_cost_of_the_error(run, generator):
    noise = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(3))
    unusual = p_norm(generator)
    free, kept, tight = run(noise), run(noise, "p-norm"), run(noise, "p-norm", p_norm_weight=1.0)
    assert (unusual(kept.codes) < unusual(free.codes)).all()
    assert (unusual(tight.codes) < unusual(kept.codes)).all()
    assert (kept.errors > free.errors).all()
    assert torch.allclose(run(noise, "p-norm", p_norm_weight=0.0).errors, free.errors)
    hybrid, kept_hybrid = (run(noise, "hybrid", p_norm_weight=weight) for weight in (None, 0.01))
    assert (unusual(kept_hybrid.codes) < unusual(hybrid.codes)).all()  # any search can be kept there


def test_codes_of_the_mapping_are_usual(generator):
    z = torch.randn(3000, generator.z_dim, generator=torch.Generator().manual_seed(8))
    w = generator.mapping(z)[:, None].expand(-1, generator.num_ws, -1)
    assert p_norm(generator)(w).mean() == pytest.approx(1, abs=0.05)
    far = generator.w_avg + 4 * (w - generator.w_avg)
    assert p_norm(generator)(far).mean() > 3


def test_the_encoder_s_answer_is_given_as_it_is_and_hybrid_goes_on_from_it(run, encoder, images):
    answer = run(images, "encoder")
    assert torch.equal(answer.codes, encoder(images * 2 - 1))
    assert [point.step for point in answer.history] == [0]
    hybrid = run(images, "hybrid", steps=5)
    assert hybrid.history[0].error == pytest.approx(answer.errors.mean().item())
    assert (hybrid.errors < answer.errors).all()
    assert (hybrid.errors < run(images, "w+", steps=5).errors).all()


def test_hybrid_without_an_encoder_starts_at_the_mean_face_and_says_so(run, images, capsys, monkeypatch):
    monkeypatch.setitem(inversion.STEPS, "w+", 7)
    found = run(images, "hybrid", steps=None, encoder=None)
    assert found.steps == 7
    said = "No encoder was given: the search starts at the mean face and takes 7 steps.\n"
    assert capsys.readouterr().out == said
    assert torch.equal(found.codes, run(images, "w+", steps=7).codes)
    assert run(images, "hybrid", steps=3, encoder=None).steps == 3


def test_a_generator_that_was_learning_goes_on_learning(generator, images):
    learner = copy.deepcopy(generator).requires_grad_(True)
    learner.mapping.requires_grad_(False)
    invert(learner, images, "w", steps=2, progress=False)
    assert all(p.requires_grad and p.grad is None and p.is_contiguous() for p in learner.synthesis.parameters())
    assert not any(p.requires_grad for p in learner.mapping.parameters())


def test_a_perceptual_weight_buys_perceptual_nearness(run, discriminator):
    noise = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(3))
    plain = run(noise)
    seen = run(noise, discriminator=discriminator, perceptual_weight=1.0)

    def far(found):
        return perceptual_distance(discriminator, found.images, noise)

    assert (far(seen) < far(plain)).all()
    assert (seen.errors > plain.errors).all()
    by_default = run(noise, discriminator=discriminator)
    assert not torch.equal(by_default.codes, plain.codes)
    assert torch.equal(run(noise, discriminator=discriminator, perceptual_weight=0).codes, plain.codes)


def test_what_is_darker_than_black_costs_nothing(run, generator, codes):
    loud = generator.w_avg + 1.5 * (codes[1:] - generator.w_avg)
    images = generator.draw(loud)
    assert ((images == 0) | (images == 1)).float().mean() > 0.2
    assert run(images, "w", steps=100).errors.max() < 1e-9


@pytest.mark.parametrize("method", METHODS)
def test_cores_that_share_the_pictures_find_what_one_finds(run, images, method, discriminator, three_threads):
    options = {"steps": 5, "discriminator": discriminator, "snapshots": 2}
    shared = run(images, method, **options)
    torch.set_num_threads(1)
    alone = run(images, method, **options)
    assert torch.allclose(shared.codes, alone.codes, atol=1e-3)
    assert torch.allclose(shared.snapshots, alone.snapshots, atol=2e-3)
    assert shared.errors.tolist() == pytest.approx(alone.errors.tolist(), rel=0.02)


# -------------------------------------------------------------------------------------------------- how it is found


def test_the_history_is_the_best_so_far_and_never_rises(run, generator, codes):
    images = generator.draw(generator.w_avg + 0.3 * (codes - generator.w_avg))  # nothing black or white on the way
    found = run(images, "w+", steps=25)
    assert [point.step for point in found.history] == list(range(26))
    errors, seconds = [p.error for p in found.history], [p.seconds for p in found.history]
    assert errors == sorted(errors, reverse=True)
    assert seconds == sorted(seconds)
    assert seconds[-1] <= found.seconds
    assert errors[-1] == pytest.approx(found.errors.mean().item())


def test_each_picture_keeps_its_own_best_when_a_step_goes_wrong():
    """Two parabolas; at the third look one row is sent uphill: it stays where it was, the other goes on."""
    looks = []

    def evaluate(point):
        looks.append(point.clone())
        loss = (point * torch.tensor([[1.0, 9.0]])).square().sum(1)
        if len(looks) == 3:
            loss = loss + torch.tensor([1e6, 0.0])
        gradient = 2 * point * torch.tensor([[1.0, 81.0]])
        return Evaluation(loss, gradient, loss, torch.zeros(2, 3, 1, 1))

    states = []
    for state in batched_lbfgs(evaluate, torch.tensor([[4.0, 1.0], [2.0, -3.0]]), first_step=0.1):
        states.append(state)
        if len(states) == 30:
            break
    assert torch.equal(states[2].point[0], states[1].point[0])
    assert not torch.equal(states[2].point[1], states[1].point[1])
    for before, after in itertools.pairwise(states):
        assert (after.error <= before.error).all()
    assert states[-1].error.max() < 1e-10


def test_it_walks_as_the_textbook_s_two_loops_do():
    """The compact form against the two-loop recursion of Nocedal, on a problem in which every step is taken."""
    torch.manual_seed(0)
    matrix = torch.randn(8, 8).double()
    matrix = (matrix @ matrix.T + torch.eye(8)).float()
    points, gradients = [], []

    def evaluate(point):
        gradient = point @ matrix
        points.append(point.clone()), gradients.append(gradient.clone())
        loss = (point * gradient).sum(1) / 2
        return Evaluation(loss, gradient, loss, torch.zeros(1, 3, 1, 1))

    walk = batched_lbfgs(evaluate, torch.randn(1, 8), first_step=0.001, memory=4)
    states = [next(walk) for _ in range(9)]  # longer than the memory
    assert len({state.error.item() for state in states}) == 9  # every step was taken
    pairs = [(b - a, h - g) for a, b, g, h in zip(points, points[1:-1], gradients, gradients[1:-1], strict=False)][-4:]
    q, shares = gradients[-2].clone(), []
    for s, y in reversed(pairs):
        shares.append((s * q).sum() / (s * y).sum())
        q = q - shares[-1] * y
    s, y = pairs[-1]
    q = q * (s * y).sum() / y.square().sum()
    for (s, y), share in zip(pairs, reversed(shares), strict=True):
        q = q + s * (share - (y * q).sum() / (s * y).sum())
    assert torch.allclose(points[-1] - points[-2], -q, rtol=1e-3, atol=1e-5)


def test_the_same_seed_gives_the_same_codes(run, images):
    for method in ("z", "w+", "p-norm"):
        first = run(images, method, steps=8, seed=3)
        torch.rand(17)  # what is drawn elsewhere must not matter
        assert torch.equal(first.codes, run(images, method, steps=8, seed=3).codes)
    assert not torch.equal(run(images, "z", steps=1, seed=0).codes, run(images, "z", steps=1, seed=1).codes)


@pytest.mark.parametrize("method", ["z", "w", "w+", "p-norm", "hybrid"])
def test_a_picture_s_result_does_not_depend_on_the_others(method, run, images):
    noise = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(3))
    together = run(images, method, steps=12)
    others = run(torch.cat([images[:1], noise]), method, steps=12)
    alone = run(images[:1], method, steps=12)
    assert torch.allclose(together.codes[0], others.codes[0], atol=1e-3)
    assert torch.allclose(together.codes[0], alone.codes[0], atol=1e-3)
    assert not torch.allclose(together.codes[1], others.codes[1], atol=1e-1)


def test_it_stops_early_when_every_picture_is_near_enough(run, images):
    found = run(images, "w", steps=60, tolerance=1e-4, snapshots=3)
    assert (found.errors <= 1e-4).all()
    assert found.steps < 60
    assert found.history[-1].step == found.steps
    assert found.snapshot_steps == [0, round(found.steps / 2), found.steps]
    each = [run(image[None], "w", steps=60, tolerance=1e-4) for image in images]
    assert found.steps == max(one.steps for one in each)
    assert found.errors.tolist() == pytest.approx([one.errors.item() for one in each], rel=0.05)  # each stopped itself


def test_a_start_that_is_near_enough_takes_no_step(run, images):
    found = run(images, "hybrid", tolerance=1.0)
    assert found.steps == 0
    assert torch.equal(found.codes, run(images, "encoder").codes)


def test_it_ends_when_rounding_leaves_nothing_to_gain(run, images):
    assert run(images, "w", steps=2000).steps < 2000


def stop_at(look: int, monkeypatch):
    """Press stop when the search looks for that time."""
    looks = []

    def interrupted(walk):
        def start(evaluate, *rest, **options):
            def look_or_stop(point):
                looks.append(1)
                if len(looks) == look:
                    raise KeyboardInterrupt
                return evaluate(point)

            return walk(look_or_stop, *rest, **options)

        return start

    monkeypatch.setattr(inversion, "batched_lbfgs", interrupted(inversion.batched_lbfgs))


@pytest.mark.parametrize("method", ["z", "w+", "p-norm", "hybrid"])
def test_an_interrupt_gives_the_best_so_far(method, run, generator, images, monkeypatch, capsys):
    expected = run(images, method, steps=11)
    stop_at(13, monkeypatch)  # the start is the first look, so 11 steps are done
    found = run(images, method, steps=30, snapshots=2)
    assert found.interrupted
    assert found.steps == 11
    assert torch.allclose(found.codes, expected.codes, atol=1e-4)
    assert torch.allclose(found.generator.draw(found.codes), found.images, atol=1e-4)
    assert found.snapshot_steps == [0, 11]
    assert found.generator is generator
    assert capsys.readouterr().out == "Stopped after 11 of 30 steps; each picture keeps its best code so far.\n"
    assert all(p.is_contiguous() for p in generator.parameters())


def test_an_interrupt_before_anything_was_drawn_is_passed_on(run, images, monkeypatch):
    stop_at(1, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        run(images)


def test_a_bar_is_shown_and_a_notebook_keeps_a_text_in_its_place(run, images, monkeypatch, capfd):
    run(images, steps=2, progress=True)
    assert "/2 " in capfd.readouterr().err
    from tqdm.notebook import tqdm_notebook

    shown = []
    monkeypatch.setattr("tqdm.auto.tqdm", tqdm_notebook)
    monkeypatch.setattr("IPython.display.display", lambda bundle, raw: shown.append(bundle))
    run(images, steps=3, progress=True)
    assert [bundle["text/plain"] for bundle in shown] == ["  100%|██████████| 3 steps"]
    assert not capfd.readouterr().err


def test_images_in_half_precision_and_ones_that_want_gradients_are_taken(run, images):
    assert run(images.double(), steps=2).images.dtype == torch.float32
    assert not run(images.clone().requires_grad_(), steps=2).codes.requires_grad


def test_along_the_preconditioners_axes_every_layer_changes_the_picture_more_alike(generator):
    axes = preconditioner(generator)
    assert axes.shape == (generator.num_ws, generator.w_dim, generator.w_dim)
    assert torch.equal(axes, preconditioner(generator))
    assert torch.linalg.eigvalsh(axes).min() > 0  # no direction is lost
    assert preconditioner(generator, same_w=True).shape == (1, generator.w_dim, generator.w_dim)
    change = torch.randn(64, generator.w_dim, generator=torch.Generator().manual_seed(6)) * 0.01
    still = generator.synthesis(generator.w_avg[None], noise=None)

    def spread(moves):
        """The largest change of the picture by one layer, divided by the smallest."""
        far = []
        for layer, move in enumerate(moves):
            w_plus = generator.w_avg.repeat(64, generator.num_ws, 1)
            w_plus[:, layer] += change @ move
            far.append((generator.synthesis(w_plus, noise=None) - still).square().mean().sqrt())
        return max(far) / min(far)

    assert spread(axes) < 0.8 * spread(torch.eye(generator.w_dim).expand_as(axes))


# ---------------------------------------------------------------------------------------------------------- measures


def test_psnr_of_known_differences():
    a = torch.zeros(3, 3, 4, 4)
    b = torch.stack([torch.full((3, 4, 4), 0.1), torch.full((3, 4, 4), 1.0), torch.zeros(3, 4, 4)])
    assert psnr(a, b).tolist() == [pytest.approx(20, abs=1e-4), pytest.approx(0, abs=1e-6), float("inf")]
    with pytest.raises(ValueError, match=r"same shape .* got \(3, 3, 4, 4\) and \(1, 3, 4, 4\)"):
        psnr(a, b[:1])


def test_perceptual_distance_is_zero_for_equal_pictures_symmetric_and_grows(discriminator, images):
    noise = torch.randn(images.shape, generator=torch.Generator().manual_seed(2))
    far = [perceptual_distance(discriminator, images, images + level * noise) for level in (0.0, 0.02, 0.2)]
    assert far[0].tolist() == [0, 0, 0]
    assert (far[0] < far[1]).all()
    assert (far[1] < far[2]).all()
    assert (far[2] <= 4).all()
    back = perceptual_distance(discriminator, images + 0.2 * noise, images)
    assert torch.allclose(back, far[2])
    with pytest.raises(ValueError, match="same shape"):
        perceptual_distance(discriminator, images, images[:1])


# ------------------------------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda x: x[0], r"images must be a tensor \(n, 3, 16, 16\), got \(3, 16, 16\); add a batch axis"),
        (lambda x: x[:0], r"got \(0, 3, 16, 16\)"),
        (lambda x: x[:, :1], r"got \(3, 1, 16, 16\)"),
        (lambda x: x[..., :8], r"got \(3, 3, 16, 8\)"),
        (lambda x: x.numpy(), "got ndarray"),
        (lambda x: (x * 255).byte(), "got torch.uint8; divide bytes by 255"),
        (lambda x: x / 0, "not finite"),
        (lambda x: x * 2 - 1, r"must lie in \[0, 1\], got -.* use images / 2 \+ 0.5"),
        (lambda x: x * 255, r"must lie in \[0, 1\]"),
    ],
)
def test_wrong_images_get_one_sentence(change, sentence, run, images):
    with pytest.raises(ValueError, match=sentence):
        run(change(images))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"method": "magic"}, r"method must be one of z, w, w\+, p-norm, encoder, hybrid; got 'magic'"),
        ({"method": "encoder", "encoder": None}, r"needs encoder=, for example weights.load\(.faces-64-encoder.\)"),
        ({"perceptual_weight": 0.1}, "perceptual_weight needs discriminator="),
        ({"steps": 0}, "steps must be a whole number from 1 up, got 0"),
        ({"steps": 2.5}, "steps must be a whole number"),
        ({"steps": True}, "steps must be a whole number"),
        ({"learning_rate": 0}, "learning_rate must be a number above 0, got 0"),
        ({"learning_rate": float("nan")}, "learning_rate must be a number above 0, got nan"),
        ({"p_norm_weight": -1}, "p_norm_weight must be a number from 0 up, got -1"),
        ({"perceptual_weight": float("inf")}, "perceptual_weight must be a number from 0 up"),
        ({"tolerance": -1e-3}, "tolerance must be a number from 0 up"),
        ({"snapshots": -1}, "snapshots must be a whole number from 0 up, got -1"),
        ({"snapshots": 2.0}, "snapshots must be a whole number"),
    ],
)
def test_wrong_arguments_get_one_sentence(options, sentence, run, images, discriminator):
    if "inf" in str(options):
        options = options | {"discriminator": discriminator}
    with pytest.raises(ValueError, match=sentence):
        run(images, **options)


def test_an_encoder_of_another_generator_is_refused(run, images):
    with pytest.raises(ValueError, match=r"finite codes \(3, 6, 10\), got \(3, 4, 10\); was it made for this"):
        run(images, "hybrid", encoder=lambda x: torch.zeros(len(x), 4, 10))
    with pytest.raises(ValueError, match="finite codes"):
        run(images, "encoder", encoder=lambda x: torch.full((len(x), 6, 10), float("nan")))


def test_a_broken_generator_is_reported(generator, images):
    broken = copy.deepcopy(generator)
    broken.synthesis.b8.conv0.bias.data.fill_(float("nan"))
    with pytest.raises(ValueError, match="values that are no numbers"):
        invert(broken, images, "w", steps=2, progress=False)


# ------------------------------------------------------------------------------------------------- the shipped one


def test_the_shipped_generator_finds_its_own_faces_again():
    generator = weights.load("faces-64")
    w = generator.mapping(torch.randn(4, generator.z_dim, generator=torch.Generator().manual_seed(11)))
    images = generator.draw(w)
    found = invert(generator, images, "w", steps=200, progress=False)
    exact = psnr(found.images, images) > 35
    assert exact.sum() >= 2  # a search from the mean face may also end in another valley
    far, before = (found.codes[:, 0] - w).norm(dim=1), (generator.w_avg - w).norm(dim=1)
    assert (far < 0.2 * before)[exact].all()
    assert (found.errors < 0.1 * found.history[0].error).all()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA GPU here")
@pytest.mark.parametrize("method", METHODS)
def test_it_runs_on_a_gpu(method, generator, discriminator, images):
    network, judge = copy.deepcopy(generator).cuda(), copy.deepcopy(discriminator).cuda()
    answer = network.w_avg.expand(3, network.num_ws, -1) + 0.01
    found = invert(
        network, images, method, steps=30, encoder=lambda x: answer, discriminator=judge, snapshots=2, progress=False
    )  # images come from the CPU
    assert found.codes.is_cuda
    assert found.images.is_cuda
    assert torch.isfinite(found.errors).all()
    assert found.history[-1].error <= found.history[0].error
