# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files with setuid in the layers of an image, whose author may put anything in them."""

from __future__ import annotations

import pathlib
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils._run import Deadline
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening import accounts, facts, files, images

Layer = t.Mapping[str, int]


class Past(Deadline):
    """Is over after some questions. more: how many."""

    def __init__(self, more: int) -> None:
        super().__init__(60)
        self._more = more

    def passed(self) -> bool:
        self._more -= 1
        return self._more < 0


def completed(root: pathlib.Path, names: t.Sequence[str], deadline: Deadline | None = None) -> facts.Image:
    """Return an image with layers by their names, the topmost first."""
    paths = ["/data/overlay2/%s/diff" % name for name in names]
    inspect = {"GraphDriver": {"Data": {"UpperDir": paths[0], "LowerDir": ":".join(paths[1:])}}}
    top = files.Root(str(root), accounts.Names((), ()))
    try:
        layers = images.Layers(top, "/data", {"Driver": "overlay2"}, deadline or Deadline(60))
        return layers.completed(facts.Image("sha256:" + "a" * 64, ("x:1",), inspect, (), True))
    finally:
        top.close()


def make(root: pathlib.Path, name: str, setuid: t.Iterable[str]) -> pathlib.Path:
    layer = root / "data/overlay2" / name / "diff"
    layer.mkdir(parents=True)
    for each in setuid:
        (layer / each).touch()
        (layer / each).chmod(0o4755)
    return layer


def test_files_of_all_layers_are_found(tmp_path: pathlib.Path) -> None:
    make(tmp_path, "a", ["su"])
    make(tmp_path, "b", ["ping", "su"])
    assert completed(tmp_path, ["a", "b"]).setuid == (("/ping", 0o4755), ("/su", 0o4755))


def test_time_is_looked_at_between_files(tmp_path: pathlib.Path) -> None:
    make(tmp_path, "a", map(str, range(50)))
    result = completed(tmp_path, ["a"], Past(30))
    assert (result.setuid, result.setuid_problem) == (None, "the time budget of 60 s was used up")


@pytest.mark.parametrize(
    ("names", "problem"),
    [
        (["a"] * 501, "it has more than 500 layers"),
        (["many"], "it has more than 2000 such files"),
        (["linked"], "one of its layers is a link"),
        (["elsewhere"], "one of its layers is a link"),
        (["../../other"], "the engine names a layer that is not below its data root"),
    ],
)
def test_layers_that_are_none_are_not_read(tmp_path: pathlib.Path, names: list[str], problem: str) -> None:
    make(tmp_path, "a", ["su"])
    if names == ["many"]:
        make(tmp_path, "many", map(str, range(2_001)))
    home = tmp_path / "home/secret"
    home.mkdir(parents=True)
    (tmp_path / "data/overlay2/linked").mkdir()
    (tmp_path / "data/overlay2/linked/diff").symlink_to("/home/secret")
    (home.parent / "diff").mkdir()
    (tmp_path / "data/overlay2/elsewhere").symlink_to("/home")
    result = completed(tmp_path, names)
    assert (result.setuid, result.setuid_problem) == (None, problem)
