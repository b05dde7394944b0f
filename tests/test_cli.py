"""The command line: what each command prints and with which code it ends; `run` on real scripts, few and together."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from smokestep import checks, cli, explain, factories, scaffold
from smokestep.report import Report

HEAD = "import sys, torch, smokestep\nfrom torch import nn\nimport torch.nn.functional as F\n"
NET = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(3, 4)
        self.second = nn.Linear(3, 4)
        self.out = nn.Linear(4, 2)

    def forward(self, x):
        net = F.relu(self.first(x))
        net = F.relu(self.second(x))
        return self.out(net)
"""
LOOP = """
model = {model}
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

def step(batch):
    x, y = batch
    optimizer.zero_grad()
    loss = F.cross_entropy(model(x), y)
    loss.backward()
    optimizer.step()
    return loss
"""
BATCH = "(torch.randn(8, 3), torch.arange(8) % 2)"


def script(model: str, steps: str = "range(100)") -> str:
    """A training script around a model."""
    return f"{HEAD}{NET}{LOOP.format(model=model)}\nfor _ in {steps}:\n    step({BATCH})\n"


def factory(name: str, model: str, annotation: str = "") -> str:
    """A function that builds a training around a model."""
    body = LOOP.format(model=model).replace("\n", "\n    ")
    return f"\ndef {name}(){annotation}:{body}\n    return smokestep.Training(step, {BATCH})\n"


def smokestep(*arguments: str) -> Result:
    """One command in this process."""
    return CliRunner().invoke(cli.cli, arguments)


def command(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """One command in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "smokestep", *arguments], cwd=cwd, capture_output=True, text=True, timeout=120
    )


def test_help_and_version_fit_a_terminal() -> None:
    for words in (["--help"], ["run", "--help"], ["check", "--help"], ["new", "--help"], ["--version"]):
        told = smokestep(*words)
        assert told.exit_code == 0
        assert max(map(len, told.output.splitlines())) <= 105
    assert "..." not in smokestep("--help").output.split("Commands:")[1]


def test_list_names_every_check(folder: Path) -> None:
    told = smokestep("list").output
    assert all(f"  {check.name} " in told for check in checks.load())
    rows = json.loads(smokestep("list", "--format", "json").output)
    assert {row["name"] for row in rows} == {check.name for check in checks.load()}
    assert set(rows[0]) == {"name", "family", "severity", "since", "on_request", "summary", "options"}


def test_explain_shows_a_page_and_guesses_what_was_meant(folder: Path) -> None:
    told = smokestep("explain", "dead-branch")
    assert told.exit_code == 0
    assert "What it finds" in told.output and "How to allow it" in told.output
    wrong = smokestep("explain", "dead-brunch")
    assert wrong.exit_code == 2 and "did you mean dead-branch" in wrong.output


@pytest.mark.parametrize("check", checks.load(), ids=lambda check: check.name)
def test_a_page_says_all_that_the_code_knows(check: Any) -> None:
    page = explain.page(check)
    assert page.startswith(f"# {check.name}\n\n**{check.severity.value}** · {check.family} · since {check.since}")
    assert check.page.strip() in page
    for option in check.options:
        row = next(line for line in page.splitlines() if line.startswith(f"| `{option}` |"))
        assert row.split("|")[3].strip(), f"{check.name}: the option {option} has no source beside it"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["run"], "Missing argument 'SCRIPT'"),
        (["run", "trian.py"], "did you mean 'train.py'?"),
        (["run", "-m", "no_such_module"], "No module named no_such_module"),
        (["run", "--steps", "0", "train.py"], "0 is not in the range"),
        (["run", "--select", "dead-brunch", "train.py"], "did you mean 'dead-branch'"),
        (["check", "nowhere.py"], "there is no file 'nowhere.py'"),
        (["check", "train.py"], "def training() -> smokestep.Training:"),
        (["check", "train.py:traning"], "there is no function 'traning' in train.py"),
        (["check", "train.py:number"], "must return a smokestep.Training"),
        (["new", "Not A Name"], "lower-case words joined by '-'"),
        (["new", "a-check", "--family", "loop"], "--family is for smokestep's own checks"),
    ],
)
def test_wrong_usage_is_told_with_what_to_do(folder: Path, words: list[str], says: str) -> None:
    Path("train.py").write_text("import torch\ndef number(): return 3\n")
    told = smokestep(*words)
    assert told.exit_code == 2
    assert says in told.output


def test_what_cannot_be_written_is_told_before_anything_is_run(folder: Path) -> None:
    (folder / "train.py").write_text("raise SystemExit('it ran')")
    told = smokestep("run", "--output", "nowhere/report.json", "train.py")
    assert told.exit_code == 2 and "there is no folder" in told.output and "it ran" not in told.output
    assert "did you mean 'train.py'?" in smokestep("run", "train").output


def test_an_option_behind_the_script_is_pointed_out(folder: Path) -> None:
    (folder / "train.py").write_text("import argparse\nargparse.ArgumentParser().parse_args()\n")
    done = command("run", "train.py", "--strict", cwd=folder)
    assert done.returncode == 3
    assert "--strict was given to train.py: smokestep's own options go before the script" in done.stdout


def test_a_wrong_configuration_is_wrong_usage(folder: Path) -> None:
    Path("pyproject.toml").write_text("[tool.smokestep]\nignroe = ['loop']\n")
    Path("train.py").write_text("")
    told = smokestep("run", "train.py")
    assert told.exit_code == 2 and "'ignroe'" in told.output and "pyproject.toml" in told.output


def test_factories_are_found_by_annotation_and_by_name(folder: Path) -> None:
    source = HEAD + "from smokestep import Training\n"
    source += "def training(): ...\ndef training_small(size=3): ...\ndef gan() -> smokestep.Training: ...\n"
    source += "def vae() -> 'Training': ...\ndef helper(): ...\ndef training_of(size): ...\ntraining_x = 3\n"
    Path("many.py").write_text(source)
    assert [each.__name__ for each in factories.load("many.py")] == ["training", "training_small", "gan", "vae"]
    assert [each.__name__ for each in factories.load("many.py:helper")] == ["helper"]
    assert not list(folder.rglob("__pycache__"))


def test_a_file_in_a_package_may_import_its_neighbours(folder: Path) -> None:
    package = folder / "cases_of_mine"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "net.py").write_text("SIZE = 3\n")
    (package / "cases.py").write_text("from .net import SIZE\ndef training(): return SIZE\n")
    assert [each() for each in factories.load("cases_of_mine/cases.py")] == [3]


def test_check_examines_every_factory(folder: Path) -> None:
    source = HEAD + NET + factory("training", "nn.Linear(3, 2)") + factory("buggy", "Net()", " -> smokestep.Training")
    Path("trainings.py").write_text(source)
    clean, both = smokestep("check", "trainings.py:training"), smokestep("check", "trainings.py")
    assert clean.exit_code == cli.CLEAN, clean.output
    assert both.exit_code == cli.DEFECTS
    assert "no defect in trainings.py:training" in both.output
    assert "dead-branch   first.weight, first.bias" in both.output
    listed = smokestep("check", "trainings.py", "--format", "json", "--select", "wiring", "--seed", "5")
    reports = [Report.from_dict(each) for each in json.loads(listed.stdout)]
    assert [len(each.defects) for each in reports] == [0, 1]
    assert all(each.seed == 5 and each.left_out for each in reports)
    written = smokestep("check", "trainings.py:buggy", "--format", "json", "--output", "out.json")
    assert written.exit_code == cli.DEFECTS and written.stdout == ""
    assert Report.from_json(Path("out.json").read_text()).findings[0].check == "dead-branch"
    ignored = smokestep("check", "trainings.py", "--ignore", "dead-branch")
    assert "left out: 1 check" in ignored.output


def test_check_tells_a_factory_that_fails(folder: Path) -> None:
    Path("trainings.py").write_text("def training():\n    raise KeyError('no data')\n")
    told = smokestep("check", "trainings.py", "--format", "json")
    assert told.exit_code == cli.FAILED
    report = Report.from_json(told.stdout)
    assert report.error is not None and report.error.message == "KeyError: 'no data'"
    assert report.error.line is not None and report.error.line.line == 2


def test_a_new_check_works_as_it_is_written(folder: Path) -> None:
    told = smokestep("new", "too-fast")
    assert told.exit_code == 0 and 'plugins = ["too_fast"]' in told.output
    Path("pyproject.toml").write_text('[tool.smokestep]\nplugins = ["too_fast"]\n')
    assert "limit" in smokestep("explain", "too-fast").output
    from smokestep.testing import examples, run_example

    module = sys.modules.pop("too_fast")
    pages = examples(module.too_fast)
    assert [each.check for each in run_example(pages["Bad"], "bad", checks=[module.too_fast]).findings] == ["too-fast"]
    assert not run_example(pages["Good"], "good", checks=[module.too_fast]).findings
    again = smokestep("new", "too-fast")
    assert again.exit_code == 2 and "is left as it is" in again.output


def test_a_new_check_of_smokesteps_own_goes_to_its_family(folder: Path) -> None:
    family = folder / scaffold.TREE / "loop"
    family.mkdir(parents=True)
    (family / "__init__.py").touch()
    assert "--family loop" in smokestep("new", "too-fast").output
    told = smokestep("new", "too-fast", "--family", "loop")
    assert told.exit_code == 0 and '"loop.too_fast"' in told.output
    assert (family / "too_fast.py").is_file()


def test_run_finds_the_line_and_leaves_the_folder_alone(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(script("Net()") + "print('never reached')\n")
    (tmp_path / "pyproject.toml").write_text("[tool.smokestep]\nignore = ['numerics']\n")
    told = command("run", "train.py", "--lr", "3", cwd=tmp_path)
    assert told.returncode == 1, told.stderr
    assert "never reached" not in told.stdout
    assert "> 13 |      net = F.relu(self.first(x))" in told.stdout
    assert "left out: " in told.stdout
    assert {each.name for each in tmp_path.iterdir()} == {"train.py", "pyproject.toml"}


def test_run_as_json_keeps_standard_output_for_the_report(tmp_path: Path) -> None:
    noisy = "import os\nos.system('echo child')\nprint('script says', __name__)\n" + script("nn.Linear(3, 2)")
    (tmp_path / "train.py").write_text(noisy)
    told = command("run", "--format", "json", "--steps", "2", "--seed", "3", "train.py", cwd=tmp_path)
    assert told.returncode == 0, told.stderr
    report = Report.from_json(told.stdout)
    assert (report.verdict.value, report.seed, report.training.name) == ("pass", 3, "train.py")
    assert "child" in told.stderr and "script says __main__" in told.stderr


def test_run_with_workers_threads_and_exit_handlers_ends(tmp_path: Path) -> None:
    source = (
        "import atexit, threading, time, torch\n"
        "from torch import nn\n"
        "class Data(torch.utils.data.Dataset):\n"
        "    def __len__(self): return 400\n"
        "    def __getitem__(self, index): return torch.randn(3), index % 2\n"
        "if __name__ == '__main__':\n"
        "    atexit.register(lambda: print('left in peace', flush=True))\n"
        "    threading.Thread(target=time.sleep, args=[0.1]).start()\n"
        "    model = nn.Linear(3, 2)\n"
        "    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)\n"
        "    for start in ('fork', 'spawn'):\n"
        "        loader = torch.utils.data.DataLoader(Data(), 4, num_workers=1, multiprocessing_context=start)\n"
        "        for index, (x, y) in enumerate(loader):\n"
        "            if start == 'fork' and index == 1: break\n"
        "            optimizer.zero_grad()\n"
        "            nn.functional.cross_entropy(model(x), y).backward()\n"
        "            optimizer.step()\n"
    )
    (tmp_path / "train.py").write_text(source)
    told = command("run", "train.py", cwd=tmp_path)
    assert told.returncode == 0, told.stdout + told.stderr
    assert told.stdout.startswith("\nno defect in train.py") and told.stdout.endswith("left in peace\n")


def test_run_of_a_script_that_never_trains_is_not_clean(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(HEAD + "print(nn.Linear(3, 2)(torch.ones(1, 3)).shape)\n")
    (tmp_path / "fails.py").write_text(script("nn.Linear(3, 2)", "range(1)") + "open('no such file')\n")
    idle, failed = command("run", "train.py", cwd=tmp_path), command("run", "--quiet", "fails.py", cwd=tmp_path)
    assert (idle.returncode, failed.returncode) == (3, 3), failed.stdout + failed.stderr
    assert "nothing could be judged in train.py" in idle.stdout and "without one optimizer step" in idle.stdout
    assert failed.stdout.startswith("\nfailed   FileNotFoundError: ")
    assert "Traceback" in failed.stderr and "smokestep" not in failed.stderr


@pytest.mark.skipif(os.name == "nt", reason="signals")
def test_run_interrupted_reports_what_it_saw(tmp_path: Path) -> None:
    waiting = script("nn.Linear(3, 2)", "range(2)") + "import os, signal\n"
    waiting += (
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # ignored where the tests run behind a shell
    )
    waiting += "os.kill(os.getpid(), signal.SIGINT)\n"
    (tmp_path / "train.py").write_text(waiting)
    told = command("run", "train.py", cwd=tmp_path)
    assert told.returncode == 130
    assert "interrupted after 2 optimizer steps" in told.stdout


def test_the_command_is_installed() -> None:
    assert shutil.which("smokestep", path=os.path.dirname(sys.executable))
