"""Checks that nothing compiled for one instruction set can end up in code that runs on every CPU.

A kernel object must not define a symbol that the linker may merge with a copy from another object (weak or unique:
inline functions, templates, containers), must keep what it does define in its own namespace, and must not call into
the C++ library or into any part of fastreg but the kernel objects of its own instruction set. Of a kernel object the
others know the table alone. No object may touch vector registers wider than those it is compiled for.

    check_symbols.py --nm NM --objdump OBJDUMP --kernels ISA OBJECT... [--kernels ...] --generic OBJECT...
"""
import argparse
import re
import subprocess
import sys

MERGEABLE = set("WVwvu")
CXX_LIBRARY = re.compile(r"\bstd::|operator (new|delete)|__cxa_|__gxx_")
TOO_WIDE = {"generic": "%[yz]mm", "baseline": "%[yz]mm", "avx2": "%zmm"}


def run(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def symbols(nm: str, path: str) -> list[tuple[str, str]]:
    """(kind, demangled name) of each symbol of an object file."""
    rows = [re.match(r"(?:[0-9a-f]+)?\s+(\S) (.*)", line) for line in run(nm, "-C", path).splitlines()]
    return [(row[1], row[2]) for row in rows if row]


def check_kernels(nm: str, isa: str, path: str) -> list[str]:
    found = symbols(nm, path)
    faults = [f"{isa}: {name} ({kind}) may be merged with another copy" for kind, name in found if kind in MERGEABLE]
    faults += [
        f"{isa}: {name} is visible outside namespace fastreg::{isa}"
        for kind, name in found
        if kind.isupper() and kind not in "UWV" and f"fastreg::{isa}::" not in name
    ]
    faults += [f"{isa}: calls {name}" for kind, name in found if kind == "U" and CXX_LIBRARY.search(name)]
    faults += [
        f"{isa}: calls {name}, which is not compiled for it"
        for kind, name in found
        if kind == "U" and name.startswith("fastreg::") and not name.startswith(f"fastreg::{isa}::")
    ]
    if not any(kind.isupper() and kind != "U" and f"fastreg::{isa}::" in name for kind, name in found):
        faults.append(f"{isa}: {path} defines nothing in fastreg::{isa}")
    return faults


def check_generic(nm: str, isas: set[str], path: str) -> list[str]:
    names = [name for kind, name in symbols(nm, path) if kind == "U"]
    inner = [name for name in names if any(name.startswith(f"fastreg::{isa}::") for isa in isas)]
    return [f"{path}: calls {name} and not through the table" for name in inner if not name.endswith("::table")]


def check_width(objdump: str, isa: str, path: str) -> list[str]:
    if isa not in TOO_WIDE:
        return []
    code = run(objdump, "-d", "--no-show-raw-insn", path).splitlines()
    wide = [line.strip() for line in code if re.search(TOO_WIDE[isa], line)]
    return [f"{path}: {len(wide)} instructions too wide for {isa}, first: {wide[0]}"] if wide else []


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--nm", required=True)
    parser.add_argument("--objdump", required=True)
    parser.add_argument("--kernels", nargs="+", action="append", required=True, metavar=("ISA", "OBJECT"))
    parser.add_argument("--generic", nargs="+", required=True, metavar="OBJECT")
    options = parser.parse_args()

    kernels = {path: isa for isa, *paths in options.kernels for path in paths}
    generic = {path: "generic" for path in options.generic if path not in kernels}
    faults = [fault for path, isa in kernels.items() for fault in check_kernels(options.nm, isa, path)]
    faults += [fault for path in generic for fault in check_generic(options.nm, set(kernels.values()), path)]
    faults += [fault for path, isa in (kernels | generic).items() for fault in check_width(options.objdump, isa, path)]
    for fault in faults:
        print(fault)
    print(f"{len(kernels)} kernel objects, {len(generic)} generic objects, {len(faults)} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
