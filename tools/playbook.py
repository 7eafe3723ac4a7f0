# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run one of the collection's playbooks from the checkout, as ``make scan`` does.

    python3 tools/playbook.py NAME [--build DIRECTORY]

Reads the make variables INVENTORY, LIMIT, STORE, REPORT and ARGS from the environment and ends with
ansible-playbook's own exit code.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import shlex
import shutil
import subprocess
import sys
import typing as t

_HERE = pathlib.Path(__file__).parent

# What the user's environment may override. This callback ends with the findings, the coverage and the report's path.
_DEFAULTS = {"ANSIBLE_STDOUT_CALLBACK": "bulwark.servers.progress"}
# Ansible refuses to run in a locale that is not UTF-8 or not installed; this one always is.
_LOCALE = {"LANG": "C.UTF-8", "LC_ALL": "C.UTF-8"}


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="playbook.py", description="Run a playbook of bulwark.servers.")
    parser.add_argument("name", help="playbook, as in bulwark.servers.NAME")
    parser.add_argument(
        "--build", type=pathlib.Path, default=pathlib.Path(".build"), help="directory of what make builds"
    )
    options = parser.parse_args(arguments)
    build = options.build.absolute()
    report = pathlib.Path(os.environ.get("REPORT") or build / "report" / "scan.html").absolute()
    report.parent.mkdir(parents=True, exist_ok=True)
    command = [str(pathlib.Path(sys.executable).with_name("ansible-playbook"))]
    command += command_line(options.name, os.environ, report)
    variables = {**_DEFAULTS, **os.environ, **_LOCALE, "ANSIBLE_COLLECTIONS_PATH": str(build / "collections")}
    return subprocess.run(command, env=variables, check=False).returncode


def command_line(name: str, settings: t.Mapping[str, str], report: pathlib.Path) -> list[str]:
    """Return ansible-playbook's arguments. ARGS comes last, so that it can override everything."""
    variables: dict[str, t.Any] = {"bulwark_report_path": str(report)}
    if sys.stdout.isatty():
        variables["bulwark_width"] = max(60, shutil.get_terminal_size().columns)
    if settings.get("STORE"):
        variables["bulwark_store"] = settings["STORE"]
    inventory = settings.get("INVENTORY")
    if not inventory:
        inventory = str(_HERE / "this_machine.yml")
        variables["bulwark_become"] = False  # this machine is looked at as who runs it
    command = [f"bulwark.servers.{name}", "--inventory", inventory, "--extra-vars", json.dumps(variables)]
    if settings.get("LIMIT"):
        command += ["--limit", settings["LIMIT"]]
    return command + shlex.split(settings.get("ARGS", ""))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
