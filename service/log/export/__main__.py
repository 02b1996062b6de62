"""`python -m service.log.export --out FOLDER`. The lean service does not require pyarrow, so it may be missing."""

from __future__ import annotations

import sys
from importlib.util import find_spec


def main() -> None:
    """See `command.main`."""
    if find_spec("pyarrow") is None:
        print("export-events: pyarrow is not installed; pip install 'stillroom[export]'", file=sys.stderr)
        sys.exit(2)
    from service.log.export import command

    command.main()


if __name__ == "__main__":
    main()
