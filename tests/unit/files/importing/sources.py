"""Sources as users have them: pictures, CUBS, DICOM; small, and made by hand."""

import numpy as np
from PIL import Image
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

WIDTH, HEIGHT = 48, 40
#: The layer of `layer_mask`: columns, first row, last row + 1.
COLUMNS, TOP, BOTTOM = (5, 40), 20, 26


def pixels(seed=0, width=WIDTH, height=HEIGHT, dtype=np.uint8):
    """(H, W), as pictures are stored."""
    return np.random.default_rng(seed).integers(0, 200, (height, width)).astype(dtype)


def write_picture(path, stored):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(stored).save(path)
    return path


def layer_mask(value=255):
    """(H, W) with the layer in `value`."""
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[TOP:BOTTOM, COLUMNS[0] : COLUMNS[1]] = value
    return mask


def profile(y, columns=(5, 40), slope=0.0):
    """Points (N, 2) of a straight boundary."""
    x = np.arange(columns[0], columns[1] + 1, dtype=float)
    return np.stack([x, y + slope * (x - x[0])], axis=1)


def write_profile(path, points, layout="rows"):
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = points.T if layout == "rows" else points
    path.write_text("\n".join(" ".join(f"{value:.4f}" for value in line) for line in lines) + "\n")
    return path


def write_cubs(root, stems=("clin_0001_L", "clin_0001_R", "clin_0002_L"), readers=("Manual-A1",), version=1):
    """CUBS with one image a stem, 0.06 mm a pixel, LI at 19.5 and MA at 25.5 plus the number of the reader."""
    images, profiles = (("IMAGES", "SEGMENTATIONS"), ("images", "LIMA-Profiles"))[version - 1]
    for index, stem in enumerate(stems):
        write_picture(root / images / f"{stem}.tiff", pixels(index))
        (root / "CF").mkdir(exist_ok=True)
        (root / "CF" / f"{stem}_CF.txt").write_text("0.060000\n")
        for number, reader in enumerate(readers):
            layout = "rows" if index % 2 == 0 else "pairs"
            write_profile(root / profiles / reader / f"{stem}-LI.txt", profile(19.5), layout)
            write_profile(root / profiles / reader / f"{stem}-MA.txt", profile(25.5 + number), layout)
    return root


def region(bounds=(4, 10, WIDTH - 5, HEIGHT - 3), data_type=1, delta_cm=(0.006, 0.005), unit=3):
    """An ultrasound region; bounds inclusive as DICOM has them."""
    item = Dataset()
    item.RegionSpatialFormat, item.RegionDataType = 1, data_type
    item.PhysicalUnitsXDirection = item.PhysicalUnitsYDirection = unit
    item.PhysicalDeltaX, item.PhysicalDeltaY = delta_cm
    item.RegionLocationMinX0, item.RegionLocationMinY0 = bounds[0], bounds[1]
    item.RegionLocationMaxX1, item.RegionLocationMaxY1 = bounds[2], bounds[3]
    return item


def write_dicom(path, stored, regions=(), patient="12345", **tags):
    """An uncompressed ultrasound image; `stored` as DICOM has it, (rows, columns), frames before, colour behind."""
    path.parent.mkdir(parents=True, exist_ok=True)
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.6.1"
    meta.MediaStorageSOPInstanceUID = generate_uid()
    dataset = FileDataset(str(path), {}, file_meta=meta, preamble=bytes(128))
    dataset.is_little_endian, dataset.is_implicit_VR = True, False
    colour = stored.ndim > 2 and stored.shape[-1] == 3
    dataset.SOPClassUID, dataset.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    dataset.StudyInstanceUID = dataset.SeriesInstanceUID = generate_uid()
    dataset.Modality, dataset.PatientID, dataset.PatientName = "US", patient, "Doe^Jane"
    dataset.PatientBirthDate, dataset.PatientSex = "19500101", "F"
    dataset.Rows, dataset.Columns = stored.shape[-3:-1] if colour else stored.shape[-2:]
    frames = stored.ndim - (3 if colour else 2)
    if frames:
        dataset.NumberOfFrames = stored.shape[0]
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = (3, "RGB") if colour else (1, "MONOCHROME2")
    if colour:
        dataset.PlanarConfiguration = 0
    dataset.BitsAllocated = dataset.BitsStored = stored.dtype.itemsize * 8
    dataset.HighBit, dataset.PixelRepresentation = dataset.BitsStored - 1, 0
    dataset.PixelData = stored.tobytes()
    if regions:
        dataset.SequenceOfUltrasoundRegions = Sequence(list(regions))
    for name, value in tags.items():
        setattr(dataset, name, value)
    dataset.save_as(str(path), write_like_original=False)
    return path
