"""`python -m service.log.export --out FOLDER`. pyarrow is not of the lean service, so it may be missing here."""

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
