# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Say what a test needs: for a user it is skipped with the way to get it, in CI its absence is a failure."""

from __future__ import annotations

import glob
import importlib.util
import os
import platform
import shutil
import tempfile
import typing as t

from tests.support import commands, paths

# The Debian package that brings a command, where its name is another.
_PACKAGES = {
    "augenrules": "auditd",
    "auditctl": "auditd",
    "chattr": "e2fsprogs",
    "chromedriver": "chromium-driver",
    "debugfs": "e2fsprogs",
    "clamd": "clamav-daemon",
    "dockerd": "docker.io",
    "busybox": "busybox-static",
    "newuidmap": "uidmap",
    "getcap": "libcap2-bin",
    "getfacl": "acl",
    "lognormalizer": "liblognorm-utils",
    "lsattr": "e2fsprogs",
    "mkfs.ext3": "e2fsprogs",
    "mkfs.ext4": "e2fsprogs",
    "node": "nodejs",
    "rpmbuild": "rpm",
    "rpmdb": "rpm",
    "rsyslogd": "rsyslog",
    "setcap": "libcap2-bin",
    "setfacl": "acl",
    "setfattr": "attr",
    "getfattr": "attr",
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
    "sshd": "openssh-server",
    "journalctl": "systemd",
    "systemctl": "systemd",
    "systemd-nspawn": "systemd-container",
    "systemd-analyze": "systemd",
    "nft": "nftables",
    "iptables-nft": "iptables",
    "ip": "iproute2",
    "unshare": "util-linux",
    "nsenter": "util-linux",
    "oscap": "openscap-scanner",
    "setpriv": "util-linux",
    "bwrap": "bubblewrap",
    "erl": "erlang-base",
    "gcc": "gcc libc6-dev",
    "java": "default-jdk-headless",
    "mcs": "mono-mcs libmono-cil-dev",
    "mono": "mono-runtime",
    "objcopy": "binutils",
    "php": "php-cli",
    "wine": "wine wine64",
    "wineserver": "wine wine64",
    "x86_64-w64-mingw32-gcc": "gcc-mingw-w64-x86-64-win32",
}


# What no Python brings along.
_BEYOND_PYTHON = frozenset(
    {"chromium", "command", "docker", "fleet", "fuse", "postgresql", "python", "root", "rsyslog"}
)


def require(*needs: str) -> None:
    """Skip the running test (or, at the top of a file, all its tests) unless everything it needs is here.

    needs: "root", "docker", "fleet", "postgresql", "chromium", "data" or "data:FOLDER", "fuse", "command:NAME",
    "python:3.8", "module:NAME" (a Python package), "machine:x86_64", "late_times" (of files), "rsyslog:gnutls" or
    "rsyslog:relp" (a module of rsyslog).
    With ``CI=true`` what is missing fails the test instead: there, a skip would hide that nothing was tested. With
    BULWARK_TEST_UNIT set, as ``make test-unit`` does, tests that need more than Python are skipped. Raises ValueError
    for a need it doesn't know.
    """
    beyond = [need for need in needs if need.partition(":")[0] in _BEYOND_PYTHON]
    if beyond and os.environ.get("BULWARK_TEST_UNIT"):
        _skip(f"needs more than Python: {', '.join(beyond)}; run 'make test'")
    for need in needs:
        reason = missing(need)
        if reason is not None:
            give_up(reason)


def give_up(reason: str) -> t.NoReturn:
    """Skip the running test for what this machine lacks, as ``require`` does; with ``CI=true`` fail it."""
    if os.environ.get("CI") == "true":
        import pytest  # the fleet's command line shares this package and must run where pytest is not installed

        pytest.fail(f"CI must have everything: {reason}", pytrace=False)
    _skip(reason)


def _skip(reason: str) -> t.NoReturn:
    import pytest

    pytest.skip(reason, allow_module_level=True)


def missing(need: str) -> str | None:
    """Return why ``need`` isn't met and how to meet it, in one line, or None when it is."""
    kind, _separator, name = need.partition(":")
    check = _CHECKS.get(kind)
    if check is None:
        raise ValueError(f"unknown need '{need}': it starts with one of {', '.join(sorted(_CHECKS))}")
    return check(name)


def _root(_name: str) -> str | None:
    return None if os.geteuid() == 0 else "needs root: run 'sudo make test'"


def _command(name: str) -> str | None:
    if commands.find(name):
        return None
    return f"needs the command '{name}': apt-get install {_PACKAGES.get(name, name)}"


def _python(version: str) -> str | None:
    if commands.python(version):
        return None
    return f"needs Python {version}: put python{version} on PATH or run 'pyenv install {version}'"


def _module(name: str) -> str | None:
    return None if importlib.util.find_spec(name) else f"needs the Python package of '{name}': run it with 'make test'"


def _docker(_name: str) -> str | None:
    if commands.docker() is None:
        return "needs a Docker client: apt-get install docker-cli"
    if os.environ.get("DOCKER_HOST") or os.access("/var/run/docker.sock", os.W_OK):
        return None
    return _root("") or _command("dockerd")


def _fleet(_name: str) -> str | None:
    return _root("") or _docker("") or _command("mmdebstrap") or _command("ssh")


def _postgresql(_name: str) -> str | None:
    return None if commands.postgresql() else "needs a PostgreSQL server: apt-get install postgresql"


def _chromium(_name: str) -> str | None:
    names = ("chromium", "chromium-browser", "google-chrome")
    if any(shutil.which(name) for name in names):
        return None
    return "needs a Chromium browser: apt-get install chromium chromium-driver"


def _rsyslog(package: str) -> str | None:
    module = {"gnutls": "lmnsd_gtls.so", "relp": "imrelp.so"}[package]
    if glob.glob(f"/usr/lib*/rsyslog/{module}") or glob.glob(f"/usr/lib/*/rsyslog/{module}"):
        return None
    return f"needs rsyslog's {package}: apt-get install rsyslog-{package}"


def _data(folder: str) -> str | None:
    path = paths.data(folder)
    return None if path.is_dir() else f"needs the ground-truth data in {path}: set BULWARK_TEST_DATA to where it is"


def _machine(name: str) -> str | None:
    here = platform.machine()
    return None if here == name else f"needs a processor of the kind {name}, not {here}"


def _fuse(_name: str) -> str | None:
    return None if os.access("/dev/fuse", os.W_OK) else "needs /dev/fuse: run 'modprobe fuse' as root"


def _late_times(_name: str) -> str | None:
    with tempfile.NamedTemporaryFile() as file:
        os.utime(file.name, (2**33 + 2**31, 2**33 + 2**31))
        if os.stat(file.name).st_mtime_ns >= 2**63:
            return None
    return "needs a file system with times after 2262: set TMPDIR to a directory on ext4 or XFS"


_CHECKS: dict[str, t.Callable[[str], str | None]] = {
    "chromium": _chromium,
    "command": _command,
    "data": _data,
    "docker": _docker,
    "fleet": _fleet,
    "fuse": _fuse,
    "late_times": _late_times,
    "machine": _machine,
    "module": _module,
    "postgresql": _postgresql,
    "python": _python,
    "root": _root,
    "rsyslog": _rsyslog,
}
