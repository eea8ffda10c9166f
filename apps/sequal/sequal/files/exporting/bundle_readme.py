"""The page that comes with a bundle."""

from sequal.files.exporting.model import ExportedModel

__all__ = ["bundle_readme"]


def bundle_readme(model: ExportedModel) -> str:
    """The content of `docs/README.md`."""
    return f"""# Carotid intima-media segmentation

The network (`{model.name}`) of a SEQUAL study, checkpoint `{model.digest}`, as a MONAI Bundle.
Research, not a medical device.

The masks are those of the app, pixel for pixel, clean-up included, for one grey frame a file: NIfTI `(W, H)` or
`(W, H, 1)` whose header states millimetres, or a grey picture. **Where they are not, or there are none:**
- Clips, colour images and volumes of several slices are refused; the app takes them.
- A file that the app reads in a way of its own is read here as MONAI reads it: a photograph with an orientation tag, a
  slice along the second axis, a header in another unit or whose two forms contradict each other, DICOM. Convert these
  with the app first (`cli.py import`).
- Other hardware and other versions of PyTorch compute the last digits in another way: pixels whose probability is 0.5
  to that digit may differ.
- Thickness, PLD, confidence and the map of expected errors are not part of a bundle.

Run it in this folder, with MONAI, PyTorch, pytorch-ignite, nibabel, scipy and fire installed:

```
python -m monai.bundle run --config_file configs/inference.json --dataset_dir IMAGES --output_dir MASKS
```

`IMAGES` holds the frames (`--pattern '*.png'` for others than NIfTI). Each mask gets the name of its image with
`_mask`, on the grid of the image. What the network wants and gives stands in `configs/metadata.json` under `sequal`;
`scripts/` does it.

Verify it:

```
python -m monai.bundle verify_net_in_out network_def --meta_file configs/metadata.json \\
    --config_file configs/inference.json
python -m monai.bundle verify_metadata --meta_file configs/metadata.json --filepath configs/metadata.schema.json
```

`configs/metadata.schema.json` holds the rules of the MONAI Bundle specification as SEQUAL writes them down, so that
this works without a network. With one, name a file that does not exist: MONAI then downloads its own schema to it.
"""
