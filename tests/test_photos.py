"""Any photo is read as a browser shows it, its landmarks are found, and it is aligned."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms, PngImagePlugin

from latentlib import photos, settings
from latentlib.datasets import portraits

# Real files that failed, where they lie beside the data; the kinds are made below as well.
CASES = (settings.data_folder() or Path("nowhere")).parent / "cases"
HOPPER_EYES = ((222, 190), (306, 186))  # measured by hand
COLLINS_EYES = ((203, 100), (246, 103))


@pytest.fixture(scope="module")
def hopper():
    return portraits.photo("hopper")  # (600, 512, 3)


@pytest.fixture(scope="module")
def collins():
    return portraits.photo("collins")  # (512, 512, 3)


def file_of(picture, kind: str = "PNG", **options) -> bytes:
    file = io.BytesIO()
    picture = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    picture.save(file, kind, **options)
    return file.getvalue()


def apart(found, expected) -> float:
    return float(np.abs(np.asarray(found, float) - np.asarray(expected, float)).mean())


# ------------------------------------------------------------------------------------------------------------- reading


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"])
def test_every_kind_of_file_by_path_and_by_bytes(hopper, tmp_path, kind):
    path = tmp_path / "photo"
    path.write_bytes(file_of(hopper, kind))
    found = photos.read(path)
    assert found.dtype == np.uint8
    assert apart(found, hopper) < (14 if kind == "GIF" else 4)
    assert np.array_equal(found, photos.read(str(path)))
    assert np.array_equal(found, photos.read(path.read_bytes()))


@pytest.mark.parametrize("mode", ["L", "1", "P", "LA", "RGBA", "CMYK", "I;16"])
def test_every_kind_of_pixels(hopper, mode):
    grey = np.asarray(Image.fromarray(hopper).convert("L"))
    image = Image.fromarray(grey.astype(np.uint16) * 257) if mode == "I;16" else Image.fromarray(hopper).convert(mode)
    found = photos.read(file_of(image, "TIFF"))
    assert found.shape == hopper.shape
    small = [np.asarray(Image.fromarray(x).reduce(8).convert("L")) for x in (found, hopper)]  # 1 bit is dithered
    assert apart(*small) < 12


def test_every_kind_of_array(hopper):
    for array in (hopper, hopper / 255, torch.from_numpy(hopper), torch.from_numpy(hopper) / 255):
        assert np.array_equal(photos.read(array), hopper)
    assert np.array_equal(photos.read(hopper[:, :, 0]), hopper[:, :, [0, 0, 0]])


TURNED = {1: lambda x: x, 2: np.fliplr, 3: lambda x: np.rot90(x, 2), 4: np.flipud, 6: np.rot90}
TURNED |= {8: lambda x: np.rot90(x, 3), 5: lambda x: x.swapaxes(0, 1), 7: lambda x: np.rot90(x, 2).swapaxes(0, 1)}


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF"])
@pytest.mark.parametrize("turn", TURNED)
def test_a_turned_photo_is_upright(hopper, kind, turn):
    exif = Image.Exif()
    exif[0x0112] = turn
    found = photos.read(file_of(np.ascontiguousarray(TURNED[turn](hopper)), kind, exif=exif))
    assert apart(found, hopper) < 4


@pytest.mark.parametrize("entry", [(0x011A, 2, b"72\0\0"), (0x0103, 4, b"\xff\xff\xff\xff"), (0x0100, 2, b"ab\0\0")])
def test_odd_exif_does_not_keep_a_photo_from_being_turned(hopper, entry):
    """What Pillow can read and cannot write again: text and too large numbers where numbers belong."""
    tag, kind, value = entry
    entries = sorted([(0x0112, 3, 1, b"\6\0\0\0"), (tag, kind, 3 if kind == 2 else 1, value)])
    tiff = b"II*\0\x08\0\0\0" + struct.pack("<H", 2) + b"".join(struct.pack("<HHI4s", *e) for e in entries) + bytes(4)
    lying = np.ascontiguousarray(np.rot90(hopper))
    assert apart(photos.read(file_of(lying, "JPEG", quality=95, exif=b"Exif\0\0" + tiff)), hopper) < 4
    assert apart(photos.read(file_of(hopper, "JPEG", quality=95, exif=b"Exif\0\0broken")), hopper) < 4


def with_chunk(png: bytes, name: bytes, content: bytes) -> bytes:
    """A PNG with one more chunk after its header."""
    body = name + content
    return png[:33] + struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body)) + png[33:]


def test_odd_and_large_chunks_are_no_damage(hopper):
    png = file_of(hopper)
    assert np.array_equal(photos.read(with_chunk(png, b"eXIf", b"no TIFF at all")), hopper)
    large = zlib.compress(bytes(3 * 10**6))
    assert np.array_equal(photos.read(with_chunk(png, b"iCCP", b"big\0\0" + large)), hopper)
    assert np.array_equal(photos.read(with_chunk(png, b"zTXt", b"XML\0\0" + large)), hopper)
    assert PngImagePlugin.MAX_TEXT_MEMORY < 10**8  # many of them would be


@pytest.mark.parametrize("mode", ["1", "L", "RGB", "P"])
def test_what_is_transparent_becomes_white(mode):
    array = np.zeros((20, 20, 3), np.uint8)
    array[:, 10:] = 255 if mode == "1" else 90
    image = Image.fromarray(array).convert(mode)
    clear = {"RGB": (0, 0, 0), "P": image.getpixel((0, 0))}.get(mode, 0)
    found = photos.read(file_of(image, transparency=clear))
    assert (found[:, :10] == 255).all()
    assert np.abs(found[:, 10:] - array[:, 10:].astype(int)).max() <= (40 if mode == "P" else 0)
    assert (photos.read(np.dstack([array, np.full((20, 20), 0, np.uint8)])) == 255).all()


def test_large_scans_of_one_bit(hopper):
    scan = Image.fromarray(hopper).convert("1").resize((2732, 3200))
    for content in (file_of(scan), file_of(scan, "TIFF", compression="group4")):
        found = Image.fromarray(photos.read(content))
        assert max(found.size) == photos.WORKING_SIDE
        assert apart(found.resize((64, 75)), Image.fromarray(hopper).convert("L").convert("RGB").resize((64, 75))) < 25


def test_colour_profiles_are_applied_and_odd_ones_ignored(hopper):
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for profile in (lab, srgb, b"no profile"):
        assert np.array_equal(photos.read(file_of(hopper, icc_profile=profile)), hopper)
    if CASES.is_dir():
        wide = (CASES / "icc_DisplayP3.jpg").read_bytes()
        assert apart(photos.read(wide), hopper) < 2 < apart(Image.open(io.BytesIO(wide)), hopper)


@pytest.mark.skipif(not CASES.is_dir(), reason="the real files are not on this machine")
@pytest.mark.parametrize("name", sorted(path.name for path in CASES.glob("*.[jpt]*")) or ["none"])
def test_a_real_file_that_failed(hopper, name):
    found = photos.read(CASES / name)
    wanted = Image.fromarray(hopper)
    if "1bit" in name or "grey" in name:
        wanted = wanted.convert("L")
        wanted = wanted.point(lambda level: 255 * (level > 127) if "1bit" in name else level).convert("RGB")
    small, right = (np.asarray(x.resize((64, 75)), float) for x in (Image.fromarray(found), wanted))
    if "trns" in name:
        assert (found[:, :5] == 255).all()
        small, right = small[:, 20:], right[:, 20:]
    assert apart(small, right) < (25 if "1bit" in name else 3)


def brands(*names: bytes) -> bytes:
    return struct.pack(">I4s4s4s", 12 + 4 * len(names), b"ftyp", names[0], bytes(4)) + b"".join(names[1:]) + bytes(40)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "JPEG or PNG"),
        (b"no picture at all", "JPEG or PNG"),
        (brands(b"heic", b"mif1"), "HEIC photo.*Most Compatible"),
        (brands(b"heim"), "HEIC photo"),
        (brands(b"mif1", b"heix"), "HEIC photo"),
        (brands(b"avif", b"mif1"), "AVIF"),
        (brands(b"isom", b"mp41"), "no picture"),
        (file_of(np.zeros((40, 40, 3), np.uint8), "JPEG")[:60], "damaged|no picture"),
        (file_of(np.random.default_rng(0).integers(0, 255, (40, 40, 3), np.uint8))[:900], "damaged"),
    ],
)
def test_what_is_no_photo_gets_a_sentence(content, words):
    with pytest.raises(photos.PhotoError, match=words):
        photos.read(content)


def test_of_a_moving_picture_the_first_one_is_read(hopper):
    other = Image.fromarray(255 - hopper)
    assert apart(photos.read(file_of(hopper, "GIF", save_all=True, append_images=[other])), hopper) < 14


WRONG = (np.full((8, 8), 200.0), np.full((8, 8), 300), np.full((8, 8), -1), np.zeros((3, 4, 5, 6)), np.zeros(3), 10**6)


@pytest.mark.parametrize("wrong", WRONG)
def test_wrong_arrays_and_files_get_a_sentence(wrong, tmp_path):
    with pytest.raises(photos.PhotoError):
        photos.read(wrong)
    for place in (tmp_path / "nobody.jpg", tmp_path):
        with pytest.raises(photos.PhotoError):
            photos.read(place)


def test_limits_hold_wherever_a_file_comes_from(tmp_path, monkeypatch):
    content = file_of(np.zeros((101, 100, 3), np.uint8))
    (tmp_path / "large.png").write_bytes(content)
    for name, words in (("MOST_PIXELS", "pixels"), ("MOST_BYTES", "MB")):
        monkeypatch.setattr(photos, name, 100)
        for source in (tmp_path / "large.png", content):
            with pytest.raises(photos.PhotoError, match=words):
                photos.read(source)
    monkeypatch.undo()
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)  # nothing of it is decoded
    bomb = with_chunk(content[:8] + bytes(25) + content[33:], b"IHDR", header)
    with pytest.raises(photos.PhotoError, match="pixels"):
        photos.read(bomb[:8] + bomb[33:])


EXTRA_MEMORY = """
import io, sys
import numpy as np
from PIL import Image
from latentlib import photos
from pathlib import Path
file = io.BytesIO()
Image.effect_noise((750, 1000), 40).resize((6000, 8000)).convert("RGB").save(file, "JPEG")
before = int(Path("/proc/self/status").read_text().split("VmRSS:")[1].split()[0])
Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
pixels = photos.read(file.getvalue())
extra = int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) - before
print(*pixels.shape, extra / 1e3)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the peak of memory is read from /proc")
def test_a_phones_48_megapixels_take_little_memory():
    done = subprocess.run([sys.executable, "-c", EXTRA_MEMORY], capture_output=True, text=True, check=True)
    *shape, megabytes = done.stdout.split()
    assert shape == ["1600", "1200", "3"]
    assert float(megabytes) < 150


# ------------------------------------------------------------------------------------------- landmarks and aligning


def eyes_in(photo):
    return photos.find_landmarks(photo)[0].points[:2]


def test_the_landmarks_of_both(hopper, collins):
    for photo, eyes, mouth, far in ((hopper, HOPPER_EYES, (262, 284), 8), (collins, COLLINS_EYES, (222, 152), 5)):
        face, note = photos.find_landmarks(photo)
        assert np.abs(face.points[:2] - eyes).max() < far
        assert np.abs(face.points[3] - mouth).max() < 8
        assert face.score > 0.8
        assert note == ""


@pytest.mark.parametrize("times", [2, 5])
def test_a_small_face_in_a_large_photo_is_found_as_exactly(collins, times):
    """At five times its size the face is 4 % of the photo's width: parts of the photo must be searched."""
    pad = 128 * (times - 1)
    large = np.pad(collins[:256, 100:356], ((pad, pad), (pad, pad), (0, 0)), mode="edge")
    assert np.abs(eyes_in(large) - pad + (100, 0) - COLLINS_EYES).max() < 5


def test_in_a_group_every_small_face_is_found_and_the_largest_is_used(collins, capsys):
    face = Image.fromarray(collins[30:230, 120:320])
    group = Image.new("RGB", (1600, 900), "white")
    for number, side in enumerate((115, 110, 110, 110, 110, 110)):
        group.paste(face.resize((side, side)), (100 + 260 * number, 300 + 40 * number))
    found = photos.find_faces(np.asarray(group))
    assert sorted(round((f.points[:2].mean(0)[0] - 140) / 260) for f in found) == [0, 1, 2, 3, 4, 5]
    aligned = photos.align(np.asarray(group))
    assert "6 faces were found; the largest is used" in capsys.readouterr().out
    assert (aligned - photos.align(collins)).abs().mean() < 0.06


def test_what_was_no_face_does_not_end_the_search(monkeypatch):
    """Of the whole photo only a fold that looks like a face is seen; its parts hold a real one."""
    fold, face = (photos.Face(np.array([[40, 40], [60, 40], *[[50, 55]] * 4]), side, 0.7) for side in (20, 90))
    monkeypatch.setattr(photos, "_detect", lambda _, windows: {1: [fold], 9: [face]}[len(windows)])
    monkeypatch.setattr(photos, "_look_again", lambda *_: None)
    assert photos.find_faces(np.zeros((200, 200, 3), np.uint8)) == [face]


def test_bright_dots_on_the_eyes_land_on_their_places():
    photo = np.zeros((300, 400, 3), np.uint8)
    eyes = ((150.0, 120.0), (230.0, 160.0))  # of a tilted head
    for channel, (x, y) in enumerate(eyes):
        across, down = np.meshgrid(np.arange(400) + 0.5 - x, np.arange(300) + 0.5 - y)
        photo[across**2 + down**2 < 36, channel] = 255
    aligned = photos.align(photo, eyes=eyes)
    assert aligned.shape == (3, 64, 64)
    assert torch.equal(aligned, photos.align(photo, eyes=eyes[::-1]))
    grid = torch.arange(64).float() + 0.5
    for channel, (x, y) in enumerate(64 * np.array(photos.EYES)):
        weight = aligned[channel] / aligned[channel].sum()
        assert (weight.sum(0) @ grid).item() == pytest.approx(x, abs=0.3)
        assert (weight.sum(1) @ grid).item() == pytest.approx(y, abs=0.3)


@pytest.mark.parametrize("degrees", [20, -30])
def test_neither_a_turn_nor_the_size_changes_the_aligned_face(collins, degrees):
    turned = Image.fromarray(collins).rotate(degrees, Image.Resampling.BICUBIC, fillcolor=(200, 190, 190))
    for other in (turned, turned.resize((1024, 1024)), turned.resize((300, 300))):
        assert (photos.align(np.asarray(other)) - photos.align(collins)).abs().mean() < 0.07
    large = photos.align(np.asarray(turned), size=256)
    assert large.shape == (3, 256, 256)
    assert 0 <= large.min() <= large.max() <= 1


def test_the_larger_ruler_counts():
    """FFHQ's rule: a turned head, whose eyes are near each other, is measured from the eyes to the mouth."""
    frontal = np.array([[-10, 0], [10, 0], [0, 12], [0, 22], [-18, 4], [18, 4]], float)
    aside = frontal * [0.5, 1]
    assert abs(photos.window_of(frontal).turn) == pytest.approx(20 * photos.EYE_RULER)
    assert abs(photos.window_of(aside).turn) == pytest.approx(22 * photos.MOUTH_RULER)
    assert abs(photos.window_of(aside[:2]).turn) == pytest.approx(10 * photos.EYE_RULER)  # eyes alone know no better
    assert photos.window_of(frontal).middle == pytest.approx(1j * 22 * photos.LOWER)


@pytest.mark.parametrize("photo", [np.full((200, 200, 3), 90, np.uint8), np.zeros((300, 100)), np.ones((1, 40))])
def test_no_face_says_what_to_do(photo):
    with pytest.raises(photos.NoFaceError, match="click the two eyes"):
        photos.align(photo)


@pytest.mark.parametrize(
    "eyes", [((10, 10), (11, 11)), ((10, 10), (9999, 10)), ((10, 10), (float("nan"), 10)), (10, 10), "left"]
)
def test_impossible_eyes_get_a_sentence(hopper, eyes):
    with pytest.raises(ValueError, match=r"eyes|in pixels"):
        photos.align(hopper, eyes)
