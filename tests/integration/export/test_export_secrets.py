# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Secrets of destinations are in no output, result, report, database or process list, whatever the receiver does."""

from __future__ import annotations

import base64
import contextlib
import http.server
import json
import pathlib
import threading
import typing as t

import pytest

from tests.integration.export._team import Team, shown

TOKEN = "t0ken-Zq8-long-enough"
SECRET = "s3cret-for-hmac-Wx1"
PASSWORD = "pr0xy-p4ssword"
PATH = "T012AB/B345CD/path-that-is-secret"
BEARER = {"Authorization": "Bearer {token}"}
# A hostile or careless receiver repeats what it was sent.
ALL = (TOKEN, SECRET, PASSWORD, PATH)


class _Echo(http.server.BaseHTTPRequestHandler):
    """Refuse each request with its own headers and address as the reason."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        server = t.cast("Receiver", self.server)
        server.requests.append(str(self.headers))
        body = json.dumps({"text": f"no: {self.path} {self.headers}", "code": 4}).encode()
        self.send_response(server.status, f"No {self.headers.get('Authorization', '-')}")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_parts: object) -> None:
        """Say nothing."""


class Receiver(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, status: int) -> None:
        super().__init__(("127.0.0.1", 0), _Echo)
        self.status, self.requests = status, list[str]()


@contextlib.contextmanager
def receiver(status: int) -> t.Iterator[Receiver]:
    with Receiver(status) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@contextlib.contextmanager
def watched_processes() -> t.Iterator[set[bytes]]:
    """Collect the command lines and environments of all processes while the context lasts."""
    seen: set[bytes] = set()
    is_over = threading.Event()

    def watch() -> None:
        while not is_over.wait(0.2):
            for process in pathlib.Path("/proc").glob("[0-9]*"):
                with contextlib.suppress(OSError):
                    seen.add((process / "cmdline").read_bytes())

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield seen
    finally:
        is_over.set()
        thread.join()


def configured(port: int, directory: pathlib.Path) -> dict[str, t.Any]:
    """Return destinations with each way of giving a secret; the environment has one, too."""
    file = directory / "secret"
    file.write_text(SECRET)
    address = f"http://127.0.0.1:{port}"
    # Without TLS, as the tests of the kinds try that.
    plain = {"verify": False}
    webhook = {"url": f"{address}/{PATH}", "secret_file": str(file), "headers": {"X-Tag": "a"}, **plain}
    splunk = {"url": address, "token_environment": "SIEM_TOKEN", "acknowledge": False, **plain}
    proxy = {"proxy": address, "proxy_user": "user", "proxy_password": PASSWORD}
    proxied = {"url": f"{address}/x", "token": TOKEN, "headers": BEARER, **proxy, **plain}
    return {
        "bulwark_export": [
            {"name": "hook", "webhook": webhook, "since": "1d"},
            {"name": "splunk", "splunk": splunk, "since": "1d"},
            {"name": "proxied", "webhook": proxied, "since": "1d"},
        ],
        "bulwark_export_time_limit": 3,
    }


def forms(secret: str) -> t.Iterator[str]:
    yield secret
    encoded = base64.b64encode(f"user:{secret}".encode()).decode()
    yield encoded.rstrip("=")[-12:-2]


def assert_nowhere(text: str) -> None:
    assert [secret for secret in ALL for form in forms(secret) if form in text] == []


@pytest.mark.parametrize(
    ("ansible", "status"), [("2.21", 200), ("2.18", 400), ("2.21", 401), ("2.18", 503)], indirect=["ansible"]
)
def test_no_secret_is_shown_whatever_the_receiver_says(team: Team, status: int) -> None:
    variables = team.directory / "variables.json"
    with receiver(status) as server, watched_processes() as processes:
        variables.write_text(json.dumps(configured(server.server_address[1], team.directory)))
        arguments = ("-vvvv", "-e", f"@{variables}")
        environment = {"ANSIBLE_DEBUG": "1", "SIEM_TOKEN": TOKEN}
        team.found("/a")
        preview = team.play("bulwark.servers.export", "--check", *arguments, environment=environment)
        export = team.play("bulwark.servers.export", *arguments, environment=environment)
        info = team.task("findings_export_info", gather=["set_aside", "waiting"], events=True)
    for answer in (preview, export, info):
        assert answer.returncode == 0, shown(answer)[-3000:]
        assert_nowhere(shown(answer))
    assert TOKEN in "".join(server.requests), "the receiver must get the secret, or this shows nothing"
    for file in team.state.rglob("*"):
        if file.is_file():
            assert_nowhere(file.read_bytes().decode("utf-8", "replace"))
    assert_nowhere(b"\n".join(processes).decode("utf-8", "replace"))


@pytest.mark.parametrize(
    "wrong",
    [
        {"url": f"https://127.0.0.1:1/{PATH}", "token": TOKEN, "token_file": "/x"},
        {"url": f"no://127.0.0.1:x/{PATH}", "token": TOKEN},
        {"url": f"https://127.0.0.1:1/{PATH}", "token": TOKEN + "\x00", "headers": BEARER},
        {"url": f"https://127.0.0.1:1/{PATH}", "token": TOKEN, "headers": SECRET, "secret": SECRET},
        {
            "url": f"https://127.0.0.1:1/{PATH}",
            "token": TOKEN,
            "tokn": 1,
            "events_per_request": SECRET,
            "secret": SECRET,
        },
        {"url": f"https://127.0.0.1:1/{PATH}", "token": TOKEN, "template": {"a": "{{ nothing.at.all }}"}},
    ],
)
def test_no_secret_is_shown_when_the_settings_are_wrong(team: Team, wrong: dict[str, t.Any]) -> None:
    variables = team.directory / "variables.json"
    variables.write_text(json.dumps({"bulwark_export": [{"name": "hook", "webhook": wrong}]}))
    answer = team.play("bulwark.servers.export", "-vvvv", "-e", f"@{variables}", environment={"ANSIBLE_DEBUG": "1"})
    assert answer.returncode == 2, shown(answer)[-3000:]
    assert_nowhere(shown(answer))
