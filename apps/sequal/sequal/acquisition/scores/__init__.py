"""The scores, each a file of its own; its name is that of the score and of the strategy that asks by it.

A file declares `FUNCTION`, the formula, and `score`, which takes from `Seen` what the formula needs.
A score that not every model can give, and is NaN then, also declares `UNSCORED`, which says why.
"""
