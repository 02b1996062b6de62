"""Print the requirements of pyproject.toml, one a line: the base install and the extras named as arguments.

The images install these before the code is copied in, so that a change of code does not install torch again.
"""

import sys
import tomllib
from pathlib import Path

project = tomllib.loads(Path("pyproject.toml").read_text())["project"]
extras = (project["optional-dependencies"][name] for name in sys.argv[1:])
for requirements in (project["dependencies"], *extras):
    print(*requirements, sep="\n")
