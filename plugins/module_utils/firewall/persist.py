# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Confirmed rules that are there again after the host was booted, and after nftables was reloaded.

The text for nft is a state file, and a unit of systemd loads it. Grants and what was counted are not in it: after a
boot nothing is open. Where rules come with a script, the unit makes their table afresh, whatever was in it, and runs
the script after that: the configuration of nftables may hold an old copy of the table, as somebody has saved it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
import shutil
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _command
from ansible_collections.bulwark.servers.plugins.module_utils._finding import printable
from ansible_collections.bulwark.servers.plugins.module_utils._state import StateDirectory, StateError
from ansible_collections.bulwark.servers.plugins.module_utils.firewall import trial

DIRECTORY = "firewall"
_LOCK = "firewall.lock"
_LONGEST = 1 << 24
_SECONDS = 60.0
_MOST_OUTPUT = 1 << 20
_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
# Tables of ours that a script may fill sets of, beside its own.
FILLED_TOO = ("bulwark_network",)
# Where "systemctl enable" makes links, for the lines WantedBy below.
_WANTED_BY = ("sysinit.target", "nftables.service")

# As nftables.service: before there is a network. A reload of that begins with an empty rule set, and a restart, too.
_UNIT = """\
# Written by bulwark.servers; changes here are lost. It is removed with the rules.
[Unit]
Description=Firewall rules of bulwark.servers: {table}
Documentation=man:nft(8)
DefaultDependencies=no
Wants=network-pre.target
Before=network-pre.target shutdown.target
Conflicts=shutdown.target
After=nftables.service{after}
PartOf=nftables.service
ReloadPropagatedFrom=nftables.service
RequiresMountsFor={directory}

[Service]
Type=oneshot
RemainAfterExit=yes
StandardInput=null
ProtectSystem=full
ProtectHome=true
ExecStart={nft} -f {file}
{start}ExecReload={nft} -f {file}
{reload}

[Install]
WantedBy={wanted_by}
"""


@dataclasses.dataclass(frozen=True)
class Place:
    """Where a host keeps things. state_root: the collection's state; units: of systemd; running: there if it runs."""

    state_root: str = "/var/lib/bulwark"
    units: str = "/etc/systemd/system"
    running: str = "/run/systemd/system"


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What became of it. survives: whether the rules are there after a boot; note: why not, in a sentence."""

    changed: bool
    survives: bool
    note: str | None = None


def unit_name(table: str) -> str:
    """Return the name of the unit of a table: ``bulwark-firewall-jit.service`` for bulwark_jit."""
    return "bulwark-firewall-%s.service" % table.replace("bulwark_", "", 1)


def unit_text(place: Place, table: str, nft: str, script: bool = False) -> str:
    """Return the unit. nft: absolute path of the program; script: whether there is one."""
    directory = os.path.join(os.path.normpath(place.state_root), DIRECTORY)
    # In a command, a dollar sign begins the name of a variable.
    file, run = (_quoted(os.path.join(directory, table + ending)).replace("$", "$$") for ending in (".nft", ".sh"))
    return _UNIT.format(
        table=table,
        directory=_quoted(directory),
        file=file,
        nft=nft,
        wanted_by=" ".join(_WANTED_BY),
        # What a script can't do leaves the rules as they are, which deny.
        start="ExecStart=-/bin/sh %s\n" % run if script else "",
        reload="ExecReload=-/bin/sh %s\n" % run if script else "",
        # It fills sets of other tables, too.
        after="".join(" %s" % unit_name(other) for other in FILLED_TOO) if script else "",
    )


def _quoted(path: str) -> str:
    """Return a path as systemd.syntax(7) wants it. Raises StateError."""
    if re.match(r"[\w/.+-]+\Z", path, re.ASCII):
        return path
    if not path.isprintable():
        raise StateError("systemd takes no file below %s: set another state_dir" % printable(path))
    return '"%s"' % path.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")


def differs(place: Place, table: str, rules: trial.Rules, script: str | None = None) -> bool:
    """Say whether ``keep`` would change anything. Raises StateError."""
    unit = _wanted_unit(place, table, script)
    if any(_kept(place, name) != text for name, text in _files(table, rules, script).items()):
        return True
    return unit is not None and not _is_enabled(place, table, unit)


def keep(
    place: Place, table: str, rules: trial.Rules, lock_timeout: float = 60.0, script: str | None = None
) -> Outcome:
    """Let the rules be there after a boot. They are in force already: what fails here is a note, not an error.

    script: of the shell, that fills sets of the table. Without one they are left as they are when rules are loaded
    beside them.
    """
    try:
        changed = differs(place, table, rules, script)
        if changed:
            _write(place, _files(table, rules, script), lock_timeout)
        unit = _wanted_unit(place, table, script)
        if unit is None:
            return Outcome(
                changed, False, "the rules are not there after a reboot: this host has no systemd that could load them"
            )
        if not _is_enabled(place, table, unit):
            _enable(place, table, unit)
    except (StateError, OSError) as error:
        return Outcome(True, False, "the rules are not there after a reboot: %s" % error)
    return Outcome(changed, True)


def forget(place: Place, table: str, lock_timeout: float = 60.0) -> bool:
    """Remove file and unit; return whether one was there. Raises StateError."""
    path = os.path.join(place.units, unit_name(table))
    there = os.path.lexists(path)
    if there:
        # Even where it can't be asked, the unit must not come back.
        with contextlib.suppress(OSError):
            _systemctl("disable", unit_name(table))
            _systemctl("stop", unit_name(table))
        for link in _links(place, table):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(link)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        if os.path.isdir(place.running):
            with contextlib.suppress(OSError):
                _systemctl("daemon-reload")
    directory = StateDirectory.open(place.state_root, DIRECTORY, create=False)
    if directory is None:
        return there
    with contextlib.closing(directory), directory.locked(_LOCK, lock_timeout):
        removed = [directory.remove(table + ending) for ending in (".nft", ".sh")]
        return any(removed) or there


def _files(table: str, rules: trial.Rules, script: str | None) -> dict[str, str]:
    text = trial.establish(table, rules)
    return (
        {table + ".nft": text}
        if script is None
        else {table + ".nft": trial.remove(table) + text, table + ".sh": script}
    )


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


def _wanted_unit(place: Place, table: str, script: str | None) -> str | None:
    """Return the unit for this host, None where no systemd runs."""
    nft = shutil.which("nft", path=_PATH)
    return unit_text(place, table, nft, script is not None) if nft and os.path.isdir(place.running) else None


def _links(place: Place, table: str) -> list[str]:
    return [os.path.join(place.units, target + ".wants", unit_name(table)) for target in _WANTED_BY]


def _is_enabled(place: Place, table: str, unit: str) -> bool:
    try:
        with open(os.path.join(place.units, unit_name(table)), encoding="utf-8") as stream:
            same = stream.read(_LONGEST) == unit
    except FileNotFoundError:
        return False
    return same and all(map(os.path.lexists, _links(place, table)))


def _enable(place: Place, table: str, unit: str) -> None:
    path = os.path.join(place.units, unit_name(table))
    temporary = path + ".tmp"
    with contextlib.suppress(FileNotFoundError):
        os.unlink(temporary)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(unit)
        stream.flush()
        os.fsync(stream.fileno())
    os.rename(temporary, path)
    _told("daemon-reload")
    _told("enable", unit_name(table))
    # Only a unit that is active is reloaded with nftables. One that is has nothing to do: the rules are in force.
    _told("start", unit_name(table))


def _told(*arguments: str) -> None:
    completed = _systemctl(*arguments)
    if completed.returncode:
        said = printable(completed.stderr.strip())[:300]
        raise StateError("'systemctl %s' failed: %s" % (" ".join(arguments), said))


def _systemctl(*arguments: str) -> _command.Completed:
    return _command.run(("systemctl", *arguments), _SECONDS, _MOST_OUTPUT)
