"""Adapters to MONAI Label, named as its own packages are; the library below them is `sequal`."""
