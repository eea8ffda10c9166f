"""In an exported bundle the app's own file stands in this place: the two cannot differ."""

from sequal.anatomy.layer.pieces import (
    drop_cut_across,
    drop_pieces_at_margin,
    drop_short_pieces,
    drop_without_lumen,
    keep_one_layer,
)

__all__ = ["drop_cut_across", "drop_pieces_at_margin", "drop_short_pieces", "drop_without_lumen", "keep_one_layer"]
