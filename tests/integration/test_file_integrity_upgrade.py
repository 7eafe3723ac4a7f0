# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine and a real dpkg: packages that are replaced by a trojan, upgraded and removed.

Everything happens in a mount namespace of its own, with a copy of dpkg's database and an empty /opt.
"""

from __future__ import annotations

import dataclasses
import hashlib
import pathlib
import subprocess
import typing as t

import pytest

from tests.integration._engine import Engine, changes, coverage
from tests.support import require

require("root", "command:dpkg-deb", "command:nsenter", "command:unshare")

_TOOL = "/opt/bulwark-test/bin/tool"
_WATCH = "opt"


@dataclasses.dataclass(frozen=True)
class Namespace:
    """A mount namespace that a sleeping process holds open. directory: for packages and state, outside of /opt."""

    pid: int
    directory: pathlib.Path
    engine: Engine

    def run(self, *command: str, text: str = "") -> None:
        subprocess.run([*self.engine.prefix, *command], input=text.encode(), check=True, capture_output=True)

    def write(self, path: str, content: str, mode: str = "755") -> None:
        self.run("sh", "-c", 'mkdir -p "${1%/*}" && cat >"$1" && chmod "$2" "$1"', "-", path, mode, text=content)

    def install(self, version: str) -> None:
        self.run("dpkg", "-i", str(_package(self.directory, version)))


@pytest.fixture
def namespace(tmp_path: pathlib.Path) -> t.Iterator[Namespace]:
    database = tmp_path / "dpkg"
    subprocess.run(["cp", "-a", "/var/lib/dpkg", str(database)], check=True)
    with subprocess.Popen(
        ["unshare", "--mount", "--propagation", "private", "sh", "-c", "echo ready; exec sleep 600"],
        stdout=subprocess.PIPE,
    ) as holder:
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline() == b"ready\n"
            prefix = ("nsenter", "--mount", "--target", str(holder.pid))
            engine = Engine(tmp_path / "state", ({"name": _WATCH, "paths": ["/opt"]},), prefix=prefix)
            found = Namespace(holder.pid, tmp_path, engine)
            found.run("mount", "--bind", str(database), "/var/lib/dpkg")
            found.run("mount", "-t", "tmpfs", "tmpfs", "/opt")
            yield found
        finally:
            holder.kill()


def _package(directory: pathlib.Path, version: str) -> pathlib.Path:
    """Build a package of a program, a configuration file and some data, with digests as debhelper adds them."""
    built = directory / f"{version}.deb"
    if built.exists():
        return built
    root = directory / f"build-{version}"
    files = {_TOOL: f"#!/bin/sh\necho {version}\n", "/opt/bulwark-test/share/data": version}
    sums = []
    for path, content in files.items():
        target = root / path[1:]
        target.parent.mkdir(parents=True)
        target.write_text(content)
        sums.append(f"{hashlib.md5(content.encode(), usedforsecurity=False).hexdigest()}  {path[1:]}\n")
    (root / _TOOL[1:]).chmod(0o755)
    (root / "DEBIAN").mkdir()
    (root / "DEBIAN" / "md5sums").write_text("".join(sums))
    (root / "DEBIAN" / "control").write_text(
        f"Package: bulwark-test\nVersion: {version}\nArchitecture: all\nMaintainer: test <test@example.org>\n"
        "Description: test\n"
    )
    subprocess.run(
        ["dpkg-deb", "--root-owner-group", "--build", str(root), str(built)], check=True, capture_output=True
    )
    return built


def _alerts(result: t.Mapping[str, t.Any]) -> dict[str, str]:
    return {detection["subject"]: detection["alert"] for detection in result["detections"]}


def test_a_trojan_is_found_on_the_very_first_run_and_until_it_is_gone(namespace: Namespace) -> None:
    namespace.install("1.0")
    namespace.write(_TOOL, "#!/bin/sh\necho trojan\n")
    engine = namespace.engine
    made = engine.keep()
    assert _alerts(made) == {_TOOL: "fim_package_mismatch"}
    for rehash in ("always", "changed"):
        compared = engine.compare(rehash=rehash)
        assert _alerts(compared) == {_TOOL: "fim_package_mismatch"}
        assert changes(compared) == {_TOOL: "package_mismatch"}
    namespace.install("1.0")
    repaired = engine.compare()
    assert _alerts(repaired) == {}
    assert repaired["explained"][0]["package"] == "bulwark-test"
    engine.keep(accept=["explained"], reason="reinstalled", accepted_by="me")
    assert _alerts(engine.compare()) == {}


def test_a_mismatch_that_was_accepted_stays_silent(namespace: Namespace) -> None:
    namespace.install("1.0")
    namespace.write(_TOOL, "#!/bin/sh\necho patched by us\n")
    engine = namespace.engine
    engine.keep()
    (change,) = engine.compare()["changes"]
    engine.keep(accept=[change["id"]], reason="our patch", accepted_by="me")
    assert _alerts(engine.compare()) == {}


def test_an_upgrade_is_explained_and_a_trojan_within_it_is_not(namespace: Namespace) -> None:
    namespace.install("1.0")
    engine = namespace.engine
    assert _alerts(engine.keep()) == {}
    namespace.install("2.0")
    upgraded = engine.compare()
    assert upgraded["changes"] == []
    (explained,) = upgraded["explained"]
    assert (explained["package"], explained["version"]) == ("bulwark-test", "2.0")
    assert _TOOL in explained["paths"]
    assert coverage(upgraded, _WATCH)["status"] == "checked"
    namespace.write(_TOOL, "#!/bin/sh\necho trojan\n")
    assert _alerts(engine.compare()) == {_TOOL: "fim_package_mismatch"}
    engine.keep(accept=["explained"], reason="upgrade", accepted_by="me")
    assert _alerts(engine.compare()) == {_TOOL: "fim_package_mismatch"}


def test_removing_a_package_explains_its_files_and_removing_a_file_does_not(namespace: Namespace) -> None:
    namespace.install("1.0")
    engine = namespace.engine
    engine.keep()
    namespace.run("rm", _TOOL)
    found = engine.compare()
    assert changes(found)[_TOOL] == "deleted"
    namespace.run("dpkg", "--purge", "bulwark-test")
    removed = engine.compare()
    assert removed["changes"] == []
    assert removed["explained_count"] >= 2
    engine.keep(accept=["explained"], reason="removed", accepted_by="me")
    assert engine.compare()["explained"] == []
