"""Views that answer at once: sliders, a film, a map of codes, a pad to draw on, eyes, a family, a breeding board.

A saved notebook does not keep a widget, so set a static picture beside each: ``plots.film_strip`` or
``plots.show_images`` for sliders and films, ``plots.decoded_map`` for the map.
"""

from latentlib._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    rooms=("breeding", "eye_picker", "family", "family_card", "latent_map", "latent_pad", "sliders"),
    names={
        "breeding": ("BreedingBoard",),
        "eye_picker": ("EyePicker",),
        "family": ("FamilyView",),
        "latent_map": ("LatentMap",),
        "latent_pad": ("LatentPad",),
        "sliders": ("PictureSlider", "picture_slider", "player"),
    },
)
