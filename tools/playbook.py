# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run one of the collection's playbooks from the checkout, as ``make scan`` does.

    python3 tools/playbook.py NAME [--build DIRECTORY]

Reads the make variables INVENTORY, LIMIT, STORE, REPORT and ARGS from the environment and ends with
ansible-playbook's own exit code, with 1 for a wrong variable, and with 130 after an interrupt (Ctrl-C).

    python3 tools/playbook.py --shell [--build DIRECTORY]

Prints what a shell has to set, so that Ansible's programs are those of the checkout and find the collection.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import shlex
import shutil
import signal
import subprocess
import sys
import typing as t

_HERE = pathlib.Path(__file__).parent

# What the user's environment may override. This callback ends with the findings, the coverage and the report's path.
# With pipelining no file is sent to a host before it is run, and twenty hosts at once are little for a controller.
_DEFAULTS = {
    "ANSIBLE_STDOUT_CALLBACK": "bulwark.servers.progress",
    "ANSIBLE_PIPELINING": "True",
    "ANSIBLE_FORKS": "20",
}
# Ansible refuses to run in a locale that is not UTF-8 or not installed; this one always is.
_LOCALE = {"LANG": "C.UTF-8", "LC_ALL": "C.UTF-8"}
# Where ansible-core looks for collections when nothing else is said.
_COLLECTIONS = "~/.ansible/collections:/usr/share/ansible/collections"
_INTERRUPTED = 130  # 128 and the number of SIGINT, as shells count


class SettingError(Exception):
    """A make variable is wrong; the message is one sentence that names it."""


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="playbook.py", description="Run a playbook of bulwark.servers.")
    parser.add_argument("name", nargs="?", help="playbook, as in bulwark.servers.NAME")
    parser.add_argument("--shell", action="store_true", help="print the settings of a shell instead")
    parser.add_argument(
        "--build", type=pathlib.Path, default=pathlib.Path(".build"), help="directory of what make builds"
    )
    options = parser.parse_args(arguments)
    if bool(options.name) == options.shell:
        parser.error("give the name of a playbook, or --shell")
    build = options.build.absolute()
    if options.shell:
        print("\n".join(shell_lines(build, pathlib.Path(sys.executable).parent, os.environ)))
        return 0
    try:
        return _run(options.name, build)
    except SettingError as error:
        print(f"make {options.name}: {error}", file=sys.stderr)
        return 1


def _run(name: str, build: pathlib.Path) -> int:
    report = report_path(os.environ, build)
    command = [str(pathlib.Path(sys.executable).with_name("ansible-playbook")), *command_line(name, os.environ, report)]
    variables = {**_DEFAULTS, **os.environ, **_LOCALE, "ANSIBLE_COLLECTIONS_PATH": collections_path(build, os.environ)}
    interrupts: list[int] = []
    started: list[subprocess.Popen[bytes]] = []

    def interrupted(number: int, _frame: object) -> None:
        interrupts.append(number)
        # The terminal interrupts Ansible, too, which ends its workers and says so. A second interrupt doesn't wait.
        if len(interrupts) > 1:
            for process in started:
                process.kill()

    # An exception could come while Ansible is started, when nobody would wait for it yet. A handler is not inherited
    # by Ansible, unlike that a signal is ignored.
    signal.signal(signal.SIGINT, interrupted)
    with subprocess.Popen(command, env=variables) as ansible:
        started.append(ansible)
        code = ansible.wait()
    return _INTERRUPTED if interrupts else code


def report_path(settings: t.Mapping[str, str], build: pathlib.Path) -> pathlib.Path:
    """Return where the report goes, with a directory that can be written to; raise SettingError when it can't be.

    Known before a scan that may take hours, at whose end it would be written.
    """
    given = settings.get("REPORT")
    report = pathlib.Path(given or build / "report" / "scan.html").expanduser().absolute()
    # Not with pathlib, which fails in a directory that is another account's.
    if os.path.isdir(report):
        raise SettingError(f"REPORT={report} is a directory; name the file to write")
    try:
        report.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise SettingError(f"REPORT={report}: its directory cannot be made: {error.strerror}") from error
    if not os.access(report.parent, os.W_OK | os.X_OK):
        if not given and report.parent.stat().st_uid != os.geteuid():
            raise SettingError(
                f"{report.parent} belongs to another account, as after sudo make scan; take it back with 'sudo chown -R"
                f" {os.geteuid()} {shlex.quote(str(report.parent))}', or name another file with REPORT=FILE"
            )
        raise SettingError(f"REPORT={report}: its directory cannot be written to; name a file in another one")
    return report


def command_line(name: str, settings: t.Mapping[str, str], report: pathlib.Path) -> list[str]:
    """Return ansible-playbook's arguments. ARGS comes last, so that it can override everything.

    Raises SettingError for an inventory that isn't there, which Ansible takes for one without hosts, and for ARGS
    that are no shell words.
    """
    variables: dict[str, t.Any] = {"bulwark_report_path": str(report)}
    if sys.stdout.isatty():
        variables["bulwark_width"] = max(60, shutil.get_terminal_size().columns)
    if settings.get("STORE"):
        variables["bulwark_store"] = settings["STORE"]
    inventory = settings.get("INVENTORY")
    if not inventory:
        inventory = str(_HERE / "this_machine.yml")
        variables["bulwark_become"] = False  # this machine is looked at as who runs it
    elif "," not in inventory and not pathlib.Path(inventory).expanduser().exists():
        # With a comma it is a list of hosts.
        raise SettingError(f"INVENTORY={inventory} does not exist; name a file or directory, or hosts as in 'web1,'")
    command = [f"bulwark.servers.{name}", "--inventory", inventory, "--extra-vars", json.dumps(variables)]
    if settings.get("LIMIT"):
        command += ["--limit", settings["LIMIT"]]
    try:
        return command + shlex.split(settings.get("ARGS", ""))
    except ValueError as error:
        raise SettingError(f"ARGS={settings['ARGS']} cannot be split into words: {error}") from error


def shell_lines(build: pathlib.Path, programs: pathlib.Path, settings: t.Mapping[str, str]) -> list[str]:
    """Return the lines for a shell to evaluate."""
    return [
        f'export PATH={shlex.quote(str(programs))}:"$PATH"',
        f"export ANSIBLE_COLLECTIONS_PATH={shlex.quote(collections_path(build, settings))}",
    ]


def collections_path(build: pathlib.Path, settings: t.Mapping[str, str]) -> str:
    """Return where Ansible looks for collections: for this one in the checkout, for others where it always does."""
    ours = str(build / "collections")
    others = settings.get("ANSIBLE_COLLECTIONS_PATH") or _COLLECTIONS
    return os.pathsep.join([ours, *(path for path in others.split(os.pathsep) if path != ours)])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
