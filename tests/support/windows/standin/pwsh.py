# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Answers what ansible-test asks ``pwsh``: which specification does a PowerShell module have?

``ansible-test sanity --test validate-modules`` runs ``pwsh .../ps_argspec.ps1 MANIFEST`` for each PowerShell module and
compares the specification that it prints with the documentation. ``install`` writes a program of that name, which reads
the module by ``literal_module``. It does nothing else.
"""

from __future__ import annotations

import json
import pathlib
import shlex
import sys

from tests.support import paths
from tests.support.windows import literal_module

_SCRIPT = "ps_argspec.ps1"


def install(directory: pathlib.Path) -> None:
    """Write the program ``pwsh`` into a directory that will be on PATH."""
    # Without -P the copy of the collection in which ansible-test works would come first.
    command = shlex.join([sys.executable, "-P", "-m", __name__])
    program = directory / "pwsh"
    program.write_text(f'#!/bin/sh\nPYTHONPATH={shlex.quote(str(paths.ROOT))} exec {command} "$@"\n', encoding="utf-8")
    program.chmod(0o755)


def main(arguments: list[str]) -> int:
    if len(arguments) != 2 or pathlib.Path(arguments[0]).name != _SCRIPT:
        sys.stderr.write(f"the stand-in for pwsh runs {_SCRIPT} alone, not: {shlex.join(arguments)[:300]}\n")
        return 1
    try:
        module = literal_module.read(pathlib.Path(json.loads(arguments[1])["module_path"]))
    except literal_module.LiteralModuleError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(json.dumps(module.spec))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
