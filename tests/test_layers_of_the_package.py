"""Who may import whom in the Python package: everything imports downward, and no two modules need each other.

Imports within functions and those for type checkers count as any other. ``LAYERS`` is the order, lowest first; modules
of one line may import one another, as long as there is no circle. Not counted are the packages' own lists of public
names (``__init__.py``, which loads lazily by name) and what finds modules at their old paths.
"""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1] / "python/fastreg"

# What stands in a line may import what stands in the lines before it, and in its own. A folder stands for its modules.
LAYERS = (
    ("_core",),
    ("internal",),
    ("constraints", "initializers", "losses", "regularizers", "schedules"),
    ("layers", "metrics", "optimizers"),
    ("callbacks",),
    ("data",),
    ("losses.computing", "losses.functions"),
    ("runtime", "utils", "diagnosis", "plots"),
    (
        *("model.graphs", "model.adapted", "model.facts", "model.labels", "model.nested", "model.outputs"),
        *("model.recorded", "model.training_form"),
    ),
    ("model.core",),
    ("model",),
    ("activations", "models", "ops", "utils.pictures"),
    ("sklearn",),
    ("search.space.tree",),
    ("search.values",),
    ("search.space",),
    ("search.records", "search.journal"),
    ("search.strategy",),
    ("search.pruners",),
    ("search.options", "search.parameters"),
    ("search.folds",),
    ("search.workers",),
    ("search.live", "search.found"),
    ("search.run",),
    ("search.plan",),
    ("search.base",),
    ("search.search", "search.assess", "search.out_of_fold", "search.scikit_learn"),
    ("search",),
    ("diagnosis.curves", "diagnosis.importance"),
    ("table",),
    ("sklearn.realmlp_encoding",),
    ("sklearn.realmlp_training",),
    ("sklearn.realmlp",),
    ("tune",),
    ("demo", "cli"),
    ("__main__",),
)
# They import by a name that they are given: lists of public names, old paths, messages on absent names (which look
# through the public modules), packages that are not fastreg's, modules of the user, and what a description needs when
# it is called.
BY_NAME = {
    *("internal.lazy_names", "internal.old_paths", "internal.absent", "demo", "search.strategy.bayesian"),
    *("losses.base", "tune.distilling"),
}


def modules():
    """Path of every module by its name without "fastreg."; packages are named as folders."""
    found = {}
    for path in ROOT.rglob("*.py"):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found | {"_core": ROOT / "_core.pyi"}


MODULES = modules()


def imported(tree):
    """The modules that a module names in any import, as (name, line)."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: imports are absolute"
            package = node.module or ""
            names = [f"{package}.{alias.name}" for alias in node.names]
            names = [name if name.removeprefix("fastreg.") in MODULES else package for name in names]
        elif isinstance(node, ast.Call) and getattr(node.func, "id", getattr(node.func, "attr", "")) == "import_module":
            names = [node.args[0].value] if isinstance(node.args[0], ast.Constant) else ["fastreg.?"]
        else:
            continue
        for name in names:
            if name == "fastreg" or name.startswith("fastreg."):
                yield name.removeprefix("fastreg").removeprefix("."), node.lineno


def graph(sources):
    """Which modules each module imports, with the line; of the modules that count."""
    found = {}
    for name, text in sources.items():
        if name == "_core" or MODULES.get(name, ROOT).name == "__init__.py":
            continue
        found[name] = dict(imported(ast.parse(text)))
        if name in BY_NAME:
            found[name].pop("?", None)
    return found


def rank(name):
    """The place of a module in LAYERS: that of its longest name there."""
    while name:
        for place, line in enumerate(LAYERS):
            if name in line:
                return place
        name = name.rpartition(".")[0]
    return None


def upward(edges):
    return [
        f"{name}:{line} imports {target or 'fastreg'}"
        for name, targets in edges.items()
        for target, line in targets.items()
        if target not in MODULES or target == "" or rank(target) > rank(name)
    ]


def circles(edges):
    """The circles that a walk in depth closes."""
    done, found = set(), []

    def visit(name, way):
        if name in way:
            found.append(" -> ".join([*way[way.index(name) :], name]))
        elif name not in done:
            for target in edges.get(name, ()):
                visit(target, [*way, name])
            done.add(name)

    for name in edges:
        visit(name, [])
    return found


SOURCES = {name: path.read_text() for name, path in MODULES.items()}


def test_every_module_has_its_place():
    assert not [name for name in MODULES if name and rank(name) is None]
    listed = [name for line in LAYERS for name in line]
    assert len(listed) == len(set(listed))
    assert not [name for name in listed if name not in MODULES]


def test_imports_point_down():
    assert not upward(graph(SOURCES))


def test_there_is_no_circle():
    assert not circles(graph(SOURCES))


@pytest.mark.parametrize(
    "added",
    [
        "from fastreg.model.sequential import Sequential",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from fastreg.search import plan",
        "def f():\n    import fastreg",
        "def f():\n    from importlib import import_module\n    import_module('fastreg.cli')",
        "from fastreg import callbacks",
    ],
)
def test_an_import_upward_is_seen(added):
    name = "optimizers.base"
    assert len(upward(graph({name: SOURCES[name] + "\n" + added}))) == 1


def test_a_circle_within_a_layer_is_seen():
    sources = SOURCES | {"runtime": SOURCES["runtime"] + "\ndef f():\n    from fastreg.utils import seeds"}
    sources["utils.seeds"] += "\nfrom fastreg.runtime import thread_limit"
    assert not upward(graph(sources))
    assert circles(graph(sources)) in (["runtime -> utils.seeds -> runtime"], ["utils.seeds -> runtime -> utils.seeds"])
