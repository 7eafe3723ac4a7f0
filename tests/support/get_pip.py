# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bring pip into a virtual environment with the one that Python has for ensurepip.

Stands in for the script that ansible-test downloads (its cached copy is named ``get_pip_VERSION.py``) and
takes its arguments: pip's options, then the packages to install, pip itself among them.
"""

from __future__ import annotations

import ensurepip
import pathlib
import subprocess
import sys
import sysconfig


def main(arguments: list[str]) -> int:
    # get-pip's own options; neither package comes unless it is named.
    wanted = [argument for argument in arguments if argument not in ("--no-setuptools", "--no-wheel")]
    wheel = _wheel()
    if all(argument.startswith("-") for argument in wanted):
        wanted += ["--no-index", "--find-links", str(wheel.parent), "pip"]
    # Not ensurepip: it installs and compiles another pip first. ansible-test makes two dozen environments, and for
    # each that is 2 s of processor time; most of pip is never imported.
    return subprocess.call([sys.executable, f"{wheel}/pip", "install", "--no-compile", *wanted])


def _wheel() -> pathlib.Path:
    """Return pip's wheel: it lies beside ensurepip, or where a distribution keeps its wheels."""
    directories = [pathlib.Path(ensurepip.__file__).with_name("_bundled")]
    distribution = sysconfig.get_config_var("WHEEL_PKG_DIR")
    if distribution:
        directories.append(pathlib.Path(distribution))
    found = [wheel for directory in directories for wheel in sorted(directory.glob("pip-*.whl"))]
    if not found:
        raise SystemExit("there is no wheel of pip in %s" % " or ".join(map(str, directories)))
    return found[-1]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
