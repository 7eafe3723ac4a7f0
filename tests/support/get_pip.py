# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bring pip into a virtual environment from Python's own ensurepip.

Stands in for the script that ansible-test downloads (its cached copy is named ``get_pip_VERSION.py``) and
takes its arguments: pip's options, then the packages to install beside pip.
"""

from __future__ import annotations

import subprocess
import sys


def main(arguments: list[str]) -> int:
    # get-pip's own options; ensurepip leaves both packages out.
    options = [argument for argument in arguments if argument not in ("--no-setuptools", "--no-wheel")]
    # A process of its own: ensurepip changes the environment variables that pip reads.
    subprocess.check_call([sys.executable, "-m", "ensurepip", "--upgrade"], stdout=subprocess.DEVNULL)
    if all(option.startswith("-") for option in options):
        return 0
    return subprocess.call([sys.executable, "-m", "pip", "install", *options])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
