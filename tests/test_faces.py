"""Any photo is read, its eyes are found, and it is aligned; LFW is split by person."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from latentlib.datasets import faces

cv2 = pytest.importorskip("cv2")


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


def test_finds_the_eyes_of_grace_hopper(hopper):
    found = faces.find_eyes(hopper)
    assert distance(found.eyes, HOPPER_EYES) < 12
    assert found.faces >= 1


def test_finds_the_eyes_of_eileen_collins(collins):
    found = faces.find_eyes(collins)
    assert distance(found.eyes, COLLINS_EYES) < 5


def test_aligned_eyes_stand_where_they_should(hopper):
    """Bright dots painted on the eyes must land on the fixed positions, also when the head is tilted."""
    photo = np.zeros((300, 400, 3), np.uint8)
    eyes = ((150.0, 120.0), (230.0, 160.0))
    for channel, (x, y) in enumerate(eyes):
        cv2.circle(photo, (int(x), int(y)), 6, tuple(255 * (c == channel) for c in range(3)), -1)
    aligned = faces.align(photo, eyes=eyes)
    assert aligned.shape == (3, 64, 64)
    assert aligned.dtype == torch.float32
    grid = torch.arange(64).float() + 0.5
    for channel, (x, y) in enumerate([(24, 30.2), (40, 30.2)]):
        weight = aligned[channel] / aligned[channel].sum()
        assert (weight.sum(0) @ grid).item() == pytest.approx(x, abs=0.4)
        assert (weight.sum(1) @ grid).item() == pytest.approx(y, abs=0.4)


def test_both_photos_align_to_faces(hopper, collins):
    for photo in (hopper, collins):
        aligned = faces.align(photo)
        assert aligned.min() >= 0
        assert aligned.max() <= 1
        large = (faces.align(photo, size=256).permute(1, 2, 0).numpy() * 255).astype(np.uint8)
        again = faces.find_eyes(large)
        assert distance(again.eyes, [(96, 120.8), (160, 120.8)]) < 16  # FFHQ's framing at 256


@pytest.mark.parametrize("width", [256, 1536])
def test_size_does_not_matter(hopper, width):
    other = np.asarray(Image.fromarray(hopper).resize((width, width * 600 // 512), Image.Resampling.LANCZOS))
    eyes = np.asarray(faces.find_eyes(other).eyes) * 512 / width
    assert distance(eyes, HOPPER_EYES) < 12
    size = faces.align(other, np.asarray(HOPPER_EYES) * width / 512)
    assert (size - faces.align(hopper, HOPPER_EYES)).abs().mean() < 0.02


def test_eyes_in_either_order_and_without_a_detector(hopper, monkeypatch):
    monkeypatch.setattr(faces, "_cascade", lambda name: pytest.fail("the detector was used"))
    first, second = HOPPER_EYES
    assert torch.equal(faces.align(hopper, (first, second)), faces.align(hopper, (second, first)))


def jpeg(array, **options):
    file = io.BytesIO()
    Image.fromarray(array).save(file, "JPEG", quality=95, **options)
    return file.getvalue()


def test_exif_rotation_is_undone(hopper):
    exif = Image.Exif()
    exif[0x0112] = 6  # "turn me a quarter to the right"
    lying = jpeg(np.rot90(hopper).copy(), exif=exif)
    assert np.abs(faces.read_photo(lying).astype(int) - hopper).mean() < 6
    assert distance(faces.find_eyes(lying).eyes, HOPPER_EYES) < 12


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
    pixels = faces.read_photo(source)
    assert pixels.shape == hopper.shape
    assert pixels.dtype == np.uint8
    assert np.abs(pixels.mean(axis=2) - hopper.mean(axis=2)).mean() < 12
    assert faces.align(source).shape == (3, 64, 64)


def test_transparency_becomes_white():
    clear = np.zeros((8, 8, 4), np.uint8)
    clear[:4, :, 3] = 255  # black above, nothing below
    pixels = faces.read_photo(clear)
    assert (pixels[:4] == 0).all()
    assert (pixels[4:] == 255).all()


def test_several_faces_uses_the_largest_and_says_so(collins, capsys):
    face = collins[30:230, 120:320]
    smaller = np.asarray(Image.fromarray(face).resize((150, 150), Image.Resampling.LANCZOS))
    both = np.full((200, 400, 3), 255, np.uint8)
    both[:, :200] = face
    both[20:170, 230:380] = smaller
    aligned = faces.align(both)
    assert "2 faces were found; the largest is used" in capsys.readouterr().out
    assert (aligned - faces.align(collins)).abs().mean() < 0.06


@pytest.mark.parametrize("photo", [np.full((200, 200, 3), 90, np.uint8), np.zeros((300, 100), np.uint8)])
def test_no_face_says_what_to_do(photo):
    with pytest.raises(faces.NoFaceError, match=r"no face was found in this photo; .* click the two eyes"):
        faces.align(photo)


def test_a_face_without_eyes_says_what_to_do(hopper):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(faces, "find_eyes_in_face", lambda *_: None)
        with pytest.raises(faces.NoFaceError, match=r"not both of its eyes; .* click the two eyes"):
            faces.align(hopper)


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
        faces.align(hopper, eyes)


@pytest.mark.parametrize("content", [b"", b"no picture at all", jpeg(np.zeros((40, 40, 3), np.uint8))[:60]])
def test_what_is_no_picture_gets_one_sentence(content):
    with pytest.raises(ValueError, match="cannot be read as a picture"):
        faces.align(content)


def test_a_missing_file_gets_one_sentence(tmp_path):
    with pytest.raises(ValueError, match="there is no photo at"):
        faces.align(tmp_path / "nobody.jpg")


def test_a_wrong_array_gets_one_sentence():
    with pytest.raises(ValueError, match="1 to 4 channels"):
        faces.read_photo(np.zeros((3, 4, 5, 6), np.uint8))


# ---------------------------------------------------------------------------------------------------------- LFW


def write_folder(home, hopper, people=3, photos=2):
    """A folder like LFW's, with one face of which the eyes are found and photos without any."""
    folder = home / "lfw_home" / "lfw_funneled"
    for person in range(people):
        (folder / f"Person_{person}").mkdir(parents=True)
        for photo in range(photos):
            array = np.asarray(Image.fromarray(hopper[60:460, 56:456]).resize((250, 250)))
            if (person, photo) == (1, 1):
                array = np.full((250, 250, 3), 128, np.uint8)
            Image.fromarray(array).save(folder / f"Person_{person}" / f"Person_{person}_{photo:04d}.jpg", quality=95)


def test_photos_are_aligned_once_and_the_median_is_used_without_eyes(tmp_path, monkeypatch, hopper, capsys):
    write_folder(tmp_path, hopper)
    monkeypatch.setenv("LATENTLIB_DATA", str(tmp_path))
    monkeypatch.setattr(faces, "cache_folder", lambda: tmp_path / "cache")
    loaded = faces.load("all")
    assert loaded.images.shape == (6, 3, 64, 64)
    assert loaded.images.dtype == torch.uint8
    assert loaded.people.tolist() == [0, 0, 1, 1, 2, 2]
    assert loaded.eyes_found.tolist() == [True, True, True, False, True, True]
    assert "the median transform was used for 16.7%" in capsys.readouterr().out
    monkeypatch.delenv("LATENTLIB_DATA")
    assert torch.equal(faces.load("all").images, loaded.images)  # from the cache
    with pytest.raises(ValueError, match="split must be"):
        faces.load("test")


def test_without_lfw_and_without_a_network_one_sentence(tmp_path, monkeypatch):
    monkeypatch.delenv("LATENTLIB_DATA", raising=False)
    monkeypatch.setenv("LATENTLIB_OFFLINE", "1")
    monkeypatch.setenv("SCIKIT_LEARN_DATA", str(tmp_path / "nothing"))
    monkeypatch.setattr(faces, "cache_folder", lambda: tmp_path)
    with pytest.raises(RuntimeError, match="LATENTLIB_OFFLINE forbids the network"):
        faces.load()


def test_split_is_by_person_and_the_much_photographed_stay_in_training():
    people = torch.cat([torch.arange(2000), torch.arange(2000), torch.full((200,), 5), torch.full((200,), 17)])
    held = faces.held_out_people(people)
    assert 60 < len(held) < 140  # one in twenty
    assert not torch.isin(torch.tensor([5, 17]), held).any()
    assert torch.equal(held, faces.held_out_people(people.flip(0)))
    everyone = torch.arange(3000).repeat_interleave(51)
    assert len(faces.held_out_people(everyone)) == 0


def test_lfw_when_it_is_here():
    if not (faces.cache_folder() / faces.CACHE_NAME).exists():
        pytest.skip("LFW has not been aligned on this machine; latentlib.datasets.faces.load() does it")
    train, held = faces.load("train"), faces.load("held_out")
    assert len(train.images) + len(held.images) == 13_233
    assert not torch.isin(held.people, train.people).any()
    assert 0.03 < len(held.people.unique()) / 5749 < 0.07
    assert held.people.unique(return_counts=True)[1].max() <= 50
    assert train.eyes_found.float().mean() > 0.6
    # Faces line up: the mean of many is a face with dark eyes above brighter cheeks.
    mean = train.images[:2000].float().mean(dim=(0, 1))
    assert mean[30, 24] < mean[37, 24] - 10
    assert mean[30, 40] < mean[37, 40] - 10
