# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import multiprocessing
import os
import pathlib
import time
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils import cache


class Maker:
    def __init__(self) -> None:
        self.made = 0

    def __call__(self) -> dict[str, t.Any]:
        self.made += 1
        return {"made": self.made}


def test_what_was_made_is_kept_for_its_key(tmp_path: pathlib.Path) -> None:
    make, directory = Maker(), tmp_path / "a" / "bulwark"
    assert [cache.cached(directory, key, make)["made"] for key in ("x", "x", "y", "x")] == [1, 1, 2, 1]
    assert oct(directory.stat().st_mode & 0o777) == "0o700"
    assert {oct(file.stat().st_mode & 0o777) for file in directory.iterdir()} == {"0o600"}


@pytest.mark.parametrize("damage", [b"", b"{", b"[1]", b"\xff"])
def test_a_damaged_file_is_made_again(tmp_path: pathlib.Path, damage: bytes) -> None:
    make = Maker()
    cache.cached(tmp_path, "x", make)
    (tmp_path / "content-x.json").write_bytes(damage)
    assert [cache.cached(tmp_path, "x", make)["made"] for _time in range(2)] == [2, 2]


def test_what_others_could_have_written_is_not_used(tmp_path: pathlib.Path) -> None:
    make = Maker()
    cache.cached(tmp_path, "x", make)
    (tmp_path / "content-x.json").chmod(0o666)
    assert cache.cached(tmp_path, "x", make)["made"] == 2
    tmp_path.chmod(0o777)
    assert cache.cached(tmp_path, "x", make)["made"] == 3


def test_a_link_is_not_followed(tmp_path: pathlib.Path) -> None:
    make, directory = Maker(), tmp_path / "bulwark"
    cache.cached(directory, "x", make)
    other = tmp_path / "forged.json"
    other.write_text('{"made": 99}')
    (directory / "content-x.json").unlink()
    (directory / "content-x.json").symlink_to(other)
    assert cache.cached(directory, "x", make)["made"] == 2
    assert other.read_text() == '{"made": 99}'


def test_without_a_place_it_is_made_each_time(tmp_path: pathlib.Path) -> None:
    make = Maker()
    (tmp_path / "file").write_text("")
    assert [cache.cached(tmp_path / "file" / "sub", "x", make)["made"] for _time in range(2)] == [1, 2]


def test_only_those_that_were_used_last_are_kept(tmp_path: pathlib.Path) -> None:
    make = Maker()
    cache.cached(tmp_path, "used", make)
    for number in range(12):
        os.utime(tmp_path / "content-used.json", (number, number))
        assert cache.cached(tmp_path, "used", make)["made"] == 1
        cache.cached(tmp_path, f"k{number:02}", make)
        os.utime(tmp_path / f"content-k{number:02}.json", (number, number))
    assert {file.name for file in tmp_path.glob("content-*.json")} == {
        "content-used.json",
        *(f"content-k{number:02}.json" for number in range(5, 12)),
    }
    assert not list(tmp_path.glob(".*"))


def test_an_error_is_the_caller_s_and_leaves_nothing(tmp_path: pathlib.Path) -> None:
    def fail() -> dict[str, t.Any]:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        cache.cached(tmp_path, "x", fail)
    assert [file.name for file in tmp_path.iterdir()] == ["lock"]
    assert cache.cached(tmp_path, "x", Maker())["made"] == 1


def _slow(directory: pathlib.Path) -> None:
    def make() -> dict[str, t.Any]:
        with (directory / "made").open("a") as stream:
            stream.write("x")
        time.sleep(0.3)
        return {}

    cache.cached(directory / "cache", "x", make)


def test_processes_that_need_the_same_make_it_once(tmp_path: pathlib.Path) -> None:
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_slow, args=(tmp_path,)) for _number in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert (tmp_path / "made").read_text() == "x"


def test_the_directory_is_where_the_specification_says() -> None:
    assert cache.default_directory({"XDG_CACHE_HOME": "/c", "HOME": "/h"}) == pathlib.Path("/c/bulwark")
    assert cache.default_directory({"XDG_CACHE_HOME": "relative", "HOME": "/h"}) == pathlib.Path("/h/.cache/bulwark")
