"""Make the sample study again, byte for byte: `python sample-data/generate.py --out DIR`.

16 simulated patients, three frames each; eight frames labelled by two readers, sparsely and with noise; all truth.
"""

import argparse
import csv
import gzip
import io
import json
import sys
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "apps" / "sequal"))

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from sequal.anatomy.phantom import SCANNERS, PhantomFrame, Scanner, draw_anatomy, draw_reader, simulate_frame

PATIENTS, FRAMES = 16, 3
SEED = 20261121
SCANNERS_USED = ("A", "B", "C", "D")
#: Every eighth patient or so is special; none is without a wall.
KINDS = ("ordinary", "ordinary", "plaque", "ordinary", "thickened", "shadow", "ordinary", "low_gain")


def main() -> None:
    """Read the command line and write the study."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(__file__).resolve().parent)
    parser.add_argument("--patients", type=int, default=PATIENTS, help="the first so many")
    args = parser.parse_args()
    write_study(args.out, args.patients)


def write_study(out: Path, patients: int = PATIENTS) -> None:
    """Write images, labels, truth and the patients' manifest into `out`."""
    for folder in (out, out / "labels" / "final", out / "truth"):
        folder.mkdir(parents=True, exist_ok=True)
    readers = [draw_reader(np.random.default_rng([SEED, 0, i]), f"R{i + 1}") for i in range(2)]
    rows, boundaries = [], {}
    for patient in range(patients):
        for number, frame in enumerate(simulate_patient(patient), 1):
            name = f"p{patient + 1:02d}_f{number}"
            rows.append((name, f"p{patient + 1:02d}"))
            write_nifti(out / f"{name}.nii.gz", frame.pixels, frame.spacing_mm)
            write_nifti(out / "truth" / f"{name}.nii.gz", frame.mask, frame.spacing_mm)
            boundaries[name] = {key: rounded(getattr(frame, key)) for key in ("li", "ma")}
            if number == 1 and patient % 2 == 0:
                rng = np.random.default_rng([SEED, 2, patient])
                reader = readers[patient // 2 % 2]
                label = reader.annotate(frame.li, frame.ma, frame.spacing_mm, frame.pixels.shape[1], rng)
                write_nifti(out / "labels" / "final" / f"{name}.nii.gz", label, frame.spacing_mm)
    with (out / "patients.csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("image", "patient"))
        writer.writerows(rows)
    (out / "truth" / "boundaries.json").write_text(json.dumps(boundaries, separators=(",", ":")) + "\n")


def simulate_patient(patient: int) -> list[PhantomFrame]:
    """Frames of one patient: the same artery and scanner, a little further on, with new speckle."""
    rng = np.random.default_rng([SEED, 1, patient])
    base = SCANNERS[SCANNERS_USED[int(rng.integers(len(SCANNERS_USED)))]]
    scanner = crop(base, rng)
    first = draw_anatomy(rng, KINDS[patient % len(KINDS)], scanner.width_mm, scanner.depth_mm)
    frames = []
    for number in range(FRAMES):
        shift = int(rng.integers(-25, 26)) * (number > 0)
        lift = float(rng.normal(0.0, 0.5)) * (number > 0)
        anatomy = replace(
            first,
            seed=first.seed + number,
            **{
                name: np.roll(getattr(first, name), shift)
                if name in ("strength", "shadow_db")
                else getattr(first, name) + lift
                for name in ("near_mm", "li_mm", "ma_mm", "strength", "shadow_db")
            },
        )
        frames.append(simulate_frame(rng, scanner=scanner, anatomy=anatomy, screen=patient % 3 != 0))
    return frames


def crop(scanner: Scanner, rng: np.random.Generator) -> Scanner:
    """The scanner with a smaller picture: sample data shall load fast."""
    width, depth = (float(rng.uniform(low, high)) for low, high in ((26.0, 34.0), (24.0, 30.0)))
    return replace(scanner, width_mm=min(width, scanner.width_mm), depth_mm=min(depth, scanner.depth_mm))


def rounded(curve: NDArray[np.float64]) -> list[float | None]:
    """Pixels with two decimals; JSON has no NaN."""
    return [None if np.isnan(v) else round(float(v), 2) for v in curve]


def write_nifti(path: Path, array: NDArray[np.uint8], spacing_mm: tuple[float, float]) -> None:
    """Write (W, H) as (W, H, 1); x runs to the patient's left and y downwards, so that viewers show it upright."""
    dx, dy = spacing_mm
    image = nib.Nifti1Image(array[:, :, None], np.diag([-dx, -dy, 1.0, 1.0]))
    image.header.set_xyzt_units("mm")
    buffer = io.BytesIO()
    with gzip.GzipFile(filename="", fileobj=buffer, mode="wb", compresslevel=9, mtime=0) as file:
        file.write(image.to_bytes())
    path.write_bytes(buffer.getvalue())


if __name__ == "__main__":
    main()
