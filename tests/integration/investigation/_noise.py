# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes on at a host anyway, at the same time as an attack: nothing of it belongs to the attack."""

from __future__ import annotations

import contextlib
import typing as t

from tests.support import waiting

if t.TYPE_CHECKING:
    from tests.integration.investigation._world import World


class AnyHost(t.Protocol):
    """A host that people can reach."""

    @property
    def address(self) -> str:
        """Its address of IPv4."""


# Of people and of the deployment; each has a key.
ACCOUNTS: t.Final = ("alice", "bob", "deploy")
_UPLOAD = """#!/bin/sh
# Takes a picture of a customer.
name=$(printf %s "$QUERY_STRING" | sed -n 's/^name=//p' | tr -cd 'a-z0-9.')
cat > "/var/www/html/uploads/$name"
printf 'Content-Type: text/plain\\r\\n\\r\\nok\\n'
"""
_BACKUP = """#!/bin/sh
# Each minute, what changed. The mirror may be busy: the attempt is the noise, and cron would mail a failure.
tar -C /srv/app -cf /var/backups/app.tar . 2> /dev/null
curl -s -m 2 -T /var/backups/app.tar http://{mirror}:8080/backup > /dev/null 2>&1 || true
"""
_REPORT = """#!/usr/bin/python3
import time, urllib.request
while True:
    try:
        urllib.request.urlopen("http://{mirror}:8080/", timeout=2).read()
    except OSError:
        pass
    time.sleep(3)
"""
_SITE = """server.modules += ("mod_cgi", "mod_alias")
alias.url += ("/cgi-bin/" => "/usr/lib/cgi-bin/")
cgi.assign = (".cgi" => "/bin/sh")
"""
_SERVICE = """[Unit]
Description=Numbers of the day

[Service]
ExecStart=/opt/app/bin/report

[Install]
WantedBy=multi-user.target
"""
# Path to content and mode.
FILES: t.Final[t.Mapping[str, tuple[str, int]]] = {
    "/usr/lib/cgi-bin/upload.cgi": (_UPLOAD, 0o755),
    "/etc/cron.d/backup": ("* * * * * root /usr/local/bin/backup\n", 0o644),
    "/usr/local/bin/backup": (_BACKUP.format(mirror="10.99.0.1"), 0o755),
    "/opt/app/bin/report": (_REPORT.format(mirror="10.99.0.1"), 0o755),
    "/etc/lighttpd/conf-enabled/90-shop.conf": (_SITE, 0o644),
    "/var/www/html/index.html": ("<p>welcome</p>\n", 0o644),
    "/etc/systemd/system/report.service": (_SERVICE, 0o644),
    "/srv/app/index.html": ("<p>shop</p>\n", 0o644),
    "/home/alice/notes.txt": ("call bob\n", 0o644),
}


@contextlib.contextmanager
def going_on(host: AnyHost, world: World) -> t.Iterator[None]:
    """Let people use the host: three accounts that sign in with a key, customers, and one who stays signed in."""
    staying = world.stay(world.admin, host.address, "alice", "alice", "tail -f /var/log/lighttpd/access.log")
    try:
        _use(host, world)
        yield
    finally:
        staying.kill()
        staying.communicate()


def _use(host: AnyHost, world: World) -> None:
    # systemd counts a service as started before it answers.
    waiting.until(lambda: world.is_serving(host.address), f"no web server answers at {host.address}")
    world.curl(world.admin, "--data-binary", "GIF89a", f"http://{host.address}/cgi-bin/upload.cgi?name=cat.gif")
    for page in ("index.html", "uploads/cat.gif"):
        world.curl(world.admin, f"http://{host.address}/{page}")
    # An administrator changes a setting, and the deployment brings a page.
    setting = "echo 'vm.swappiness=10' | sudo tee /etc/sysctl.d/90-local.conf > /dev/null; echo done >> notes.txt"
    world.ssh(world.admin, host.address, "alice", "alice", f"{setting}; curl -s http://{world.admin.address[4]}:8080/")
    world.ssh(world.admin, host.address, "deploy", "deploy", "echo '<p>news</p>' > /srv/app/news.html; date")


def more(host: AnyHost, world: World) -> None:
    """Let people use the host after the attack, too."""
    world.ssh(world.admin, host.address, "bob", "bob", "uptime; echo 'set -o vi' >> ~/.bashrc; ls -la /tmp")
    world.curl(world.admin, f"http://{host.address}/uploads/cat.gif")
    world.ssh(world.admin, host.address, "alice", "alice", "sudo install -m 755 /dev/null /usr/local/bin/rotate; id")
