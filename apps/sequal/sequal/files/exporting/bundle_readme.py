"""The page that comes with a bundle."""

from sequal.files.exporting.model import ExportedModel

__all__ = ["bundle_readme"]


def bundle_readme(model: ExportedModel) -> str:
    """The content of `docs/README.md`."""
    return f"""# Carotid intima-media segmentation

A MONAI Bundle with the network (`{model.name}`) of a SEQUAL study, checkpoint `{model.digest}`.
It is a research tool, not a medical device.

- **It gives the masks of the app**, pixel for pixel and clean-up included, for one grey frame a file: NIfTI `(W, H)`
  or `(W, H, 1)` whose header states millimetres, or a grey picture.
- **It refuses** clips, colour images and volumes of several slices. The app takes clips and colour images.
- **Its masks may differ from the app's** for DICOM, a photograph with an orientation tag, a slice along the second
  axis, and a header in another unit or with two forms that contradict each other, because MONAI reads these in its
  own way. Convert them with the app first (`cli.py import`). On other hardware or with another version of PyTorch, a
  pixel with a probability of exactly 0.5 may differ.
- Thickness, PLD, confidence and the map of expected errors are not part of a bundle.

Run it in this folder, with MONAI, PyTorch, pytorch-ignite, nibabel, scipy and fire installed:

```
python -m monai.bundle run --config_file configs/inference.json --dataset_dir IMAGES --output_dir MASKS
```

`IMAGES` is the folder of frames (`--pattern '*.png'` for pictures). Each mask gets the name of its image with `_mask`,
and the grid of the image. `configs/metadata.json`, key `sequal`, describes input and output of the network; `scripts/`
prepares the one and turns the other into a mask.

Verify it:

```
python -m monai.bundle verify_net_in_out network_def --meta_file configs/metadata.json \\
    --config_file configs/inference.json
python -m monai.bundle verify_metadata --meta_file configs/metadata.json --filepath configs/metadata.schema.json
```

`configs/metadata.schema.json` holds the rules of the MONAI Bundle specification as SEQUAL writes them down, so that
this works without the internet. If you name a file that does not exist, MONAI downloads its own schema to it.
"""
