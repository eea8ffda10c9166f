import os
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sequal.errors import StudyError
from sequal.study.state.names import file_stem

IDS = st.text(min_size=1, max_size=300)


@given(IDS)
def test_stem_is_one_short_visible_file_name(image_id):
    stem = file_stem(image_id)
    assert re.fullmatch(r"[A-Za-z0-9_.~%+-]+", stem)
    assert not stem.startswith(".")
    assert len(os.fsencode(stem)) <= 180


@given(IDS, IDS)
def test_two_ids_never_share_a_stem(first, second):
    assert (file_stem(first) == file_stem(second)) == (first == second)


def test_long_ids_that_differ_at_the_end():
    assert file_stem("x" * 400 + "1") != file_stem("x" * 400 + "2")


def test_encoded_looking_ids_stay_apart():
    assert file_stem("a/b") != file_stem("a%2Fb")


def test_empty_id():
    with pytest.raises(StudyError, match="non-empty"):
        file_stem("")
