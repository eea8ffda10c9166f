"""Strategies that do more than ask by a score, each a file of its own that declares `STRATEGY`."""
