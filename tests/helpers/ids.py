"""Names of cases of parametrised tests, which must be the same in every process that collects them."""
from __future__ import annotations

import re


def stable_id(value: object) -> str:
    """The text of a value without the addresses of functions and other objects in it."""
    return re.sub(r" at 0x[0-9a-fA-F]+", "", str(value))
