"""By which Python `.venv` is made: the first candidate that is new enough and can make it, whatever else is on the PATH."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.harness.run_wide import ROOT

pytestmark = pytest.mark.skipif(not shutil.which("make"), reason="make is not installed")

_NEW, _MAKES = "sys.version_info < (3, 11)", "import venv, ensurepip"


def candidate(folder: Path, name: str, *, is_new: bool = True, makes: bool = True) -> str:
    """A program that answers what a Python is asked here."""
    program = folder / name
    program.write_text(f"""#!/bin/sh
case "$*" in
  *"{_NEW}"*) exit {int(not is_new)} ;;
  *"{_MAKES}"*) exit {int(not makes)} ;;
  *"%d.%d"*) echo 3.12 ;;
  --version) echo "Python of {name}" ;;
  "-m venv --clear .venv") mkdir -p .venv/bin && echo {name} > .venv/bin/python ;;
  *) exit 9 ;;
esac
""")
    program.chmod(0o755)
    return str(program)


def made_by(folder: Path, *candidates: str) -> tuple[str, str]:
    """Which of them made `.venv` in this folder, or what was said instead."""
    shutil.copy(ROOT / "Makefile", folder)
    ran = subprocess.run(
        ["make", "--silent", ".venv/bin/python", f"PYTHON={' '.join(candidates)}"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    made = folder / ".venv/bin/python"
    return made.read_text().strip() if made.exists() else "", ran.stderr


def test_the_first_that_can_make_it_does(tmp_path: Path) -> None:
    nowhere = str(tmp_path / "nowhere")  # as a version manager's names that stand for nothing
    old = candidate(tmp_path, "old", is_new=False)
    bare = candidate(tmp_path, "bare", makes=False)
    first, second = candidate(tmp_path, "first"), candidate(tmp_path, "second")
    assert made_by(tmp_path, nowhere, old, bare, first, second) == ("first", "")


def test_where_none_can_make_it_what_to_install_is_said(tmp_path: Path) -> None:
    bare, barer = candidate(tmp_path, "bare", makes=False), candidate(tmp_path, "barer", makes=False)
    made, said = made_by(tmp_path, candidate(tmp_path, "old", is_new=False), bare, barer)
    assert made == ""
    assert f"{bare} cannot make virtual environments" in said
    assert "sudo apt install python3.12-venv" in said


def test_where_all_are_too_old_that_is_said(tmp_path: Path) -> None:
    made, said = made_by(tmp_path, candidate(tmp_path, "old", is_new=False))
    assert made == ""
    assert "Python 3.11 or newer is needed" in said
