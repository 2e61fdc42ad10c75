"""How the library is built: the instruction sets that one asks for, and what an editable install keeps.

Here CMake is only configured, never run to the end; what it builds is tested by everything else.
"""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from fastreg import _core

ROOT = Path(__file__).resolve().parents[1]

GENERATOR = ["-G", "Ninja"] if shutil.which("ninja") else []  # there may be no make

cmake = pytest.mark.skipif(not shutil.which("cmake"), reason="needs cmake")


def configure(folder, isas):
    options = [f"-DFASTREG_ISAS={isas}", "-DCMAKE_EXPORT_COMPILE_COMMANDS=ON"]
    command = ["cmake", *GENERATOR, "-S", str(ROOT), "-B", str(folder), *options]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@cmake
def test_an_unknown_instruction_set_is_refused(tmp_path):
    result = configure(tmp_path, "avx1024")
    assert result.returncode != 0
    assert "FASTREG_ISAS: avx1024 is not an instruction set of this build" in result.stderr


@cmake
def test_host_is_the_fastest_instruction_set_of_this_machine(tmp_path):
    assert configure(tmp_path, "host").returncode == 0
    commands = (tmp_path / "compile_commands.json").read_text()
    built = set(re.findall(r"fastreg_kernels_(\w+)\.dir", commands))
    fastest = _core.available_isas()[-1]
    assert built & {"baseline", "avx2", "avx512", "neon"} == {fastest}, "besides units of bfloat16 products"


def section(name):
    text = (ROOT / "pyproject.toml").read_text()
    return re.split(r"^\[", text.split(f"[{name}]\n")[1], maxsplit=1, flags=re.M)[0]


def test_only_an_editable_install_keeps_its_build_folder_and_builds_on_import():
    editable = section("[tool.scikit-build.overrides]")
    assert 'if.state = "editable"' in editable
    assert 'build-dir = "build/editable"' in editable
    assert "editable.rebuild = true" in editable
    assert "build-dir" not in section("tool.scikit-build")
