"""The worlds of the course: digits, glyphs, furniture, faces. Each gives image tensors in [0, 1].

Environment variables and folders that matter to all of them:

- ``LATENTLIB_DATA``: a folder that already holds data sets (read, never written);
- ``LATENTLIB_OFFLINE=1``: never use the network;
- downloads land in ``data/cache`` of the clone, or in ``~/.cache/latentlib`` when the package stands alone, or in the
  folder that ``LATENTLIB_CACHE`` names.
"""

from latentlib.folders import cache_folder, data_folder, offline

__all__ = ["cache_folder", "data_folder", "offline"]
