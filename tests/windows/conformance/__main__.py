# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the conformance kit.

python -m tests.windows.conformance run          INVENTORY, LIMIT and ARGS are environment variables, as for make scan
python -m tests.windows.conformance add FILE...  take records into Git and write the page of the documentation
python -m tests.windows.conformance page         write that page
"""

from __future__ import annotations

import argparse
import collections
import datetime as dt
import json
import os
import pathlib
import secrets
import shlex
import shutil
import subprocess
import sys
import tempfile
import typing as t

import yaml

from tests.windows.conformance import catalogue, page, record

_PLAYBOOK = catalogue.KIT / "playbook.yml"
# Ansible needs a locale that is UTF-8. With pipelining no file is sent to a host before it is run.
_SETTINGS = {"ANSIBLE_PIPELINING": "True", "LC_ALL": "C.UTF-8"}
_COLLECTION = pathlib.Path("ansible_collections", "bulwark", "conformance", "plugins")


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="conformance", description="See on Windows what the collection relies on.")
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="run the kit on the hosts of INVENTORY and write their records")
    run.add_argument("--build", type=pathlib.Path, default=pathlib.Path(".build"), help="directory of what make builds")
    commands.add_parser("add", help="take records into Git").add_argument("files", type=pathlib.Path, nargs="+")
    commands.add_parser("page", help="write the page of the documentation")
    options = parser.parse_args(arguments)
    try:
        if options.command == "run":
            return _run(options.build.absolute(), os.environ)
        if options.command == "add":
            for file in options.files:
                shutil.copyfile(file, page.RECORDS / record.read(file).name)
        page.FILE.write_text(page.text(page.records()), encoding="utf-8")
    except record.RecordError as error:
        _say(str(error))
        return 1
    return 0


def _run(build: pathlib.Path, settings: t.Mapping[str, str]) -> int:
    inventory = settings.get("INVENTORY", "")
    if "," not in inventory and not pathlib.Path(inventory or "none").exists():
        _say(f"make windows-conformance: INVENTORY={inventory} does not exist; name a file with Windows hosts.")
        return 1
    records = build / "windows-conformance"
    records.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bulwark-conformance-") as workspace:
        collections_path = pathlib.Path(workspace, "collections")
        results = pathlib.Path(workspace, "results")
        results.mkdir()
        make_collection(collections_path)
        variables = {"conformance_id": secrets.token_hex(6), "conformance_results": str(results)}
        command = [str(pathlib.Path(sys.executable).with_name("ansible-playbook")), str(_PLAYBOOK), "-i", inventory]
        command += ["--extra-vars", json.dumps(variables)]
        if settings.get("LIMIT"):
            command += ["--limit", settings["LIMIT"]]
        command += shlex.split(settings.get("ARGS", ""))
        paths = [str(build / "collections"), str(collections_path), settings.get("ANSIBLE_COLLECTIONS_PATH", "")]
        environment = {**_SETTINGS, **settings, "ANSIBLE_COLLECTIONS_PATH": os.pathsep.join(filter(None, paths))}
        code = subprocess.run(command, env=environment, check=False).returncode
        outcomes = [_record(file, records) for file in sorted(results.glob("*.json"))]
    if code:
        _say(f"Where a host was lost, remove by hand what is named bulwark-conformance-{variables['conformance_id']}.")
    return code or (0 if outcomes and all(outcomes) else 1)


def make_collection(directory: pathlib.Path) -> None:
    """Write the collection ``bulwark.conformance``, which is not published, for ANSIBLE_COLLECTIONS_PATH."""
    modules, utilities = (directory / _COLLECTION / name for name in ("modules", "module_utils"))
    modules.mkdir(parents=True)
    shutil.copytree(catalogue.CSHARP, utilities)
    (modules / "win_conformance.ps1").write_text(module_text(), encoding="utf-8")


def module_text() -> str:
    """Return the module as a host gets it; ansible-test allows its first line only below plugins/modules."""
    return "#!powershell\n" + (catalogue.KIT / "win_conformance.ps1").read_text(encoding="utf-8")


def _record(file: pathlib.Path, directory: pathlib.Path) -> bool:
    """Write the record of a host, show it, and return whether no check failed."""
    results = json.loads(file.read_text(encoding="utf-8"))
    version = yaml.safe_load((catalogue.ROOT / "galaxy.yml").read_text(encoding="utf-8"))["version"]
    try:
        assembled = record.assemble(results, version, dt.datetime.now(dt.UTC))
    except record.RecordError as error:
        _say(str(error))
        return False
    written = directory / file.name
    written.write_text(json.dumps(assembled, indent=2) + "\n", encoding="utf-8")
    counts = collections.Counter(check["outcome"] for check in assembled["checks"])
    shown = ", ".join(f"{counts[outcome]} {outcome.replace('_', ' ')}" for outcome in record.OUTCOMES)
    _say(f"{results['host']}: {shown}: {written}")
    for check in assembled["checks"]:
        if check["outcome"] != "passed":
            different = [item for item in check["evidence"] if not item["equal"]]
            values = [f"{item['name']} is {item['edge']} and not {item['second']}" for item in different]
            reason = "; ".join(filter(None, [check["reason"], *values]))
            _say(f"  {check['outcome'].replace('_', ' ')}: {check['id']}: {reason}")
    left = results["cleaned"].get("left")
    if left != []:
        _say(f"{results['host']}: remove by hand: {', '.join(left or ['bulwark-conformance-' + results['id']])}")
    try:
        record.read(written)
    except record.RecordError as error:
        _say(f"Not for the documentation: {error}")
    return counts["failed"] == 0 and left == []


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
