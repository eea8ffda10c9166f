"""Features of a study's images into its state: only what the model in service has not seen yet."""

from collections.abc import Callable, Sequence
from typing import Final

import torch

from sequal.acquisition import FEATURE_KINDS
from sequal.prediction.features import ImageFeatures, image_features
from sequal.prediction.loading import LoadedPair
from sequal.preparation.working_frames import WorkingFrames
from sequal.settings import Settings
from sequal.study.items import Item
from sequal.study.state import FeatureStore

__all__ = ["store_features", "unfeatured_items"]

#: Images between two writings, so that a stopped scoring loses little and a large pool is not written too often.
_AT_ONCE: Final = 256


def unfeatured_items(items: Sequence[Item], digest: str | None, store: FeatureStore) -> list[Item]:
    """Those of `items` whose features a checkpoint has not tried yet; none without a checkpoint."""
    if digest is None:
        return []
    known = set.intersection(*(store.tried(digest, kind) for kind in FEATURE_KINDS))
    return [item for item in items if item.id not in known]


def store_features(
    items: Sequence[Item],
    loaded: LoadedPair,
    store: FeatureStore,
    settings: Settings,
    device: torch.device,
    on_done: Callable[[str], None] = lambda _: None,
    *,
    frames: WorkingFrames | None = None,
) -> dict[str, str]:
    """Compute and keep both kinds of features of the first network in service.

    Args:
        items: the images, labelled and unlabelled: both count in feature space.
        loaded: the model in service.
        store: of the study.
        settings: of the working grid.
        device: where the networks are.
        on_done: called after each readable image with its id.
        frames: source of the images, for a caller that has read them already.

    Returns:
        Reason by id of the images that could not be read; they are kept as tried.

    Raises:
        StudyError: the features cannot be written.
    """
    frames = frames or WorkingFrames(settings, cache_bytes=0)

    def done(image: str, _: ImageFeatures) -> None:
        on_done(image)

    unreadable: dict[str, str] = {}
    for start in range(0, len(items), _AT_ONCE):
        part = items[start : start + _AT_ONCE]
        found = image_features(part, loaded.pair.compared[0], frames, device, done)
        missing = {item.id: None for item in part if item.id not in found}
        for kind in FEATURE_KINDS:
            vectors = {image: getattr(features, kind) for image, features in found.items()}
            store.put(loaded.digest, kind, {**vectors, **missing})
        unreadable |= {image: frames.unreadable[image] for image in missing}
    return unreadable
