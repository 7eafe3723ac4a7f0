# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Call the modules of Windows file integrity in a Windows process under Wine, and change what they watch."""

from __future__ import annotations

import functools
import json
import pathlib
import shutil
import typing as t
import uuid

from tests.support.windows import compiler, toolchain, utilities

_HERE = pathlib.Path(__file__).parent

APPLY = "win_file_integrity"
LOOK = "win_file_integrity_info"

# Without created: Wine shows the time of the last write as that of the creation.
_ATTRIBUTES = [
    *("attributes", "size", "mtime", "content", "owner", "dacl"),
    *("streams", "reparse", "links", "file_id", "signer", "signature"),
]

Result = dict[str, t.Any]


@functools.cache
def program() -> compiler.Program:
    """Compile the modules' code with the program that calls it."""
    sources = utilities.sources("file_integrity.Apply", "file_integrity.Look")
    return compiler.compile_program([*sources, _HERE / "AnsibleBasic.cs", _HERE / "Calls.cs"], compiler.Target.WINDOWS)


class World:
    """A directory and a registry key that are watched, and the state of a baseline of them."""

    def __init__(self, directory: pathlib.Path) -> None:
        self.files = directory / "app"
        self.files.mkdir(parents=True)
        self.name = f"bulwark-{uuid.uuid4().hex[:12]}"
        # State is refused below a directory that everybody can write in, as the one for temporary files is.
        self.disk = toolchain.shared_prefix() / "drive_c" / self.name
        self.disk.mkdir(mode=0o700)
        self.state = self.disk / "state"
        self.key = f"HKLM\\SOFTWARE\\{self.name}"
        self.watches: list[dict[str, t.Any]] = [
            {"name": "app", "paths": [toolchain.windows_path(self.files)], "attributes": _ATTRIBUTES},
            {"name": "key", "registry": [self.key]},
        ]
        self.expected: list[str] | None = None

    def path(self, name: str) -> str:
        """Return how findings show a file of the watched directory."""
        return toolchain.windows_path(self.files / name)

    def write(self, name: str, content: str) -> None:
        file = self.files / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(content, encoding="utf-8")

    def set_value(self, name: str, data: str, key: str = "") -> None:
        toolchain.reg("add", self.key + key, "/v", name, "/t", "REG_SZ", "/d", data, "/f")

    def delete_value(self, name: str) -> None:
        toolchain.reg("delete", self.key, "/v", name, "/f")

    def remove(self) -> None:
        """Remove what is not below the test's own directory."""
        toolchain.reg("delete", self.key, "/f", check=False)
        shutil.rmtree(self.disk)

    def params(self, **options: t.Any) -> Result:
        """Return a module's options."""
        defaults: Result = {
            "state_dir": f"C:\\{self.name}\\state",
            "watches": self.watches,
            "_expected_digests": self.expected,
        }
        return {name: value for name, value in {**defaults, **options}.items() if value is not None}

    def apply(self, *, check_mode: bool = False, **options: t.Any) -> Result:
        return self.call((APPLY, self.params(**options), check_mode))[0]

    def look(self, **options: t.Any) -> Result:
        return self.call((LOOK, self.params(**options), False))[0]

    def accept(self, *names: str, **options: t.Any) -> Result:
        return self.apply(accept=list(names), reason="CHG-1", accepted_by="alice", **options)

    def baseline(self) -> pathlib.Path:
        return self.state / "file_integrity" / "default.baseline"

    def call(self, *calls: tuple[str, Result, bool]) -> list[Result]:
        """Return the results of modules that run one after the other in one process."""
        asked = [{"module": module, "params": params, "check_mode": check} for module, params, check in calls]
        results: list[Result] = json.loads(program().run(input=json.dumps(asked)).stdout)
        for result in results:
            assert "exception" not in result, result["exception"]
        return results


def changes(result: Result) -> dict[tuple[str, str], list[str]]:
    """Return the attributes of each change by kind and path."""
    return {(change["kind"], change["path"]): change["attributes"] for change in result["changes"]}


def alerts(result: Result) -> set[str]:
    return {detection["alert"] for detection in result["detections"]}
