# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The client of the Engine API and whoever may answer it."""

from __future__ import annotations

import contextlib
import itertools
import pathlib
import random
import resource
import socket
import threading
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils._run import Deadline
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening import answers
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.api_errors import (
    ApiError,
    GoneError,
    HangsError,
)
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.client import Allowance, Client

from tests.integration.docker_hardening._fake_engine import VERSION, FakeEngine, Script, kept, without_version
from tests.support import processor

_OK = b"HTTP/1.1 200 OK\r\n"
_CHUNKED = _OK + b"Transfer-Encoding: chunked\r\n\r\n"
_MIB = 1 << 20
_CONTAINER, _IMAGE, _EXEC = "c" * 64, "sha256:" + "d" * 64, "e" * 64


@pytest.fixture
def serve(tmp_path: pathlib.Path) -> t.Iterator[t.Callable[..., tuple[Client, FakeEngine]]]:
    """Return a function that starts something with a script, and the client that asks it."""
    with contextlib.ExitStack() as stack:

        def start(
            script: Script, seconds: float = 60.0, allowance: Allowance | None = None
        ) -> tuple[Client, FakeEngine]:
            path = tmp_path / "docker.sock"
            engine = FakeEngine(path, script)
            stack.callback(engine.close)

            def connect() -> t.ContextManager[tuple[int, t.Any]]:
                return contextlib.nullcontext((socket.AF_UNIX, str(path)))

            asked = Client(connect, Deadline(120), seconds, allowance=allowance)
            stack.callback(asked.close)
            return asked, engine

        yield start


Serve = t.Callable[..., tuple[Client, FakeEngine]]


def test_an_answer_is_read_whole_and_the_connection_used_again(serve: Serve) -> None:
    client, engine = serve(lambda path: kept({"path": path}))
    assert [client.get("/info"), client.get("/networks")] == [{"path": "/info"}, {"path": "/networks"}]
    assert engine.asked == ["GET /info HTTP/1.1", "GET /networks HTTP/1.1"]


@pytest.mark.parametrize(
    "answer",
    [
        [_OK, b"\r\n", b'{"a":', b" 1}"],
        [_CHUNKED, b'3\r\n{"a\r\n', b'5;x=y\r\n": 1}\r\n', b"0\r\nTrailer: x\r\n\r\n"],
        [b"HTTP/1.1 100 Continue\r\n\r\n", _OK, b"content-length: 8\r\nConnection: close\r\n\r\n", b'{"a": 1}'],
        [b"HTTP/1.0 200 OK\n\n", b'{"a": 1}'],
    ],
)
def test_each_form_of_an_answer_is_understood(serve: Serve, answer: list[bytes]) -> None:
    client, _engine = serve(lambda _path: answer)
    assert [client.get("/info"), client.get("/info")] == [{"a": 1}, {"a": 1}]


def test_a_connection_that_was_closed_meanwhile_is_made_again(serve: Serve) -> None:
    turns = itertools.count()
    client, engine = serve(lambda _path: kept({}) if next(turns) % 2 == 0 else [])
    # The second time without an answer, and once more over a new connection.
    assert [client.get("/info"), client.get("/info")] == [{}, {}]
    assert len(engine.asked) == 3


@pytest.mark.parametrize(
    ("newest", "oldest", "prefix"),
    [
        ("1.45", "1.24", "/v1.45"),
        ("1.99", "1.44", "/v1.51"),
        ("1.99", "1.60", "/v1.60"),
        ("1.20", None, "/v1.20"),
        ("1.20", "1.99", "/v1.20"),
        ("1.45", ["1"], "/v1.45"),
    ],
)
def test_the_version_is_asked_once_and_never_above_the_engines(
    serve: Serve, newest: str, oldest: t.Any, prefix: str
) -> None:
    client, engine = serve(lambda _path: kept({"ApiVersion": newest, "MinAPIVersion": oldest}))
    client.version()
    client.get("/info")
    assert engine.asked == ["GET /version HTTP/1.1", f"GET {prefix}/info HTTP/1.1"]


@pytest.mark.parametrize(
    "answer", [None, [], "1.45", {}, {"ApiVersion": 1.45}, {"ApiVersion": "1.45\n"}, {"ApiVersion": ""}]
)
def test_what_does_not_say_its_version_is_no_engine(serve: Serve, answer: t.Any) -> None:
    client, _engine = serve(lambda _path: kept(answer))
    with pytest.raises(ApiError, match="as a Docker Engine does"):
        client.version()


def _dripping(first: bytes) -> t.Iterator[bytes]:
    yield first
    never = threading.Event()
    while True:
        never.wait(0.01)
        yield b"x"


def _silent() -> t.Iterator[bytes]:
    threading.Event().wait(30)
    yield b""


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(_silent, id="nothing"),
        pytest.param(lambda: _dripping(b"HTTP/1.1 200 OK\r\nX-Long: "), id="dripping header"),
        pytest.param(lambda: _dripping(_OK + b"Content-Length: 1000000\r\n\r\n"), id="dripping body"),
        pytest.param(lambda: itertools.chain([_CHUNKED], itertools.repeat(b"1\r\nx\r\n")), id="endless small chunks"),
    ],
)
def test_an_answer_that_does_not_end_takes_no_longer_than_allowed(
    serve: Serve, script: t.Callable[[], t.Iterator[bytes]]
) -> None:
    client, engine = serve(lambda _path: script(), seconds=0.3)
    with pytest.raises(HangsError):
        client.get("/info")
    # Of an engine that hangs nothing else is asked.
    with pytest.raises(HangsError):
        client.get("/networks")
    assert len(engine.asked) == 1


def test_a_queue_that_is_full_hangs_nobody(tmp_path: pathlib.Path) -> None:
    path = str(tmp_path / "docker.sock")
    with contextlib.ExitStack() as stack:
        listening = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        listening.bind(path)
        listening.listen(0)
        for _number in range(3):
            waiting = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
            waiting.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                waiting.connect(path)
        client = Client(lambda: contextlib.nullcontext((socket.AF_UNIX, path)), Deadline(120), 0.2)
        with pytest.raises(HangsError):
            client.get("/info")


def test_the_time_of_all_answers_together_is_bounded(serve: Serve) -> None:
    client, _engine = serve(lambda _path: _silent(), seconds=60.0)
    client._deadline = Deadline(0.2)
    with pytest.raises(HangsError):
        client.get("/info")


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        ([b"\x00\xff\xfe garbage \n" * 100], "HTTP"),
        ([b"x" * 100_000], "longer than 8192 bytes"),
        ([b"SSH-2.0-OpenSSH_9.2\r\n"], "HTTP"),
        ([_CHUNKED, b'5\r\n{"a'], "closed the connection"),
        ([_CHUNKED, b"zz\r\n"], "chunks"),
        ([_CHUNKED, b"-5\r\n"], "chunks"),
        ([_CHUNKED, b"2\r\n{}xx\r\n"], "chunks"),
        ([_CHUNKED, b"fffffffff\r\n"], "chunks"),
        ([_OK, b"Content-Length: 1073741824\r\n\r\n", b"[" * 1000], "longer"),
        ([_OK, b"Content-Length: -1\r\n\r\n"], "longer"),
        ([_OK, b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n"], "longer"),
        ([_OK, b"Content-Length: 10\r\n\r\n", b"{}"], "closed the connection"),
        ([_OK, b"\r\n", b"[" * 100_000 + b"]" * 100_000], "nested"),
        ([_OK, b"\r\n", b'{"a":' * 100_000], "nested"),
        ([_OK, b"\r\n", b"[" + b"0," * 1_100_000 + b"0]"], "values"),
        ([_OK, b"\r\n", b"9" * 3_000_000], "not JSON"),
        ([_OK, b"\r\n", b"NaN"], "not JSON"),
        ([_OK, b"\r\n", b"{'a': 1}"], "not JSON"),
        ([_OK, b"\r\n"], "not JSON"),
        ([b"HTTP/1.1 301 Moved Permanently\r\nLocation: http://127.0.0.1:1/\r\n\r\n"], "status 301"),
        (kept({"message": "no \x1b[31m\n"}, "500 Internal Server Error"), r"status 500: no \\x1b"),
        (kept([1], "500 Internal Server Error"), "status 500$"),
    ],
)
def test_an_answer_that_is_none_is_refused_at_once(serve: Serve, answer: list[bytes], problem: str) -> None:
    client, _engine = serve(lambda _path: answer)
    with processor.spent() as spent, pytest.raises(ApiError, match=problem):
        client.get("/info")
    assert spent.seconds < 5


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(lambda: itertools.chain([_OK], itertools.repeat(b"X-Header: value\r\n" * 100)), id="headers"),
        pytest.param(lambda: itertools.chain([_OK], itertools.repeat(b"x" * 10_000)), id="one header"),
        pytest.param(lambda: itertools.repeat(b"HTTP/1.1 100 Continue\r\n\r\n" * 100), id="continuations"),
        pytest.param(lambda: itertools.chain([_CHUNKED, b"0\r\n"], itertools.repeat(b"T: x\r\n" * 100)), id="trailers"),
        pytest.param(lambda: itertools.chain([_OK, b"\r\n["], itertools.repeat(b'"x",' * 20_000)), id="body"),
        pytest.param(
            lambda: itertools.chain([_CHUNKED], itertools.repeat(b"100000\r\n" + b"[" * _MIB + b"\r\n")), id="chunks"
        ),
    ],
)
def test_an_answer_without_an_end_is_cut_off_by_its_size(
    serve: Serve, script: t.Callable[[], t.Iterator[bytes]]
) -> None:
    client, _engine = serve(lambda _path: script())
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ApiError, match=r"longer|values"):
        client.get("/info")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000


@pytest.mark.parametrize("allowance", [Allowance(size=800), Allowance(values=250)])
def test_all_answers_together_are_bounded(serve: Serve, allowance: Allowance) -> None:
    def script(path: str) -> list[bytes]:
        return kept({"ApiVersion": "1.45", "path": [0] * (100 if "/big" in path else 1)})

    first, _engine = serve(script, allowance=allowance)
    assert len(first.get("/big")["path"]) == 100
    assert len(first.get("/small")["path"]) == 1
    # Other answers of the same engine, and of others, are as long as there is room.
    with pytest.raises(ApiError, match="longer than all engines of a host may answer together"):
        [first.get("/big") for _question in range(2)]
    assert len(first.get("/small")["path"]) == 1


def test_what_is_not_there_any_more_is_no_problem_of_the_engine(serve: Serve) -> None:
    client, _engine = serve(lambda _path: kept({"message": "No such container"}, "404 Not Found"))
    with pytest.raises(GoneError):
        client.get("/containers/x/json")


_ANSWERS: t.Mapping[str, t.Any] = {
    "/info": {"Swarm": {"LocalNodeState": "active", "ControlAvailable": True}},
    "/networks": [{"Name": "bridge", "Driver": "bridge", "Options": {}}],
    "/containers/json?all=1": [{"Id": _CONTAINER, "Names": ["/web"], "State": "running"}],
    f"/containers/{_CONTAINER}/json": {"Id": _CONTAINER, "State": {"Running": True}, "ExecIDs": [_EXEC]},
    f"/exec/{_EXEC}/json": {"ID": _EXEC, "Running": True},
    "/images/json": [{"Id": _IMAGE, "RepoTags": ["web:1"]}],
    f"/images/{_IMAGE}/json": {"Id": _IMAGE},
    f"/images/{_IMAGE}/history": [{"CreatedBy": "CMD"}],
    "/swarm": {"ID": "s", "JoinTokens": {"Worker": "secret"}},
    "/nodes": [],
    "/services": None,
    "/secrets": [{"ID": "x", "Spec": {"Name": "key", "Labels": {"a": "b"}}}],
}


def test_everything_is_asked_with_get_and_nothing_else(serve: Serve) -> None:
    client, engine = serve(lambda path: kept(_ANSWERS[without_version(path)] if path != "/version" else VERSION))
    said = answers.ask(client)
    assert (said.problems, [one.name for one in said.containers or ()]) == ([], ["web"])
    assert said.execs == ({"ID": _EXEC, "Running": True},)
    assert said.swarm is not None
    assert said.swarm.cluster == {"ID": "s"}
    assert said.swarm.secrets == ({"Spec": {"Name": "key"}, "CreatedAt": None, "UpdatedAt": None},)
    asked = [line.split() for line in engine.asked]
    assert {method for method, _path, _protocol in asked} == {"GET"}
    assert {without_version(path) for _method, path, _protocol in asked} == {*_ANSWERS, "/version"}


@pytest.mark.parametrize("answered", range(2, len(_ANSWERS) + 1))
def test_an_engine_that_dies_meanwhile_leaves_what_it_said_before(serve: Serve, answered: int) -> None:
    left = itertools.count(answered)
    client, engine = serve(lambda path: kept(_ANSWERS[without_version(path)] if path != "/version" else VERSION))
    original = client._answer

    def dying(path: str) -> tuple[int, bytes]:
        if next(left) >= 2 * answered:
            engine.close()
        return original(path)

    client._answer = dying  # type: ignore[method-assign]
    said = answers.ask(client)
    unknown = [said.networks, said.containers, said.images].count(None)
    partly = [one.problem for one in (*(said.containers or ()), *(said.images or ())) if one.problem]
    swarm = said.swarm.problem if said.swarm is not None else None
    assert said.problems or partly or swarm or not unknown
    assert unknown <= len(said.problems)


@pytest.mark.parametrize(("listed", "problems"), [(1, []), (2, ["the engine lists it and does not describe it"])])
@pytest.mark.parametrize("missing", ["json", "history"])
def test_an_image_that_is_listed_and_not_described_is_none_that_was_removed(
    serve: Serve, missing: str, listed: int, problems: list[str]
) -> None:
    lists = iter([_ANSWERS["/images/json"]] * listed + [[]])

    def script(path: str) -> list[bytes]:
        if path.endswith("/images/json"):
            return kept(next(lists))
        if path.endswith(f"/images/{_IMAGE}/{missing}"):
            return kept({"message": "no such platform"}, "404 Not Found")
        return kept(_ANSWERS[without_version(path)] if path != "/version" else VERSION)

    client, _engine = serve(script)
    assert [image.problem for image in answers.ask(client).images or ()] == problems


def test_an_engine_that_fails_to_tell_its_version_is_asked_by_another_way(serve: Serve) -> None:
    def script(path: str) -> list[bytes]:
        if path == "/_ping":
            return [b"HTTP/1.1 200 OK\r\nApi-Version: 1.45\r\nContent-Length: 2\r\n\r\nOK"]
        return [] if path == "/version" else kept(_ANSWERS[without_version(path)])

    client, _engine = serve(script)
    said = answers.ask(client)
    assert (said.problems, client.prefix) == (
        [("version", "it closed the connection before the end of its answer")],
        "/v1.45",
    )
    assert said.containers is not None


def test_what_answers_neither_is_no_engine(serve: Serve) -> None:
    client, _engine = serve(lambda path: kept({}) if path == "/version" else kept("OK"))
    with pytest.raises(ApiError, match="as a Docker Engine does"):
        answers.ask(client)


_SHAPES: t.Sequence[t.Any] = (
    None, True, 0, -1, 1e300, "", "x" * 1000, "\ud800", [], {}, [None], [[]], [{}], {"": None}, {"Id": None},
    {"Id": _CONTAINER}, [{"Id": _CONTAINER, "Names": [None, 1], "State": {}}], [{"Id": "../../x", "Names": "a"}],
    {"Id": [], "State": [], "Config": 1, "HostConfig": "x", "Mounts": {}, "ExecIDs": {}, "NetworkSettings": []},
    {"Swarm": {"LocalNodeState": "active", "ControlAvailable": True}}, {"Swarm": {"LocalNodeState": 1}},
    {"SecurityOptions": {"a": 1}, "Plugins": [], "RegistryConfig": "x", "DriverStatus": {"a": "b"}},
)  # fmt: skip


@pytest.mark.parametrize("seed", range(30))
def test_an_answer_of_any_shape_harms_nothing(serve: Serve, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311

    def script(path: str) -> list[bytes]:
        if path == "/version":
            return kept(VERSION)
        usual = _ANSWERS.get(without_version(path))
        return kept(usual if usual is not None and chance.random() < 0.5 else chance.choice(_SHAPES))

    client, _engine = serve(script)
    said = answers.ask(client)
    for container in said.containers or ():
        assert isinstance(container.name, str)
        assert isinstance(container.inspect, dict)
