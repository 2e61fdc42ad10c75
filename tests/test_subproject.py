"""A C++ project may contain fastreg with add_subdirectory or FetchContent: its settings stay its own."""
from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
COMPILER = shutil.which("g++") or shutil.which("clang++")
pytestmark = pytest.mark.skipif(COMPILER is None or shutil.which("cmake") is None, reason="configures with cmake")

OUTER = f"""
cmake_minimum_required(VERSION 3.20)
project(outer VERSION 9.8 LANGUAGES CXX)
set(CMAKE_CXX_STANDARD 17)
add_subdirectory("{ROOT}" contained EXCLUDE_FROM_ALL)
add_executable(outer main.cpp)
target_link_libraries(outer PRIVATE fastreg::fastreg)
file(WRITE "${{CMAKE_BINARY_DIR}}/settings" "${{CMAKE_BUILD_TYPE}} ${{CMAKE_CXX_STANDARD}} ${{PROJECT_VERSION}}")
"""


def configured(tmp_path, *definitions):
    """The settings of the outer project, and the commands that compile its file and a file of the library."""
    (tmp_path / "CMakeLists.txt").write_text(OUTER)
    (tmp_path / "main.cpp").write_text("#include <fastreg/network.h>\nint main() {}\n")
    generator = ["-G", "Ninja"] if shutil.which("ninja") else []  # there may be no make
    folders = ["-S", str(tmp_path), "-B", str(tmp_path / "build")]
    command = ["cmake", *generator, *folders, f"-DCMAKE_CXX_COMPILER={COMPILER}", "-DCMAKE_EXPORT_COMPILE_COMMANDS=ON"]
    done = subprocess.run([*command, *definitions], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    commands = json.loads((tmp_path / "build/compile_commands.json").read_text())
    of = {Path(entry["file"]).name: entry["command"] for entry in commands}
    return (tmp_path / "build/settings").read_text(), of["main.cpp"], of["network.cpp"]


def test_only_the_library_becomes_a_release(tmp_path):
    settings, outer, library = configured(tmp_path)
    assert settings == " 17 9.8"
    assert "-DNDEBUG" not in outer
    assert "-DNDEBUG" in library
    assert "-O3" in library
    cached = (tmp_path / "build/CMakeCache.txt").read_text()
    assert "CMAKE_BUILD_TYPE:STRING=\n" in cached or "CMAKE_BUILD_TYPE" not in cached


def test_its_headers_are_found_and_compiled_as_c_20(tmp_path):
    _, outer, _ = configured(tmp_path)
    assert f"{ROOT}/cpp/include" in outer
    assert "-std=gnu++20" in outer


def test_a_build_type_holds_for_both(tmp_path):
    settings, outer, library = configured(tmp_path, "-DCMAKE_BUILD_TYPE=Debug")
    assert settings == "Debug 17 9.8"
    assert "-DNDEBUG" not in outer
    assert "-DNDEBUG" not in library
