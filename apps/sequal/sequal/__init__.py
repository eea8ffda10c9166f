"""Active learning from sparse, noisy labels: everything that runs without MONAI Label."""
