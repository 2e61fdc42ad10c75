"""The message for a missing optional package. This is the only place that knows how fastreg's extras are installed.

``pip install 'fastreg[...]'`` would be wrong: package indexes have another project under that name.
"""

from __future__ import annotations


def needs(what: str, extra: str, *packages: str) -> str:
    """The message: what needs which packages, and two ways to install them.

    Args:
        what: The function or feature that needs the packages.
        extra: The extra of fastreg that installs them.
        packages: Their names for pip.

    Example:
        >>> from fastreg.internal.extras import needs
        >>> needs("to_frame", "tune", "pandas")
        "to_frame needs pandas: pip install pandas, or pip install '.[tune]' in a clone of fastreg's repository"
    """
    return (
        f"{what} needs {' and '.join(packages)}: pip install {' '.join(packages)}, or pip install '.[{extra}]' in a "
        "clone of fastreg's repository"
    )
