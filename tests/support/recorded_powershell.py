# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A program ``powershell`` that prints what was recorded for a module, and runs nothing.

ansible-core sends it the real payload of every module, through the shell plugin for PowerShell and a local connection.
So decisions of the controller are tested by the results that hosts give. tests/support/windows/standin runs modules.
"""

from __future__ import annotations

import base64
import gzip
import json
import pathlib
import sys
import typing as t

_PROGRAM = """#!{python} -IS
import runpy
import sys
sys.argv[1:] = [{directory!r}]
runpy.run_path({file!r}, run_name="__main__")
"""
_CALLS = "calls.jsonl"
# The inventory variables of a host that is answered for; "local" leaves out the network, not the shell plugin.
VARIABLES: t.Final[t.Mapping[str, t.Any]] = {
    "ansible_connection": "local",
    "ansible_shell_type": "powershell",
    "ansible_pipelining": True,
}


class Recorded:
    """Results by module, for one or more hosts. path: of the directory to put first in PATH."""

    def __init__(self, directory: pathlib.Path) -> None:
        self._directory = directory
        self.path = directory / "bin"
        self.path.mkdir(parents=True)
        program = _PROGRAM.format(python=sys.executable, directory=str(directory), file=str(pathlib.Path(__file__)))
        for name in ("powershell", "PowerShell"):
            (self.path / name).write_text(program, encoding="utf-8")
            (self.path / name).chmod(0o755)

    def result(self, module: str, result: t.Mapping[str, t.Any]) -> None:
        """Let a module return a result."""
        self.output(module, json.dumps(result))

    def output(self, module: str, stdout: str, stderr: str = "", rc: int = 0) -> None:
        """Let PowerShell print this in place of a module's result, and end with rc."""
        self.outputs(module, [(stdout, stderr, rc)])

    def outputs(self, module: str, outputs: t.Sequence[tuple[str, str, int]]) -> None:
        """Let the module's next calls print these, one each; the last one is for all that follow."""
        (self._directory / f"{module}.json").write_text(json.dumps(outputs), encoding="utf-8")

    def calls(self) -> list[tuple[str, dict[str, t.Any]]]:
        """Return the modules that ran since the last time, with their options, and forget them."""
        file = self._directory / _CALLS
        lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
        file.unlink(missing_ok=True)
        return [(module, arguments) for module, arguments in map(json.loads, lines)]


def _module(payload: bytes) -> tuple[str, dict[str, t.Any]]:
    """Return the name of the module that a payload runs, without the collection's, and its options."""
    head, separator, rest = payload.partition(b"\n\0\0\0\0\n")
    if not separator:
        # ansible-core 2.18
        arguments = json.loads(payload.partition(b"\0\0\0\0")[2])["module_args"]
        return _named(arguments["_ansible_module_name"], arguments)
    body = rest.partition(b"\n\0\0\0\0\n")[0]
    if json.loads(head)["params"].get("DecompressInput"):
        body = gzip.decompress(base64.b64decode(body))
    (wrapper,) = (each["params"] for each in json.loads(body)["actions"] if each["name"] == "module_wrapper.ps1")
    complex_args = [each["Value"] for each in wrapper.get("Variables") or () if each["Name"] == "complex_args"]
    arguments = complex_args[0] if complex_args else json.loads(wrapper["ArgumentJSON"])
    return _named(wrapper["Script"].removesuffix(".ps1"), arguments)


def _named(name: str, arguments: t.Mapping[str, t.Any]) -> tuple[str, dict[str, t.Any]]:
    options = {key: value for key, value in arguments.items() if not key.startswith("_ansible_")}
    return name.rpartition(".")[2], {**options, "_check_mode": arguments.get("_ansible_check_mode")}


def _main(directory: pathlib.Path) -> int:
    module, arguments = _module(sys.stdin.buffer.read())
    with (directory / _CALLS).open("a", encoding="utf-8") as calls:
        calls.write(json.dumps([module, arguments]) + "\n")
    file = directory / f"{module}.json"
    outputs = json.loads(file.read_text(encoding="utf-8"))
    stdout, stderr, rc = outputs[0]
    file.write_text(json.dumps(outputs[1:] or outputs), encoding="utf-8")
    sys.stdout.write(stdout)
    sys.stderr.write(stderr)
    return int(rc)


if __name__ == "__main__":
    sys.exit(_main(pathlib.Path(sys.argv[1])))
