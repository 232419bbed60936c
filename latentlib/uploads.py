"""What a learner uploads, looked at before it is used: a photo as pixels, or one sentence that says why not."""

from __future__ import annotations

import io
import warnings

import numpy as np
from PIL import Image, UnidentifiedImageError

from latentlib.datasets import faces

MOST_BYTES = 20 * 10**6  # of an uploaded file
MOST_PIXELS = 40 * 10**6
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")  # of photos; PIL also knows some that start other programs
WORKING_SIDE = 1600  # pixels: a photo is used in this size; its face is found and aligned in far smaller ones


class PhotoError(ValueError):
    """An uploaded file is not taken; the message is the sentence to show."""


def read_upload(content: bytes) -> np.ndarray:
    """The bytes of an uploaded file -> (h, w, 3) uint8, upright, no side longer than WORKING_SIDE.

    Raises PhotoError, with one sentence, for a file that is no picture, damaged, animated or larger than the limits;
    size and frames are looked at before anything is decoded.
    """
    if len(content) > MOST_BYTES:
        raise PhotoError(too_large(len(content)))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # the limit below is lower
            image = Image.open(io.BytesIO(content), formats=FORMATS)
    except Image.DecompressionBombError as error:
        raise PhotoError(_too_many_pixels("far more than")) from error
    except UnidentifiedImageError as error:
        raise PhotoError("This file is no picture that can be read here; choose a JPEG or PNG photo.") from error
    except Exception as error:  # a damaged file can raise anything
        raise PhotoError(_damaged(error)) from error
    if image.width * image.height > MOST_PIXELS:
        raise PhotoError(_too_many_pixels(f"{image.width * image.height / 1e6:.0f} million, more than"))
    try:
        moving = getattr(image, "is_animated", False) and image.format != "MPO"  # MPO: a photo with its own small copy
        if not moving:
            image.draft(None, (WORKING_SIDE, WORKING_SIDE))  # a JPEG is decoded in about this size
            photo = faces.read_photo(image)
    except Exception as error:
        raise PhotoError(_damaged(error)) from error
    if moving:
        raise PhotoError("This is a moving picture, or several in one file; choose a still photo.")
    if max(photo.shape) > WORKING_SIDE:
        smaller = Image.fromarray(photo)
        smaller.thumbnail((WORKING_SIDE, WORKING_SIDE))
        photo = np.asarray(smaller)
    return photo


def too_large(size: int) -> str:
    """The sentence for a file of so many bytes."""
    return f"This file has {size / 1e6:.0f} MB, more than {MOST_BYTES // 10**6}; make the photo smaller and try again."


def _too_many_pixels(how_many: str) -> str:
    return f"This picture has {how_many} {MOST_PIXELS // 10**6} million pixels; make it smaller and try again."


def _damaged(error: Exception) -> str:
    return f"This picture is damaged ({str(error) or type(error).__name__}); choose another file."
