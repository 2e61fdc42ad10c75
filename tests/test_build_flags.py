"""fastreg refuses to be built with -ffast-math and its parts: CMake names the flag, every source file has an #error."""
from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
COMPILER = shutil.which("g++") or shutil.which("clang++")
HEADER = ROOT / "cpp/include/fastreg/strict_math.h"

needs_compiler = pytest.mark.skipif(COMPILER is None, reason="compiles")
needs_cmake = pytest.mark.skipif(COMPILER is None or shutil.which("cmake") is None, reason="configures with cmake")

PARTS = ["-ffast-math", "-Ofast", "-ffinite-math-only", "-funsafe-math-optimizations"]
WITHOUT_MACRO = ["-fassociative-math", "-freciprocal-math", "-fno-signed-zeros", "-mdaz-ftz"]


def includes(path, seen):
    """The files that a source file includes by a quoted name, directly or not."""
    for name in re.findall(r'^\s*#\s*include\s*"([^"]+)"', path.read_text(), re.MULTILINE):
        for folder in (ROOT / "cpp", ROOT / "cpp/include"):
            found = folder / name
            if found.exists() and found not in seen:
                seen.add(found)
                includes(found, seen)
    return seen


@pytest.mark.parametrize("path", sorted((ROOT / "cpp").rglob("*.cpp")), ids=lambda p: p.relative_to(ROOT).as_posix())
def test_every_source_file_looks_at_the_flags(path):
    assert HEADER in includes(path, set())


def test_programs_that_use_the_library_are_not_asked():
    for header in (ROOT / "cpp/include/fastreg").glob("*.h"):
        assert HEADER not in includes(header, set()), header


def compiled(source, *flags):
    folders = [f"-I{ROOT / 'cpp'}", f"-I{ROOT / 'cpp/include'}"]
    command = [COMPILER, "-std=c++20", "-fsyntax-only", *folders, *flags, str(ROOT / source)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


@needs_compiler
@pytest.mark.parametrize("source", ["cpp/core/json.cpp", "cpp/core/validate.cpp", "cpp/cpu/budget.cpp"])
@pytest.mark.parametrize("flag", PARTS)
def test_a_source_file_does_not_compile_with_them(source, flag):
    done = compiled(source, "-O2", flag)
    assert done.returncode != 0
    assert "fastreg must be compiled without" in done.stderr
    assert "CXXFLAGS" in done.stderr


@needs_compiler
def test_it_compiles_with_flags_that_are_fine():
    done = compiled("cpp/core/json.cpp", "-O3", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=off")
    assert done.returncode == 0, done.stderr


def configured(tmp_path, *definitions, **environment):
    path = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    generator = ["-G", "Ninja"] if shutil.which("ninja") else []  # there may be no make
    folders = ["-S", str(ROOT), "-B", str(tmp_path)]
    command = ["cmake", *generator, *folders, f"-DCMAKE_CXX_COMPILER={COMPILER}", *definitions]
    return subprocess.run(command, env=path | environment, capture_output=True, text=True, timeout=300, check=False)


@needs_cmake
@pytest.mark.parametrize("flag", PARTS + WITHOUT_MACRO)
def test_cmake_refuses_what_a_packager_sets(tmp_path, flag):
    if flag == "-mdaz-ftz" and subprocess.run([COMPILER, flag, "-E", "-x", "c++", "/dev/null"], capture_output=True,
                                              check=False).returncode:
        pytest.skip("this compiler does not know it")
    done = configured(tmp_path, CXXFLAGS=f"-O2 {flag} -g")
    assert done.returncode != 0
    words = " ".join(done.stderr.split())
    assert f"fastreg must be built without {flag}, which CMAKE_CXX_FLAGS has" in words
    assert "Take it out of CXXFLAGS" in words


@needs_cmake
@pytest.mark.parametrize("place", ["CMAKE_MODULE_LINKER_FLAGS", "CMAKE_SHARED_LINKER_FLAGS", "CMAKE_CXX_FLAGS_RELEASE"])
def test_cmake_looks_at_the_link_too(tmp_path, place):
    """There the flag adds start-up code that flushes denormals, whatever the sources were compiled with."""
    done = configured(tmp_path, f"-D{place}=-ffast-math")
    assert done.returncode != 0
    assert f"without -ffast-math, which {place} has" in " ".join(done.stderr.split())


@needs_cmake
def test_cmake_takes_the_linker_flags_of_the_environment(tmp_path):
    done = configured(tmp_path, LDFLAGS="-Wl,-O1 -Ofast")
    assert done.returncode != 0
    assert "without -Ofast, which" in " ".join(done.stderr.split())


@needs_cmake
def test_cmake_takes_flags_that_are_fine(tmp_path):
    done = configured(tmp_path, "-DCMAKE_BUILD_TYPE=Release", CXXFLAGS="-O2 -g -fstack-protector-strong",
                      LDFLAGS="-Wl,-O1,--sort-common")
    assert done.returncode == 0, done.stderr
