"""The three habits, each seen from outside: what a user of the marker gets to read."""

from __future__ import annotations

import pytest

LEAKS = """
    import pytest, torch

    @pytest.mark.smokestep
    def test_leaks():
        torch.set_default_dtype(torch.float64)
        torch.set_grad_enabled(False)

    def test_after():
        assert torch.get_default_dtype() is torch.float32 and torch.is_grad_enabled()
"""

DRAWS = """
    import random, pytest, numpy, torch

    def draw():
        return random.random(), float(numpy.random.rand()), float(torch.rand(()))

    DRAWN = []

    @pytest.fixture
    def fixed():
        return draw()

    @pytest.mark.smokestep(seed=3)
    @pytest.mark.parametrize("time", [1, 2])
    def test_drawn(time, fixed):
        DRAWN.append((fixed, draw()))
        random.random()

    def test_the_same_each_time_and_unlike_the_fixture():
        (first, again), (second, also) = DRAWN
        assert first == second and again == also
        assert not set(first) & set(again)
"""


def test_seeds_every_generator_for_the_test_and_for_its_fixtures(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(DRAWS)
    pytester.runpytest_inprocess("-p", "no:randomly").assert_outcomes(passed=3)


def test_puts_the_generators_back(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import random, pytest, torch
        random.seed(11); torch.manual_seed(11)
        BEFORE = random.getstate(), torch.get_rng_state()

        @pytest.fixture
        def noise():
            yield torch.rand(3)
            random.random()

        @pytest.mark.smokestep
        def test_draws(noise):
            random.random(); torch.rand(1)

        def test_nothing_moved():
            assert random.getstate() == BEFORE[0] and torch.equal(torch.get_rng_state(), BEFORE[1])
        """
    )
    pytester.runpytest_inprocess().assert_outcomes(passed=2)


def test_a_failure_tells_its_seed_and_how_to_repeat_it(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("import pytest\n@pytest.mark.smokestep(seed=7)\ndef test_fails():\n    assert 0")
    result = pytester.runpytest_inprocess()
    result.stdout.fnmatch_lines(["*- smokestep -*", "seed 7; the same again: pytest *::test_fails --smokestep-seed=7"])


def test_the_seed_of_the_command_line_wins(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import random, pytest
        @pytest.mark.smokestep(seed=7)
        def test_seed():
            assert random.random() == random.Random(5).random()
        """
    )
    pytester.runpytest_inprocess("--smokestep-seed=5").assert_outcomes(passed=1)
    pytester.runpytest_inprocess().assert_outcomes(failed=1)


def test_a_leak_fails_by_name_and_is_put_back(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(LEAKS)
    result = pytester.runpytest_inprocess()
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["smokestep: test_leaks left changed (put back now): default dtype, grad mode"])


def test_a_leak_beside_a_failure_is_told_with_it(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest, torch
        @pytest.mark.smokestep
        def test_fails():
            torch.set_default_dtype(torch.float64)
            assert 1 == 2
        """
    )
    result = pytester.runpytest_inprocess()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*assert 1 == 2*", "*the test also left changed (put back now): default dtype"])


def test_what_a_fixture_sets_stays_while_the_fixture_lives(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest, torch

        @pytest.fixture(scope="module")
        def double():
            torch.set_default_dtype(torch.float64)
            yield
            torch.set_default_dtype(torch.float32)

        @pytest.mark.smokestep
        @pytest.mark.parametrize("time", [1, 2])
        def test_double(double, time):
            assert torch.get_default_dtype() is torch.float64
        """
    )
    pytester.runpytest_inprocess().assert_outcomes(passed=2)


def test_an_overrun_is_told_and_fails_only_when_strict(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import time, pytest
        @pytest.mark.smokestep(seconds=0.01)
        def test_slow():
            time.sleep(0.03)
        """
    )
    result = pytester.runpytest_inprocess()
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(
        ["*smokestep: over their time budget*", "*::test_slow took 0.* s; its budget is 0.01 s"]
    )
    pytester.makeini("[pytest]\nsmokestep_strict = true")
    result = pytester.runpytest_inprocess()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["smokestep: test_slow took 0.* s; its budget is 0.01 s"])


def test_one_setting_marks_the_whole_tree(pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\nsmokestep_all = true\nsmokestep_seed = 4\nsmokestep_seconds = 0.01")
    pytester.makepyfile(
        """
        import random, time
        def test_plain():
            time.sleep(0.03)
            assert random.random() == random.Random(4).random()
        """
    )
    result = pytester.runpytest_inprocess()
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["*::test_plain took * its budget is 0.01 s"])


@pytest.mark.parametrize("marker", ["smokestep(3)", "smokestep(sed=3)"])
def test_a_marker_with_unknown_arguments_is_refused(pytester: pytest.Pytester, marker: str) -> None:
    pytester.makepyfile(f"import pytest\n@pytest.mark.{marker}\ndef test(): pass")
    result = pytester.runpytest_inprocess()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*takes the keywords seed=, seconds= and no other*"])


def test_a_setting_that_is_no_number_is_refused(pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\nsmokestep_all = true\nsmokestep_seconds = soon")
    pytester.makepyfile("def test(): pass")
    result = pytester.runpytest_inprocess()
    result.stderr.fnmatch_lines(["*smokestep_seconds must be a number, got 'soon'*"])


def test_a_run_without_marks_imports_nothing_and_gets_no_hooks(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import sys
        def test_plain(pytestconfig):
            assert "smokestep" not in sys.modules and "torch" not in sys.modules
            assert not pytestconfig.pluginmanager.has_plugin("smokestep-habits")
        """
    )
    pytester.runpytest_subprocess().assert_outcomes(passed=1)
