from concurrent.futures import ThreadPoolExecutor

from lib.web.ohif import LastPredictions


def _params(mean_mm: float) -> dict[str, object]:
    return {"imt": {"mean_mm": mean_mm}, "pld": 0.1, "confidence": 0.9, "label_names": {"intima-media": 1}}


def test_the_last_prediction_of_an_image_is_kept():
    kept = LastPredictions()
    kept.keep("a", _params(0.7))
    kept.keep("b", _params(0.8))
    kept.keep("a", _params(0.9))

    assert kept.get("a") == {"imt": {"mean_mm": 0.9}, "pld": 0.1, "confidence": 0.9}
    assert kept.get("b") == {"imt": {"mean_mm": 0.8}, "pld": 0.1, "confidence": 0.9}


def test_the_thickness_of_the_mask_and_of_each_frame_is_kept_too():
    kept = LastPredictions()
    more = {"of_mask": {"imt": {"mean_mm": 0.71}}, "imt_frames": [{"mean_mm": 0.7}, {"mean_mm": 0.8}]}
    kept.keep("a", {**_params(0.7), **more})

    found = kept.get("a")
    assert found is not None
    assert {key: found[key] for key in more} == more


def test_an_image_that_was_not_segmented_has_none():
    assert LastPredictions().get("a") is None


def test_a_reply_without_a_measurement_changes_nothing():
    kept = LastPredictions()
    kept.keep("a", _params(0.7))
    kept.keep("a", {"pld": 0.2})

    found = kept.get("a")
    assert found is not None
    assert found["pld"] == 0.1


def test_the_image_that_was_not_segmented_for_longest_is_forgotten():
    kept = LastPredictions(capacity=2)
    for image in ("a", "b", "a", "c"):
        kept.keep(image, _params(0.7))

    assert kept.get("b") is None
    assert kept.get("a") is not None
    assert kept.get("c") is not None


def test_many_threads_keep_at_once():
    kept = LastPredictions(capacity=50)
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda index: kept.keep(str(index), _params(index)), range(400)))

    assert sum(kept.get(str(index)) is not None for index in range(400)) == 50
