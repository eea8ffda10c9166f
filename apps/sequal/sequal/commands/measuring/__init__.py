"""`cli.py measure`: the thickness of many images, as tables and overlays."""
