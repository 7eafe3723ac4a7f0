# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real Chromium with a report in it, and what it is asked about every report."""

from __future__ import annotations

import pathlib
import shutil
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.report import model, page
from selenium import webdriver
from selenium.webdriver.remote.webelement import WebElement

from tests.support import commands, waiting

# A new profile, and nothing that a browser does on its own.
_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--no-first-run",
)

# Every element with the names of its attributes, apart from what the browser itself adds inside controls.
SKELETON = """
return [...document.querySelectorAll("*")].map((element) => [element.tagName, ...element.getAttributeNames()].join(" "))
"""

_TIMING = """
return {ready: performance.getEntriesByName("report-ready")[0].startTime,
        painted: performance.getEntriesByName("first-contentful-paint")[0].startTime,
        findings: document.querySelectorAll("#finding-list > li").length}
"""

# The contrast of every text on what lies behind it, as WCAG 2.2 defines it; returns those below what AA wants.
LOW_CONTRAST = """
const channel = (value) => { const c = value / 255; return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4; };
const rgb = (text) => text.match(/[\\d.]+/g).map(Number);
const luminance = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
const background = (element) => {
  for (let at = element; at; at = at.parentElement) {
    const color = rgb(getComputedStyle(at).backgroundColor);
    if (color.length === 3 || color[3] === 1) return color;
    if (color[3] !== 0) throw new Error("a half transparent background");
  }
  throw new Error("no background");
};
const low = new Set();
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (walker.nextNode()) {
  const element = walker.currentNode.parentElement;
  if (!walker.currentNode.data.trim() || element.closest("script, style, template, noscript")) continue;
  if (!element.checkVisibility()) continue;
  const style = getComputedStyle(element);
  const pair = [element.closest("svg") ? style.fill : style.color, background(element).join()];
  const [one, other] = [luminance(rgb(pair[0])), luminance(pair[1].split(",").map(Number))];
  const ratio = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
  if (ratio < 4.5) low.add(`${ratio.toFixed(2)} ${element.className || element.tagName} ${pair.join(" on ")}`);
}
return [...low];
"""


class Browser:
    """A Chromium with one page in it."""

    def __init__(self, folder: pathlib.Path) -> None:
        options = webdriver.ChromeOptions()
        names = ("chromium", "chromium-browser", "google-chrome")
        options.binary_location = next(path for path in map(shutil.which, names) if path)
        for flag in (*_FLAGS, f"--user-data-dir={folder / 'profile'}"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        service = webdriver.ChromeService(executable_path=commands.find("chromedriver"))
        self._folder = folder
        # With what it was rendered from, so that no other report gets that number.
        self._pages: dict[int, tuple[model.ReportData, str]] = {}
        self.driver = webdriver.Chrome(options=options, service=service)

    def rendered(self, data: model.ReportData) -> str:
        """Return the page of a report. Most tests open the same one, which is rendered once."""
        if id(data) not in self._pages:
            self._pages[id(data)] = data, page.render(data)
        return self._pages[id(data)][1]

    def open(self, data: model.ReportData, fragment: str = "", width: int = 1280, script: bool = True) -> None:
        """Render a report, open it in a window of this width, and wait until it is loaded."""
        path = self._folder / "report.html"
        path.write_text(self.rendered(data), encoding="utf-8")
        self.widen(width)
        self.command("Emulation.setScriptExecutionDisabled", value=not script)
        self.driver.get("about:blank")
        for log in ("browser", "performance"):
            self.driver.get_log(log)
        self.driver.get(path.as_uri() + fragment)
        if script:
            waiting.until(lambda: self.run("return performance.getEntriesByName('report-ready').length > 0"))

    def widen(self, width: int) -> None:
        """Give the window another width, in pixels."""
        self.command("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)

    def command(self, name: str, **arguments: t.Any) -> dict[str, t.Any]:
        return t.cast("dict[str, t.Any]", self.driver.execute_cdp_cmd(name, arguments))

    def media(self, kind: str = "", scheme: str = "light") -> None:
        self.command(
            "Emulation.setEmulatedMedia", media=kind, features=[{"name": "prefers-color-scheme", "value": scheme}]
        )

    def run(self, script: str, *arguments: t.Any) -> t.Any:
        return self.driver.execute_script(script, *arguments)  # type: ignore[no-untyped-call]

    def processor_time(self, script: str, *arguments: t.Any) -> float:
        """Run a script and return how long the page's thread computed, in milliseconds: others' work is not in it."""
        self.command("Performance.enable", timeDomain="threadTicks")
        before = self._task_duration()
        self.run(script, *arguments)
        return (self._task_duration() - before) * 1000

    def _task_duration(self) -> float:
        metrics = self.command("Performance.getMetrics")["metrics"]
        return next(float(metric["value"]) for metric in metrics if metric["name"] == "TaskDuration")

    def timing(self) -> dict[str, t.Any]:
        """Return when the page was ready and painted, in milliseconds; it may be ready before it is painted."""
        painted = "return performance.getEntriesByName('first-contentful-paint').length > 0"
        waiting.until(lambda: self.run(painted), "the browser paints nothing")
        return t.cast("dict[str, t.Any]", self.run(_TIMING))

    def find(self, selector: str) -> WebElement:
        return self.driver.find_element("css selector", selector)

    def texts(self, selector: str) -> list[str]:
        script = "return [...document.querySelectorAll(arguments[0])].map((element) => element.textContent)"
        return t.cast("list[str]", self.run(script, selector))

    def press(self, *keys: str) -> WebElement:
        """Press keys where the focus is, and return what has it afterwards."""
        for key in keys:
            self.driver.switch_to.active_element.send_keys(key)
        return self.driver.switch_to.active_element

    def unfold_controls(self) -> None:
        """Unfold all controls of benchmarks that are shown, and wait until their engines are there."""
        self.run("for (const item of document.querySelectorAll('[data-control] > details')) item.open = true")
        missing = "return document.querySelector('[data-part=results]:not(:has(.engines))')"
        waiting.until(lambda: self.run(missing) is None)

    @property
    def result(self) -> str:
        return self.find("#result").text

    @property
    def fragment(self) -> str:
        return t.cast("str", self.run("return location.hash"))

    @property
    def complaints(self) -> list[str]:
        return [entry["message"] for entry in self.driver.get_log("browser")]
