"""Views that answer at once: sliders, a film, a map of codes to point at or draw on, two eyes, a family.

A saved notebook keeps no widget, but the still picture that each of them leaves.
"""

import sys

from latentlib.widgets.eye_picker import EyePicker
from latentlib.widgets.family import FamilyView
from latentlib.widgets.latent_map import LatentMap
from latentlib.widgets.sliders import PictureSlider as picture_slider
from latentlib.widgets.sliders import Player as player

if "google.colab" in sys.modules:  # which shows no widget but its own otherwise (tests/test_launch.py)
    from google.colab import output

    output.enable_custom_widget_manager()
