# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A signed repository on a host, with a service that has maintainer scripts, and a kernel."""

from __future__ import annotations

import hashlib
import pathlib
import shutil
import subprocess
import typing as t

from tests.integration._signed_repository import Key

_REPOSITORY = pathlib.PurePosixPath("/srv/repository")
_PROGRAM = "#!/bin/sh\n# version %d\nid > /dev/null\n"
_SCRIPT = """#!/bin/sh
set -e
%s
if [ "$1" = configure ]; then
    useradd --system --no-create-home --shell /usr/sbin/nologin local-service 2> /dev/null || true
    mkdir -p /var/lib/local-service
    chown local-service: /var/lib/local-service
fi
exit 0
"""
_RUNS = "/usr/bin/local-service setup; ldconfig"
_KERNEL = "#!/bin/sh\nset -e\nrun-parts --report --arg=6.99-local /etc/kernel/postinst.d\n"
_HOOK = "#!/bin/sh\nset -e\nsha256sum /boot/vmlinuz-6.99-local > /dev/null\ndepmod --version > /dev/null 2>&1 || true\n"


class Package(t.NamedTuple):
    """scripts: maintainer scripts by name. files: content by path; all can be executed."""

    name: str
    version: str
    scripts: t.Mapping[str, str]
    files: t.Mapping[str, str]


def _service(version: int) -> Package:
    before = dict.fromkeys(("preinst", "postrm"), _SCRIPT % "true")
    scripts = {**before, "postinst": _SCRIPT % _RUNS, "prerm": _SCRIPT % "/usr/bin/local-service stop"}
    files = {"usr/bin/local-service": _PROGRAM % version, "etc/kernel/postinst.d/zz-local": _HOOK}
    return Package("local-service", str(version), scripts, files)


def _kernel() -> Package:
    files = {"boot/vmlinuz-6.99-local": "kernel", "usr/lib/modules/6.99-local/kernel/local.ko": "module"}
    return Package("linux-image-6.99-local", "1", {"postinst": _KERNEL, "prerm": "#!/bin/sh\nexit 0\n"}, files)


class Repository:
    """The repository, first with the service in its first version. root: the host's files."""

    INSTALL: t.Final = """
        sudo apt-get update -q
        sudo apt-get install -y -q local-service
        local-service
    """
    # What is done after ``update``.
    UPGRADE: t.Final = """
        sudo apt-get update -q
        sudo apt-get upgrade -y -q
        sudo apt-get install -y -q linux-image-6.99-local
        local-service
    """

    def __init__(self, root: pathlib.Path, directory: pathlib.Path) -> None:
        self._root, self._directory = root, directory
        self._key = Key(directory / "signing-key")
        (root / "usr/share/keyrings/local.gpg").write_bytes(self._key.public)
        source = f"deb [signed-by=/usr/share/keyrings/local.gpg] copy:{_REPOSITORY} ./\n"
        (root / "etc/apt/sources.list.d/local.list").write_text(source)
        self._publish(_service(1))

    def update(self) -> None:
        """Publish the second version of the service, and the kernel."""
        self._publish(_service(2), _kernel())

    def _publish(self, *packages: Package) -> None:
        place = self._root / _REPOSITORY.relative_to("/")
        place.mkdir(exist_ok=True)
        stanzas = []
        for package in packages:
            archive = build(package, self._directory, place)
            content = archive.read_bytes()
            digest = hashlib.sha256(content).hexdigest()
            fields = f"Filename: ./{archive.name}\nSize: {len(content)}\nSHA256: {digest}\n"
            stanzas.append(_control(package) + fields)
        index = "\n".join(stanzas).encode()
        (place / "Packages").write_bytes(index)
        release = "Origin: local\nDate: Sat, 01 Jan 2022 00:00:00 UTC\nSHA256:\n"
        release += f" {hashlib.sha256(index).hexdigest()} {len(index)} Packages\n"
        (place / "InRelease").write_bytes(self._key.sign(release.encode()))


def build(package: Package, directory: pathlib.Path, place: pathlib.Path) -> pathlib.Path:
    """Build an archive in ``place``, of a tree below ``directory``, and return its path."""
    tree = directory / f"{package.name}_{package.version}"
    shutil.rmtree(tree, ignore_errors=True)
    control = {f"DEBIAN/{name}": text for name, text in package.scripts.items()}
    for name, text in {**control, **package.files}.items():
        path = tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)
    (tree / "DEBIAN/control").write_text(_control(package))
    archive = place / f"{package.name}_{package.version}_all.deb"
    command = ["dpkg-deb", "--root-owner-group", "-Znone", "--build", str(tree), str(archive)]
    subprocess.run(command, capture_output=True, check=True)
    return archive


def _control(package: Package) -> str:
    return (
        f"Package: {package.name}\nVersion: {package.version}\nArchitecture: all\n"
        "Maintainer: a <a@example.com>\nDescription: made by a test\n"
    )
