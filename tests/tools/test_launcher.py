"""The launcher on a bare checkout: one command sets up, a second costs nothing, and each failure is one sentence.

The checkout is a copy of `bulkhead` with one requirement, a wheel made here; pip finds it without a network.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import ModuleType

import pytest

from tools.paths import ROOT

CLI = "def main(words):\n    import tiny\n    print(tiny.VERSION, *words)\n    return 3 if 'fail' in words else 0\n"


def _wheel(folder: Path, version: str) -> None:
    info = f"tiny-{version}.dist-info"
    with zipfile.ZipFile(folder / f"tiny-{version}-py3-none-any.whl", "w") as archive:
        archive.writestr("tiny.py", f"VERSION = {version!r}\n")
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: tiny\nVersion: {version}\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    folder = tmp_path / "a checkout"  # a path with a space in it
    (folder / "tools").mkdir(parents=True)
    shutil.copy(ROOT / "bulkhead", folder / "bulkhead")
    (folder / "requirements.txt").write_text("# pins\n-r tools/requirements.txt\n")
    (folder / "tools" / "requirements.txt").write_text("tiny==1.0\n")
    (folder / "tools" / "__init__.py").write_text("")
    (folder / "tools" / "cli.py").write_text(CLI)
    (tmp_path / "wheels").mkdir()
    _wheel(tmp_path / "wheels", "1.0")
    _wheel(tmp_path / "wheels", "2.0")
    return folder


def _environment(checkout: Path) -> dict[str, str]:
    wheels = str(checkout.parent / "wheels")
    return {**os.environ, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": wheels, "BULKHEAD_PYTHON": sys.executable}


def _begin(checkout: Path, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(checkout / "bulkhead"), *words],
        env=_environment(checkout), cwd=checkout.parent, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def _start(checkout: Path, *words: str, timeout_s: int = 120) -> tuple[int, str, str]:
    process = _begin(checkout, *words)
    try:
        out, err = process.communicate(timeout=timeout_s)
    finally:
        process.kill()
    return process.returncode, out, err


def _launcher(checkout: Path) -> ModuleType:
    loader = SourceFileLoader("launcher_under_test", str(checkout / "bulkhead"))
    spec = spec_from_loader(loader.name, loader)
    assert spec is not None
    module = module_from_spec(spec)
    loader.exec_module(module)
    return module


def test_the_life_of_an_environment(checkout: Path) -> None:
    # given two first starts at once: one sets up, both answer, on stdout stands the command's output alone
    both = [_begin(checkout, "one"), _begin(checkout, "two")]
    answers = [process.communicate(timeout=120) for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert [out for out, _ in answers] == ["1.0 one\n", "1.0 two\n"]
    assert sum(err.count("Creating .venv") for _, err in answers) == 1
    assert sum(err.count("Installing") for _, err in answers) == 1
    # then a further start is silent, and hands over words and exit code
    assert _start(checkout, "--a b", "fail") == (3, "1.0 --a b fail\n", "")
    # when the included pins change, it installs again into the same environment
    (checkout / "tools" / "requirements.txt").write_text("tiny==2.0\n")
    code, out, err = _start(checkout)
    assert (code, out) == (0, "2.0\n")
    assert "Installing" in err
    assert "Creating" not in err
    # when a package cannot be had, one sentence names it, and the next start tries again
    (checkout / "tools" / "requirements.txt").write_text("tiny==3.0\n")
    for _ in range(2):
        code, out, err = _start(checkout)
        assert (code, out) == (2, "")
        assert err.splitlines()[-1].startswith("bulkhead: packages not installed: pip finds no package")
        assert "tiny==3.0" in err.splitlines()[-1]
        assert "Creating" not in err
    # when a set-up was killed on its way, everything is built anew
    (checkout / "tools" / "requirements.txt").write_text("tiny==1.0\n")
    (checkout / ".venv" / "bulkhead-unfinished").write_text("")
    code, out, err = _start(checkout)
    assert (code, out) == (0, "1.0\n")
    assert "Creating .venv" in err


def test_a_place_that_cannot_be_written_is_named(checkout: Path) -> None:
    (checkout / ".venv").write_text("a file where the folder should be")
    code, out, err = _start(checkout)
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert "cannot write to" in err
    assert str(checkout / ".venv") in err


def test_an_incomplete_checkout_is_named(checkout: Path) -> None:
    (checkout / "tools" / "requirements.txt").unlink()
    code, _, err = _start(checkout)
    assert code == 2
    assert "checkout is incomplete" in err


def test_a_wrong_python_in_the_environment_variable_is_named(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    launcher = _launcher(checkout)
    monkeypatch.setenv("BULKHEAD_PYTHON", "/nowhere/python")
    with pytest.raises(launcher.SetUpError, match="BULKHEAD_PYTHON = /nowhere/python: expected the path"):
        launcher.find_python()


@pytest.mark.parametrize(("answer", "said"), [("absent", "no Python 3.11 found"), ("bare", "venv or ensurepip module")])
def test_a_machine_without_a_usable_python_is_told_what_to_install(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, answer: str, said: str
) -> None:
    launcher = _launcher(checkout)
    monkeypatch.delenv("BULKHEAD_PYTHON", raising=False)
    monkeypatch.setattr(launcher, "probe", lambda python: answer)
    with pytest.raises(launcher.SetUpError, match=said):
        launcher.find_python()


@pytest.mark.parametrize(
    ("said", "cause"),
    [
        (
            "WARNING: Retrying ... Temporary failure in name resolution\nERROR: No matching distribution found",
            "cannot reach",
        ),
        ("ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device", "disk is full"),
        (
            "ERROR: Could not install packages due to an OSError: [Errno 13] Permission denied: 'x'",
            "may not be written",
        ),
        ("ERROR: No matching distribution found for tiny==3.0", "finds no package"),
        ("ERROR: something new", "something new"),
        ("", "pip said nothing"),
    ],
)
def test_what_pip_says_becomes_a_cause_and_a_remedy(checkout: Path, said: str, cause: str) -> None:
    assert cause in _launcher(checkout).pip_sentence(said.splitlines())


def test_an_environment_that_is_not_its_own_does_not_loop(checkout: Path) -> None:
    launcher = _launcher(checkout)
    python = Path(launcher.VENV_PYTHON)
    python.parent.mkdir(parents=True)
    python.symlink_to(Path(sys.executable).resolve())  # runs, but outside of .venv
    Path(launcher.STAMP).write_text(launcher.requirements_digest())
    code, _, err = _start(checkout, timeout_s=10)
    assert code == 2
    assert "does not run inside its own environment" in err


def test_the_project_pins_every_package_exactly() -> None:
    lines = (ROOT / "tools" / "requirements.txt").read_text().splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert all(line.count("==") == 1 for line in pins)
    assert len({line.split("==")[0].lower() for line in pins}) == len(pins)
