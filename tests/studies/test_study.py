"""Definition of a study: cells, ids, validation, files."""

import json

import pytest

from workbench.studies import Study
from workbench.studies.study import list_studies


def test_cells_are_all_combinations_with_the_seed_as_fastest_axis(make_study):
    study = make_study(axes={"drift": ("0", "0.5"), "length": (2, 3, 4)}, seeds=range(2))
    assert study.dims == {"drift": (0.0, 0.5), "length": (2, 3, 4), "seed": (0, 1)}
    assert len(study.cells) == 12
    assert [cell.place for cell in study.cells[:3]] == [(0, 0, 0), (0, 0, 1), (0, 1, 0)]
    assert study.cells[3].config == {
        **{"seed": 1, "length": 3, "drift": 0.0},
        **{"delay": 0.0, "fail_at": 0, "diary": ""},
    }
    assert len({cell.id for cell in study.cells}) == 12


def test_equal_settings_have_equal_ids_in_all_studies(make_study):
    small, large = make_study("a", seeds=range(2)), make_study("b", axes={"length": (6, 7)}, seeds=(1, 0, 5))
    shared = {cell.id for cell in small.cells} & {cell.id for cell in large.cells}
    assert shared == {cell.id for cell in small.cells if cell.config["drift"] == 0}


@pytest.mark.parametrize(
    "arguments,message",
    [
        ({"axes": {"colour": ("red",)}}, "axis colour: walk has no such setting; it has seed, length"),
        ({"axes": {"drift": ()}}, "axis drift: expected a list of values"),
        ({"axes": {"drift": "0,1"}}, "axis drift: expected a list of values, found '0,1'"),
        ({"axes": {"drift": (0, "0.0")}}, "axis drift: expected 2 distinct values, found 1"),
        ({"seeds": ()}, "axis seed: expected a list of values"),
        ({"axes": {"drift": (0, 99)}}, "drift=99, seed=0: drift Input should be less than or equal to 10"),
        ({"axes": {"drift": (0, 1)}, "settings": {"drift": 2}}, "axis drift: the name is taken"),
        ({"settings": {"length": "long"}}, "length Input should be a valid integer"),
        ({"experiment": "run"}, "unknown experiment 'run'"),
    ],
)
def test_invalid_study_is_refused_before_anything_runs(tmp_path, arguments, message):
    with pytest.raises(ValueError, match=message.replace("(", r"\(")):
        Study(tmp_path, **{"experiment": "walk", **arguments})
    assert not list(tmp_path.iterdir())


def test_saved_study_may_be_extended_but_not_changed(make_study):
    study = make_study(length="4")
    study.save()
    assert Study.load(study.folder) == study
    make_study(axes={"drift": (0, 0.5)}, seeds=range(9), length=4).save()
    assert len(Study.load(study.folder).cells) == 18
    with pytest.raises(ValueError, match=r"has a study with settings {'length': 4}, not {'length': 5}"):
        make_study(length=5).save()
    assert list_studies(study.folder.parent) == [study.folder]


@pytest.mark.parametrize(
    "content,message",
    [
        (None, "there is no study"),
        ("{", "not a readable study"),
        ("[]", "not a readable study"),
        (json.dumps({"format_version": 99}), r"written by a newer version \(format 99\)"),
    ],
)
def test_unreadable_study_raises_with_the_reason(tmp_path, content, message):
    if content is not None:
        (tmp_path / "study.json").write_text(content)
    with pytest.raises((FileNotFoundError, ValueError), match=message):
        Study.load(tmp_path)
