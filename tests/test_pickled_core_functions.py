"""Functions of the compiled module can be pickled by name, as those of other modules."""

from programs import last_json, run_program

# In a process of its own: a function that refers to a module which is gone ends it.
PROGRAM = """
import json, pickle, types
from fastreg import _core
_core.TablePredictor  # binds all parts
found = [name for name, value in vars(_core).items() if isinstance(value, types.BuiltinFunctionType)]
names = [name for name in found if not name.startswith("_")]
others = [bytes([255]) * n for n in range(30, 200) for _ in range(200)]  # reuse memory that is free
print(json.dumps([len(names) > 20, [n for n in names if pickle.loads(pickle.dumps(vars(_core)[n])) != vars(_core)[n]]]))
"""


def test_each_function_is_the_same_after_a_pickle():
    assert last_json(run_program(PROGRAM)) == [True, []]
