"""`cli.py to-dicom`: a folder study as DICOM."""
