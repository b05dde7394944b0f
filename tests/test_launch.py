"""The `run` door without a framework: how a script is started, watched, stopped and told about."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from smokestep import launch, privacy
from smokestep.launch import Ending, NotFound


class StopWatching(BaseException):
    """What the fake backend raises inside the fake framework's `step`."""


StopWatching.__module__ = "smokestep.backends.fake"


class Seen:
    """A fake watch: counts the steps of the fake framework."""

    steps = 0


@pytest.fixture
def framework(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A framework `fakeframe` with a function `step`, and a backend that watches it."""
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "fakeframe.py").write_text("hook = lambda: None\ndef step():\n    hook()\n")
    monkeypatch.setattr(sys, "path", ["where the command lies", *sys.path, str(tmp_path / "lib")])
    backend = ModuleType("fake_backend")

    @contextmanager
    def live(steps: int, stopping: Callable[[], None]) -> Iterator[Seen]:
        frame, seen = importlib.import_module("fakeframe"), Seen()

        def hook() -> None:
            seen.steps += 1
            if seen.steps >= steps:
                stopping()
                raise StopWatching

        frame.hook = hook
        yield seen
        frame.hook = lambda: None

    backend.live = live  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "fake_backend", backend)
    monkeypatch.setattr(privacy, "BACKENDS", {"fakeframe": "fake_backend"})
    monkeypatch.setattr(launch, "BACKENDS", {"fakeframe": "fake_backend"})
    monkeypatch.chdir(tmp_path)
    yield
    sys.modules.pop("fakeframe", None)


def launched(source: str, *arguments: str, **choices: Any) -> tuple[Any, Ending]:
    """What was seen of a script, and how it ended."""
    told: list[tuple[Any, Ending]] = []
    Path("train.py").write_text(source)

    def conclude(live: Any, ending: Ending) -> tuple[str, int]:
        told.append((live, ending))
        return "", 0

    launch.run("train.py", arguments, conclude, **choices)
    return told[0]


STEPS = "import fakeframe\nfor _ in range(100):\n    fakeframe.step()\n"


def test_a_script_is_stopped_after_the_wanted_steps(framework: None) -> None:
    seen, ending = launched(STEPS, steps=4)
    assert (seen.steps, ending.how) == (4, "stopped")


def test_a_script_starts_as_python_starts_it(framework: None, capfd: pytest.CaptureFixture[str]) -> None:
    tell = (
        "import sys, os, json, pickle\n"
        "class Mine: pass\n"
        "pickle.loads(pickle.dumps(Mine()))\n"
        "print(json.dumps([sys.argv, sys.path[0], __name__, __file__, os.getcwd(), __spec__ is None, __package__,\n"
        "    __loader__.name, sys.modules['__main__'].__dict__ is globals(), sorted(globals())]))\n"
    )
    launched(tell, "--lr", "3e-4")
    ours = json.loads(capfd.readouterr().out)
    plain = subprocess.run([sys.executable, "train.py", "--lr", "3e-4"], capture_output=True, text=True, check=True)
    assert ours == json.loads(plain.stdout)


def test_the_interpreter_is_as_before(framework: None, capfd: pytest.CaptureFixture[str]) -> None:
    before = sys.argv, list(sys.path), sys.modules["__main__"], list(sys.meta_path), threading.excepthook
    launched(STEPS)
    changes = "sys.argv.append('x'); sys.path.append('y'); os.chdir('/'); sys.stdout = io.StringIO(); raise KeyError"
    launched(f"import io, os, sys; {changes}")
    assert Path("train.py").exists()
    print("still heard")
    assert "still heard" in capfd.readouterr().out
    assert (sys.argv, list(sys.path), sys.modules["__main__"], list(sys.meta_path), threading.excepthook) == before


def test_cleanup_of_the_script_runs(framework: None) -> None:
    source = "import fakeframe\ntry:\n    while True: fakeframe.step()\nfinally:\n    open('cleaned', 'w').close()\n"
    assert launched(source)[1].how == "stopped"
    assert Path("cleaned").exists()


def test_what_comes_of_the_stop_is_not_the_scripts_failure(framework: None) -> None:
    source = "import fakeframe, sys\ntry:\n    while True: fakeframe.step()\nexcept BaseException as error:\n    {}\n"
    for reaction in ("raise RuntimeError('trainer died') from error", "sys.exit(1)", "print('never mind')"):
        assert launched(source.format(reaction))[1] == Ending("stopped")


@pytest.mark.parametrize(
    ("source", "how"),
    [
        ("import fakeframe; fakeframe.step()", "finished"),
        ("print('no framework')", "finished"),
        ("raise SystemExit", "finished"),
        ("import sys; sys.exit(0)", "finished"),
        ("import sys; sys.exit(3)", "exited"),
        ("import sys; sys.exit('bad data')", "exited"),
        ("raise KeyboardInterrupt", "interrupted"),
        ("1 / 0", "raised"),
        ("def f(:", "raised"),
        ("import not_there_at_all", "raised"),
    ],
)
def test_every_ending_is_told(framework: None, source: str, how: str) -> None:
    seen, ending = launched(source)
    assert ending.how == how
    assert (seen is not None) == ("fakeframe" in source)


def test_a_failure_is_shown_as_python_shows_it(framework: None, capfd: pytest.CaptureFixture[str]) -> None:
    source = "def load():\n    return {}['lr']\n\ndef main():\n    try:\n        load()\n"
    source += "    except KeyError as error:\n        raise ValueError('no lr') from error\n\nmain()\n"
    launched(source)
    ours = capfd.readouterr().err
    plain = subprocess.run([sys.executable, "train.py"], capture_output=True, text=True, check=False)
    assert ours == plain.stderr


def test_a_message_given_to_exit_is_shown(framework: None, capfd: pytest.CaptureFixture[str]) -> None:
    launched("import sys; sys.exit('bad data')")
    assert capfd.readouterr().err == "bad data\n"


def test_a_stop_inside_a_thread_is_silent(framework: None, capfd: pytest.CaptureFixture[str]) -> None:
    source = (
        "import fakeframe, threading\n"
        "def train():\n    while True: fakeframe.step()\n"
        "thread = threading.Thread(target=train); thread.start(); thread.join()\n"
    )
    assert launched(source)[1].how == "stopped"
    assert capfd.readouterr().err == ""


def test_folders_archives_and_modules_run(framework: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[str] = []

    def conclude(live: Any, ending: Ending) -> tuple[str, int]:
        ended.append(ending.how)
        return "", 0

    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "parts.py").write_text(STEPS)
    (tmp_path / "app" / "__main__.py").write_text("import parts\n")
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "__init__.py").write_text("")
    (tmp_path / "package" / "train.py").write_text("from . import other\n" + STEPS)
    (tmp_path / "package" / "other.py").write_text("assert __name__ == 'package.other'\n")
    with zipfile.ZipFile("app.zip", "w") as archive:
        archive.writestr("__main__.py", STEPS)
    launch.run("app", [], conclude)
    launch.run("app.zip", [], conclude)
    launch.run("package.train", [], conclude, as_module=True)
    assert ended == ["stopped"] * 3
    with pytest.raises(NotFound, match="No module named nowhere"):
        launch.run("nowhere", [], conclude, as_module=True)
    for name in ("parts", "package", "package.train", "package.other"):
        sys.modules.pop(name, None)


def test_output_goes_where_it_is_wanted(framework: None, capfd: pytest.CaptureFixture[str]) -> None:
    source = "import os, sys\nos.system('echo child')\nos.write(1, b'out ')\nos.write(2, b'err ')\n"
    launched(source, output="shown")
    assert capfd.readouterr() == ("child\nout ", "err ")
    launched(source, output="to stderr")
    assert capfd.readouterr() == ("", "child\nout err ")
    launched(source, output="hidden")
    assert capfd.readouterr() == ("", "")


def test_seeding_comes_before_the_script_only_when_asked(framework: None) -> None:
    source = "import random\nwith open('drawn', 'a') as out: out.write(f'{random.random()} ')"
    for _ in range(2):
        launched(source, seed=7)
    launched(source)
    one, two, three = Path("drawn").read_text().split()
    assert one == two != three


REFUSES = """
import sys, types, contextlib
from smokestep import launch, privacy

class StopWatching(BaseException): pass

@contextlib.contextmanager
def live(steps, stopping):
    def step():
        stopping()
        raise StopWatching
    sys.modules["json"].step = step
    yield None

sys.modules["fake_backend"] = types.SimpleNamespace(live=live)
privacy.BACKENDS.clear()
privacy.BACKENDS["json"] = "fake_backend"
print("before", flush=True)
launch.run("train.py", [], lambda live, ending: (f"report: {ending.how}\\n", 7), patience=float(sys.argv[1]))
"""


@pytest.mark.parametrize(
    ("patience", "source"),
    [
        ("60", "import json\nwhile True:\n    try: json.step()\n    except: print('again')\n"),
        ("0.2", "import json, time\ntry: json.step()\nexcept: time.sleep(60)\n"),
    ],
    ids=["steps on", "lingers"],
)
def test_a_script_that_will_not_stop_is_ended_with_its_report(tmp_path: Path, patience: str, source: str) -> None:
    (tmp_path / "train.py").write_text(source)
    (tmp_path / "door.py").write_text(REFUSES)
    ended = subprocess.run(
        [sys.executable, "door.py", patience],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=50,
        env={**os.environ, "PYTHONPATH": str(Path(launch.__file__).parents[1])},
    )
    assert ended.returncode == 7, ended.stderr
    assert ended.stdout.startswith("before\n") and ended.stdout.endswith("report: kept running\n")
    assert not list(tmp_path.glob("__pycache__"))


def test_what_a_script_defines_can_be_pickled_while_it_runs(framework: None) -> None:
    source = "import pickle\nclass Mine: pass\nassert type(pickle.loads(pickle.dumps(Mine()))) is Mine\n"
    assert launched(source)[1].how == "finished"
    assert not hasattr(sys.modules["__main__"], "Mine")
