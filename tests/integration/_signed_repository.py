# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A repository of packages that a key of the test signed, as apt keeps its indexes, and what its packages do."""

from __future__ import annotations

import hashlib
import os
import pathlib
import subprocess
import time
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.audit.detection.model import About
from ansible_collections.bulwark.servers.plugins.module_utils.audit.explain.matched_act import MatchedAct
from ansible_collections.bulwark.servers.plugins.module_utils.audit.explain.packages import PackageExplainer
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records.events import Event
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records.processes import Process
from ansible_collections.bulwark.servers.plugins.module_utils.sigma.model import Explanation

from tests.integration.package_roots import Deb, Root

APT = ("/usr/bin/apt-get", "install", "-y", "tool")
UNPACK = ("/usr/bin/dpkg", "--status-fd", "9", "--no-triggers", "--unpack", "--auto-deconfigure")
CONFIGURE = ("/usr/bin/dpkg", "--status-fd", "9", "--configure", "--pending")
_NAME = "mirror.example_debian_dists_stable"


class Key:
    """A signing key."""

    def __init__(self, directory: pathlib.Path) -> None:
        directory.mkdir(mode=0o700)
        self._directory = directory
        self._gpg = ["gpg", "--homedir", str(directory), "--batch", "--quiet"]
        self._run("--passphrase", "", "--quick-gen-key", "test@example.com", "rsa2048", "sign", "never")
        self.public = self._run("--export")

    def sign(self, text: bytes) -> bytes:
        return self._run("--clearsign", "--output", "-", given=text)

    def sign_rpm(self, package: pathlib.Path) -> None:
        command = ["rpmsign", "--define", "_gpg_name test@example.com", "--addsign", str(package)]
        subprocess.run(command, env={**os.environ, "GNUPGHOME": str(self._directory)}, capture_output=True, check=True)

    @property
    def short_id(self) -> str:
        """The last eight hexadecimal digits of its fingerprint, as rpm calls a key."""
        listed = self._run("--list-keys", "--with-colons").decode()
        return next(line.split(":")[4][-8:].lower() for line in listed.splitlines() if line.startswith("pub:"))

    def armoured(self) -> bytes:
        return self._run("--armor", "--export")

    def _run(self, *arguments: str, given: bytes = b"") -> bytes:
        return subprocess.run([*self._gpg, *arguments], input=given, capture_output=True, check=True).stdout


class Repository:
    """The indexes of one repository in a root."""

    def __init__(self, root: Root, key: Key, name: str = _NAME) -> None:
        self._root, self._key, self._name = root, key, name
        self._lists = root.path / "var/lib/apt/lists"
        self._lists.mkdir(parents=True, exist_ok=True)
        self.archives = root.path / "var/cache/apt/archives"
        self.archives.mkdir(parents=True, exist_ok=True)
        self._stanzas: list[str] = []

    def add(self, package: pathlib.Path, keep: bool = False) -> None:
        """Take a package into the index. keep: whether apt keeps its archive."""
        name, version, arch = package.stem.split("_")
        digest = hashlib.sha256(package.read_bytes()).hexdigest()
        self._stanzas.append(f"Package: {name}\nVersion: {version}\nArchitecture: {arch}\nSHA256: {digest}\n")
        if keep:
            (self.archives / package.name).write_bytes(package.read_bytes())
        index = "\n".join(self._stanzas).encode()
        (self._lists / f"{self._name}_main_binary-amd64_Packages").write_bytes(index)
        line = f" {hashlib.sha256(index).hexdigest()} {len(index)} main/binary-amd64/Packages\n"
        release = self._key.sign(f"Origin: test\nSHA256:\n{line}".encode())
        (self._lists / f"{self._name}_InRelease").write_bytes(release)

    def keyring(self, directory: str = "usr/share/keyrings") -> Deb:
        """Return a package with the key."""
        return Deb("test-keyring", files={f"{directory}/test.gpg": self._key.public})


def process(*levels: t.Sequence[str]) -> Process | None:
    """Return a process with those above it, the nearest first. A level: its arguments; a script is behind its shell."""
    current = None
    for number, arguments in reversed(list(enumerate(levels))):
        exe = original = arguments[0]
        if exe.startswith(("/var/", "/tmp/")) or exe == "/usr/bin/unattended-upgrade":
            exe = "/usr/bin/python3.13" if "unattended" in exe else "/usr/bin/dash"
        line = " ".join([f"argc={len(arguments)}", *(f'a{place}="{text}"' for place, text in enumerate(arguments))])
        pid = str(1000 - number).encode()
        current = Process(pid, f'"{exe}"'.encode(), line.encode(), f'"{original}"'.encode(), current, 0)
    return current


def explained(
    root: Root,
    path: str,
    *levels: t.Sequence[str],
    inode: int | None = None,
    timestamp: float | None = None,
    action: str = "create",
) -> Explanation | None:
    """Ask what explains that the first of these processes wrote a file, which is there now, or deleted one."""
    actor = process(*levels)
    assert actor is not None
    inode = os.lstat(root.path / path.lstrip("/")).st_ino if inode is None else inode
    raw = f'type=PATH msg=audit(1:1): item=1 name="{path}" inode={inode} dev=fe:00 mode=0100644 nametype=CREATE\n'
    when = time.time() if timestamp is None else timestamp
    event = Event(int(when), 0, 1, b"SYSCALL", raw.encode())
    view = {"TargetFilename": path, "Action": action, "Image": actor.exe.decode().strip('"')}
    about = About(event, "call", actor, actor.parent, {})
    return PackageExplainer(os.fsencode(root.path)).explain(MatchedAct(about, view))


def explained_command(root: Root, command: t.Sequence[str], *levels: t.Sequence[str]) -> Explanation | None:
    """Ask what explains a command below these processes."""
    event = Event(int(time.time()) + 1, 0, 1, b"SYSCALL", b"")
    view = {
        "Syscall": "execve",
        "Image": command[0],
        "OriginalImage": command[0],
        "Argv": tuple(command),
        "CommandLine": " ".join(command),
    }
    about = About(event, "execution", None, process(*levels), {})
    return PackageExplainer(os.fsencode(root.path)).explain(MatchedAct(about, view))
