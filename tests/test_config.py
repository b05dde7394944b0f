"""Configuration: the nearest file holds, keywords win, and nothing unknown passes."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest
from tests.fakes import made

import smokestep
from smokestep import config
from smokestep.config import Config, ConfigError, find, read, settle
from smokestep.evidence.steps import Steps
from smokestep.findings import Finding, Place


def alpha(steps: Steps, *, limit: float = 0.5, words: tuple[str, ...] = ("a",), deep: bool = False, most: int = 3):
    yield from ()


def beta(steps: Steps):
    yield from ()


ALPHA, BETA = made(alpha), made(beta, severity="suspicion")


@pytest.fixture(autouse=True)
def _builtin(monkeypatch):
    monkeypatch.setattr(config, "_builtin", lambda: (ALPHA, BETA))


@pytest.fixture
def table(tmp_path):
    """Read a [tool.smokestep] of this text."""

    def written(text: str) -> Config:
        file = tmp_path / "pyproject.toml"
        file.write_text(f"[tool.smokestep]\n{text}")
        return read(file)

    return written


def names(settings):
    return [each.name for each in settings.checks]


def test_every_key_is_read(table):
    read = table(
        'select = ["alpha"]\nignore = ["beta"]\nstrict = true\nseed = 4\nsteps = 5\nplugins = ["mine"]\n'
        'options.alpha.limit = 2\n[[tool.smokestep.allow]]\ncheck = "alpha"\nwhere = "conv.*"\nwhy = "old"\n'
    )
    assert (read.select, read.ignore, read.strict, read.seed, read.steps) == (("alpha",), ("beta",), True, 4, 5)
    assert read.plugins == ("mine",) and read.options == {"alpha": {"limit": 2}}
    assert repr(read.allow) == "(allow('alpha', 'conv.*', why='old'),)"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sed = 1", r"unknown key 'sed'; did you mean 'seed'\? Known: select, ignore"),
        ('seed = "one"', "seed must be a whole number, got 'one'"),
        ("seed = true", "seed must be a whole number, got True"),
        ("strict = 1", "strict must be true or false, got 1"),
        ('select = "alpha"', "select must be a list of str, got 'alpha'"),
        ("select = [1]", "select must be a list of str"),
        ("options.alpha = 3", "options.alpha must be a table"),
        ("options = 3", "options must be a table"),
        ('[[tool.smokestep.allow]]\nwhere = "a"', "needs check"),
        ('[[tool.smokestep.allow]]\ncheck = "a"', "needs a reason"),
        ('[[tool.smokestep.allow]]\nchek = "a"', "unknown key in .* 'chek'; did you mean 'check'"),
        ("seed = ", "tool.smokestep.: Invalid"),
    ],
)
def test_a_wrong_table_is_refused_with_its_file(table, text, message):
    with pytest.raises(ConfigError, match=message) as caught:
        table(text)
    assert "pyproject.toml" in str(caught.value)


def test_the_nearest_table_upwards_holds(tmp_path):
    (tmp_path / "pyproject.toml").write_text("[tool.smokestep]\nseed = 7\n")
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    (tmp_path / "a" / "pyproject.toml").write_text("[project]\nname = 'x'\n")
    (inner / "train.py").touch()
    assert find(inner / "train.py").seed == 7


def test_without_a_table_the_defaults_hold(tmp_path):
    assert find(tmp_path) == Config()


def test_keywords_win_over_the_file():
    file = Config(seed=1, steps=5, strict=True, select=("alpha",))
    settings = settle(file, seed=0, steps=2, strict=False, select="beta")
    assert (settings.seed, settings.steps, settings.strict, names(settings)) == (0, 2, False, ["beta"])


@pytest.mark.parametrize(
    ("choice", "chosen"),
    [
        ({"select": "alpha"}, ["alpha"]),
        ({"select": ["fakes"]}, []),
        ({"select": "suspicion"}, ["beta"]),
        ({"ignore": "defect"}, ["beta"]),
        ({"ignore": ["beta"], "select": ["alpha", "beta"]}, ["alpha"]),
        ({}, ["alpha", "beta"]),
    ],
)
def test_checks_are_chosen_by_name_family_and_severity(choice, chosen):
    if choice == {"select": ["fakes"]}:
        choice, chosen = {"select": [ALPHA.family]}, ["alpha", "beta"]
    settings = settle(Config(), **choice)
    assert names(settings) == chosen and set(settings.left_out) == {"alpha", "beta"} - set(chosen)


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"select": ["alhpa"]}, "unknown check or family 'alhpa'; did you mean 'alpha'"),
        ({"ignore": "gamma"}, "unknown check or family 'gamma'"),
        ({"options": {"gamma": {}}}, "unknown check 'gamma'"),
        ({"options": {"alpha": {"limt": 1}}}, "unknown option of alpha 'limt'; did you mean 'limit'"),
        ({"options": {"alpha": {"limit": "1"}}}, "options.alpha.limit must be a number, got '1'"),
        ({"options": {"alpha": {"limit": True}}}, "must be a number, got True"),
        ({"options": {"alpha": {"most": 1.5}}}, "must be a whole number"),
        ({"options": {"alpha": {"words": [1]}}}, "must be a list of str"),
        ({"allow": [smokestep.allow("gamma", why="x")]}, "unknown check in an allowance 'gamma'"),
        ({"steps": 0}, "at least 1"),
    ],
)
def test_a_wrong_choice_is_refused(keywords, message):
    with pytest.raises(ConfigError, match=message):
        settle(Config(), **keywords)


def test_options_of_the_call_are_laid_over_those_of_the_file():
    settings = settle(Config(options={"alpha": {"limit": 1, "most": 2}}), options={"alpha": {"limit": 3}})
    assert settings.options == {"alpha": {"limit": 3, "most": 2}}


def test_plugins_bring_their_checks(monkeypatch):
    module = ModuleType("mine")
    module.gamma = made(beta).__class__(**{**{f: getattr(BETA, f) for f in BETA.__slots__}, "name": "gamma"})
    monkeypatch.setitem(sys.modules, "mine", module)
    assert names(settle(Config(plugins=("mine",)))) == ["alpha", "beta", "gamma"]


@pytest.mark.parametrize(("plugin", "message"), [("no_such_module", "cannot be imported"), ("sys", "no check found")])
def test_a_wrong_plugin_is_refused(plugin, message):
    with pytest.raises(ConfigError, match=message):
        settle(Config(plugins=(plugin,)))


@pytest.mark.parametrize("why", ["", "  "])
def test_an_allowance_needs_a_reason(why):
    with pytest.raises(ValueError, match="needs a reason"):
        smokestep.allow("alpha", why=why)


@pytest.mark.parametrize(
    ("pattern", "subjects", "path", "covered"),
    [
        ("conv1.*", ("conv1.weight",), None, True),
        ("conv1.*", ("conv1.weight", "conv2.weight"), None, False),
        ("conv1", (), "conv1", True),
        ("*", (), None, True),
        ("CONV1", (), "conv1", False),
    ],
)
def test_an_allowance_covers_what_its_pattern_matches(pattern, subjects, path, covered):
    finding = Finding("no", Place(path), subjects=subjects, check="alpha")
    assert smokestep.allow("alpha", pattern, why="x").covers(finding) is covered


def test_an_allowance_ends_with_its_block():
    with smokestep.allow("alpha", why="x") as permitted:
        assert config.around() == (permitted,)
    assert config.around() == ()
