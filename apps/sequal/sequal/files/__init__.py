"""Files in and out: reading and calibration, imports, DICOM, exports."""
