"""Compile the extensions that pyproject.toml names, in place: the images copy the code and install nothing.

The same sources, flags and libraries as `pip install` takes. Needs a C compiler, `cc` or what the variable CC says.
"""

import os
import subprocess
import sysconfig
import tomllib
from pathlib import Path

project = tomllib.loads(Path("pyproject.toml").read_text())
for extension in project["tool"]["setuptools"]["ext-modules"]:
    target = extension["name"].replace(".", "/") + sysconfig.get_config_var("EXT_SUFFIX")
    libraries = [f"-l{name}" for name in extension.get("libraries", [])]
    command = [os.environ.get("CC", "cc"), *extension["extra-compile-args"], "-shared", "-fPIC"]
    subprocess.run([*command, "-o", target, *extension["sources"], *libraries], check=True)
    print(f"built {target}")
