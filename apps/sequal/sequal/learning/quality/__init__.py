"""Segmentation quality: where a network is wrong, and which Dice to expect of its mask (S3, after Zhang et al.)."""
