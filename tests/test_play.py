"""The page to play: what it is made of; and, where it was built (`python -m tools.play`), the page in Chromium."""

from __future__ import annotations

import base64
import contextlib
import io
import json
import re

import numpy as np
import pytest
import torch
from PIL import Image

from latentlib import photos, weights
from latentlib.datasets import portraits
from latentlib.gan import inversion
from tools import chromium, play

HTML = (play.SOURCE / "index.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def parts():
    return play.networks()


def test_packed_keeps_shape_and_numbers():
    tensor = torch.randn(2, 3, dtype=torch.float64)[:, ::2]  # neither float32 nor contiguous
    packed = play.packed(tensor)
    read = np.frombuffer(base64.b64decode(packed["data"]), "<f4").reshape(packed["shape"])
    assert np.allclose(read, tensor.numpy(), atol=1e-6)


def test_what_is_exported_is_what_the_course_draws(parts):
    generator = parts["faces"][0].network
    with torch.no_grad():
        outputs = {name: network(example) for name, (network, example) in parts.items()}
        again = generator.draw(parts["faces"][1])
    shapes = {name: tuple(output.shape) for name, output in outputs.items()}
    assert shapes == {"mapping": (1, 256), "faces": (1, 3, 64, 64), "encode": (1, 2), "decode": (1, 1, 28, 28)}
    assert torch.equal(outputs["faces"], again), "a face that is drawn twice differs: is there noise in it?"
    for name in ("faces", "decode"):
        assert outputs[name].max() - outputs[name].min() > 0.5, f"{name} draws next to nothing: a poor reference"


def test_the_step_of_the_search_has_the_gradient_that_torch_computes():
    step, example = play.own_photos()["step"]
    generator = weights.load("faces-64", "cpu")
    numbers = generator.num_ws * generator.w_dim
    code = example[:numbers].reshape(1, generator.num_ws, -1).clone().requires_grad_()
    wanted = example[numbers:].reshape(1, 3, 64, 64)
    drawn = generator.synthesis(code, noise=None) / 2 + 0.5
    loss = (drawn - wanted).square().mean() + play.P_NORM_WEIGHT * inversion.mahalanobis_p(generator)(code)[0]
    (gradient,) = torch.autograd.grad(loss, code)
    made = step(example)
    assert gradient.abs().max() > 1e-4, "next to no gradient proves nothing"
    assert torch.allclose(made[0], loss, rtol=1e-4)
    assert torch.allclose(made[1 : 1 + numbers], gradient.flatten(), atol=1e-4 * gradient.abs().max().item())
    assert torch.allclose(made[1 + numbers :], drawn.flatten(), atol=1e-4)


def test_the_page_asks_no_other_host_and_labels_what_it_has():
    sources = [path.read_text(encoding="utf-8") for path in play.SOURCE.iterdir() if path.suffix in (".js", ".css")]
    for text in [HTML, *sources]:
        assert not re.search(r"(https?:)?//[a-z]+\.[a-z]", text), "an address of another host"
    for tag in re.findall(r"<(?:input|canvas)[^>]*>", HTML, re.S):
        later = re.search(r'id="(parent-[01]|child)"', tag)  # these get their words when they are drawn
        assert "aria-label=" in tag or later, tag
    assert "a weighted blend, not a prediction" in HTML
    for name in set(re.findall(r'getElementById\("([\w-]+)"\)', "".join(sources))):
        assert f'id="{name}"' in HTML, f"a module asks for #{name}, which the page has not"


def test_what_cannot_be_fetched_gets_a_sentence(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(play, "WORK", tmp_path / "work")
    monkeypatch.setattr(play.shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setenv("LATENTLIB_OFFLINE", "1")
    with pytest.raises(SystemExit) as left:
        play.fetch()
    assert left.value.code == play.LEFT_OUT
    assert "LATENTLIB_OFFLINE" in capsys.readouterr().err
    monkeypatch.setattr(play.shutil, "which", lambda name: None)
    with pytest.raises(SystemExit):
        play.fetch()
    assert "node" in capsys.readouterr().err


# --- the page itself


@contextlib.contextmanager
def opened(browser, **context):
    """The page in a window of its own; at the end: nothing on the console, and no other host asked."""
    if not (play.PAGE / "index.html").is_file():
        pytest.skip("the page to play is not built here; `python -m tools.play` builds it")
    window = browser.new_context(**context)
    page = window.new_page()
    problems, asked = [], []
    page.on("console", lambda message: problems.append(message.text))
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.add_init_script(SHARED)
    page.goto((play.PAGE / "index.html").as_uri())
    page.wait_for_selector("#agreement[data-worst]", timeout=120_000)
    yield page
    assert problems == []
    outside = [url for url in asked if not url.startswith((play.PAGE.as_uri(), "data:"))]
    assert outside == []
    window.close()


@pytest.fixture
def page(browser):
    with opened(browser, viewport={"width": 1280, "height": 900}) as page:
        yield page


@pytest.fixture
def phone(browser):
    with opened(browser, viewport={"width": 360, "height": 780}, has_touch=True, is_mobile=True) as page:
        yield page


if chromium.find() is None and not chromium.required():
    page = phone = pytest.fixture(lambda: pytest.skip("no Chromium on this machine, the browser tests are left out"))


SHARED = """
window.pixelsOf = (canvas) => {
  const copy = Object.assign(document.createElement("canvas"), { width: canvas.width, height: canvas.height });
  const pen = copy.getContext("2d", { willReadFrequently: true });
  pen.drawImage(canvas, 0, 0);
  return pen.getImageData(0, 0, canvas.width, canvas.height).data;
};
window.apart = (canvas, kept) =>
  pixelsOf(canvas).reduce((most, value, k) => Math.max(most, Math.abs(value - kept[k])), 0);
"""
ROUNDING = 2  # of 255: the runtime may add up in another order when it draws the same picture again


def keep(page, selector: str):
    """What a canvas shows now, kept in the page."""
    return page.locator(selector).evaluate_handle("canvas => pixelsOf(canvas)")


def shows(page, selector: str, kept, same: bool = True) -> None:
    """Wait until a canvas shows what was kept, or something else."""
    page.wait_for_function(
        f"([canvas, kept]) => (apart(canvas, kept) <= {ROUNDING}) === {str(same).lower()}",
        arg=[page.locator(selector).element_handle(), kept],
    )


def changes(page, selector: str, act) -> None:
    """Wait until what the canvas shows differs from what it showed before the act."""
    before = keep(page, selector)
    act()
    shows(page, selector, before, same=False)


def press(page, selector: str, key: str, times: int = 1):
    def act():
        page.focus(selector)
        for _ in range(times):
            page.keyboard.press(key)

    return act


def test_the_networks_in_the_page_agree_with_torch(page):
    said = page.text_content("#agreement")
    assert "the networks agree with PyTorch" in said, said
    assert 0 < float(page.get_attribute("#agreement", "data-worst")) <= 0.01  # 0 would mean that nothing was compared
    assert page.text_content("#status") == "Ready."


def test_a_face_changes_by_keyboard_and_by_mouse(page):
    face = "#face canvas"
    begun = keep(page, face)
    changes(page, face, press(page, "#direction-1", "ArrowRight", 10))
    assert page.get_attribute("#direction-1", "aria-valuetext") == "0.50"
    page.wait_for_function("() => document.querySelector('#face canvas').ariaLabel.includes('direction 1 at 0.50')")
    changes(page, face, lambda: page.click("#straighten"))
    shows(page, face, begun)
    changes(page, face, lambda: page.click("#dice"))
    changes(page, face, press(page, "#truncation", "Home"))
    page.wait_for_timeout(500)
    average = keep(page, face)
    page.click("#dice")
    page.wait_for_timeout(500)
    shows(page, face, average)  # at truncation 0 everybody is the average


def test_the_map_is_pointed_at_and_a_drawn_digit_lands(page):
    changes(page, "#decoded", press(page, "#sheet", "Shift+ArrowRight", 2))
    page.locator("#sheet").scroll_into_view_if_needed()
    box = page.locator("#sheet").bounding_box()
    changes(page, "#decoded", lambda: page.mouse.click(box["x"] + 0.5 * box["width"], box["y"] + 0.15 * box["height"]))
    assert "are 1s" in page.text_content("#place"), "the ones lie at the top of the map"
    # A ring, drawn by mouse, lands among the noughts.
    page.locator("#pad").scroll_into_view_if_needed()
    box = page.locator("#pad").bounding_box()
    turn = [k * 2 * np.pi / 40 for k in range(42)]
    spots = [
        (box["x"] + box["width"] * (0.5 + 0.22 * np.cos(t)), box["y"] + box["height"] * (0.5 + 0.3 * np.sin(t)))
        for t in turn
    ]

    def ring():
        page.mouse.move(*spots[0])
        page.mouse.down()
        for spot in spots:
            page.mouse.move(*spot)
        page.mouse.up()

    changes(page, "#decoded", ring)
    page.wait_for_function("() => / (are|is a) 0/.test(document.querySelector('#place').textContent)")
    changes(page, "#pad", lambda: page.click("#clear"))
    changes(page, "#decoded", press(page, "#pad", "Space"))  # ink by keyboard


def test_a_family_by_keyboard(page):
    child, first, second = "#child", "#parent-0", "#parent-1"
    parents = [keep(page, place) for place in (first, second)]
    for key, parent in (("Home", parents[0]), ("End", parents[1])):  # a share of 0 or 1 is a parent
        changes(page, child, press(page, "#share", key))
        shows(page, child, parent)
    assert "100 % Eileen Collins" in page.text_content("#recipe")
    changes(page, child, press(page, "#share", "PageDown", 3))
    changes(page, child, press(page, "#crossover", "ArrowRight", 4))
    assert "4 coarse layers from the first" in page.text_content("#recipe")
    changes(page, "#siblings canvas >> nth=0", lambda: page.click("#more"))
    changes(page, first, lambda: page.select_option("#person-0", label="Generated person 1"))
    changes(page, first, lambda: page.click("#strangers"))


def test_siblings_become_parents_and_come_back(page):
    parents = [keep(page, f"#parent-{side}") for side in (0, 1)]
    sibling = keep(page, "#siblings canvas >> nth=2")
    page.wait_for_timeout(500)
    changes(page, "#parent-0", press(page, ".sibling >> nth=2", "Enter"))
    assert "Child 1 is of Grace Hopper and Eileen Collins" in page.text_content("#lineage")
    changes(page, "#parent-1", lambda: page.click(".sibling >> nth=0"))
    assert "Child 2 is of Child 1 and Eileen Collins" in page.text_content("#lineage")
    for _ in range(2):
        page.click("#undo")
    for side in (0, 1):
        shows(page, f"#parent-{side}", parents[side])
    shows(page, "#siblings canvas >> nth=2", sibling)
    assert page.is_disabled("#undo")
    page.click("#save")
    with page.expect_download() as kept:
        page.click("#card")
    assert Image.open(kept.value.path()).size == (720, 620)


def file_of(pixels, name="photo.png") -> dict:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="png")
    return {"name": name, "mimeType": "image/png", "buffer": buffer.getvalue()}


def test_a_photo_of_one_s_own_is_found_and_brought_closer(page):
    name = portraits.load().names[1]
    photo = photos.read(portraits.photo(name))
    page.set_input_files("#photo-1", file_of(photo))
    page.wait_for_selector("#aligned-1[data-error]", timeout=60_000)
    found = np.array(json.loads(page.get_attribute("#aligned-1", "data-points")))
    face, _ = photos.find_landmarks(photo)
    eyes = np.linalg.norm(face.points[1] - face.points[0])
    # As far as torch's own points move when the photo is shifted by three pixels: up to 0.07 of the eyes, ears 0.11.
    assert np.abs(found[:4] - face.points[:4]).max() < 0.08 * eyes
    aligned = page.evaluate("Array.from(pixelsOf(document.querySelector('#aligned-1')))")
    side = 160
    seen = np.array(aligned, dtype=float).reshape(side, side, 4)[:, :, :3] / 255
    wanted = np.asarray(
        Image.fromarray((photos.align(photo).permute(1, 2, 0).numpy() * 255).astype("uint8")).resize((side, side), 3)
    )
    assert np.sqrt(np.square(seen - wanted / 255).mean()) < 0.06
    assert "of a search" in page.text_content("#photo-said")
    before, after = re.search(r"from (0\.\d+) to (0\.\d+)", page.text_content("#photo-said")).groups()
    assert float(after) < 0.75 * float(before)  # in ten seconds, also on a busy machine
    assert page.evaluate("document.querySelector('#person-1').selectedOptions[0].text") == "Your photo 2"
    assert float(page.get_attribute("#agreement", "data-worst")) <= 0.01  # now also of the networks for photos


def test_what_is_no_photo_gets_a_sentence(page):
    for name, content, sentence in (
        ("a.jpg", b"not a picture", "This file is no picture that can be read here"),
        ("b.heic", b"\0\0\0\x18ftypheic" + bytes(100), "This is a HEIC photo"),
    ):
        page.set_input_files("#photo-0", {"name": name, "mimeType": "image/jpeg", "buffer": content})
        page.wait_for_function(
            "sentence => document.querySelector('#photo-said').textContent.includes(sentence)", arg=sentence
        )


def test_two_eyes_are_marked_by_keyboard_where_no_face_is_found(page):
    hills = np.random.default_rng(0).integers(0, 255, (60, 90, 3), dtype=np.uint8)
    page.set_input_files("#photo-0", file_of(hills))
    page.wait_for_selector("#eyes:not([hidden])", timeout=60_000)
    assert "No face was found" in page.text_content("#photo-said")
    page.focus("#eyes")
    page.keyboard.press("Space")
    for _ in range(4):
        page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("Space")
    page.wait_for_selector("#aligned-0:not([hidden])")
    page.wait_for_selector("#photo-stop:enabled")
    page.click("#photo-stop")
    page.wait_for_selector("#aligned-0[data-error]")
    assert page.is_hidden("#eyes")


def test_a_phone_needs_fingers_alone_and_no_sideways_scrolling(phone):
    page = phone
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    finger = page.context.new_cdp_session(page)

    def box(selector):
        page.locator(selector).scroll_into_view_if_needed()
        return page.locator(selector).bounding_box()

    def drag(selector, spots):
        """A finger that goes over these shares of something's width and height."""
        at = box(selector)
        for k, (x, y) in enumerate(spots):
            point = {"x": at["x"] + x * at["width"], "y": at["y"] + y * at["height"]}
            kind = "touchMove" if k else "touchStart"
            finger.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [point]})
        finger.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})

    changes(page, "#face canvas", lambda: drag("#direction-1", [(0.5, 0.5), (0.7, 0.5), (0.9, 0.5)]))
    changes(page, "#face canvas", lambda: page.tap("#dice"))
    changes(page, "#decoded", lambda: drag("#sheet", [(0.5, 0.15)]))
    assert "are 1s" in page.text_content("#place"), "the ones lie at the top of the map"
    turn = [k * 2 * np.pi / 40 for k in range(42)]
    box("#pad")
    scrolled = page.evaluate("window.scrollY")
    changes(page, "#decoded", lambda: drag("#pad", [(0.5 + 0.22 * np.cos(t), 0.5 + 0.3 * np.sin(t)) for t in turn]))
    page.wait_for_function("() => / (are|is a) 0/.test(document.querySelector('#place').textContent)")
    assert page.evaluate("window.scrollY") == scrolled, "drawing moved the page"
    changes(page, "#child", lambda: drag("#share", [(0.5, 0.5), (0.2, 0.5)]))
    changes(page, "#parent-0", lambda: page.tap(".sibling >> nth=0"))


def test_two_eyes_are_marked_by_fingers(phone):
    hills = np.random.default_rng(0).integers(0, 255, (60, 90, 3), dtype=np.uint8)
    phone.set_input_files("#photo-0", file_of(hills))
    phone.wait_for_selector("#eyes:not([hidden])", timeout=60_000)
    for share in (0.35, 0.65):
        box = phone.locator("#eyes").bounding_box()
        phone.tap("#eyes", position={"x": share * box["width"], "y": 0.5 * box["height"]})
    phone.wait_for_selector("#aligned-0:not([hidden])")
    phone.wait_for_selector("#photo-stop:enabled")
    phone.tap("#photo-stop")
    phone.wait_for_selector("#aligned-0[data-error]")
    points = json.loads(phone.get_attribute("#aligned-0", "data-points"))
    assert np.abs(np.array(points) - [[0.35 * 90, 30], [0.65 * 90, 30]]).max() < 1
