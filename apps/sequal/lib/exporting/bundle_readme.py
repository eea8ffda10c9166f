"""The page that comes with a bundle."""

from lib.exporting.model import ExportedModel

__all__ = ["bundle_readme"]


def bundle_readme(model: ExportedModel) -> str:
    """The content of `docs/README.md`."""
    return f"""# Carotid intima-media segmentation

The teacher network (`{model.architecture.name}`) of a SEQUAL study, checkpoint `{model.digest}`, as a MONAI Bundle.
Research, not a medical device.

Run it in this folder, with MONAI, PyTorch, pytorch-ignite, nibabel and fire installed:

```
python -m monai.bundle run --config_file configs/inference.json --dataset_dir IMAGES --output_dir MASKS
```

`IMAGES` holds one grey frame a file, `(W, H)` or `(W, H, 1)`, NIfTI (`--pattern '*.png'` for others). Each mask gets
the name of its image with `_mask`, on the grid of the image. What the network wants and gives stands in
`configs/metadata.json` under `sequal`; `scripts/` does it.

Verify it:

```
python -m monai.bundle verify_net_in_out network_def --meta_file configs/metadata.json \\
    --config_file configs/inference.json
python -m monai.bundle verify_metadata --meta_file configs/metadata.json --filepath configs/metadata.schema.json
```

`configs/metadata.schema.json` holds the rules of the MONAI Bundle specification as SEQUAL writes them down, so that
this works without a network. With one, name a file that does not exist: MONAI then downloads its own schema to it.
"""
