#!/bin/sh
# A fitted GaussianMixture draws its samples sorted by component, and draws the same ones each time.
#
# Versions: scikit-learn 1.9.1, numpy 2.4.6, Python 3.11. Date: 2026-12-01.
#
# Behaviour: sample(12) of a mixture of two equal, well separated Gaussians gives those of component 0 first and those of
#   component 1 after them, never mixed. With a whole number as random_state (as one sets it for a fit that can be
#   repeated) every call of sample begins anew, so that sample(1) twice is one point twice.
# Output seen: "components of 12 draws: 0 0 0 0 0 0 1 1 1 1 1 1; two calls of sample(1) agree: True"
# Why the guess is wrong: draws are expected to be independent, so that the first six of twelve are as good as any six,
#   and a second call goes on, as with NumPy's generators. The counts are drawn by one multinomial, and the rows are
#   stacked component by component; a whole number makes a new generator at each call.
# Who meets it: whoever fits a mixture to the codes of an autoencoder to draw new pictures from it, and shows or scores
#   "the first n": the first n are pictures of one cluster.
set -e
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet scikit-learn==1.9.1 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import sys

import numpy as np
from sklearn.mixture import GaussianMixture

numbers = np.random.default_rng(0)
codes = np.concatenate([numbers.normal(size=(500, 2)), 20 + numbers.normal(size=(500, 2))])
mixture = GaussianMixture(2, random_state=0).fit(codes)
_, component = mixture.sample(12)
again = bool((mixture.sample(1)[0] == mixture.sample(1)[0]).all())
print(f"components of 12 draws: {' '.join(map(str, component))}; two calls of sample(1) agree: {again}")
sys.exit(0 if (np.diff(component) >= 0).all() and len(set(component)) == 2 and again else 1)
PYTHON
