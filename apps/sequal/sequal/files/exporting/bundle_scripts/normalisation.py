"""In an exported bundle the app's own file stands in this place: the two cannot differ."""

from sequal.preparation.normalisation import normalise_intensity

__all__ = ["normalise_intensity"]
