# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The guide of the syslog export holds: its receivers' files, its destinations, its query, and its output."""

from __future__ import annotations

import json
import pathlib
import re
import subprocess
import textwrap
import time
import typing as t

import pytest
import yaml
from ansible_collections.bulwark.servers.plugins.plugin_utils import catalogue
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf import events

from tests.integration.export._team import Team, shown
from tests.support import paths
from tests.support.receivers.certificates import Authority
from tests.support.receivers.syslog_daemons import Daemon, Rsyslog, SyslogNg
from tests.unit.plugins.plugin_utils.store.samples import record

pytestmark = pytest.mark.requires(*Rsyslog.NEEDS, *SyslogNg.NEEDS, "command:jq")

_GUIDE = paths.ROOT / "docs" / "docsite" / "rst" / "export_syslog.rst"
_LOG = "/var/log/bulwark.ndjson"


def _block(caption: str) -> str:
    """Return the code block of the guide with this caption."""
    text = _GUIDE.read_text(encoding="utf-8")
    match = re.search(rf"   :caption: {re.escape(caption)}\n\n((?:(?:   .*)?\n)+)", text)
    assert match is not None, f"the guide has no block '{caption}'"
    return textwrap.dedent(match[1]).strip("\n")


class _OfGuide(Daemon):
    """A receiver with the guide's file: only its paths, port and address are those of the test."""

    TRANSPORTS = ("tls",)
    caption = ""

    def configuration(self) -> str:
        text = _block(self.caption).replace(_LOG, str(self.written))
        for directory in ("/etc/rsyslog.d/tls/", "/etc/syslog-ng/tls/"):
            text = text.replace(f"{directory}ca.pem", str(self.authority))
            text = text.replace(f"{directory}siem.pem", str(self.issued.certificate))
            text = text.replace(f"{directory}siem.key", str(self.issued.key))
        return text


class _RsyslogOfGuide(_OfGuide, Rsyslog):
    TRANSPORTS = ("tls",)
    caption = "/etc/rsyslog.d/bulwark.conf"

    def configuration(self) -> str:
        text = super().configuration().replace('port="6514"', f'address="127.0.0.1" port="{self.ports["tls"]}"')
        return f'global(workDirectory="{self.directory}")\n{text}\n'


class _SyslogNgOfGuide(_OfGuide, SyslogNg):
    TRANSPORTS = ("tls",)
    caption = "/etc/syslog-ng/conf.d/bulwark.conf"

    def configuration(self) -> str:
        text = super().configuration().replace("port(6514)", f"ip(127.0.0.1) port({self.ports['tls']})")
        return f"@version: 4.8\n{text}\n"


@pytest.mark.parametrize("kind", [_RsyslogOfGuide, _SyslogNgOfGuide])
def test_the_guide_brings_the_findings_to_the_receiver(team: Team, tmp_path: pathlib.Path, kind: type[Daemon]) -> None:
    authority = Authority(tmp_path)
    (entry,) = yaml.safe_load(_block("export.yml"))["bulwark_export"]
    assert entry["syslog"].pop("ca_file") == "/etc/ssl/certs/company-ca.pem"
    now = time.time()
    with team.store() as store:
        record(store, now, [_finding("/etc/cron.d/backup", "high", now), _finding("/etc/motd", "low", now)])
    with kind(tmp_path, authority, authority.issue("siem.example.com")) as daemon:
        name = entry["syslog"]["address"]
        entry["syslog"] |= {"address": "127.0.0.1", "server_name": name, "port": daemon.ports["tls"]}
        answer = team.export(bulwark_export=[{**entry, "syslog": {**entry["syslog"], "ca_file": str(authority.file)}}])
        assert answer.returncode == 0, shown(answer)
        assert _block("The end of the export").replace(name, f"127.0.0.1:{daemon.ports['tls']}") in shown(answer)
        daemon.await_lines(2)
        query = _block("Open findings").removeprefix("$ ").replace(_LOG, str(daemon.written))
        found = subprocess.run(["/bin/sh", "-c", query], capture_output=True, text=True, check=True).stdout
        assert sorted(found.splitlines()) == _block("Output of the query").splitlines()


def test_the_destinations_of_the_guide_are_valid(team: Team, tmp_path: pathlib.Path) -> None:
    """QRadar, ArcSight and the others: their files are those of the test, their address is one that nobody has."""
    issued = Authority(tmp_path).issue("controller", password="secret")
    (tmp_path / "password").write_text("secret")
    files = {"ca_file": str(issued.certificate), "certificate": str(issued.certificate), "key": str(issued.key)}
    files["key_password_file"] = str(tmp_path / "password")
    configured: list[dict[str, t.Any]] = []
    for caption in ("QRadar", "ArcSight", "Larger messages", "A certificate, and the password of its key in a file"):
        (entry,) = yaml.safe_load(_block(caption))["bulwark_export"]
        entry["name"] = f"destination-{len(configured)}"
        entry["syslog"] |= {option: path for option, path in files.items() if option in entry["syslog"]}
        configured.append(entry)
    answer = team.export("--check", bulwark_export=configured)
    assert answer.returncode == 0, shown(answer)
    assert json.dumps("Export to destination-0 (syslog, qradar.example.com): 0 sent, 0 waiting") in shown(answer)


def _finding(path: str, severity: str, now: float) -> dict[str, t.Any]:
    detection = {
        "alert": "fim_file_modified",
        "subject": path,
        "scope": "etc",
        "severity": severity,
        "evidences": [{"file": {"name": pathlib.PurePath(path).name, "path": path, "type_id": 1}}],
    }
    return events.finding(detection, catalogue.load(), events.Device("web1"), now)
