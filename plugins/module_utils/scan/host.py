# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Answer a question of the controller: keep what it sent, run the looks, and keep the answers until it has them."""

from __future__ import annotations

import time
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._state import StateError
from ansible_collections.bulwark.servers.plugins.module_utils.scan import kept, looks

Say = t.Callable[[t.Dict[str, t.Any]], None]


class Shelf(t.Protocol):
    """The module's view of the directory."""

    descriptor: int
    path: str


class Question(t.Protocol):
    """The module's view of a question.

    sources: None if the code was kept. parent: the id of its process. pin: under which the controller has the digest of
    the code. refused: why nothing can be kept.
    """

    request: dict[str, t.Any]
    sources: str | None
    texts: dict[str, str]
    parent: int
    pin: str
    root: str
    refused: tuple[str, str] | None


class Code(t.Protocol):
    """The module's importer."""

    def compiled(self) -> bytes: ...


def serve(question: Question, code: Code, open_shelf: t.Callable[[str], Shelf | None], say: Say) -> None:
    """Say what the host keeps now, and a line for each look."""
    request = question.request
    end = time.monotonic() + request["seconds"] if request["seconds"] else None
    say({"ready": True})
    answers = None
    if request["keep"]:
        try:
            shelf = _shelf(question, open_shelf)
            files = kept.Kept(shelf.descriptor, shelf.path)
            say({"kept": _keep(question, code, files)})
            answers = files.answers(request["id"], end)
        except StateError as error:
            say({"not_kept": str(error)})
        except OSError as error:
            say({"not_kept": "%s: %s" % (question.root, error.strerror)})
    given = answers.lines if answers else []
    for line in given:
        say(line)

    def answered(line: dict[str, t.Any]) -> None:
        if answers is not None:
            answers.add(line)
        say(line)

    done = {line.get("look") for line in given}
    todo = [look for look in (looks.Look(**each) for each in request["looks"]) if look.id not in done]
    looks.serve(todo, looks.Run(question.texts, end, request["memory"], question.parent), answered)


def _shelf(question: Question, open_shelf: t.Callable[[str], Shelf | None]) -> Shelf:
    """Return the directory, made if need be. Raises OSError, StateError."""
    shelf = None
    if question.refused is None:
        shelf = open_shelf(question.root)
        if shelf is None:
            kept.make(question.root)
            shelf = open_shelf(question.root)
    if shelf is None:
        raise StateError("%s %s" % (question.refused or (question.root, "cannot be made")))
    return shelf


def _keep(question: Question, code: Code, files: kept.Kept) -> dict[str, t.Any]:
    """Keep code and texts, and remove what is old; return the digests of what is kept. Raises OSError."""
    request = question.request
    if question.sources is None:
        digest = request["code"][question.pin]
        files.mark_used(kept.CODE, digest)
    else:
        digest = files.add(kept.CODE, code.compiled())
    for name, text in question.texts.items():
        if request["texts"][name] is None:
            files.mark_used(kept.TEXT, name)
        else:
            files.add(kept.TEXT, text.encode("utf-8", "surrogatepass"))
    for acknowledged in request["acknowledged"]:
        files.remove(kept.ANSWERS + acknowledged)
    files.prune({kept.CODE + digest, *(kept.TEXT + name for name in question.texts)})
    return {"code": digest, "texts": sorted(question.texts)}
