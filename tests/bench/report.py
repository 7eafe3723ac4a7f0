# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report of 1,000 hosts with 100 findings each, in a real Chromium; the peer is that of a tenth of it.

controls: the same figures of a report of 100 hosts with 118 controls and their findings.

ours_s, peer_s: processor time of the page's process until all findings can be filtered, as the machine is shared; the
best of three. ready_s: the time that passes until then. painted_s: until something is seen, which is the 50 most urgent
findings. render_s, peak_mb: of writing the file, without reading the store.
"""

from __future__ import annotations

import contextlib
import pathlib
import resource
import sys
import tempfile
import time
import typing as t

from tests.support import paths, waiting

HOSTS, FINDINGS = 1_000, 100_000
CONTROL_HOSTS = 100
ROUNDS = 3

Figures = dict[str, t.Any]


def run() -> Figures:
    paths.link_collection()
    sys.path.insert(0, str(paths.COLLECTIONS))
    with tempfile.TemporaryDirectory(prefix="bulwark-bench-") as name:
        folder = pathlib.Path(name)
        controls = _controls(folder / "controls.html")
        peer, ours = _findings(folder / "peer.html", 10), _findings(folder / "ours.html", 1)
    spent, peer_spent = ours.pop("spent_s"), peer["spent_s"]
    return {"ours_s": spent, "peer_s": peer_spent, "ratio": round(spent / peer_spent, 2), **ours, "controls": controls}


def _findings(path: pathlib.Path, part: int) -> Figures:
    from tests.unit.plugins.plugin_utils.report import samples

    return _rendered(path, samples.fleet(hosts=HOSTS // part, findings=FINDINGS // part)) | _opened(path)


def _controls(path: pathlib.Path) -> Figures:
    from tests.unit.plugins.plugin_utils.report import benchmark_samples

    return _rendered(path, benchmark_samples.docker(hosts=CONTROL_HOSTS)) | _opened(path)


def _rendered(path: pathlib.Path, data: t.Any) -> Figures:
    from ansible_collections.bulwark.servers.plugins.plugin_utils.report import page

    started = time.process_time()
    path.write_text(page.render(data), encoding="utf-8")
    return {
        "render_s": round(time.process_time() - started, 1),
        "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "file_mb": round(path.stat().st_size / 1e6, 1),
    }


def _opened(path: pathlib.Path) -> Figures:
    rounds = [_open(path) for _round in range(ROUNDS)]
    return {name: round(min(figures[name] for figures in rounds), 2) for name in rounds[0]}


def _open(path: pathlib.Path) -> Figures:
    from tests.integration.report.browser import Browser

    browser = Browser(pathlib.Path(tempfile.mkdtemp(dir=path.parent)))
    with contextlib.ExitStack() as stack:
        stack.callback(browser.driver.quit)
        browser.command("Performance.enable")
        browser.driver.get(path.as_uri())
        ready = "return (performance.getEntriesByName('report-ready')[0] ?? {}).startTime"
        waiting.until(lambda: browser.run(ready))
        metrics = {item["name"]: item["value"] for item in browser.command("Performance.getMetrics")["metrics"]}
        painted = browser.run("return performance.getEntriesByName('first-contentful-paint')[0].startTime")
        return {
            "spent_s": metrics["ProcessTime"],
            "ready_s": browser.run(ready) / 1000,
            "painted_s": painted / 1000,
        }
