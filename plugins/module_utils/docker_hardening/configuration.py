# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The settings of an engine: what is in force, what is written, and whether that is the same."""

from __future__ import annotations

import json
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._finding import printable
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening import flags, in_force, json_numbers
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.facts import (
    ConfigFile,
    Json,
    Setting,
)
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.flags import SETTINGS, Flag

if t.TYPE_CHECKING:
    from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.files import Root

API, FLAG, FILE, DEFAULT = "api", "flag", "file", "default"
_READ_LIMIT = 1024 * 1024
# An engine needs longer than this to start and read its file. The kernel's clocks for files and for processes differ
# by up to two ticks.
_START = 0.05


class Read(t.NamedTuple):
    """A daemon.json, and when it was last changed, 0 where there is none."""

    file: ConfigFile
    changed: float = 0.0


def read(root: Root, path: str) -> Read:
    """Read a daemon.json. It may be anything: a link is followed within the root, a FIFO is not opened."""
    fact = root.fact(path)
    if not fact.kind:
        return Read(ConfigFile(fact, problem=fact.problem))
    try:
        data, status = root.read(path, _READ_LIMIT)
    except OSError as error:
        return Read(ConfigFile(fact, problem="%s cannot be read: %s" % (printable(path), error.strerror)))
    values, doubled, problem = parse(data)
    if problem is not None:
        problem = "%s %s" % (printable(path), problem)
    return Read(ConfigFile(fact, values, doubled, problem), max(status.st_mtime, status.st_ctime))


def parse(data: bytes) -> tuple[Json | None, tuple[str, ...], str | None]:
    """Return the values of a daemon.json, the keys that it has twice, and why it can't be used."""
    doubled: set[str] = set()

    def pairs(found: list[tuple[str, t.Any]]) -> dict[str, t.Any]:
        values: dict[str, t.Any] = {}
        for key, value in found:
            if key in values:
                doubled.add(key)
            values[key] = value
        return values

    if not data.strip():
        return {}, (), None
    try:
        values = json.loads(data.decode("utf-8"), object_pairs_hook=pairs, parse_int=json_numbers.parse)
    except RecursionError:
        return None, (), "is nested too deeply"
    except ValueError:
        return None, (), "is not JSON"
    if not isinstance(values, dict):
        return None, (), "is not a JSON object"
    return values, tuple(sorted(doubled)), None


class Written(t.NamedTuple):
    """What the next start would use. flags: of the unit, or of the process where no unit starts it.

    problem: why it is not known.
    """

    flags: t.Mapping[str, Flag]
    config: ConfigFile
    problem: str | None = None

    @property
    def conflicts(self) -> tuple[str, ...]:
        return flags.conflicts(self.flags, self.config.values or {})

    def get(self, name: str) -> tuple[t.Any, str]:
        """Return what is written of a setting, and in which file; its default and nothing where nothing is."""
        flag = self.flags.get(SETTINGS[name].flag)
        if flag is not None:
            return flags.value_of(flag), flag.origin
        if self.config.values is not None and name in self.config.values:
            return self.config.values[name], self.config.file.path
        return SETTINGS[name].default, ""


def settings(
    running: t.Mapping[str, Flag] | None,
    written: Written,
    file_problem: str | None,
    api: t.Mapping[str, t.Any],
) -> dict[str, Setting]:
    """Return all settings of an engine.

    running: the flags of its process, None for one that is stopped. file_problem: why its daemon.json does not say
    what is in force. api: what the engine itself says of its settings.
    """
    return {name: _setting(name, running, written, file_problem, api) for name in SETTINGS}


def _setting(
    name: str,
    running: t.Mapping[str, Flag] | None,
    written: Written,
    file_problem: str | None,
    api: t.Mapping[str, t.Any],
) -> Setting:
    known = SETTINGS[name]
    value, path = written.get(name)
    problem = written.problem if not path else None
    if running is None:
        source = FILE if path else DEFAULT
        if name in written.conflicts:
            problem = "flags and %s both have it, with which no engine starts" % printable(written.config.file.path)
        return Setting(name, None if problem else value, source, value, path, False, problem)
    if name in api:
        source, current = API, in_force.completed(name, api[name], value)
    elif known.flag in running:
        source, current = FLAG, flags.value_of(running[known.flag])
    elif file_problem is not None:
        # What is written now may have been written before as well: that it is in force can't be said.
        differs = bool(path) and not in_force.is_same(name, value, known.default)
        return Setting(name, None, FILE, value, path, differs, file_problem)
    elif written.config.values is not None and name in written.config.values:
        source, current = FILE, written.config.values[name]
    else:
        source, current = DEFAULT, known.default
    is_pending = problem is None and not in_force.is_same(name, value, current)
    return Setting(name, current, source, value, path, is_pending)


def why_file_says_nothing(read_now: Read, started: float) -> str | None:
    """Return why a daemon.json does not say what an engine that was started then uses; None where it does."""
    if read_now.changed > started + _START:
        return "%s was changed after the engine started" % printable(read_now.file.file.path)
    return read_now.file.problem
