# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The collection as it is in this checkout, and as it was at a commit, each where ansible-core finds it."""

from __future__ import annotations

import contextlib
import pathlib
import subprocess
import typing as t

from tests.support import paths


@contextlib.contextmanager
def collections(directory: pathlib.Path, commit: str) -> t.Iterator[dict[str, pathlib.Path]]:
    """Give the directories for ANSIBLE_COLLECTIONS_PATH of ``before`` (the commit) and ``ours``, the checkout.

    Raises RuntimeError when the repository does not have the commit.
    """
    worktree = directory / "worktree"
    try:
        _git("worktree", "add", "--detach", str(worktree), commit)
        yield {
            "before": _collection(directory / "collections-before", worktree),
            "ours": _collection(directory / "collections-ours", paths.ROOT),
        }
    finally:
        if worktree.exists():
            _git("worktree", "remove", "--force", str(worktree))


def subject(commit: str) -> str:
    """Return the short id and the subject of a commit."""
    return _git("log", "-1", "--format=%h %s", commit)


def _collection(directory: pathlib.Path, tree: pathlib.Path) -> pathlib.Path:
    link = directory / "ansible_collections" / "bulwark" / "servers"
    link.parent.mkdir(parents=True)
    link.symlink_to(tree, target_is_directory=True)
    return directory


def _git(*arguments: str) -> str:
    answer = subprocess.run(["git", "-C", str(paths.ROOT), *arguments], capture_output=True, text=True, check=False)
    if answer.returncode != 0:
        raise RuntimeError(f"'git {' '.join(arguments)}' failed: {answer.stderr.strip()}")
    return answer.stdout.strip()
