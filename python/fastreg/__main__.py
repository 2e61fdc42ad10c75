"""`python -m fastreg`: the `fastreg` command."""

import sys

from fastreg.cli import main

sys.exit(main())
