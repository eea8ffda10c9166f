import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.web.access.request_keys import SYNONYMS, checked
from sequal.errors import SettingsError
from sequal.settings import per_request_keys

ENDPOINTS = ("activelearning", "batch infer", "infer", "scoring", "train")
#: What MONAI Label makes of them: a search path for code, files, devices, the image, the process.
DANGEROUS = [
    "bundle_path",
    "PYTHONPATH",
    "image",
    "images",
    "sent_file",
    "image_id",
    "session",
    "tracking_uri",
    "model_filename",
    "output_dir",
    "local_rank",
    "description",
    "max_region",
    "__class__",
    "",
    "client_id ",
    "CLIENT_ID",
    "\ud800",
    "x" * 10_000,
]


@pytest.mark.parametrize("endpoint", ENDPOINTS)
@pytest.mark.parametrize("key", DANGEROUS, ids=lambda key: repr(key[:20]))
def test_an_unknown_key_is_named(endpoint, key):
    with pytest.raises(SettingsError) as raised:
        checked(endpoint, {"client_id": "me", key: "/tmp"})

    assert str(raised.value).startswith(f"Expected every key of a {endpoint} request to be known, got {key[:80]!r}.")
    assert len(str(raised.value)) < 400
    str(raised.value).encode()


@pytest.mark.parametrize(
    ("endpoint", "values"),
    [
        # 3D Slicer
        ("infer", {"result_extension": ".nrrd", "result_dtype": "uint8", "client_id": "user-xyz"}),
        # OHIF
        (
            "infer",
            {
                "result_extension": ".nrrd",
                "result_dtype": "uint8",
                "result_compress": False,
                "restore_label_idx": False,
            },
        ),
        ("activelearning", {"client_id": "ohif-1a2b"}),
        # MONAI Label's documentation and its own tests
        ("infer", {"device": "cuda", "save_label": True, "label_tag": "original"}),
        ("train", {"name": "net_01", "pretrained": True, "device": "cuda", "max_epochs": 1, "val_split": 0.5}),
        ("train", {"multi_gpu": False, "gpus": "all", "dataset": "Dataset", "tracking": "mlflow"}),
        (
            "batch infer",
            {
                "device": "cuda",
                "multi_gpu": True,
                "gpus": "all",
                "logging": "WARNING",
                "save_label": True,
                "label_tag": "original",
                "max_workers": 1,
                "max_batch_size": 0,
            },
        ),
        ("scoring", {"acquisitions": "bald,features", "gpus": "0,1"}),
    ],
)
def test_what_real_clients_send_passes(endpoint, values):
    assert checked(endpoint, values) == values


def test_a_round_takes_every_setting_of_a_request():
    values = {key: "x" for key in (*per_request_keys(), *SYNONYMS)}
    assert checked("train", values) == values


@pytest.mark.parametrize(
    ("endpoint", "key", "value"),
    [
        ("infer", "result_dtype", "U20000"),
        ("infer", "result_dtype", "O"),
        ("infer", "result_dtype", "V1000000"),
        ("infer", "result_dtype", "(1000,1000)f8"),
        ("infer", "result_dtype", "complex128"),
        ("infer", "result_dtype", ["uint8"]),
        ("infer", "result_extension", ".py"),
        ("infer", "result_extension", "/../../x.nrrd"),
        ("infer", "result_extension", 7),
        ("infer", "label_tag", "../final"),
        ("infer", "label_tag", ""),
        ("infer", "save_label", {}),
        ("infer", "client_id", {"$ne": 1}),
        ("infer", "client_id", 5),
        ("infer", "client_id", "a\nb"),
        ("infer", "client_id", "\ud800"),
        ("infer", "client_id", "x" * 129),
        ("activelearning", "client_id", ["a"]),
        ("train", "gpus", "0;rm"),
        ("train", "gpus", "/dev/null"),
        ("train", "device", "/dev/sda"),
        ("train", "name", "../x"),
        ("batch infer", "max_workers", 10**9),
        ("batch infer", "max_workers", float("nan")),
        ("batch infer", "max_batch_size", "many"),
        ("scoring", "acquisitions", {"bald": 1}),
        ("scoring", "logging", "../app.log"),
    ],
)
def test_a_wrong_value_is_named_with_its_rule(endpoint, key, value):
    with pytest.raises(SettingsError) as raised:
        checked(endpoint, {key: value})

    assert str(raised.value).startswith(f"Expected `{key}` to be ")
    assert len(str(raised.value)) < 400
    str(raised.value).encode()


def test_words_become_values_and_null_is_nothing():
    assert checked("infer", {"save_label": "false", "result_dtype": None}) == {"save_label": False}


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)


@given(
    st.sampled_from(ENDPOINTS),
    st.dictionaries(st.sampled_from(["client_id", "gpus", "device", "save_label", "x"]) | st.text(), json_values),
)
def test_any_json_passes_or_is_a_settings_error(endpoint, values):
    try:
        passed = checked(endpoint, values)
    except SettingsError as error:
        str(error).encode()
    else:
        assert set(passed) <= set(values)
