from hypothesis import given
from hypothesis import strategies as st

from sequal.study.pool_index import PoolIndex

IMAGES = st.sampled_from("abcdef")
STEPS = st.lists(
    st.tuples(IMAGES, st.one_of(st.none(), st.sets(st.sampled_from(["final", "original", "reader"])))), max_size=30
)


class _Patients(dict):
    def __missing__(self, image):
        return image


@given(start=STEPS, steps=STEPS, validation=st.frozensets(IMAGES))
def test_it_says_what_a_plain_dictionary_says(start, steps, validation):
    index, plain = PoolIndex(), {image: tags or set() for image, tags in start}
    index.fill(plain.items())
    index.parted(_Patients(), validation, 1)
    for image, tags in steps:
        if tags is None:
            index.drop(image)
            plain.pop(image, None)
        else:
            index.put(image, tags)
            plain[image] = tags
    unlabelled = sorted(image for image, tags in plain.items() if "final" not in tags)
    assert list(index.unlabelled) == unlabelled
    assert list(index.labelled) == sorted(plain.keys() - set(unlabelled))
    assert len(index) == len(plain)
    assert {image for image in "abcdef" if image in index} == set(plain)
    every = [tag for tags in plain.values() for tag in tags]
    assert index.counts() == {tag: every.count(tag) for tag in set(every)}
    first, last = index.parted(_Patients(), validation, 1)
    assert list(first) == [image for image in unlabelled if image not in validation]
    assert list(last) == [image for image in unlabelled if image in validation]


def test_it_tells_when_there_may_be_more_to_score():
    index = PoolIndex()
    index.fill([("a", ()), ("b", ("final",))])
    before = index.grown
    index.put("a", ["final"])
    index.put("b", ["final", "original"])
    index.drop("b")
    assert index.grown == before
    index.put("c", ())
    assert index.grown > before
    before = index.grown
    index.put("a", ())
    assert index.grown > before


def test_images_are_parted_again_when_patients_or_validation_change():
    index = PoolIndex()
    index.fill([("a1", ()), ("b1", ())])
    assert [list(part) for part in index.parted({"a1": "a", "b1": "b"}, frozenset(), 1)] == [["a1", "b1"], []]
    assert [list(part) for part in index.parted({"a1": "a", "b1": "b"}, frozenset("a"), 1)] == [["b1"], ["a1"]]
    assert [list(part) for part in index.parted({"a1": "b", "b1": "a"}, frozenset("a"), 2)] == [["a1"], ["b1"]]
