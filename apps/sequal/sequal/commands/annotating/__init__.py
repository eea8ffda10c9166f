"""`cli.py annotate`: a simulated annotator that plays the loop over HTTP."""
