"""`python -m bgtasksd`."""

import sys

from bgtasksd.cli import main

sys.exit(main())
