# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Take the documentation's pictures of the report: of the tests' sample reports, in a real Chromium.

python3 -m tests.integration.report.pictures DIRECTORY
"""

from __future__ import annotations

import base64
import pathlib
import sys
import tempfile

from tests.support import paths
from tests.support._require import missing

# Width and height in pixels of the page; pictures have twice as many.
_WIDTH, _HEIGHT = 1120, 700


def main(arguments: list[str]) -> int:
    (name,) = arguments
    for need in ("chromium", "command:chromedriver", "module:selenium"):
        reason = missing(need)
        if reason:
            sys.stderr.write(f"The documentation has no pictures of the report: {reason}\n")
            return 0
    paths.link_collection()
    sys.path.insert(0, str(paths.COLLECTIONS))
    directory = pathlib.Path(name)
    directory.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bulwark-pictures-") as scratch:
        take(directory, pathlib.Path(scratch))
    return 0


def take(directory: pathlib.Path, scratch: pathlib.Path) -> None:
    """Write NAME-light.png and NAME-dark.png for each view. scratch: for the browser's profile and the reports."""
    from tests.integration.report.browser import Browser
    from tests.unit.plugins.plugin_utils.report import investigation_samples, samples

    fleet, investigated = samples.fleet(), investigation_samples.report()
    first = f"#investigation-{investigation_samples.FIRST}"
    views = {
        "overview": (fleet, "", ""),
        "findings": (fleet, "#findings", "document.querySelector('#finding-list details').open = true"),
        "investigation": (investigated, first, ""),
    }
    browser = Browser(scratch)
    try:
        for name, (data, fragment, script) in views.items():
            for scheme in ("light", "dark"):
                browser.media(scheme=scheme)
                browser.open(data, fragment, width=_WIDTH)
                if script:
                    browser.run(script)
                taken = browser.command(
                    "Page.captureScreenshot",
                    clip={"x": 0, "y": browser.run("return scrollY"), "width": _WIDTH, "height": _HEIGHT, "scale": 1},
                    captureBeyondViewport=True,
                )
                (directory / f"{name}-{scheme}.png").write_bytes(base64.b64decode(taken["data"]))
    finally:
        browser.driver.quit()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
