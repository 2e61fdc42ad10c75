"""Collects what a reader needs to judge the figures: the machine, and which BLAS kernels NumPy really uses. The latter
is asked in a separate process, so that NumPy loads in the environment that contenders have.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from typing import Any

from contenders import DISTORTING, clean_environment

_NUMPY_FACTS = """
import json, numpy
try:
    import threadpoolctl
    keys = ("internal_api", "version", "architecture", "num_threads")
    blas = [{k: p.get(k) for k in keys} for p in threadpoolctl.threadpool_info() if p["user_api"] == "blas"]
except ModuleNotFoundError:
    blas = [{"error": "unknown: threadpoolctl is not installed"}]
print(json.dumps({"numpy": numpy.__version__, "blas_in_use": blas}))
"""


def cpu_name() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "unknown")
    except OSError:
        return platform.processor() or "unknown"


def usable_cpus() -> list[int]:
    """The CPUs that this process may use. Empty if the system cannot tell."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []


def facts(threads: int, cpus: tuple[int, ...]) -> dict[str, Any]:
    environment = clean_environment(threads, {})
    done = subprocess.run(
        [sys.executable, "-c", _NUMPY_FACTS], env=environment, check=True, capture_output=True, text=True
    )
    return {
        "cpu": cpu_name(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "cpus_used": list(cpus),
        "threads": threads,
        "load_average": os.getloadavg() if hasattr(os, "getloadavg") else None,
        "removed_from_environment": {k: os.environ[k] for k in DISTORTING if k in os.environ},
        **json.loads(done.stdout),
    }


def headline(known: dict[str, Any]) -> str:
    pools = [p for p in known["blas_in_use"] if "error" not in p]
    blas = ", ".join(f"{p['internal_api']} {p['version']} {p['architecture']}" for p in pools) or "BLAS unknown"
    threads = f"{known['threads']} thread{'s' * (known['threads'] > 1)}"
    return (
        f"{known['cpu']}, CPUs {known['cpus_used'] or 'all'}, {threads}; "
        f"NumPy {known['numpy']}, {blas}; Python {known['python']}"
    )
