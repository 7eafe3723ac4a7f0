# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of rules in the state, and the unit of systemd that loads them at boot.

``persist`` says what is in them.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
import shutil
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _command, _safe_fs
from ansible_collections.bulwark.servers.plugins.module_utils._finding import printable
from ansible_collections.bulwark.servers.plugins.module_utils._state import StateDirectory, StateError

DIRECTORY = "firewall"
_LOCK = "firewall.lock"
_LONGEST = 1 << 24
_SECONDS = 60.0
_MOST_OUTPUT = 1 << 20
_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"

# As nftables.service: before there is a network.
_UNIT = """\
# Written by bulwark.servers; changes here are lost. It is removed with the rules.
[Unit]
Description=Firewall rules of bulwark.servers: {about}
Documentation={documentation}
DefaultDependencies=no
Wants=network-pre.target
Before={before}
Conflicts=shutdown.target
{relations}RequiresMountsFor={directory}

[Service]
Type=oneshot
RemainAfterExit=yes
StandardInput=null
ProtectSystem=full
ProtectHome=true
{commands}

[Install]
WantedBy={wanted_by}
"""


@dataclasses.dataclass(frozen=True)
class Place:
    """Directories of a host. state_root: the collection's state; units: of systemd; running: there if it runs."""

    state_root: str = "/var/lib/bulwark"
    units: str = "/etc/systemd/system"
    running: str = "/run/systemd/system"


@dataclasses.dataclass(frozen=True)
class Outcome:
    """Result of keeping rules. survives: whether they are there after a boot; note: why not, in a sentence."""

    changed: bool
    survives: bool
    note: str | None = None


@dataclasses.dataclass(frozen=True)
class Unit:
    """A unit that loads rules. about: what it is for; commands: for systemd, in their order.

    beside: services whose start, restart and reload make new rule sets, so that ours must be loaded after that; after,
    before: more that it comes after or before.
    """

    name: str
    about: str
    documentation: str
    commands: t.Sequence[str]
    beside: t.Sequence[str] = ()
    after: t.Sequence[str] = ()
    before: t.Sequence[str] = ()

    @property
    def wanted_by(self) -> tuple[str, ...]:
        """Return where "systemctl enable" makes links."""
        return ("sysinit.target", *self.beside)

    def text(self, place: Place) -> str:
        """Return the file. Raises StateError."""
        beside = " ".join(self.beside)
        relations = {
            "After": " ".join((*self.beside, *self.after)),
            "PartOf": beside,
            "ReloadPropagatedFrom": beside,
        }
        commands = ["%s=%s" % (way, command) for way in ("ExecStart", "ExecReload") for command in self.commands]
        return _UNIT.format(
            about=self.about,
            documentation=self.documentation,
            before=" ".join(("network-pre.target", "shutdown.target", *self.before)),
            relations="".join("%s=%s\n" % (name, units) for name, units in relations.items() if units),
            directory=quoted(_directory(place)),
            commands="\n".join(commands),
            wanted_by=" ".join(self.wanted_by),
        )


def program(name: str) -> str | None:
    """Return the absolute path of a program, None where the host has none."""
    return shutil.which(name, path=_PATH)


def argument(place: Place, name: str) -> str:
    """Return the path of a file of rules, as the command of a unit has it. Raises StateError."""
    # In a command, a dollar sign begins the name of a variable.
    return quoted(os.path.join(_directory(place), name)).replace("$", "$$")


def quoted(path: str) -> str:
    """Return a path as systemd.syntax(7) wants it. Raises StateError."""
    if re.match(r"[\w/.+-]+\Z", path, re.ASCII):
        return path
    if not path.isprintable():
        raise StateError("systemd takes no file below %s: set another state_dir" % printable(path))
    return '"%s"' % path.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")


def _directory(place: Place) -> str:
    return os.path.join(os.path.normpath(place.state_root), DIRECTORY)


def differs(place: Place, files: t.Mapping[str, str], units: t.Sequence[Unit]) -> bool:
    """Say whether ``keep`` would change anything. units: none where nothing could load the rules. Raises StateError."""
    texts = [(unit, unit.text(place)) for unit in units if os.path.isdir(place.running)]
    if any(_kept(place, name) != content for name, content in files.items()):
        return True
    return not all(_is_enabled(place, unit, text) for unit, text in texts)


def keep(place: Place, files: t.Mapping[str, str], units: t.Sequence[Unit], lock_timeout: float) -> Outcome:
    """Let the rules be there after a boot. They are in force already: what fails here is a note, not an error."""
    try:
        changed = differs(place, files, units)
        if changed:
            _write(place, files, lock_timeout)
        if not units or not os.path.isdir(place.running):
            return Outcome(
                changed, False, "the rules are not there after a reboot: this host has no systemd that could load them"
            )
        for unit in units:
            text = unit.text(place)
            if not _is_enabled(place, unit, text):
                _enable(place, unit, text)
    except (StateError, OSError) as error:
        return failed(error)
    return Outcome(changed, True)


def failed(error: Exception) -> Outcome:
    return Outcome(True, False, "the rules are not there after a reboot: %s" % error)


def forget(place: Place, files: t.Iterable[str], units: t.Iterable[Unit], lock_timeout: float) -> bool:
    """Remove files and units; return whether one was there. Raises StateError."""
    disabled = [_disabled(place, unit) for unit in units]
    there = any(disabled)
    directory = StateDirectory.open(place.state_root, DIRECTORY, create=False)
    if directory is None:
        return there
    with contextlib.closing(directory), directory.locked(_LOCK, lock_timeout):
        removed = [directory.remove(name) for name in files]
        return any(removed) or there


def _disabled(place: Place, unit: Unit) -> bool:
    path = os.path.join(place.units, unit.name)
    if not os.path.lexists(path):
        return False
    # Even where it can't be asked, the unit must not come back.
    with contextlib.suppress(OSError):
        _systemctl("disable", unit.name)
        _systemctl("stop", unit.name)
    for one in (*_links(place, unit), path):
        _unlink(one)
    if os.path.isdir(place.running):
        with contextlib.suppress(OSError):
            _systemctl("daemon-reload")
    return True


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
    except OSError as error:
        raise StateError("%s cannot be removed: %s" % (path, _safe_fs.reason(error))) from error


def _kept(place: Place, name: str) -> str | None:
    directory = StateDirectory.open(place.state_root, DIRECTORY, create=False)
    if directory is None:
        return None
    with contextlib.closing(directory):
        descriptor = directory.open_file(name)
        if descriptor is None:
            return None
        with os.fdopen(descriptor, "rb") as stream:
            return stream.read(_LONGEST).decode("utf-8", "replace")


def _write(place: Place, files: t.Mapping[str, str], lock_timeout: float) -> None:
    directory = StateDirectory.open(place.state_root, DIRECTORY, create=True)
    if directory is None:
        raise StateError("%s can't be made" % place.state_root)
    with contextlib.closing(directory), directory.locked(_LOCK, lock_timeout):
        for name, text in files.items():
            with directory.written(name) as stream:
                stream.write(text.encode("utf-8"))


def _links(place: Place, unit: Unit) -> list[str]:
    return [os.path.join(place.units, target + ".wants", unit.name) for target in unit.wanted_by]


def _is_enabled(place: Place, unit: Unit, text: str) -> bool:
    try:
        with open(os.path.join(place.units, unit.name), encoding="utf-8") as stream:
            same = stream.read(_LONGEST) == text
    except FileNotFoundError:
        return False
    return same and all(map(os.path.lexists, _links(place, unit)))


def _enable(place: Place, unit: Unit, text: str) -> None:
    path = os.path.join(place.units, unit.name)
    temporary = path + ".tmp"
    with contextlib.suppress(FileNotFoundError):
        os.unlink(temporary)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    os.rename(temporary, path)
    _told("daemon-reload")
    _told("enable", unit.name)
    # Only a unit that is active is reloaded with what it is part of. One that is has nothing to do: rules are in force.
    _told("start", unit.name)


def _told(*arguments: str) -> None:
    completed = _systemctl(*arguments)
    if completed.returncode:
        said = printable(completed.stderr.strip())[:300]
        raise StateError("'systemctl %s' failed: %s" % (" ".join(arguments), said))


def _systemctl(*arguments: str) -> _command.Completed:
    return _command.run(("systemctl", *arguments), _SECONDS, _MOST_OUTPUT)
