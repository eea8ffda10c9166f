"""In an exported bundle the app's own file stands in this place: the two cannot differ."""

from sequal.anatomy.layer.pieces import clean_layer

__all__ = ["clean_layer"]
