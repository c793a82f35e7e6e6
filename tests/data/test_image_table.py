"""A table of images: what is kept, what is refused, and what `on_bad_case` makes of a bad row."""

from pathlib import Path

import numpy as np
import pytest
from made import FOUR, INPUT, four_cases, make_spec, opened, pixels, save, table_source, write

from xai_audit.data.sources import BadCase, open_dataset
from xai_audit.errors import DataError


def test_a_table_becomes_cases_in_its_order(tmp_path: Path) -> None:
    dataset = opened(four_cases(tmp_path), cluster="site")
    assert dataset.ids == ("images/0.png", "images/1.png", "images/2.png", "images/3.png")
    assert dataset.labels.tolist() == [0, 1, 0, 1]
    assert dataset.labels.dtype == np.int64
    assert dataset.clusters is not None
    assert len(set(dataset.clusters.tolist())) == 3
    assert dataset.clusters[0] == dataset.clusters[1]
    assert np.array_equal(dataset.image(2), pixels(2))
    assert dataset.bad == ()
    assert dataset.scores is None


def test_images_are_not_looked_for_when_the_table_is_opened(tmp_path: Path) -> None:
    write(tmp_path / "index.csv", FOUR)
    dataset = opened(tmp_path)
    with pytest.raises(DataError, match=r'case "images/0.png", images/0.png: found no such file') as caught:
        dataset.image(0)
    assert str(tmp_path) not in str(caught.value)


def test_an_id_column_keeps_its_zeros(tmp_path: Path) -> None:
    dataset = opened(four_cases(tmp_path, "id,file,species\n007,images/0.png,cat\n7,images/1.png,dog\n"),
                     table_source(id="id"))  # fmt: skip
    assert dataset.ids == ("007", "7")


def test_na_can_be_a_class(tmp_path: Path) -> None:
    folder = four_cases(tmp_path, "file,species\nimages/0.png,NA\nimages/1.png,dog\n")
    assert opened(folder, classes=["NA", "dog"]).labels.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("Cat", r'line 3, column species: found "Cat"; expected one of: cat, dog. Did you mean "cat"?'),
        (" cat", r'found " cat"; expected one of: cat, dog. Did you mean "cat"?'),
        ("bird", r'found "bird"; expected one of: cat, dog.'),
        ("", "found no label"),
        ("nan", r'found "nan"; expected one of'),
    ],
)
def test_a_label_outside_classes_is_an_error_or_a_record(tmp_path: Path, cell: str, message: str) -> None:
    folder = four_cases(tmp_path, f"file,species\nimages/0.png,cat\nimages/1.png,{cell}\nimages/2.png,dog\n")
    with pytest.raises(DataError) as caught:
        opened(folder)
    assert "1 bad case of 3" in str(caught.value)
    assert message in str(caught.value)
    assert "data.on_bad_case: record" in str(caught.value)
    dataset = opened(folder, on_bad_case="record")
    assert dataset.ids == ("images/0.png", "images/2.png")
    assert [case.id for case in dataset.bad] == ["images/1.png"]
    assert message in dataset.bad[0].problem
    assert np.array_equal(dataset.image(1), pixels(2))


def test_bad_rows_are_listed_twenty_at_a_time(tmp_path: Path) -> None:
    rows = "".join(f"{place}.png,{'bird' if place else 'cat'}\n" for place in range(31))
    write(tmp_path / "index.csv", f"file,species\n{rows}")
    with pytest.raises(DataError) as caught:
        opened(tmp_path)
    assert "30 bad cases of 31" in str(caught.value)
    assert str(caught.value).count("found") == 21
    assert "and 10 more" in str(caught.value)


def test_a_source_of_bad_rows_only_is_an_error_under_record_too(tmp_path: Path) -> None:
    folder = four_cases(tmp_path, "file,species\nimages/0.png,bird\nimages/1.png,fish\n")
    with pytest.raises(DataError, match=r"no usable case: all 2 are bad"):
        opened(folder, on_bad_case="record")


@pytest.mark.parametrize("policy", ["fail", "record"])
def test_repeated_and_missing_ids_are_errors_under_both_policies(tmp_path: Path, policy: str) -> None:
    folder = four_cases(tmp_path, "file,species\nimages/0.png,cat\nimages/0.png,dog\n")
    with pytest.raises(DataError, match=r'index.csv line 3: found the id "images/0.png" again, first at line 2'):
        opened(folder, on_bad_case=policy)
    write(folder / "index.csv", "id,file,species\na,images/0.png,cat\n,images/1.png,dog\n")
    with pytest.raises(DataError, match=r"index.csv line 3: found a row without an id"):
        opened(folder, table_source(id="id"), on_bad_case=policy)


@pytest.mark.parametrize(
    ("source", "data", "message"),
    [
        ({"image": "fiel"}, {}, r'no column "fiel" \(data.source.image\).*Did you mean "file"'),
        ({"label": "specie"}, {}, r'no column "specie" \(data.source.label\).*Did you mean "species"'),
        ({"id": "name"}, {}, r'no column "name" \(data.source.id\)'),
        ({}, {"cluster": "Site"}, r'no column "Site" \(data.cluster\).*Did you mean "site"'),
        ({}, {"masks": {"animal": "mask"}}, r'no column "mask" \(data.masks.animal\)'),
        ({}, {"show": {"withhold": ("sit",)}}, r'no column "sit" \(data.show.withhold\).*Did you mean "site"'),
        ({}, {"where": {"sight": "A"}}, r'no column "sight" \(data.where.sight\)'),
        ({}, {"where": {"site": "C"}}, "no row that meets `data.where`"),
        ({"root": "imagse"}, {}, "imagse: found no such folder"),
    ],
)
def test_a_misspelt_column_is_an_error(tmp_path: Path, source: dict, data: dict, message: str) -> None:
    with pytest.raises(DataError, match=message):
        opened(four_cases(tmp_path), table_source(**source), **data)


def test_where_filters_before_labels_are_checked(tmp_path: Path) -> None:
    table = "file,species,split\nimages/0.png,cat,test\nimages/1.png,bird,train\n"
    assert opened(four_cases(tmp_path, table), where={"split": "test"}).ids == ("images/0.png",)


GAPS = """file,species,site,brightness
images/0.png,cat,A,
images/1.png,dog,,60
images/2.png,cat,B,90
"""


def test_a_gap_in_a_column_that_where_filters_on_is_a_bad_case(tmp_path: Path) -> None:
    folder = four_cases(tmp_path, GAPS)
    with pytest.raises(DataError, match=r"line 3, column site: found no value; expected one, because `data.where`"):
        opened(folder, where={"site": {"in": ("A", "B")}})
    dataset = opened(folder, where={"site": {"in": ("A", "B")}}, on_bad_case="record")
    assert dataset.ids == ("images/0.png", "images/2.png")
    assert [case.id for case in dataset.bad] == ["images/1.png"]


def test_a_gap_in_a_column_that_a_slice_filters_on_is_an_error_under_fail_alone(tmp_path: Path) -> None:
    folder = four_cases(tmp_path, GAPS)
    dark = {"name": "dark", "where": {"brightness": {"below": 80.0}}}
    with pytest.raises(DataError, match=r"line 2, column brightness: found no value; expected one, because slice dark"):
        opened(folder, slices=[dark])
    assert len(opened(folder, slices=[dark], on_bad_case="record").ids) == 3


def test_a_gap_that_a_filter_asks_for_is_declared(tmp_path: Path) -> None:
    unmeasured = {"name": "unmeasured", "where": {"brightness": {"missing": True}}}
    dark = {"name": "dark", "where": {"brightness": {"below": 80.0}}}
    assert len(opened(four_cases(tmp_path, GAPS), slices=[dark, unmeasured]).ids) == 3


@pytest.mark.parametrize("cell", ["", "nan"])
def test_a_gap_in_the_cluster_column_is_a_bad_case(tmp_path: Path, cell: str) -> None:
    folder = four_cases(tmp_path, f"file,species,patient\nimages/0.png,cat,p1\nimages/1.png,dog,{cell}\n")
    with pytest.raises(DataError, match=r"line 3, column patient: found no value"):
        opened(folder, cluster="patient")
    assert opened(folder, cluster="patient", on_bad_case="record").ids == ("images/0.png",)


@pytest.mark.parametrize("written", ["/etc/passwd", "../secret.png"])
def test_a_table_cannot_name_a_file_outside_its_root(tmp_path: Path, written: str) -> None:
    save(tmp_path / "secret.png", pixels(0))
    folder = four_cases(tmp_path / "data", f"file,species\n{written},cat\n")
    with pytest.raises(DataError, match=r"expected a path inside the folder of the images"):
        opened(folder).image(0)


@pytest.mark.parametrize("task", ["multi_label", "segmentation", "detection"])
def test_multi_label_columns_hold_zero_or_one(tmp_path: Path, task: str) -> None:
    text = "file,a,b\nimages/0.png,0,1\nimages/1.png,1,1\n"
    source = table_source(label=("a", "b"))
    dataset = opened(four_cases(tmp_path, text), source, task=task, classes=["a", "b"])
    assert dataset.labels.tolist() == [[0, 1], [1, 1]]
    assert dataset.labels.dtype == np.int64
    four_cases(tmp_path, text.replace("1.png,1", "1.png,2"))
    with pytest.raises(DataError, match=r"line 3, column a: found 2; expected 0 or 1"):
        opened(tmp_path, source, task=task, classes=["a", "b"])
    with pytest.raises(DataError, match=r"found 2 columns; expected 3 columns of 0 and 1"):
        opened(tmp_path, source, task=task, classes=["a", "b", "c"])
    with pytest.raises(DataError, match=r"found 2 columns; expected one column for task single_label"):
        opened(tmp_path, source, classes=["a", "b"])


@pytest.mark.parametrize("cell", ["", "nan", "inf", "tall"])
def test_a_regression_label_is_a_finite_number(tmp_path: Path, cell: str) -> None:
    text = f"file,age\nimages/0.png,1.5\nimages/1.png,{cell}\nimages/2.png,3\n"
    spec = make_spec(table_source(label="age"), task="regression", classes=None, on_bad_case="record")
    dataset = open_dataset(spec, four_cases(tmp_path, text))
    assert dataset.labels.tolist() == [[1.5], [3.0]]
    assert [case.id for case in dataset.bad] == ["images/1.png"]


def test_without_leaves_cases_out_and_keeps_their_problem(tmp_path: Path) -> None:
    dataset = opened(four_cases(tmp_path), cluster="site")
    fewer = dataset.without([BadCase("images/1.png", "torn"), BadCase("elsewhere", "no case")])
    assert fewer.ids == ("images/0.png", "images/2.png", "images/3.png")
    assert fewer.frame["brightness"].tolist() == [10, 90, 200]
    assert np.array_equal(fewer.image(1), pixels(2))
    assert [case.id for case in fewer.bad] == ["images/1.png", "elsewhere"]
    with pytest.raises(DataError, match=r"no usable case"):
        dataset.without([BadCase(case, "torn") for case in dataset.ids])


MASKED = "file,species,mask,x0,y0,x1,y1\nimages/0.png,cat,masks/0.png,0,0,4,4\nimages/1.png,dog,,,,,\n"


def test_masks_come_from_files_and_boxes_and_a_case_may_have_none(tmp_path: Path) -> None:
    plane = np.zeros((8, 8, 1), dtype=np.uint8)
    plane[2:5, 3:6] = 255
    save(tmp_path / "masks" / "0.png", plane)
    masks = {"animal": "mask", "head": ("x0", "y0", "x1", "y1")}
    dataset = opened(four_cases(tmp_path, MASKED), masks=masks)
    assert np.array_equal(dataset.mask(0, "animal"), plane[:, :, 0] > 0)
    assert dataset.mask(0, "head")[:4, :4].all()
    assert dataset.mask(0, "head").sum() == 16
    assert [dataset.has_mask(1, concept) for concept in dataset.concepts] == [False, False]
    with pytest.raises(DataError, match=r'case "images/1.png", mask animal: found no mask declared'):
        dataset.mask(1, "animal")
    with pytest.raises(DataError, match=r'no mask called "animl".*Did you mean "animal"'):
        dataset.mask(0, "animl")


def test_a_box_with_an_edge_missing_is_a_bad_case_and_text_no_box(tmp_path: Path) -> None:
    masks = {"head": ("x0", "y0", "x1", "y1")}
    with pytest.raises(DataError, match=r"line 2, columns x0, y0, x1, y1: found a box with an edge missing"):
        opened(four_cases(tmp_path, MASKED.replace("0,0,4,4", "0,,4,4")), masks=masks)
    with pytest.raises(DataError, match=r"index.csv column x1: found text"):
        opened(four_cases(tmp_path, MASKED.replace("0,0,4,4", "0,0,wide,4")), masks=masks)


def test_masks_may_lie_beside_the_table_while_images_lie_elsewhere(tmp_path: Path) -> None:
    folder = four_cases(tmp_path / "pictures")
    write(tmp_path / "index.csv", "file,species,mask\nimages/0.png,cat,masks/0.png\n")
    save(tmp_path / "masks" / "0.png", np.full((8, 8, 1), 255, dtype=np.uint8))
    dataset = opened(tmp_path, table_source(root="pictures"), masks={"animal": "mask"})
    assert dataset.mask(0, "animal").all()
    save(folder / "masks" / "0.png", np.full((8, 8, 1), 255, dtype=np.uint8))
    with pytest.raises(DataError, match=r"two files of this name"):
        dataset.mask(0, "animal")


def test_images_need_a_model(tmp_path: Path) -> None:
    spec = make_spec(table_source(), model_input=INPUT).model_copy(update={"model": None})
    with pytest.raises(DataError, match=r"images .* and no model"):
        open_dataset(spec, four_cases(tmp_path))


def test_the_real_pets_open_with_masks_and_boxes(shared: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XAI_TEST_DATA", str(shared))
    source = table_source(table="${XAI_TEST_DATA}/pets/index.csv")
    masks = {"animal": "mask", "head": ("head_xmin", "head_ymin", "head_xmax", "head_ymax")}
    dataset = opened(tmp_path, source, masks=masks)
    assert len(dataset.ids) == 259
    assert dataset.labels.tolist().count(0) == 84
    width, height = dataset.frame["width"], dataset.frame["height"]
    for index in range(0, 259, 37):
        assert dataset.image(index).shape == (height[index], width[index], 3)
        share = dataset.mask(index, "animal").mean()
        assert share == pytest.approx(dataset.frame["fg_fraction"][index], abs=0.002)  # the table rounds to 3 digits
        assert dataset.mask(index, "head").any()
