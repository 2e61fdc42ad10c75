"""A long call in a program of its own that SIGINT, the signal of Ctrl-C, ends after half a second."""

from programs import last_json, run_program

_CALL = """
import json, os, signal, threading, time

def interrupt():
    time.sleep(0.5)
    os.kill(os.getpid(), signal.SIGINT)

threading.Thread(target=interrupt, daemon=True).start()
begun = time.perf_counter()
try:
    CALL
    ended = "whole"
except KeyboardInterrupt:
    ended = "interrupted"
seconds = time.perf_counter() - begun
print(json.dumps([ended, seconds, bool(SAME)]))
"""


def interrupted(setup: str, call: str, same: str) -> bool:
    """Checks that a call, which would take minutes, is interrupted at once.

    Args:
        setup: The program before the call.
        call: The call.
        same: An expression that is evaluated after it: whether everything is as before.

    Returns:
        The value of ``same``.
    """
    ended, seconds, unchanged = last_json(run_program(setup + _CALL.replace("CALL", call).replace("SAME", same)))
    assert ended == "interrupted"
    assert seconds < 30, "of several minutes"
    return unchanged
