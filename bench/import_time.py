"""Milliseconds that `import fastreg` adds to `import numpy`, each in new processes, taken in turns.

    python bench/import_time.py [ROUNDS]
"""

import statistics
import subprocess
import sys
import time

NUMPY = "import numpy"
BOTH = "import numpy, fastreg"
INSIDE = "import numpy, time; t = time.perf_counter(); import fastreg; print(time.perf_counter() - t)"


def process_time(program):
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", program], check=True)
    return 1e3 * (time.perf_counter() - start)


def import_time():
    result = subprocess.run([sys.executable, "-c", INSIDE], check=True, capture_output=True, text=True)
    return 1e3 * float(result.stdout)


def describe(name, values):
    low, middle, high = statistics.quantiles(values, n=4)
    print(f"{name:34} {middle:7.1f} ms   quartiles {low:.1f} to {high:.1f}")


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 11
    process_time(BOTH)  # reads the files and compiles them to bytecode
    runs = [(process_time(NUMPY), process_time(BOTH), import_time()) for _ in range(rounds)]
    numpy, both, inside = zip(*runs, strict=True)
    describe("process that imports NumPy", numpy)
    describe("process that imports both", both)
    describe("difference of the two", [b - n for n, b in zip(numpy, both, strict=True)])
    describe("import fastreg after NumPy, inside", inside)


if __name__ == "__main__":
    main()
