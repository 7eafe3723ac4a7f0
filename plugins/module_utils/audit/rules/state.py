# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a deployment leaves on the host: the rule file for the next boot, and the note of what was deployed."""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import hashlib
import json
import os
import re
import stat
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _command
from ansible_collections.bulwark.servers.plugins.module_utils._argspec import HostError
from ansible_collections.bulwark.servers.plugins.module_utils._state import DamagedError, NewerError, StateDirectory
from ansible_collections.bulwark.servers.plugins.module_utils.audit.rules.content import Wanted
from ansible_collections.bulwark.servers.plugins.module_utils.audit.rules.places import Places
from ansible_collections.bulwark.servers.plugins.module_utils.audit_rule_files import text
from ansible_collections.bulwark.servers.plugins.module_utils.audit_rule_files.rule import Rule, RuleError, unpack

NOTE = "rules.json"
LOCK = "rules.lock"
_VERSION = 1
_LONGEST = 1 << 24
_HEAD = """\
# Audit rules of bulwark.servers, written by bulwark.servers.audit_rules; changes here are lost.
# Your own rules go into files of your own, or into the variable audit_rules.
# A directory that is gone keeps no other rule from being loaded:
-c
"""


@dataclasses.dataclass(frozen=True)
class Note:
    """What was deployed: the rules, the digest of the file, and the settings as they were before and are since.

    complete: false from the moment in which a deployment begins until it is through, so that a note that one left
    which was cut off proves nothing; then the rules are those from before together with the new ones. places: what the
    rules could be tied to; None in the note of an earlier version.
    """

    rules: tuple[Rule, ...]
    digest: str | None = None
    before: t.Mapping[str, int] = dataclasses.field(default_factory=dict)
    since: t.Mapping[str, int] = dataclasses.field(default_factory=dict)
    complete: bool = True
    places: Places | None = None

    def dump(self) -> bytes:
        content = {
            "version": _VERSION,
            "rules": [base64.b64encode(rule.pack()).decode("ascii") for rule in self.rules],
            "digest": self.digest,
            "before": dict(self.before),
            "since": dict(self.since),
            "complete": self.complete,
            "places": self.places and self.places.dump(),
        }
        return json.dumps(content, indent=1).encode("ascii")


def read_note(directory: StateDirectory | None) -> Note | None:
    """Return the note, None where nothing was deployed; StateError when it can't be used."""
    descriptor = directory.open_file(NOTE) if directory else None
    if directory is None or descriptor is None:
        return None
    with os.fdopen(descriptor, "rb") as stream:
        data = stream.read(_LONGEST + 1)
    path = os.path.join(directory.path, NOTE)
    try:
        content = json.loads(data)
        version = int(content["version"])
        if version > _VERSION:
            raise NewerError("%s was written by a newer version of the collection; use that one" % path)
        rules = tuple(unpack(base64.b64decode(entry)) for entry in content["rules"])
        before, since = (
            {str(name): int(value) for name, value in content[part].items()} for part in ("before", "since")
        )
        digest_noted = content["digest"] and str(content["digest"])
        places = Places.load(content["places"]) if content.get("places") else None
        return Note(rules, digest_noted, before, since, bool(content["complete"]), places)
    except (ValueError, TypeError, KeyError, AttributeError, RuleError) as error:
        raise DamagedError(
            "%s is damaged, so it isn't known which audit rules were deployed; find out why, remove it and deploy again"
            % path
        ) from error


def write_note(directory: StateDirectory, note: Note) -> None:
    with directory.written(NOTE) as stream:
        stream.write(note.dump())


def rule_file(wanted: t.Sequence[Wanted], machine: str, settings: t.Mapping[str, int]) -> bytes:
    """Return the content of the rule file, which auditctl reads; RuleError for what it could not read."""
    lines = [_HEAD.rstrip("\n")]
    if "backlog_limit" in settings:
        lines.append("-b %d" % settings["backlog_limit"])
    if "backlog_wait_time" in settings:
        lines.append("--backlog_wait_time %d" % settings["backlog_wait_time"])
    group = None
    for entry in wanted:
        if entry.group != group:
            group = entry.group
            lines.append("# %s" % group)
        lines.append(_line(entry.rule, machine))
    return os.fsencode("\n".join(lines) + "\n")


def _line(rule: Rule, machine: str) -> str:
    line = text.show(rule, machine)
    # auditctl splits at blanks and takes quotes for a part of the word in some versions.
    if re.search(r"""['"\t\r\n\x00-\x1f]|\\[^ ]""", line):
        raise RuleError("rule %r has quotes or control characters, which a rule file can't hold" % line)
    return line


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


class RuleFile:
    """The file in the directory that augenrules reads. present: whether there is such a directory."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._directory, self._name = os.path.split(path)

    @property
    def possible(self) -> bool:
        """Whether an audit daemon is installed that could read it."""
        return os.path.isdir(self._directory) or os.path.isdir(os.path.dirname(self._directory))

    def read(self) -> bytes | None:
        """Return its content, None when there is none, or something else in its place; at most 16 MB."""
        try:
            descriptor = os.open(self.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            return None
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            return None
        with os.fdopen(descriptor, "rb") as stream:
            return stream.read(_LONGEST)

    def write(self, content: bytes | None) -> None:
        """Put this in its place, durably; None removes it. HostError when that can't be done."""
        temporary = os.path.join(self._directory, ".%s.tmp" % self._name)
        try:
            if content is None:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(self.path)
                return
            with contextlib.suppress(FileExistsError):
                os.mkdir(self._directory, 0o750)
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            with os.fdopen(os.open(temporary, flags, 0o640), "wb") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
            os.rename(temporary, self.path)
        except OSError as error:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise HostError("%s cannot be written: %s; nothing was changed." % (self.path, error.strerror)) from error


def is_modern(release: str) -> bool:
    """Say whether kernel and auditctl know ``saddr_fam``: Linux 5.3 (release as of uname(2)) and audit 3.0."""
    kernel = _version(release)
    if kernel < (5, 3):
        return False
    program = next((path for path in ("/usr/sbin/auditctl", "/sbin/auditctl") if os.path.exists(path)), None)
    if program is None:
        return True
    try:
        answer = _command.run([program, "-v"], 10, 1 << 16).stdout.decode("ascii", "replace")
    except OSError:
        return True
    return _version(answer) >= (3, 0)


def _version(said: str) -> tuple[int, int]:
    match = re.search(r"(\d+)\.(\d+)", said)
    return (int(match.group(1)), int(match.group(2))) if match else (0, 0)
