#!/bin/sh
# scikit-learn's PCA, as it comes, is wrong by a factor of ten for float32 codes that lie far from zero.
#
# Versions: scikit-learn 1.9.1, numpy 2.4.6, Python 3.11. Date: 2026-12-01.
#
# Behaviour: PCA(8) with its default svd_solver="auto" on 5,000 float32 codes of 32 numbers whose mean is about 1,000 and
#   whose standard deviations are 0.1 to 2 reports a first variance of 46 where that of the data is 4.0. Nothing is raised
#   and nothing warned. svd_solver="full" is right to three digits.
# Output seen: "variance of the first component: 46.01 (auto), 3.99 (full), 3.99 (float64, numpy)"
# Why the guess is wrong: PCA subtracts the mean, so where the data lie should not matter, and until 1.4 "auto" took an
#   SVD of centred data. Since 1.5 it takes "covariance_eigh" for ten times more rows than columns: it forms X'X in the
#   data's own float32 and subtracts n times the mean's square afterwards, which leaves the rounding of large numbers.
# Who meets it: whoever plots latent codes, activations or 16-bit pixels, which are float32 and seldom centred.
set -e
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet scikit-learn==1.9.1 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import sys

import numpy as np
from sklearn.decomposition import PCA

numbers = np.random.default_rng(0)
codes = (1000 + numbers.normal(size=(5000, 32)) * np.linspace(2, 0.1, 32)).astype(np.float32)
auto, full = (PCA(8, svd_solver=solver).fit(codes).explained_variance_[0] for solver in ("auto", "full"))
true = np.linalg.eigvalsh(np.cov(codes.astype(np.float64).T))[-1]
print(f"variance of the first component: {auto:.2f} (auto), {full:.2f} (full), {true:.2f} (float64, numpy)")
sys.exit(0 if auto > 3 * true and abs(full - true) < 0.01 * true else 1)
PYTHON
