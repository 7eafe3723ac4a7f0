# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine and a real dpkg: packages that are replaced by a trojan, upgraded and removed.

Everything happens in a mount namespace of its own, with a copy of dpkg's database, an empty /opt, and a repository that
a key of the test signed.
"""

from __future__ import annotations

import dataclasses
import hashlib
import pathlib
import subprocess
import typing as t

import pytest

from tests.integration._signed_repository import Key, Repository
from tests.integration.file_integrity._engine import Engine, changes, coverage
from tests.integration.package_roots import Root
from tests.support import require

require("root", "command:dpkg-deb", "command:nsenter", "command:unshare", "command:gpg", "command:gpgv")

_TOOL = "/opt/bulwark-test/bin/tool"
_WATCH = "opt"
_KEYS = {"name": "keys", "paths": ["/etc/apt/keyrings"]}
_APT = ("var/lib/apt/lists", "var/cache/apt/archives", "etc/apt/keyrings")


@dataclasses.dataclass(frozen=True)
class Namespace:
    """A mount namespace that a sleeping process holds open. directory: for packages and state, outside of /opt."""

    pid: int
    directory: pathlib.Path
    engine: Engine
    apt: Root
    repository: Repository

    def run(self, *command: str, text: str = "") -> None:
        subprocess.run([*self.engine.prefix, *command], input=text.encode(), check=True, capture_output=True)

    def write(self, path: str, content: str, mode: str = "755") -> None:
        self.run("sh", "-c", 'mkdir -p "${1%/*}" && cat >"$1" && chmod "$2" "$1"', "-", path, mode, text=content)

    def install(self, version: str, name: str = "bulwark-test", signed: bool = True) -> None:
        package = _package(self.directory, version, name)
        self.run("dpkg", "-i", str(package))
        if signed:
            self.repository.add(package, keep=True)


@pytest.fixture
def namespace(tmp_path: pathlib.Path) -> t.Iterator[Namespace]:
    database = tmp_path / "dpkg"
    apt = Root(tmp_path / "apt")
    key = Key(tmp_path / "gnupg")
    repository = Repository(apt, key)
    apt.file(_APT[2]).mkdir(parents=True)
    apt.file(f"{_APT[2]}/test.gpg").write_bytes(key.public)
    subprocess.run(["cp", "-a", "/var/lib/dpkg", str(database)], check=True)
    with subprocess.Popen(
        ["unshare", "--mount", "--propagation", "private", "sh", "-c", "echo ready; exec sleep 600"],
        stdout=subprocess.PIPE,
    ) as holder:
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline() == b"ready\n"
            prefix = ("nsenter", "--mount", "--target", str(holder.pid))
            engine = Engine(tmp_path / "state", ({"name": _WATCH, "paths": ["/opt"]}, _KEYS), prefix=prefix)
            found = Namespace(holder.pid, tmp_path, engine, apt, repository)
            for directory in _APT:
                found.run("mkdir", "-p", f"/{directory}")
                found.run("mount", "--bind", str(apt.path / directory), f"/{directory}")
            found.run("mount", "--bind", str(database), "/var/lib/dpkg")
            found.run("mount", "-t", "tmpfs", "tmpfs", "/opt")
            yield found
        finally:
            holder.kill()


def _package(directory: pathlib.Path, version: str, name: str) -> pathlib.Path:
    """Build a package of a program, a configuration file and some data, with digests as debhelper adds them."""
    built = directory / f"{name}_{version}_all.deb"
    if built.exists():
        return built
    root = directory / f"build-{name}-{version}"
    tool = f"/opt/{name}/bin/tool"
    files = {tool: f"#!/bin/sh\necho {version}\n", f"/opt/{name}/share/data": version}
    sums = []
    for path, content in files.items():
        target = root / path[1:]
        target.parent.mkdir(parents=True)
        target.write_text(content)
        sums.append(f"{hashlib.md5(content.encode(), usedforsecurity=False).hexdigest()}  {path[1:]}\n")
    (root / tool[1:]).chmod(0o755)
    (root / "DEBIAN").mkdir()
    (root / "DEBIAN" / "md5sums").write_text("".join(sums))
    (root / "DEBIAN" / "control").write_text(
        f"Package: {name}\nVersion: {version}\nArchitecture: all\nMaintainer: test <test@example.org>\n"
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
    made = engine.apply()
    assert _alerts(made) == {_TOOL: "fim_package_mismatch"}
    for rehash in ("always", "changed"):
        compared = engine.compare(rehash=rehash)
        assert _alerts(compared) == {_TOOL: "fim_package_mismatch"}
        assert changes(compared) == {_TOOL: "package_mismatch"}
    namespace.install("1.0")
    repaired = engine.compare()
    assert _alerts(repaired) == {}
    assert repaired["explained"][0]["package"] == "bulwark-test"
    engine.apply(accept=["explained"], reason="reinstalled", accepted_by="me")
    assert _alerts(engine.compare()) == {}


def test_a_mismatch_that_was_accepted_stays_silent(namespace: Namespace) -> None:
    namespace.install("1.0")
    namespace.write(_TOOL, "#!/bin/sh\necho patched by us\n")
    engine = namespace.engine
    engine.apply()
    (change,) = engine.compare()["changes"]
    engine.apply(accept=[change["id"]], reason="our patch", accepted_by="me")
    assert _alerts(engine.compare()) == {}


def test_an_upgrade_is_explained_and_a_trojan_within_it_is_not(namespace: Namespace) -> None:
    namespace.install("1.0")
    engine = namespace.engine
    assert _alerts(engine.apply()) == {}
    namespace.install("2.0")
    upgraded = engine.compare()
    assert upgraded["changes"] == []
    (explained,) = upgraded["explained"]
    assert (explained["package"], explained["version"]) == ("bulwark-test", "2.0")
    assert _TOOL in explained["paths"]
    assert coverage(upgraded, _WATCH)["status"] == "checked"
    # A forged package can be reviewed by whoever reads the coverage.
    assert coverage(upgraded, _WATCH)["explained_count"] == upgraded["explained_count"] >= 2
    (group,) = coverage(upgraded, _WATCH)["explained"]
    assert (group["by"], group["count"]) == ("bulwark-test 2.0", upgraded["explained_count"])
    assert {_TOOL} < set(group["examples"])
    assert len(group["examples"]) <= 3
    namespace.write(_TOOL, "#!/bin/sh\necho trojan\n")
    assert _alerts(engine.compare()) == {_TOOL: "fim_package_mismatch"}
    engine.apply(accept=["explained"], reason="upgrade", accepted_by="me")
    assert _alerts(engine.compare()) == {_TOOL: "fim_package_mismatch"}


def test_what_is_known_of_packages_moves_on_with_what_they_explain(namespace: Namespace) -> None:
    # Nothing of this package is watched, and the time in which its upgrade explains anything has to end all the same.
    engine = dataclasses.replace(namespace.engine, watches=({"name": _WATCH, "paths": ["/opt/other"]}, _KEYS))
    namespace.install("1.0")
    namespace.install("1.0", "bulwark-second")
    digest = engine.apply()["baseline"]["digest"]
    assert not engine.compare(_expected_digests=[digest])["packages_changed"]
    namespace.install("2.0")
    upgraded = engine.compare(_expected_digests=[digest])
    assert (upgraded["explained_count"], upgraded["packages_changed"]) == (0, True)
    accept: dict[str, t.Any] = {"reason": "upgrade", "accepted_by": "me"}
    assert engine.apply(check=True, accept=["explained"], **accept)["changed"]
    # What is waiting for a person is not accepted with it, and single changes leave the packages as they were.
    namespace.write("/opt/other/tool", "x")
    namespace.write("/opt/other/second", "x")
    engine.apply(accept=["/opt/other/second"], **accept)
    assert engine.compare()["packages_changed"]
    waiting = changes(engine.compare())
    assert waiting["/opt/other/tool"] == "created"
    moved = engine.apply(accept=["explained"], **accept)
    assert (moved["changed"], moved["accepted_count"]) == (True, 0)
    after = engine.compare()
    assert (changes(after), after["packages_changed"]) == (waiting, False)
    assert not engine.apply(accept=["explained"], **accept)["changed"]
    # What was edited under a version that is sealed stays an alert, and the sealed digest stays the genuine one.
    namespace.run("sh", "-c", "echo >>/var/lib/dpkg/info/bulwark-test.md5sums")
    namespace.install("2.0", "bulwark-second")
    edited = engine.compare()
    assert edited["packages_changed"]
    assert "fim_package_database_edited" in _alerts(edited).values()
    engine.apply(accept=["explained"], **accept)
    after = engine.compare()
    assert not after["packages_changed"]
    assert "fim_package_database_edited" in _alerts(after).values()
    # A person can say that it is as it should be.
    assert engine.apply(accept=["all"], **accept)["changed"]
    assert _alerts(engine.compare()) == {}


def test_what_only_the_host_says_is_claimed_until_a_person_accepts_it(namespace: Namespace) -> None:
    namespace.install("1.0")
    engine = namespace.engine
    engine.apply()
    namespace.install("2.0", signed=False)
    compared = engine.compare()
    assert (compared["changes"], compared["explained"], compared["packages_changed"]) == ([], [], False)
    (claim,) = compared["claimed"]
    assert claim["message"] == "claimed by bulwark-test 2.0: no signed repository index has this version"
    assert claim["count"] == compared["claimed_count"] >= 2
    (detection,) = compared["detections"]
    assert (detection["alert"], detection["subject"]) == ("fim_changes_claimed", "bulwark-test 2.0")
    assert detection["count"] == claim["count"]
    # Taking what is explained takes none of it, and the packages stay: what they generate is still only claimed.
    accept: dict[str, t.Any] = {"reason": "upgrade", "accepted_by": "me"}
    assert not engine.apply(accept=["explained"], **accept)["changed"]
    assert engine.compare()["claimed_count"] == claim["count"]
    assert engine.apply(accept=["claimed"], **accept)["accepted_count"] == claim["count"]
    after = engine.compare()
    assert (after["detections"], after["claimed"], after["packages_changed"]) == ([], [], False)


def test_the_removal_of_a_package_is_claimed_and_that_of_a_file_is_a_finding(namespace: Namespace) -> None:
    namespace.install("1.0")
    engine = namespace.engine
    engine.apply()
    namespace.run("rm", _TOOL)
    found = engine.compare()
    assert changes(found)[_TOOL] == "deleted"
    namespace.run("dpkg", "--purge", "bulwark-test")
    removed = engine.compare()
    assert (removed["changes"], removed["explained"]) == ([], [])
    assert removed["claimed_count"] >= 2
    engine.apply(accept=["claimed"], reason="removed", accepted_by="me")
    assert engine.compare()["claimed"] == []


def test_a_program_that_verifies_signatures_is_believed_as_it_was_sealed(namespace: Namespace) -> None:
    # A copy lies over the real one, so that nothing on this machine changes.
    copy = namespace.directory / "gpgv"
    namespace.run("cp", "-p", "/usr/bin/gpgv", str(copy))
    namespace.run("mount", "--bind", str(copy), "/usr/bin/gpgv")
    programs = {"name": "programs", "paths": ["/usr/bin/gpgv", "/usr/bin/dpkg-deb"]}
    engine = dataclasses.replace(namespace.engine, watches=(*namespace.engine.watches, programs))
    namespace.install("1.0")
    engine.apply()
    stranger = Repository(namespace.apt, Key(namespace.directory / "stranger"))
    forged = dataclasses.replace(namespace, repository=stranger)
    forged.install("2.0")
    assert engine.compare()["explained"] == []
    # It says of everything that it is signed.
    copy.write_text('#!/bin/sh\ncp "$6" "$5"\n')
    compared = engine.compare()
    assert compared["explained"] == []
    reasons = {claim["message"].rpartition(": ")[2] for claim in compared["claimed"]}
    assert "/usr/bin/gpgv, which verifies signatures, is not as it was in the baseline" in reasons


def test_a_program_that_verifies_signatures_and_is_mounted_over_is_not_believed(namespace: Namespace) -> None:
    programs = {"name": "programs", "paths": ["/usr/bin"], "include": ["gpgv", "dpkg-deb"]}
    engine = dataclasses.replace(namespace.engine, watches=(*namespace.engine.watches, programs))
    namespace.install("1.0")
    engine.apply()
    namespace.install("2.0")
    layers = namespace.directory / "layers"
    namespace.run("mkdir", str(layers))
    namespace.run("mount", "-t", "tmpfs", "layers", str(layers))
    namespace.run("mkdir", f"{layers}/upper", f"{layers}/work")
    options = f"lowerdir=/usr/bin,upperdir={layers}/upper,workdir={layers}/work"
    namespace.run("mount", "-t", "overlay", "cover", "-o", options, "/usr/bin")
    namespace.run("sh", "-c", "printf x >>/usr/bin/gpgv")
    compared = engine.compare()
    assert compared["explained"] == []
    reasons = " ".join(claim["message"] for claim in compared["claimed"])
    assert "/usr/bin/gpgv, which verifies signatures, is not as it was in the baseline" in reasons


def test_an_older_signed_version_is_claimed(namespace: Namespace) -> None:
    namespace.install("1.10")
    engine = namespace.engine
    engine.apply()
    namespace.install("1.9")
    compared = engine.compare()
    assert (compared["explained"], compared["packages_changed"]) == ([], False)
    (claim,) = compared["claimed"]
    assert claim["message"] == "claimed by bulwark-test 1.9: it is older than the version in the baseline"
    namespace.install("1.11")
    assert engine.compare()["claimed"] == []


def test_a_forged_diversion_gives_no_file_the_content_of_another(namespace: Namespace) -> None:
    namespace.install("1.0")
    engine = namespace.engine
    engine.apply()
    data = "/opt/bulwark-test/share/data"
    # The program's own place leads away, and that of the data leads there: as with pam_permit.so for pam_unix.so.
    namespace.write("/var/lib/dpkg/diversions", f"{_TOOL}\n/nowhere\n:\n{data}\n{_TOOL}\n:\n", "644")
    namespace.write(_TOOL, "1.0", "644")
    compared = engine.compare()
    assert compared["explained"] == []
    assert _alerts(compared)[_TOOL] == "fim_package_mismatch"


def test_a_file_that_the_signed_package_ships_is_not_obsolete(namespace: Namespace) -> None:
    namespace.install("1.0")
    engine = namespace.engine
    engine.apply()
    namespace.install("2.0")
    data = "/opt/bulwark-test/share/data"
    status = "/var/lib/dpkg/status"
    line = f"Conffiles:\\n {data} {'0' * 32} obsolete"
    namespace.run("sed", "-i", f"/^Package: bulwark-test$/a {line}", status)
    namespace.run("rm", data)
    assert data not in [path for group in engine.compare()["explained"] for path in group["paths"]]
