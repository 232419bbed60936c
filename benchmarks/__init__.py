"""Speed, each figure beside that of a peer: ``make bench``, or ``python -m benchmarks.run [inversion tuning ...]``."""
