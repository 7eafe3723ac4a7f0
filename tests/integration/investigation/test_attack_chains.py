# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Attacks done for real, each investigated from one finding: what they left is named, and next to nothing else.

Three attacks are on one host at once, with audit records, while others use it. The fourth is on a host with systemd and
without audit records: the kernel has these for its first namespace of processes only, which systemd cannot share. There
processes that ended are known to nobody, and are not asked for.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import json
import pathlib
import subprocess
import sys
import typing as t

import pytest

from tests.fleet.engine import Engine
from tests.integration import _scans
from tests.integration.investigation import _attacked_host, _base_image, _chains, _noise, _planted, _world
from tests.support import audit, enforcing_host, network
from tests.support.controllers import controller
from tests.support.enforcing_image import run_command

pytestmark = [
    pytest.mark.requires("root", "fleet", "command:auditd", "command:gcc", "command:curl", "command:debugfs"),
    pytest.mark.requires(*enforcing_host.NEEDS),
    pytest.mark.xdist_group("audit"),
]

LEAST_RECALL, MOST_UNRELATED = 0.9, 0.1
# Without audit records, what changed at the same time is a guess that nothing refutes.
MOST_UNRELATED_WITHOUT_RECORDS = 0.2
MOST_LINES = 20
AUDITED, BOOTED = "shop", "gateway"
Chain = t.Callable[..., _chains.Planted]


# The second of each kind was written to see whether what was mended for the first holds for others.
ON_AUDITED: t.Mapping[Chain, int] = {
    _chains.web_shell: 3333,
    _chains.key_and_cron: 4444,
    _chains.host_mount: 5555,
    _chains.web_shell_by_python: 14444,
    _chains.key_and_crontab: 9001,
    _chains.entered_namespaces: 6666,
}
ON_BOOTED: t.Mapping[Chain, int] = {_chains.unit_with_library: 7777, _chains.preloaded_everywhere: 8888}
# Programs that cron is to start.
JOBS = ("fc-scan", "kubelet-sync", "node")


class Result(t.NamedTuple):
    figures: _planted.Figures
    summary: str
    begin: t.Mapping[str, str]


class _Site:
    """The hosts and everybody else, while the attacks go on."""

    def __init__(self, stack: contextlib.ExitStack, directory: pathlib.Path, engine: Engine) -> None:
        self.stack, self.directory = stack, directory
        # What this machine has begun meanwhile is no process of the audited host.
        self.hide_others: t.Callable[[], None] = lambda: None
        chains = [*ON_AUDITED, *ON_BOOTED]
        names = [f"{side}{number}" for side in ("evil", "pool") for number in range(len(chains))]
        admin, audited, booted, *others = stack.enter_context(network.hosts("admin", AUDITED, BOOTED, *names))
        self.sites = {AUDITED: audited, BOOTED: booted}
        self.evil = dict(zip(chains, others, strict=False))
        self.pool = dict(zip(chains, others[len(chains) :], strict=True))
        ports = {self.pool[chain]: port for chain, port in {**ON_AUDITED, **ON_BOOTED}.items()}
        self.world = stack.enter_context(_world.running(directory, admin, ports, engine))
        self.file = _base_image.make(directory, {name: self.world.public(name) for name in _noise.ACCOUNTS})
        self.scanner = _scans.Scanner(controller("2.21"), directory / "hosts.json", directory)

    def attack(self, host: _noise.AnyHost, chains: t.Iterable[Chain]) -> dict[Chain, _chains.Planted]:
        self.stack.enter_context(_noise.going_on(host, self.world))
        planted = {chain: chain(host, self.world, self.evil[chain], self.pool[chain]) for chain in chains}
        _noise.more(host, self.world)
        return planted

    def investigate(self, host: str, planted: t.Mapping[Chain, _chains.Planted]) -> dict[Chain, Result]:
        """Investigate each attack from a finding of the scan, or from what an administrator would see without one."""
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            running = {chain: pool.submit(self._investigate, host, chain, each) for chain, each in planted.items()}
            return {chain: each.result() for chain, each in running.items()}

    def _investigate(self, host: str, chain: Chain, planted: _chains.Planted) -> Result:
        findings = {
            finding.alert: finding for finding in self.scanner.findings(host) if planted.about in finding.subject
        }
        known = next((findings[alert] for alert in planted.alerts if alert in findings), None)
        begin: dict[str, t.Any] = {"finding": known.uid} if known is not None else {"host": host, **planted.subject}
        self.hide_others()
        report = str(self.directory / f"{chain.__name__}.html")
        self.scanner.play(
            "bulwark.servers.investigate", investigation_priority="normal", bulwark_report_path=report, **begin
        )
        subject = f"finding {known.uid}" if known is not None else next(iter(planted.subject.values()))
        with self.scanner.store() as store:
            newest = next(each for each in store.investigations(hosts=[host]) if each.subject == subject)
        figures = _planted.measure(newest.result, planted.artefacts, planted.also)
        return Result(figures, newest.summary, begin)


@pytest.fixture(scope="module")
def results(docker_engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[dict[Chain, Result]]:
    with contextlib.ExitStack() as stack:
        directory = tmp_path_factory.mktemp("chains")
        stack.callback(subprocess.run, ["rm", "-rf", "--one-file-system", str(directory)], check=False)
        yield _results(_Site(stack, directory, docker_engine))


def _results(site: _Site) -> dict[Chain, Result]:
    base = site.directory / "lower"
    base.mkdir()
    _base_image.mount(site.file, base, "ro")
    site.stack.callback(run_command, ["umount", str(base)])
    recording = site.stack.enter_context(contextlib.ExitStack())
    kernel = recording.enter_context(audit.locked())
    daemon = recording.enter_context(audit.daemon(site.directory, kernel, max_log_file=500))
    audited = site.stack.enter_context(
        _attacked_host.running(AUDITED, base, site.directory / AUDITED, site.sites[AUDITED])
    )
    audited.hide_others()
    audited.deploy_rules()
    planted = site.attack(audited, ON_AUDITED)
    # cron looks once a minute: meanwhile, the other host is attacked.
    with site.world.admin.entered():
        namespace = site.sites[BOOTED].name, site.sites[BOOTED].address[4]
        booted = site.stack.enter_context(
            enforcing_host.booted(
                site.directory / BOOTED, packages=_base_image.PACKAGES, file=site.file, namespace=namespace
            )
        )
    on_booted = site.attack(booted, ON_BOOTED)
    hosts: dict[str, _attacked_host.Reachable] = {AUDITED: audited, BOOTED: booted}
    _attacked_host.inventory(site.scanner.inventory, hosts, site.world.admin)
    site.scanner.scan("--limit", BOOTED, bulwark_capabilities="memory_scan")
    found = site.investigate(BOOTED, on_booted)
    for name in JOBS:
        _chains.await_job(audited, name)
    audited.hide_others()
    audited.write_audit_log(daemon)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        # The kernel takes its time for each rule.
        removed = pool.submit(audited.remove_rules)
        site.scanner.scan("--limit", AUDITED, bulwark_capabilities="audit")
        removed.result()
    recording.close()
    site.hide_others = audited.hide_others
    return found | site.investigate(AUDITED, planted)


def test_what_attacks_left_is_named_and_next_to_nothing_else(results: dict[Chain, Result]) -> None:
    told = {
        chain.__name__: {
            "recall": round(result.figures.recall, 3),
            "named": result.figures.named,
            "unrelated": round(result.figures.share_unrelated, 3),
            "begin": dict(result.begin),
            "missed": list(result.figures.missed),
            "others": list(result.figures.unrelated),
            "summary": result.summary.split("\n"),
        }
        for chain, result in results.items()
    }
    sys.stdout.write(json.dumps(told, indent=1) + "\n")
    assert len(results) == len(ON_AUDITED) + len(ON_BOOTED)
    short = {name: each for name, each in told.items() if each["recall"] < LEAST_RECALL}
    assert not short, short
    most = {chain.__name__: MOST_UNRELATED for chain in ON_AUDITED}
    most |= {chain.__name__: MOST_UNRELATED_WITHOUT_RECORDS for chain in ON_BOOTED}
    broad = {name: each for name, each in told.items() if each["unrelated"] > most[name]}
    assert not broad, broad
    assert all(len(result.summary.split("\n")) <= MOST_LINES for result in results.values())
