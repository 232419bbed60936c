"""Moved to stylegan2; this name goes with the last one who uses it."""

from latentlib.models.stylegan2 import *  # noqa: F403
