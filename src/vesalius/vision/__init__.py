"""From pixels to what a model sees: fitting, windows, choice of slices. numpy and Pillow only."""

from vesalius.vision.letterbox import Fit, fit_square, letterbox
from vesalius.vision.views import ct_windows, guess_modality, native_axis, spread

__all__ = ["Fit", "ct_windows", "fit_square", "guess_modality", "letterbox", "native_axis", "spread"]
