# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The images of disposable hosts: Debian releases from the machine's own package mirror, built once and kept."""

from __future__ import annotations

import concurrent.futures
import contextlib
import fcntl
import functools
import glob
import hashlib
import pathlib
import re
import shutil
import subprocess
import tempfile
import typing as t

from tests.fleet.engine import Engine
from tests.support import commands, paths, waiting
from tests.support.fresh_root import FreshRoot

# The Python that each kind of host runs modules with.
PYTHONS: t.Final[t.Mapping[str, str]] = {"trixie": "3.13", "bookworm": "3.11", "bullseye": "3.9", "python38": "3.8"}

_PACKAGES = (
    "openssh-server",
    "python3",
    "sudo",
    "acl",
    "attr",
    "e2fsprogs",
    "iproute2",
    "libcap2-bin",
    "nftables",
    "procps",
)

# A host has its own keys, put there when it starts; what apt downloaded is of no use to it.
_PREPARE = """
rm -f /etc/ssh/ssh_host_*
apt-get clean
rm -rf /var/lib/apt/lists/*
useradd --create-home --shell /bin/bash ansible
echo 'ansible ALL=(ALL:ALL) NOPASSWD: ALL' > /etc/sudoers.d/ansible
chmod 0440 /etc/sudoers.d/ansible
install -d -m 0700 -o ansible -g ansible /home/ansible/.ssh
install -d -m 0755 /run/sshd
"""

_PYTHON38_HOME = "/opt/python3.8"
_PYTHON38_CHECK = "import bz2, ctypes, hashlib, lzma, select, ssl, syslog, zlib"
_BOOTING = ("systemd", "systemd-sysv", "dbus")
_RECIPE = "\0".join((*_PACKAGES, _PREPARE, _PYTHON38_HOME))

# The image of hosts whose first process is systemd.
BOOTING = f"bulwark-servers/booting:{hashlib.sha256((_RECIPE + ' '.join(_BOOTING)).encode()).hexdigest()[:12]}"


class ImageError(Exception):
    """Why an image could not be built, in one sentence."""


def interpreter(kind: str) -> str:
    """Return the path of the Python on hosts of this kind."""
    return f"{_PYTHON38_HOME}/bin/python3.8" if kind == "python38" else "/usr/bin/python3"


def tag(kind: str) -> str:
    """Return the image's name; it changes with the recipe, so that an old image is never taken for a new one."""
    return f"bulwark-servers/{kind}:{hashlib.sha256(_RECIPE.encode()).hexdigest()[:12]}"


def ensure(engine: Engine, kinds: t.Iterable[str]) -> None:
    """Build those images that the engine does not have yet, side by side; raise ImageError."""
    wanted = set(kinds)
    unknown = sorted(wanted - set(PYTHONS))
    if unknown:
        raise ImageError(f"no such kind of host '{unknown[0]}'; known are {', '.join(PYTHONS)}")
    with _building():
        missing = {kind for kind in wanted if engine.run("image", "inspect", tag(kind)).returncode != 0}
        releases = missing - {"python38"}
        if "python38" in missing and engine.run("image", "inspect", tag("trixie")).returncode != 0:
            releases.add("trixie")
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            builds = [functools.partial(_debian, engine, release) for release in sorted(releases)]
            for done in [pool.submit(waiting.again, build, ImageError) for build in builds]:
                done.result()
        if "python38" in missing:
            _python38(engine)


def ensure_booting(engine: Engine) -> None:
    """Build the image of hosts with systemd if the engine does not have it yet; raise ImageError."""
    ensure(engine, ["trixie"])
    with _building():
        if engine.run("image", "inspect", BOOTING).returncode != 0:
            waiting.again(functools.partial(_booting, engine), AssertionError)


def _booting(engine: Engine) -> None:
    with tempfile.TemporaryDirectory(prefix="image-", dir=paths.cache()) as directory:
        root = pathlib.Path(directory) / "root"
        root.mkdir()
        container = engine("create", tag("trixie"), "true")
        archive = pathlib.Path(directory) / "root.tar"
        try:
            engine("export", "--output", str(archive), container)
        finally:
            engine("rm", container)
        _run(["tar", "-C", str(root), "--numeric-owner", "-xf", str(archive)])
        packages = " ".join(_BOOTING)
        FreshRoot(root).run(f"apt-get -qq update; apt-get -qq install --no-install-recommends {packages}")
        _run(["tar", "--xattrs", "--numeric-owner", "-C", str(root), "-cf", str(archive), "."])
        with archive.open("rb") as stream:
            engine("import", "-", BOOTING, stdin=stream)


@contextlib.contextmanager
def _building() -> t.Iterator[None]:
    directory = paths.cache()
    directory.mkdir(parents=True, exist_ok=True)
    with open(directory / "images.lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _debian(engine: Engine, release: str) -> None:
    if commands.find("mmdebstrap") is None:
        raise ImageError("images are built with mmdebstrap: apt-get install mmdebstrap")
    with tempfile.TemporaryDirectory(prefix="image-", dir=paths.cache()) as directory:
        root = pathlib.Path(directory) / release
        _run(debian_build(release, root, _PACKAGES))
        _run(["chroot", str(root), "/bin/sh", "-euc", _PREPARE])
        archive = pathlib.Path(directory) / "root.tar"
        _run(["tar", "--xattrs", "--numeric-owner", "-C", str(root), "-cf", str(archive), "."])
        with archive.open("rb") as stream:
            engine("import", "-", tag(release), stdin=stream)


def debian_build(release: str, root: pathlib.Path, packages: t.Iterable[str]) -> list[str]:
    """Return the command that puts a Debian release with these packages into a new directory.

    It runs in a mount namespace of its own: what is mounted when it is interrupted ends with it. It does not wait for
    the disk after each file, as an image that a crash has spoilt is built again. The logs of the installation stay.
    """
    options = ["--quiet", "--variant=minbase", "--skip=cleanup/reproducible", "--dpkgopt=force-unsafe-io"]
    build = ["mmdebstrap", *options, f"--include={','.join(packages)}", release, str(root), mirror()]
    return ["unshare", "--mount", "--fork", *build]


def _python38(engine: Engine) -> None:
    """Put this machine's Python 3.8 into the trixie image: no supported Debian release has it."""
    python = commands.python("3.8")
    if python is None:
        raise ImageError("no Python 3.8 to put on a host: run 'pyenv install 3.8'")
    prefix = _run([python, "-c", "import sys; print(sys.base_prefix)"]).decode().strip()
    name = f"bulwark-image-{hashlib.sha256(prefix.encode()).hexdigest()[:12]}"
    engine("rm", "--force", name, check=False)
    engine("run", "--detach", "--name", name, "--network", "none", tag("trixie"), "sleep", "600")
    try:
        with tempfile.TemporaryFile(dir=paths.cache()) as archive:
            command = ["tar", "-C", prefix, "--exclude=__pycache__", "--exclude=./lib/python3.8/test", "--exclude=*.a"]
            subprocess.run([*command, "-c", "./bin", "./lib"], stdout=archive, check=True)
            archive.seek(0)
            engine("exec", name, "mkdir", "-p", _PYTHON38_HOME)
            engine("exec", "--interactive", name, "tar", "-C", _PYTHON38_HOME, "--no-same-owner", "-x", stdin=archive)
        # It was linked against its own library where it stood before.
        engine("exec", name, "sh", "-c", f"echo {_PYTHON38_HOME}/lib > /etc/ld.so.conf.d/python3.8.conf && ldconfig")
        answer = engine.run("exec", name, interpreter("python38"), "-c", _PYTHON38_CHECK)
        if answer.returncode != 0:
            said = answer.stderr.decode(errors="replace").strip().rpartition("\n")[2]
            raise ImageError(f"this machine's Python 3.8 ({python}) does not run on Debian trixie: {said}")
        engine("commit", name, tag("python38"))
    finally:
        engine("rm", "--force", name)


def mirror() -> str:
    """Return the package mirror that this machine's own apt reads Debian's main archive from."""
    files = ["/etc/apt/sources.list", *glob.glob("/etc/apt/sources.list.d/*")]
    for file in files:
        with contextlib.suppress(OSError):
            for line in pathlib.Path(file).read_text(encoding="utf-8").splitlines():
                found = re.match(r"(?:URIs:|deb\s+(?:\[[^]]*\]\s+)?)\s*(https?://\S+)", line)
                if found and found[1].rstrip("/").endswith("/debian"):
                    return found[1]
    raise ImageError("apt's sources name no Debian mirror to build images from: run it on Debian")


def _run(command: list[str]) -> bytes:
    answer = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    if answer.returncode != 0:
        lines = (answer.stderr.strip() or answer.stdout.strip()).decode(errors="replace").splitlines()
        raise ImageError(f"'{shutil.which(command[0]) or command[0]}' failed: {' / '.join(lines[-3:])}")
    return answer.stdout
