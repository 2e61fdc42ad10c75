"""Numbers at the ends of every range: what is allowed as it is and in float32, and what is not."""

import math

import numpy as np
import pytest
from fastreg.internal import checks

RANGES = {name: value for name, value in vars(checks).items() if isinstance(value, checks.Range)}
STEPS = (-3e-6, -1.1e-6, -1e-6, -6e-8, -(2.0**-25), -(2.0**-53), 0.0, 2.0**-52, 2.0**-25, 6e-8, 1e-6, 1.1e-6, 3e-6)


def numbers(found):
    """Numbers around the ends of a range and those of float32."""
    ends = {found.low, found.high, 0.0, 1.0, 2.0**-126, 2.0**-149, 3.4028234663852886e38, 1e308, math.inf, math.nan}
    near = [end * (1 + step) for end in ends for step in STEPS]
    return [sign * number for number in near for sign in (1.0, -1.0)]


def is_allowed(found, number):
    """The rule, for the number and for what the core gets."""
    inside = {
        (True, True): lambda v: found.low <= v <= found.high,
        (True, False): lambda v: found.low <= v < found.high,
        (False, True): lambda v: found.low < v <= found.high,
        (False, False): lambda v: found.low < v < found.high,
    }[found.low_is_inside, found.high_is_inside]
    with np.errstate(over="ignore"):
        rounded = float(np.float32(number))
    return math.isfinite(number) and math.isfinite(rounded) and inside(number) and inside(rounded)


@pytest.mark.parametrize("name", RANGES)
def test_a_number_is_allowed_where_it_and_its_float32_are(name):
    found = RANGES[name]
    for number in numbers(found):
        if abs(number) > 3.4028234663852886e38:
            continue  # whether it rounds to the largest float32 or to infinity, it is refused
        for given in (number, np.float64(number)):
            if is_allowed(found, number):
                assert checks.check_real("Owner", "name", given, found) == number
            else:
                with pytest.raises(ValueError, match="Owner: name must"):
                    checks.check_real("Owner", "name", given, found)


@pytest.mark.parametrize("number", [3.4028235e38, 1e39, math.inf, math.nan])
@pytest.mark.parametrize("name", RANGES)
def test_what_is_not_finite_in_float32_is_refused(name, number):
    for given in (number, -number, np.float64(number)):
        with pytest.raises(ValueError, match="Owner: name must"):
            checks.check_real("Owner", "name", given, RANGES[name])
