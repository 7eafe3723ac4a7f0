# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The SSH keys of a fleet: one for who connects, one for each host, and the file that pins the hosts' keys."""

from __future__ import annotations

import io
import pathlib
import subprocess
import tarfile


class Keys:
    """Keys kept in one directory, made when they are first asked for."""

    def __init__(self, directory: pathlib.Path) -> None:
        self.directory = directory
        self.known_hosts = directory / "known_hosts"

    @property
    def user(self) -> pathlib.Path:
        """Return the private key to connect with."""
        return self._key("user")

    def host_files(self, name: str) -> bytes:
        """Return, as a tar archive for the root directory, the key of this host and the user it lets in.

        The host's key is the same whenever a host of this name is made again, and known_hosts pins it.
        """
        key = self._key(f"host-{name}")
        self._pin(name, key.with_suffix(".pub").read_text(encoding="ascii"))
        authorized = self.user.with_suffix(".pub").read_bytes()
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w") as tar:
            _add(tar, "etc/ssh/ssh_host_ed25519_key", key.read_bytes(), 0o600, 0)
            _add(tar, "etc/ssh/ssh_host_ed25519_key.pub", key.with_suffix(".pub").read_bytes(), 0o644, 0)
            _add(tar, "home/ansible/.ssh/authorized_keys", authorized, 0o600, 1000)
        return archive.getvalue()

    def _key(self, name: str) -> pathlib.Path:
        path = self.directory / name
        if not path.exists():
            self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", f"bulwark-{name}", "-f", str(path)]
            subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
        return path

    def _pin(self, name: str, public: str) -> None:
        kind, key, *_comment = public.split()
        line = f"{name} {kind} {key}\n"
        known = self.known_hosts.read_text(encoding="ascii") if self.known_hosts.exists() else ""
        if line not in known:
            self.known_hosts.write_text(known + line, encoding="ascii")


def _add(tar: tarfile.TarFile, name: str, content: bytes, mode: int, owner: int) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode, entry.uid, entry.gid = len(content), mode, owner, owner
    tar.addfile(entry, io.BytesIO(content))
