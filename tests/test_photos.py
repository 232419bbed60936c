"""Any photo is read, its landmarks are found, and it is aligned."""

import io
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from benchmarks import bench_photos
from latentlib import photos


@pytest.fixture(scope="module")
def hopper():
    """Grace Hopper, US Navy, public domain: (600, 512, 3)."""
    from matplotlib import cbook

    return np.asarray(Image.open(cbook.get_sample_data("grace_hopper.jpg")).convert("RGB"))


@pytest.fixture(scope="module")
def collins():
    """Eileen Collins, NASA, public domain: (512, 512, 3)."""
    return pytest.importorskip("skimage.data").astronaut()


HOPPER_EYES = ((222, 190), (306, 186))  # measured by hand
COLLINS_EYES = ((203, 100), (246, 103))


def distance(found, expected):
    return np.abs(np.asarray(found) - np.asarray(expected)).max()


def eyes_in(photo):
    return photos.find_landmarks(photo)[0].points[:2]


def test_finds_the_landmarks_of_both(hopper, collins):
    for photo, eyes, mouth, far in ((hopper, HOPPER_EYES, (262, 284), 8), (collins, COLLINS_EYES, (222, 152), 5)):
        face, note = photos.find_landmarks(photo)
        assert distance(face.points[:2], eyes) < far
        assert distance(face.points[3], mouth) < 8
        assert face.score > 0.8
        assert note == ""


@pytest.mark.parametrize("times", [2, 3, 5])
def test_a_small_face_in_a_large_photo_is_found_as_exactly(collins, times):
    """At five times its size the face is 4 % of the photo's width: parts of the photo must be searched."""
    pad = 128 * (times - 1)
    head = collins[:256, 100:356]  # (256, 256)
    large = np.pad(head, ((pad, pad), (pad, pad), (0, 0)), mode="edge")
    assert distance(eyes_in(large) - pad + (100, 0), COLLINS_EYES) < 5


def test_aligned_eyes_stand_where_they_should(hopper):
    """Bright dots painted on the eyes must land on the fixed positions, also when the head is tilted."""
    photo = np.zeros((300, 400, 3), np.uint8)
    eyes = ((150.0, 120.0), (230.0, 160.0))
    for channel, (x, y) in enumerate(eyes):
        across, down = np.meshgrid(np.arange(400) + 0.5 - x, np.arange(300) + 0.5 - y)
        photo[across**2 + down**2 < 36, channel] = 255
    aligned = photos.align(photo, eyes=eyes)
    assert aligned.shape == (3, 64, 64)
    assert aligned.dtype == torch.float32
    grid = torch.arange(64).float() + 0.5
    for channel, (x, y) in enumerate(64 * np.array(photos.EYES)):
        weight = aligned[channel] / aligned[channel].sum()
        assert (weight.sum(0) @ grid).item() == pytest.approx(x, abs=0.3)
        assert (weight.sum(1) @ grid).item() == pytest.approx(y, abs=0.3)


def test_both_photos_align_to_faces(hopper, collins):
    for photo in (hopper, collins):
        aligned = photos.align(photo)
        assert aligned.min() >= 0
        assert aligned.max() <= 1
        large = (photos.align(photo, size=256).permute(1, 2, 0).numpy() * 255).astype(np.uint8)
        assert distance(eyes_in(large), 256 * np.array(photos.EYES)) < 10


@pytest.mark.parametrize("width", [256, 1536])
def test_size_does_not_matter(hopper, width):
    other = np.asarray(Image.fromarray(hopper).resize((width, width * 600 // 512), Image.Resampling.LANCZOS))
    eyes = eyes_in(other) * 512 / width
    assert distance(eyes, HOPPER_EYES) < 12
    size = photos.align(other, np.asarray(HOPPER_EYES) * width / 512)
    assert (size - photos.align(hopper, HOPPER_EYES)).abs().mean() < 0.02


def test_eyes_in_either_order_and_without_a_detector(hopper, monkeypatch):
    monkeypatch.setattr(photos, "_detector", lambda: pytest.fail("the detector was used"))
    first, second = HOPPER_EYES
    assert torch.equal(photos.align(hopper, (first, second)), photos.align(hopper, (second, first)))


def jpeg(array, **options):
    file = io.BytesIO()
    Image.fromarray(array).save(file, "JPEG", quality=95, **options)
    return file.getvalue()


def test_exif_rotation_is_undone(hopper):
    exif = Image.Exif()
    exif[0x0112] = 6  # "turn me a quarter to the right"
    lying = jpeg(np.rot90(hopper).copy(), exif=exif)
    assert np.abs(photos.read(lying).astype(int) - hopper).mean() < 6
    assert distance(eyes_in(lying), HOPPER_EYES) < 12


@pytest.mark.parametrize("kind", ["grey", "rgba", "16-bit", "16-bit png", "float", "palette", "grey array", "path"])
def test_every_kind_of_picture(hopper, kind, tmp_path):
    image = Image.fromarray(hopper)
    grey = np.asarray(image.convert("L"))
    if kind == "path":
        image.save(tmp_path / "photo.png")
    if kind == "16-bit png":
        Image.fromarray(grey.astype(np.uint16) * 257).save(tmp_path / "deep.png")
    source = {
        "grey": image.convert("L"),
        "rgba": image.convert("RGBA"),
        "16-bit": (hopper.astype(np.uint16) * 257),
        "16-bit png": tmp_path / "deep.png",
        "float": hopper.astype(np.float32) / 255,
        "palette": image.convert("P"),
        "grey array": grey,
        "path": str(tmp_path / "photo.png"),
    }[kind]
    pixels = photos.read(source)
    assert pixels.shape == hopper.shape
    assert pixels.dtype == np.uint8
    assert np.abs(pixels.mean(axis=2) - hopper.mean(axis=2)).mean() < 12
    assert photos.align(source).shape == (3, 64, 64)


def test_transparency_becomes_white():
    clear = np.zeros((8, 8, 4), np.uint8)
    clear[:4, :, 3] = 255  # black above, nothing below
    pixels = photos.read(clear)
    assert (pixels[:4] == 0).all()
    assert (pixels[4:] == 255).all()


def test_several_faces_uses_the_largest_and_says_so(collins, capsys):
    face = collins[30:230, 120:320]
    smaller = np.asarray(Image.fromarray(face).resize((150, 150), Image.Resampling.LANCZOS))
    both = np.full((200, 400, 3), 255, np.uint8)
    both[:, :200] = face
    both[20:170, 230:380] = smaller
    aligned = photos.align(both)
    assert "2 faces were found; the largest is used" in capsys.readouterr().out
    assert (aligned - photos.align(collins)).abs().mean() < 0.06


@pytest.mark.parametrize("photo", [np.full((200, 200, 3), 90, np.uint8), np.zeros((300, 100), np.uint8)])
def test_no_face_says_what_to_do(photo):
    with pytest.raises(photos.NoFaceError, match=r"no face was found in this photo; .* click the two eyes"):
        photos.align(photo)


@pytest.mark.parametrize(
    ("eyes", "words"),
    [
        (((10, 10), (11, 11)), "less than 4 pixels apart"),
        (((10, 10), (9999, 10)), "outside this photo of 512 × 600"),
        (((10, 10), (float("nan"), 10)), "outside this photo"),
        ((10, 10), "in pixels of the photo"),
        ("left", "in pixels of the photo"),
    ],
)
def test_impossible_eyes_get_one_sentence(hopper, eyes, words):
    with pytest.raises(ValueError, match=words):
        photos.align(hopper, eyes)


@pytest.mark.parametrize("content", [b"", b"no picture at all", jpeg(np.zeros((40, 40, 3), np.uint8))[:60]])
def test_what_is_no_picture_gets_one_sentence(content):
    with pytest.raises(ValueError, match=r"no picture that can be read|damaged"):
        photos.align(content)


def test_a_missing_file_gets_one_sentence(tmp_path):
    with pytest.raises(ValueError, match="There is no photo at"):
        photos.align(tmp_path / "nobody.jpg")


def test_a_wrong_array_gets_one_sentence():
    with pytest.raises(ValueError, match="1 to 4 channels"):
        photos.read(np.zeros((3, 4, 5, 6), np.uint8))


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.full((8, 8, 3), 200.0), "must be from 0 to 1, got 200 to 200; divide them by 255"),
        (np.full((8, 8, 3), 300), "Whole numbers must be from 0 to 255, got 300 to 300"),
        (np.full((8, 8, 3), -1), "Whole numbers must be from 0 to 255"),
    ],
)
def test_numbers_beyond_the_range_are_not_made_white(array, words):
    with pytest.raises(photos.PhotoError, match=words):
        photos.read(array)


def test_whole_numbers_of_any_kind_are_bytes(hopper):
    assert (photos.read(hopper.astype(np.int64)) == hopper).all()
    assert (photos.read(torch.from_numpy(hopper.copy()).int()) == hopper).all()


@pytest.mark.parametrize("brand", [b"heic", b"heix", b"mif1"])
def test_an_iphones_photo_gets_its_own_sentence(brand):
    with pytest.raises(photos.PhotoError, match=r"HEIC photo.*Most Compatible"):
        photos.read(b"\x00\x00\x00\x18ftyp" + brand + bytes(40))


@pytest.mark.parametrize("place", ["path", "bytes", "file"])
def test_limits_hold_wherever_a_file_comes_from(tmp_path, monkeypatch, place):
    monkeypatch.setattr(photos, "MOST_PIXELS", 10_000)
    content = jpeg(np.zeros((101, 100, 3), np.uint8))
    (tmp_path / "large.jpg").write_bytes(content)
    source = {"path": tmp_path / "large.jpg", "bytes": content, "file": io.BytesIO(content)}[place]
    with pytest.raises(photos.PhotoError, match="million pixels; make it smaller"):
        photos.read(source)
    monkeypatch.setattr(photos, "MOST_BYTES", 100)
    with pytest.raises(photos.PhotoError, match="make the photo smaller"):
        photos.read(source)


EXTRA_MEMORY = """
import sys
from latentlib import photos
content = open(sys.argv[1], "rb").read()
before = int(open("/proc/self/status").read().split("VmRSS:")[1].split()[0])
open("/proc/self/clear_refs", "w").write("5")  # the peak begins anew
pixels = photos.read(content)
extra = int(open("/proc/self/status").read().split("VmHWM:")[1].split()[0]) - before
print(*pixels.shape, extra / 1e3)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the peak of memory is read from /proc")
@pytest.mark.parametrize(
    ("kind", "megapixels", "shape"),
    [("JPEG", 48, ["1600", "1200", "3"]), ("PNG", 40, ["1200", "1600", "3"])],
    ids=["a phone's, rotated by EXIF", "with transparency"],
)
def test_a_large_photo_takes_little_memory(tmp_path, kind, megapixels, shape):
    path = tmp_path / "large"
    path.write_bytes(bench_photos.large_photo(kind, megapixels))
    done = subprocess.run([sys.executable, "-c", EXTRA_MEMORY, path], capture_output=True, text=True, check=True)
    *found, megabytes = done.stdout.split()
    assert found == shape
    assert float(megabytes) < 400


def test_the_benchmarks_peers_read_the_same_photo():
    content = bench_photos.large_photo("JPEG", 1)
    assert np.array_equal(photos.read(content), bench_photos.plainly(content))
    assert photos.read(content).shape == (1156, 867, 3)  # upright
    rows = bench_photos.run({"JPEG": 1, "PNG": 1}, rounds=1)
    assert [row.ratio for row in rows] == [row.value / row.peer for row in rows]


@pytest.mark.parametrize("degrees", [0, 20, -30])
def test_a_turned_photo_aligns_to_the_same_face(collins, degrees):
    turned = Image.fromarray(collins).rotate(degrees, Image.Resampling.BICUBIC, fillcolor=(200, 190, 190))
    assert (photos.align(turned) - photos.align(collins)).abs().mean() < 0.07


def test_the_larger_ruler_counts():
    """FFHQ's rule: a turned head, whose eyes are near each other, is measured from the eyes to the mouth."""
    frontal = np.array([[-10, 0], [10, 0], [0, 12], [0, 22], [-18, 4], [18, 4]], float)
    aside = frontal * [0.5, 1]
    assert abs(photos.window_of(frontal).turn) == pytest.approx(20 * photos.EYE_RULER)
    assert abs(photos.window_of(aside).turn) == pytest.approx(22 * photos.MOUTH_RULER)
    assert abs(photos.window_of(aside[:2]).turn) == pytest.approx(10 * photos.EYE_RULER)  # eyes alone know no better
    assert photos.window_of(frontal).middle == pytest.approx(1j * 22 * photos.LOWER)
    assert not photos.turned_away(frontal)
    assert photos.turned_away(frontal + np.array([[0, 0], [0, 0], [10, 0], [0, 0], [0, 0], [0, 0]]))
