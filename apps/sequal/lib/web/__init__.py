"""What the server answers beside MONAI Label's endpoints: routes, pages, viewers, DICOMweb, and who may ask."""
