# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A new Debian system in a directory, with the network of this machine and nothing of its Python."""

from __future__ import annotations

import os
import pathlib
import shlex
import shutil
import subprocess
import typing as t

from tests.support import collection

# How this machine reaches a package index; where it needs nothing special, none of them is set.
_NETWORK = ("PIP_INDEX_URL", "PIP_CERT", "SSL_CERT_FILE", "http_proxy", "https_proxy", "no_proxy")
_FILES = ("/etc/resolv.conf", "/etc/hosts", "/etc/pip.conf", "/etc/ssl/certs/ca-certificates.crt")


class FreshRoot:
    """Commands run in the directory as its own root or as the user ``someone``, in a mount namespace of their own."""

    def __init__(self, directory: pathlib.Path) -> None:
        self.directory = directory
        for file in _FILES:
            if os.path.exists(file):
                copied = directory / file.lstrip("/")
                copied.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(file, copied)
        self.run("useradd --create-home --shell /bin/sh someone")

    def add_checkout(self) -> pathlib.PurePosixPath:
        """Copy the checkout into the user's home and return where it is there."""
        home = self.directory / "home" / "someone"
        copied = collection.copy(home / "copy")
        copied.rename(home / "checkout")
        shutil.rmtree(home / "copy")
        self.run("chown -R someone: /home/someone")
        return pathlib.PurePosixPath("/home/someone/checkout")

    def run(self, script: str, user: str = "root", check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a shell script as this user and return exit code and output; AssertionError when it fails."""
        root = shlex.quote(str(self.directory))
        enter = f"mount -t proc proc {root}/proc && mount --rbind /dev {root}/dev && exec chroot {root} "
        home = "/root" if user == "root" else f"/home/{user}"
        variables = {"HOME": home, "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND": "noninteractive"}
        variables |= {name: os.environ[name] for name in _NETWORK if name in os.environ}
        words = ["env", "-i", *(f"{name}={value}" for name, value in variables.items()), "/bin/sh", "-euc", script]
        become: t.Sequence[str] = ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups"]
        command = shlex.join([*(become if user != "root" else ()), *words])
        answer = subprocess.run(
            ["unshare", "--mount", "--fork", "/bin/sh", "-euc", enter + command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if check and answer.returncode != 0:
            raise AssertionError(f"'{script}' ended with {answer.returncode}\n{answer.stdout}")
        return answer
