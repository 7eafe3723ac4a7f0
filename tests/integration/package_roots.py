# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Roots of their own with packages that a test makes, installed by the real dpkg and rpm."""

from __future__ import annotations

import dataclasses
import os
import pathlib
import subprocess
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.packages import databases

_MERGED = {"bin": "usr/bin", "sbin": "usr/sbin", "lib": "usr/lib"}


def _run(*argv: str | os.PathLike[str], cwd: pathlib.Path | None = None) -> None:
    done = subprocess.run([os.fspath(part) for part in argv], cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{argv}: {done.stdout}{done.stderr}"


class Root:
    """A directory that stands for a host's root."""

    def __init__(self, path: pathlib.Path, merged: bool = True) -> None:
        self.path = path
        for name, target in _MERGED.items():
            (path / target).mkdir(parents=True)
            if merged:
                (path / name).symlink_to(target)
        (path / "etc").mkdir()
        (path / "etc/passwd").write_text("root:x:0:0::/root:/bin/sh\nmessagebus:x:100:101::/:/bin/false\n")
        (path / "etc/group").write_text("root:x:0:\nmessagebus:x:101:\n")

    def databases(self) -> databases.PackageDatabases:
        """Return the databases as they are now; nothing is kept between calls."""
        return databases.load_packages(os.fsencode(self.path))

    def file(self, name: str) -> pathlib.Path:
        return self.path / name.lstrip("/")


@dataclasses.dataclass
class Deb:
    """A Debian package: files by path (as the package lists them) with their content, links with where they lead.

    scripts: maintainer scripts by kind. built: the time of the files, in seconds since the epoch; without, that of now.
    """

    name: str
    version: str = "1.0-1"
    arch: str = "all"
    files: t.Mapping[str | bytes, bytes] = dataclasses.field(default_factory=dict)
    links: t.Mapping[str, str] = dataclasses.field(default_factory=dict)
    conffiles: t.Sequence[str] = ()
    control: str = ""
    scripts: t.Mapping[str, bytes] = dataclasses.field(default_factory=dict)
    built: float | None = None

    def build(self, directory: pathlib.Path) -> pathlib.Path:
        tree = directory / f"{self.name}_{self.version}_{self.arch}.tree"
        (tree / "DEBIAN").mkdir(parents=True)
        for name, content in self.files.items():
            path = os.path.join(os.fsencode(tree), os.fsencode(name).lstrip(b"/"))
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as stream:
                stream.write(content)
            if self.built is not None:
                os.utime(path, (self.built, self.built))
        for name, target in self.links.items():
            (tree / name).symlink_to(target)
        (tree / "DEBIAN/control").write_text(
            f"Package: {self.name}\nVersion: {self.version}\nArchitecture: {self.arch}\n"
            f"Maintainer: nobody <nobody@example.com>\n{self.control}Description: made by a test\n"
        )
        if self.conffiles:
            (tree / "DEBIAN/conffiles").write_text("".join(f"{name}\n" for name in self.conffiles))
        for name, script in self.scripts.items():
            (tree / "DEBIAN" / name).write_bytes(script)
            (tree / "DEBIAN" / name).chmod(0o755)
        package = directory / f"{self.name}_{self.version}_{self.arch}.deb"
        _run("dpkg-deb", "--root-owner-group", "--build", tree, package)
        return package


class DebianRoot(Root):
    """A root with a dpkg database."""

    def __init__(self, path: pathlib.Path, merged: bool = True) -> None:
        super().__init__(path, merged)
        self._built = path.parent / f"{path.name}.debs"
        self._built.mkdir()
        for name in ("info", "updates"):
            (path / "var/lib/dpkg" / name).mkdir(parents=True)
        for name in ("status", "available"):
            (path / "var/lib/dpkg" / name).touch()

    def install(self, *debs: Deb) -> list[pathlib.Path]:
        """Install packages and return their archives."""
        built = [deb.build(self._built) for deb in debs]
        self.dpkg("--force-confold", "--install", *map(str, built))
        return built

    def reinstall(self, name: str) -> None:
        (package,) = self._built.glob(f"{name}_*.deb")
        self.dpkg("--install", str(package))

    def unpack(self, deb: Deb) -> None:
        self.dpkg("--unpack", str(deb.build(self._built)))

    def dpkg(self, *arguments: str) -> None:
        _run(
            "dpkg",
            f"--root={self.path}",
            "--force-not-root,bad-path,unsafe-io,script-chrootless",
            "--log=/dev/null",
            *arguments,
        )

    def divert(self, *arguments: str) -> None:
        _run("dpkg-divert", "--root", self.path, *arguments)

    def override(self, *arguments: str) -> None:
        _run("dpkg-statoverride", "--root", self.path, *arguments)

    def database(self, name: str) -> pathlib.Path:
        return self.path / "var/lib/dpkg" / name


@dataclasses.dataclass
class Rpm:
    """An RPM package. install: shell commands that fill %{buildroot}; files: the lines of its %files section.

    scripts: scriptlets in Lua, which rpm runs itself, by kind. requires: packages and files that it needs.
    """

    name: str
    install: str = ""
    files: str = ""
    version: str = "1.0"
    epoch: int = 0
    algorithm: int = 8
    scripts: t.Mapping[str, str] = dataclasses.field(default_factory=dict)
    requires: t.Sequence[str] = ()

    def build(self, directory: pathlib.Path) -> pathlib.Path:
        scriptlets = "".join(f"%{kind} -p <lua>\n{script}\n" for kind, script in self.scripts.items())
        requires = "".join(f"Requires: {name}\n" for name in self.requires)
        spec = directory / f"{self.name}-{self.version}.spec"
        spec.write_text(
            f"Name: {self.name}\nVersion: {self.version}\nRelease: 1\nEpoch: {self.epoch}\nSummary: made by a test\n"
            f"License: MIT\nBuildArch: noarch\n{requires}%description\n%install\n{self.install}\n"
            f"{scriptlets}%files\n{self.files}\n"
        )
        _run(
            *("rpmbuild", "-bb", "--define", f"_topdir {directory}/build", "--define", f"_rpmdir {directory}"),
            *("--define", f"_binary_filedigest_algorithm {self.algorithm}", spec),
        )
        return directory / "noarch" / f"{self.name}-{self.version}-1.noarch.rpm"


class RpmRoot(Root):
    """A root with an RPM database."""

    def __init__(self, path: pathlib.Path) -> None:
        super().__init__(path)
        self._built = path.parent / f"{path.name}.rpms"
        self._built.mkdir()

    def install(self, *rpms: Rpm) -> None:
        self.rpm("--nodeps", "-i", *(str(rpm.build(self._built)) for rpm in rpms))

    def upgrade(self, rpm: Rpm) -> None:
        self.rpm("-U", str(rpm.build(self._built)))

    def built(self) -> list[pathlib.Path]:
        """Return the packages that were built for this root."""
        return sorted(self._built.rglob("*.rpm"))

    def rpm(self, *arguments: str) -> None:
        _run("rpm", "--root", self.path, *arguments)
