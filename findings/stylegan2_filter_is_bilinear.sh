#!/bin/sh
# StyleGAN2's filtered upsampling, [1, 3, 3, 1] between inserted zeros, is plain bilinear enlargement.
#
# Versions: scipy 1.17.1, numpy 2.4.6, Pillow 13.0.0, Python 3.11. Date: 2026-12-01.
#
# Behaviour: upsampling by 2 as StyleGAN2's files ask for it (a zero after each pixel, then the resample_filter
#   [1, 3, 3, 1] x [1, 3, 3, 1] / 64, times 4) gives the same numbers as Pillow's BILINEAR at twice the size, to the last
#   digits of float32, everywhere but in the outermost row and column, where one pads with zeros and the other repeats.
# Output seen: "largest difference inside: 1e-07, at the border: 0.28"
# Why the guess is wrong: the filter has four taps, comes with CUDA kernels of its own, and is introduced as the better
#   alternative to bilinear interpolation; the triangle of bilinear interpolation, sampled at the half pixels of a
#   doubled picture, simply is 1/4 and 3/4.
# Who meets it: whoever brings such a generator to a CPU, ONNX or a browser and looks for an operator "upfirdn2d": Resize
#   with half_pixel coordinates does it (but for the border), and the RGB skips need no kernel of their own.
set -e
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet scipy==1.17.1 numpy==2.4.6 Pillow==13.0.0
"$folder/venv/bin/python" - <<'PYTHON'
import sys

import numpy as np
from PIL import Image
from scipy.signal import convolve2d

picture = np.random.default_rng(0).random((16, 16)).astype(np.float32)
apart = np.zeros((32, 32), np.float32)
apart[::2, ::2] = picture
taps = np.array([1, 3, 3, 1], np.float32)
filtered = convolve2d(apart, 4 * np.outer(taps, taps) / 64, mode="full")[1:33, 1:33]
bilinear = np.asarray(Image.fromarray(picture).resize((32, 32), Image.Resampling.BILINEAR))
far = np.abs(filtered - bilinear)
inside, border = far[1:-1, 1:-1].max(), max(far[0].max(), far[-1].max(), far[:, 0].max(), far[:, -1].max())
print(f"largest difference inside: {inside:.0e}, at the border: {border:.2f}")
sys.exit(0 if inside < 1e-5 < 0.01 < border else 1)
PYTHON
