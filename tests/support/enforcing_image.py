# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""File systems of Debian with systemd, sshd and fapolicyd, built once on a machine: the roots of enforcing hosts."""

from __future__ import annotations

import fcntl
import hashlib
import pathlib
import shlex
import shutil
import subprocess
import tempfile
import typing as t

from tests.support import paths, waiting

_PACKAGES = (
    "systemd",
    "systemd-sysv",
    "dbus",
    "libpam-systemd",
    "openssh-server",
    "python3",
    "sudo",
    "cron",
    "rsyslog",
    "fapolicyd",
    "nftables",
    "iproute2",
    "procps",
    "apt-utils",
    "unattended-upgrades",
    "initramfs-tools",
    "acl",
    "attr",
    "e2fsprogs",
    "libcap2-bin",
)

CONFIGURATION: t.Final = """permissive = 0
nice_val = 14
q_size = 800
uid = root
gid = root
do_stat_report = 1
detailed_report = 1
db_max_size = 50
subj_cache_size = 1549
obj_cache_size = 8191
watch_fs = ext3
trust = file
integrity = sha256
syslog_format = rule,dec,perm,auid,pid,exe,:,path,ftype,trust
rpm_sha256_only = 0
allow_filesystem_mark = 0
report_interval = 0
"""

# A machine-id that is there: without one systemd takes each boot for the first and enables every unit.
_PREPARE = """
apt-get clean
rm -rf /var/lib/apt/lists/* /var/log/bootstrap.log
echo 0123456789abcdef0123456789abcdef > /etc/machine-id
echo debian > /etc/hostname
echo '127.0.1.1 debian' >> /etc/hosts
echo 'UseDNS no' > /etc/ssh/sshd_config.d/test.conf
useradd --create-home --shell /bin/bash ansible
echo 'ansible ALL=(ALL:ALL) NOPASSWD: ALL' > /etc/sudoers.d/ansible
chmod 0440 /etc/sudoers.d/ansible
for home in /root /home/ansible; do
    install -d -m 0700 "$home/.ssh"
    cp /authorized_keys "$home/.ssh/authorized_keys"
    chown -R --reference="$home" "$home/.ssh"
done
rm /authorized_keys
mkdir -p /etc/fapolicyd/rules.d /var/log/audit
systemctl mask console-getty.service apt-daily.timer apt-daily-upgrade.timer e2scrub_all.timer systemd-networkd.service
systemctl mask tmp.mount
systemctl disable fapolicyd.service
"""

# $1: the file system. $2: where to mount it. The rest: packages.
_INSTALL = """
mount -t ext3 -o loop "$1" "$2"
cd "$2"; shift 2
mount -t proc proc proc
mount --rbind /dev dev
cp etc/resolv.conf resolv.before
cp /etc/resolv.conf etc/
export DEBIAN_FRONTEND=noninteractive PATH=/usr/sbin:/usr/bin:/sbin:/bin
printf '#!/bin/sh\\nexit 101\\n' > usr/sbin/policy-rc.d
chmod 755 usr/sbin/policy-rc.d
chroot . apt-get -qq update
chroot . apt-get -qq -o Dpkg::Options::=--force-unsafe-io install --no-install-recommends "$@" > /dev/null
chroot . apt-get clean
rm -rf var/lib/apt/lists/* usr/sbin/policy-rc.d
mv resolv.before etc/resolv.conf
"""

_SIZE = "4G"
_HOST_KEY = "etc/ssh/ssh_host_ed25519_key.pub"


class Image(t.NamedTuple):
    """A file system to copy. key: the private key that signs in to its hosts. host_key: their public one."""

    file: pathlib.Path
    key: pathlib.Path
    host_key: str


def build_image(packages: t.Sequence[str] = ()) -> Image:
    """Return the file system with these packages beside those of each host; built once on a machine and kept."""
    base = _cached("\0".join((*_PACKAGES, _PREPARE, CONFIGURATION, _SIZE)), _build)
    if not packages:
        return base
    wanted = sorted(set(packages))
    recipe = "\0".join((base.file.parent.name, *wanted, _INSTALL))
    return _cached(recipe, lambda directory: _extend(directory, base, wanted))


def _cached(recipe: str, build: t.Callable[[pathlib.Path], None]) -> Image:
    """Return an image of the cache; build it in a new directory where there is none. Only one process builds it."""
    directory = paths.cache() / "enforcing-hosts" / hashlib.sha256(recipe.encode()).hexdigest()[:12]
    directory.parent.mkdir(parents=True, exist_ok=True)
    with open(f"{directory}.lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not directory.exists():
            waiting.again(lambda: _build_aside(directory, build), AssertionError)
    return Image(directory / "root.ext3", directory / "key", (directory / "host_key").read_text().strip())


def _build_aside(directory: pathlib.Path, build: t.Callable[[pathlib.Path], None]) -> None:
    with tempfile.TemporaryDirectory(prefix=f"{directory.name}-", dir=directory.parent) as workspace:
        finished = pathlib.Path(workspace) / "image"
        finished.mkdir(mode=0o700)
        build(finished)
        finished.rename(directory)


def _build(directory: pathlib.Path) -> None:
    from tests.fleet import images

    root = directory / "root"
    run_command(images.debian_build("trixie", root, _PACKAGES), seconds=900)
    run_command(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", str(directory / "key")])
    (root / "authorized_keys").write_text((directory / "key.pub").read_text())
    run_command(["chroot", str(root), "/bin/sh", "-euc", _PREPARE])
    (root / "etc/fapolicyd/fapolicyd.conf").write_text(CONFIGURATION)
    (directory / "host_key").write_text(" ".join((root / _HOST_KEY).read_text().split()[:2]) + "\n")
    run_command(["mkfs.ext3", "-q", "-m", "0", "-J", "size=16", "-d", str(root), str(directory / "root.ext3"), _SIZE])
    shutil.rmtree(root)


def _extend(directory: pathlib.Path, base: Image, packages: t.Sequence[str]) -> None:
    for file in (base.key, base.key.with_name("host_key")):
        shutil.copy(file, directory)
    file = directory / "root.ext3"
    run_command(["cp", "--sparse=always", str(base.file), str(file)])
    (directory / "root").mkdir()
    install = ["unshare", "--mount", "--fork", "/bin/sh", "-euc", _INSTALL, "sh", str(file), str(directory / "root")]
    run_command([*install, *packages], seconds=900)
    (directory / "root").rmdir()


def run_command(
    words: t.Sequence[str], *, given: str = "", check: bool = True, seconds: float = waiting.SECONDS
) -> subprocess.CompletedProcess[str]:
    """Run a command; AssertionError when it fails. given: its standard input."""
    result = subprocess.run(
        words,
        input=given,
        capture_output=True,
        encoding="utf-8",
        errors="backslashreplace",
        check=False,
        timeout=seconds,
    )
    assert not check or result.returncode == 0, (
        f"{shlex.join(words)}: {result.returncode}: {result.stderr or result.stdout}"
    )
    return result
