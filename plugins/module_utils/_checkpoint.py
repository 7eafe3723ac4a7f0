# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Remember where a reader of logs stopped, so that the next run continues there and reads every record once.

Host and controller each hold a half. What the reader has to remember (a dictionary that JSON can hold) is a file on
the host; its name, the token, is in the controller's store, written in the same transaction as the findings of what
was read until there. A run that is cut off anywhere leaves the store with the token before, whose file is still on
the host: what was read and not recorded is read again. Files that the store doesn't know are never believed.

Tokens of one store have a common beginning, the lineage, so that two controllers that look at the same host don't
remove each other's files.

How a module uses it::

    checkpoint = Checkpoint.load(state_dir, "sign_ins", params["_token"], advance=params["_advance"] and not check_mode)
    if checkpoint.problem: ...               # say so in the coverage, and as a detection
    positions = checkpoint.state.get("...")  # {} where nothing was read before
    result["checkpoint"] = checkpoint.save({...})   # None where nothing is to be kept; StateError as it comes

Its action derives from ``plugin_utils.actions.log_reading.LogReadingActionBase``, which fills in ``_token`` and
``_advance``.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import typing as t
import zlib

from ansible_collections.bulwark.servers.plugins.module_utils._argspec import HostError
from ansible_collections.bulwark.servers.plugins.module_utils._state import DamagedError, StateDirectory, default_root

DIRECTORY = "checkpoints"
_LOCK = "lock"
_LOCK_TIMEOUT = 60.0
_HEADER = b"bulwark checkpoint 1 %s\n"
_TOKEN = re.compile(r"([0-9a-f]{16})-([0-9a-f]{64})\Z")
_NAME = re.compile(r"[a-z_]+\Z")
# Readers bound what they remember to a few MB; more than this is damaged or forged.
_BYTES_LIMIT = 64 * 1024 * 1024
# Of one lineage, beside the confirmed one: two runs may be reading at once, and either may be recorded.
_KEPT = 3
# Runs that were cut off before anything was recorded each leave one; controllers are fewer.
_LINEAGES = 8


class Checkpoint:
    """What a reader remembers. ``problem``: a sentence when it is not what the controller confirmed, else None."""

    def __init__(
        self,
        root: str,
        directory: str,
        name: str,
        token: str | None,
        state: dict[str, t.Any],
        problem: str | None,
        advance: bool,
    ) -> None:
        self._root, self._directory, self._name, self._token, self._advance = root, directory, name, token, advance
        self.state = state
        self.problem = problem

    @classmethod
    def load(
        cls, root: str | None, name: str, token: str | None, advance: bool, directory: str = DIRECTORY
    ) -> Checkpoint:
        """Return what the reader ``name`` remembered when the controller's store got ``token``.

        root: the state directory, None for the default. token: empty when the store has none, and reading begins
        anew. advance: whether ``save`` keeps anything. directory: below root, of a capability whose state is removed
        without that of others. Raises StateError where the directory can't be used, and HostError for a token that is
        none.
        """
        if not _NAME.match(name):
            raise ValueError("'%s' is not a name of a reader: lower case letters and underscores" % name)
        root = root or default_root(os.environ, os.geteuid())
        if not token:
            return cls(root, directory, name, None, {}, None, advance)
        if not _TOKEN.match(token):
            raise HostError("the store's checkpoint '%s' is invalid; forget this host's results in the store" % token)
        try:
            state, problem = _read(root, directory, name, token), None
        except DamagedError as error:
            state, problem = {}, str(error)
        return cls(root, directory, name, token, state, problem, advance)

    @property
    def known(self) -> bool:
        """Return whether there is something to go on from."""
        return self._token is not None and self.problem is None

    def save(self, state: t.Mapping[str, t.Any]) -> dict[str, t.Any] | None:
        """Keep what the next run goes on from, durably; return the ``checkpoint`` of the module's result.

        None where nothing is to be kept. Raises StateError; everything is as before then.
        """
        if not self._advance:
            return None
        content = _packed(self._name, state)
        lineage = self._token.partition("-")[0] if self._token else os.urandom(8).hex()
        token = "%s-%s" % (lineage, hashlib.sha256(content).hexdigest())
        directory = StateDirectory.open(self._root, self._directory, create=True)
        if directory is None:
            raise DamagedError("%s was removed during the run; find out who removed it" % self._root)
        try:
            with directory.locked(_LOCK, _LOCK_TIMEOUT):
                with directory.written(_file(self._name, token)) as stream:
                    stream.write(content)
                for obsolete in _obsolete(directory.modified(), self._name, {self._token, token}):
                    directory.remove(obsolete)
        finally:
            directory.close()
        return {"name": self._name, "token": token, "after": self._token}


def _file(name: str, token: str) -> str:
    return "%s-%s" % (name, token)


def _packed(name: str, state: t.Mapping[str, t.Any]) -> bytes:
    text = json.dumps(state, separators=(",", ":"), sort_keys=True, ensure_ascii=True)
    return _HEADER % name.encode() + zlib.compress(text.encode("ascii"), 1)


def _read(root: str, below: str, name: str, token: str) -> dict[str, t.Any]:
    """Return the state in a token's file; raise DamagedError when it isn't there, or not as it was written."""
    path = os.path.join(root, below, _file(name, token))
    directory = StateDirectory.open(root, below, create=False)
    descriptor = None
    if directory is not None:
        try:
            descriptor = directory.open_file(_file(name, token))
        finally:
            directory.close()
    if descriptor is None:
        raise DamagedError(
            "%s is missing, which holds the read positions of this host's logs; somebody removed it, or this is "
            "another host" % path
        )
    with os.fdopen(descriptor, "rb") as stream:
        content = stream.read(_BYTES_LIMIT + 1)
    if len(content) > _BYTES_LIMIT or hashlib.sha256(content).hexdigest() != token.partition("-")[2]:
        raise DamagedError("%s was changed after it was written; find out who changed it" % path)
    try:
        return _unpacked(name, content)
    except (ValueError, zlib.error) as error:
        raise DamagedError("%s cannot be read: %s" % (path, error)) from error


def _unpacked(name: str, content: bytes) -> dict[str, t.Any]:
    header = _HEADER % name.encode()
    if not content.startswith(header):
        raise ValueError("it is not a checkpoint of this version")
    inflating = zlib.decompressobj()
    text = inflating.decompress(content[len(header) :], _BYTES_LIMIT)
    if not inflating.eof:
        raise ValueError("it is cut off or too large")
    state: dict[str, t.Any] = json.loads(text.decode("ascii"))
    return state


def _obsolete(modified: t.Mapping[str, float], name: str, wanted: t.Container[str | None]) -> list[str]:
    """Return the files of a reader that nobody can ask for any more: the oldest of each lineage, and old lineages."""
    lineages: dict[str, list[tuple[float, str]]] = {}
    for file, changed in modified.items():
        token = file[len(name) + 1 :]
        found = _TOKEN.match(token)
        if found and file == _file(name, token):
            lineages.setdefault(found.group(1), []).append((changed, token))
    newest = sorted(lineages.values(), key=max, reverse=True)
    kept = [token for files in newest[:_LINEAGES] for _changed, token in sorted(files, reverse=True)[:_KEPT]]
    return [
        _file(name, token) for files in newest for _changed, token in files if token not in kept and token not in wanted
    ]
