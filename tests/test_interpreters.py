"""A second interpreter in one process: fastreg cannot be imported there, says so and does not hang."""
from __future__ import annotations

import sys

import pytest
from programs import last_json, run_program

# Runs a program in a sub-interpreter of each kind that this Python has, which writes into a pipe.
SUBINTERPRETER = """
import json, os, sys
if sys.argv[2] == "first":
    import fastreg
reader, writer = os.pipe()
program = f'''
import os
try:
    import fastreg
    text = "imported"
except ImportError as error:
    text = "ImportError: " + str(error)
os.write({writer}, text.encode())
'''
def legacy():
    import _testcapi
    assert _testcapi.run_in_subinterp(program) == 0
def modern(config):
    try:
        import _interpreters as interpreters
    except ImportError:
        import _xxsubinterpreters as interpreters
    made = interpreters.create(config) if config is not None else interpreters.create()
    interpreters.run_string(made, program)
    interpreters.destroy(made)
if sys.argv[1] == "testcapi":
    legacy()
else:
    modern({"isolated": "isolated", "legacy": "legacy", "default": None}[sys.argv[1]])
os.close(writer)
import fastreg as fr  # the main interpreter is as it was
model = fr.Sequential([fr.Input((2,)), fr.layers.Dense(1)], seed=0)
print(json.dumps([os.read(reader, 10000).decode(), model.predict([[1.0, 2.0]]).shape == (1, 1)]))
"""

KINDS = ["testcapi", "default"]
if sys.version_info >= (3, 13):
    KINDS += ["isolated", "legacy"]


@pytest.mark.parametrize("order", ["first", "later"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_sub_interpreter_gets_an_import_error(kind, order):
    """Whether the main interpreter has imported fastreg before or not."""
    if kind == "testcapi":
        pytest.importorskip("_testcapi")
    message, fine = last_json(run_program(SUBINTERPRETER, kind, order))
    assert message.startswith("ImportError")
    assert "sub-interpreter" in message or "subinterpreter" in message
    assert fine
