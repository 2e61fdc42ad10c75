"""What to say where an optional package is missing. The one place that knows how fastreg's extras are installed.

``pip install 'fastreg[...]'`` is not it: under that name package indexes have another project.
"""

from __future__ import annotations


def needs(what: str, extra: str, *packages: str) -> str:
    """The message: what needs which packages, and two ways to get them.

    Args:
        what: What cannot be done without.
        extra: fastreg's extra that has them.
        packages: Their names, as pip knows them.

    Example:
        >>> needs("to_frame", "tune", "pandas")
        "to_frame needs pandas: pip install pandas, or pip install '.[tune]' in a clone of fastreg's repository"
    """
    return (
        f"{what} needs {' and '.join(packages)}: pip install {' '.join(packages)}, or pip install '.[{extra}]' in a "
        "clone of fastreg's repository"
    )
