# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask a host, as often as it takes: a second time for what it does not keep, and once more when a connection ends."""

from __future__ import annotations

import hashlib
import re
import secrets
import typing as t

from ansible.errors import AnsibleAuthenticationFailure, AnsibleConnectionFailure
from ansible_collections.bulwark.servers.plugins.plugin_utils.transport import archive, encoding, pins
from ansible_collections.bulwark.servers.plugins.plugin_utils.transport.model import (
    Answers,
    Look,
    Options,
    Pins,
    Run,
    Tampered,
)

# The id of the question for the facts, which no look has.
_FACTS = ""
_LONGEST_NOTE = 500
_MOST_TAMPERED = 20
_MOST_NOTES = 20
# ssh(1) says so of a host that it never reached, and of one that does not let it in.
_NOBODY = re.compile(r"connect to host|Could not resolve|No route to host|Permission denied|Host key verification")
# What a shell returns for a program that it cannot execute, or find (POSIX, Shell Command Language 2.8.2).
_NOT_RUN = (126, 127)


def ask(run: Run, looks: t.Sequence[Look], options: Options, known: Pins) -> Answers:
    """Return what a host answers. known: what the store says that it keeps."""
    return _Question(run, looks, options, known).ask()


class _Question:
    """A question to a host, with one id however often it is sent, so that no look runs twice."""

    def __init__(self, run: Run, looks: t.Sequence[Look], options: Options, known: Pins) -> None:
        self._run = run
        self._looks = looks
        self._options = options
        self._known = known
        self._archive = archive.load()
        self._texts = {_digest(text): text for look in looks for text in look.content.values()}
        self._id = secrets.token_hex(16)
        self._tampered: list[Tampered] = []
        self._notes: list[str] = []

    def ask(self) -> Answers:
        code = pins.code(self._known, self._archive.digest)
        known = {digest for digest in self._texts if pins.has_text(self._known, digest)}
        keep = self._options.keep
        result = self._send(code if keep else {}, known if keep else set())
        missing = result.get("missing")
        if isinstance(missing, list) and missing:
            self._note_tampered(result)
            if result.get("problem"):
                self._notes.append(f"the cached code on the host could not be used: {_text(result['problem'])}")
            # What an account lacks it may lack all of; sent once too often costs less than a third time.
            result = self._send(code if "code" not in missing else {}, known.difference(map(str, missing)))
        self._note_tampered(result)
        return self._answers(result)

    def _send(self, code: t.Mapping[str, str], known: t.Collection[str]) -> dict[str, t.Any]:
        """Return the module's result. code: the digests of kept code, sent anew without; known: texts that are kept."""
        arguments = {"_request": encoding.packed(self._request(code, known))}
        if not code:
            arguments["_code"] = self._archive.packed
        result = self._run_once(arguments)
        if "lines" in result or result.get("missing") or not self._options.keep or _is_useless(result):
            return result
        # The connection ended, or something else than the result came through it. What ran in the meantime is kept.
        return self._run_once(arguments)

    def _run_once(self, arguments: dict[str, t.Any]) -> dict[str, t.Any]:
        try:
            return self._run(dict(arguments))
        except AnsibleAuthenticationFailure:
            # Once more could lock the account.
            raise
        except AnsibleConnectionFailure as error:
            # With a terminal, lines end with a carriage return as well.
            return {"unreachable": True, "msg": str(error).strip()}

    def _request(self, code: t.Mapping[str, str], known: t.Collection[str]) -> dict[str, t.Any]:
        facts: dict[str, t.Any] = {
            "id": _FACTS,
            "entry": self._options.facts,
            "params": None,
            "content": {},
            "paths": [],
        }
        rest = {"check_mode": False, "diff": False, "seconds": 0}
        looks = [{**facts, **rest}] if self._options.facts else []
        return {
            "id": self._id,
            "acknowledged": pins.acknowledged(self._known),
            "code": dict(code),
            "texts": {digest: None if digest in known else text for digest, text in self._texts.items()},
            "looks": [*looks, *(_described(look) for look in self._looks)],
            "keep": self._options.keep,
            "state_dir": self._options.state_dir,
            "seconds": self._options.seconds,
            "memory": self._options.memory,
        }

    def _note_tampered(self, result: t.Mapping[str, t.Any]) -> None:
        account = result.get("account")
        refused = result.get("refused")
        found = result.get("tampered")
        subjects = list(found) if isinstance(found, list) else []
        if isinstance(account, str) and pins.has_any(self._known, account):
            subjects.append(refused)
        for subject in subjects[:_MOST_TAMPERED]:
            if isinstance(subject, list) and len(subject) == 2:
                tampered = Tampered(_text(subject[0]), _text(subject[1]))
                if tampered not in self._tampered:
                    self._tampered.append(tampered)

    def _answers(self, result: dict[str, t.Any]) -> Answers:
        lines, problem = _lines(result)
        answered: dict[str, dict[str, t.Any]] = {}
        known = self._known
        for line in lines:
            if isinstance(line.get("result"), dict):
                answered[str(line.get("look"))] = line["result"]
            if isinstance(line.get("kept"), dict):
                known = pins.renewed(known, self._archive.digest, result.get("pin"), line["kept"], self._id)
            if "note" in line:
                self._notes.append(f"{_text(line.get('look'))}: {_text(line['note'])}")
            if "not_kept" in line:
                self._notes.append(f"the host caches no code, so each scan sends all of it: {_text(line['not_kept'])}")
        unanswered = {"failed": True, "msg": (problem or {}).get("msg", "the host returned no result for this look")}
        looks = {look.id: answered.get(look.id, dict(unanswered)) for look in self._looks}
        return Answers(looks, answered.get(_FACTS, {}), known, self._notes[:_MOST_NOTES], self._tampered, problem)


def _lines(result: dict[str, t.Any]) -> tuple[list[dict[str, t.Any]], dict[str, t.Any] | None]:
    """Return the lines of the module's result, and the problem if they are not all."""
    if "lines" not in result:
        is_problem = result.get("failed") or result.get("unreachable")
        return [], _explained(result) if is_problem else _failed("the host returned no result")
    try:
        lines = encoding.unpacked(result["lines"])
    except encoding.AnswerError as error:
        return [], _failed(f"the host returned an invalid result: {error}")
    if any("done" in line for line in lines):
        return lines, None
    ended = "the host's result is too large; only its beginning was read"
    if result.get("problem"):
        ended = f"the scan ended early on the host: {_text(result['problem'])}"
    errors = [str(line["error"]) for line in lines if "error" in line]
    if not errors:
        return lines, _failed(ended)
    traceback = errors[-1].strip().split("\n")
    return lines, {**_failed(f"{ended}, {_text(traceback[-1])}"), "traceback": traceback}


def _explained(result: dict[str, t.Any]) -> dict[str, t.Any]:
    """Return the module's result; that of a Python which does not even understand the module says so."""
    if "SyntaxError" not in str(result.get("module_stderr")):
        return result
    return {**result, "msg": "the host's Python is too old; set ansible_python_interpreter to Python 3.8 or later"}


def _is_useless(result: t.Mapping[str, t.Any]) -> bool:
    """Say whether to ask once more would only take as long again: nobody was there, or nothing that could be run."""
    message = result.get("msg")
    nobody = bool(result.get("unreachable")) and isinstance(message, str) and bool(_NOBODY.search(message))
    return nobody or result.get("rc") in _NOT_RUN


def _failed(message: str) -> dict[str, t.Any]:
    return {"failed": True, "msg": message}


def _described(look: Look) -> dict[str, t.Any]:
    return {
        "id": look.id,
        "entry": look.entry,
        "params": dict(look.params),
        "check_mode": look.check_mode,
        "diff": look.diff,
        "content": {name: _digest(text) for name, text in look.content.items()},
        "paths": [list(place) for place in look.paths],
        "seconds": look.seconds,
    }


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _text(value: t.Any) -> str:
    return str(value)[:_LONGEST_NOTE]
