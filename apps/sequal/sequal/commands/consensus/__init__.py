"""`cli.py consensus`: the labels of several readers as one, and how they differ."""
