# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Packages for hosts that have no network: real ones of Debian's releases, and one with all that a package can do."""

from __future__ import annotations

import io
import pathlib
import subprocess
import tarfile
import typing as t

from tests.fleet import images
from tests.fleet.hosts import Host

# Where packages lie on a host; nothing watches it.
_DIRECTORY = "/var/tmp/debs"


def download(suite: str, directory: pathlib.Path, names: t.Sequence[str]) -> list[pathlib.Path]:
    """Download a suite's packages into a directory, with this machine's apt but neither its sources nor its state."""
    lists, archives = directory / "lists", directory / "archives"
    for place in (lists / "partial", archives / "partial"):
        place.mkdir(parents=True)
    sources = directory / "sources.list"
    sources.write_text(f"deb {images.mirror()} {suite} main\n", encoding="utf-8")
    apt = ["apt-get", "-qq", "-o", f"Dir::Etc::sourcelist={sources}", "-o", "Dir::Etc::sourceparts=/dev/null"]
    apt += ["-o", f"Dir::State::lists={lists}", "-o", f"Dir::Cache::archives={archives}"]
    apt += [
        "-o",
        f"Dir::Cache::pkgcache={directory}/pkgcache",
        "-o",
        f"Dir::Cache::srcpkgcache={directory}/srcpkgcache",
    ]
    apt += ["-o", "Dir::State::status=/dev/null", "-o", "Acquire::Languages=none", "-o", "APT::Sandbox::User=root"]
    _run([*apt, "update"], directory)
    _run([*apt, "download", *names], archives)
    return sorted(archives.glob("*.deb"))


def put(host: Host, packages: t.Iterable[pathlib.Path]) -> list[str]:
    """Copy packages to a host and return their paths there."""
    stream = io.BytesIO()
    names = []
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for package in packages:
            archive.add(package, package.name)
            names.append(f"{_DIRECTORY}/{package.name}")
    host.run("mkdir", "-p", _DIRECTORY)
    host.run("tar", "-C", _DIRECTORY, "--no-same-owner", "-x", stdin=stream.getvalue())
    return names


def offer(host: Host, archives: t.Sequence[pathlib.Path]) -> None:
    """Give a host the signed indexes that packages of ``download`` are in, and the archives, as apt keeps both."""
    lists = archives[0].parent.parent / "lists"
    indexes = [path for path in lists.iterdir() if path.is_file() and path.name != "lock"]
    for directory, files in (("/var/lib/apt/lists", indexes), ("/var/cache/apt/archives", archives)):
        stream = io.BytesIO()
        with tarfile.open(fileobj=stream, mode="w") as archive:
            for file in files:
                archive.add(file, file.name)
        host.run("mkdir", "-p", directory)
        host.run("tar", "-C", directory, "--no-same-owner", "-x", stdin=stream.getvalue())


def install(host: Host, packages: t.Iterable[str]) -> None:
    """Install or upgrade packages that lie on the host, with their scripts and triggers."""
    apt = ("apt-get", "-qq", "install", "--yes", "--no-install-recommends", "--allow-downgrades")
    host.run("env", "DEBIAN_FRONTEND=noninteractive", *apt, *packages)


def build(host: Host, version: str) -> str:
    """Build ``bulwark-probe`` on a host and return its path there.

    A version has its own program, library and unit, a configuration file, a start script and a cron file that are the
    same file with other content, and scripts that enable the unit, choose an alternative and compile a module.
    """
    package = f"{_DIRECTORY}/bulwark-probe_{version}.deb"
    host.run("/bin/sh", "-eus", version, package, stdin=_BUILD.encode())
    return package


def _run(command: list[str], directory: pathlib.Path) -> None:
    answer = subprocess.run(
        command, cwd=directory, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    assert answer.returncode == 0, f"{' '.join(command)}\n{answer.stdout}{answer.stderr}"


_BUILD = r"""
version=$1 root=/var/tmp/probe
umask 022
rm -rf $root
mkdir -p $root/DEBIAN $root/usr/bin $root/usr/lib/bulwark-probe $root/usr/lib/python3/dist-packages \
    $root/usr/lib/systemd/system $root/etc/init.d $root/etc/cron.d /var/tmp/debs
cp /usr/bin/true $root/usr/bin/probe-$version
echo "$version" >> $root/usr/bin/probe-$version
cp /usr/lib/x86_64-linux-gnu/libmnl.so.0.2.0 $root/usr/lib/bulwark-probe/libprobe.so.$version
echo "$version" >> $root/usr/lib/bulwark-probe/libprobe.so.$version
ln -s libprobe.so.$version $root/usr/lib/bulwark-probe/libprobe.so
echo "VERSION = '$version'" > $root/usr/lib/python3/dist-packages/bulwark_probe.py
echo "level = $version" > $root/etc/bulwark-probe.conf
printf '# Of %s.\n17 3 * * * nobody true\n' "$version" > $root/etc/cron.d/bulwark-probe
printf '[Service]\nExecStart=/usr/bin/probe-%s\n[Install]\nWantedBy=multi-user.target\n' "$version" \
    > $root/usr/lib/systemd/system/bulwark-probe-$version.service
cat > $root/etc/init.d/bulwark-probe << END
#!/bin/sh
### BEGIN INIT INFO
# Provides: bulwark-probe
# Required-Start:
# Required-Stop:
# Default-Start: 2 3 4 5
# Default-Stop: 0 1 6
### END INIT INFO
echo $version
END
chmod 0755 $root/etc/init.d/bulwark-probe
cat > $root/DEBIAN/control << END
Package: bulwark-probe
Version: $version
Architecture: amd64
Maintainer: none <none@example.com>
Description: everything that a package can do
END
printf '/etc/bulwark-probe.conf\n/etc/cron.d/bulwark-probe\n/etc/init.d/bulwark-probe\n' > $root/DEBIAN/conffiles
echo 'activate-noawait ldconfig' > $root/DEBIAN/triggers
cat > $root/DEBIAN/postinst << END
#!/bin/sh
set -e
if [ "\$1" = configure ]; then
    update-alternatives --install /usr/bin/probe probe /usr/bin/probe-$version 10
    deb-systemd-helper unmask bulwark-probe-$version.service
    deb-systemd-helper enable bulwark-probe-$version.service
    deb-systemd-helper update-state bulwark-probe-$version.service
    update-rc.d bulwark-probe defaults
    py3compile -p bulwark-probe
fi
END
cat > $root/DEBIAN/prerm << END
#!/bin/sh
set -e
update-alternatives --remove probe /usr/bin/probe-$version
py3clean -p bulwark-probe
END
cat > $root/DEBIAN/postrm << END
#!/bin/sh
set -e
deb-systemd-helper purge bulwark-probe-$version.service
[ "\$1" != purge ] || update-rc.d bulwark-probe remove
END
chmod 0755 $root/DEBIAN/postinst $root/DEBIAN/prerm $root/DEBIAN/postrm
(cd $root && find usr -type f -exec md5sum {} + > DEBIAN/md5sums)
dpkg-deb --root-owner-group --build $root $2
"""
