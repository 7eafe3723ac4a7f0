# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Render a report as one HTML file that needs nothing else.

Every text from a host is hostile. Three walls stand before it, each enough by itself:

1. Jinja2 escapes all output, and ``finalize`` makes control and bidi characters visible before that. Texts for the
   script travel as compressed JSON in Base64, in which nothing can end the element; the script writes them with
   ``textContent`` only.
2. The page's Content Security Policy allows our own style and script by their hashes and nothing else, and
   ``require-trusted-types-for`` takes from scripts every way to turn text into markup
   (https://www.w3.org/TR/CSP3/, https://www.w3.org/TR/trusted-types/).
3. Addresses are made of the catalogue's references, technique ids and CVE ids only.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import json
import pathlib
import re
import typing as t
import zlib

import jinja2
import markupsafe
from ansible_collections.bulwark.servers.plugins.plugin_utils.report import alike, cards, model, page_data, shown, view

_FOLDER = pathlib.Path(__file__).parent
_STYLES = (
    *("tokens.css", "page.css", "parts.css", "score.css", "findings.css", "tables.css", "evidence.css"),
    *("benchmark.css", "app_control.css", "investigation.css", "print.css"),
)
_SCRIPTS = (
    *("types.js", "state.js", "filter.js", "fold.js", "card.js", "download.js", "host.js", "engine.js"),
    *("benchmark.js", "investigation_node.js", "investigation_tree.js", "investigation_timeline.js"),
    *("investigation_graph.js", "investigation.js", "app.js"),
)

# The only text that differs between two reports of the same data.
_GENERATED = re.compile(r"(<p>Written by bulwark\.servers \S+ on )[^<.]*")


def render(data: model.ReportData) -> str:
    """Return the report as HTML; the same data gives the same text."""
    style, script = _joined("style", _STYLES), _joined("script", _SCRIPTS)
    context = view.context(data)
    template = _environment(data).get_template("page.html.j2")
    return template.render(
        **context,
        style=style,
        script=script,
        policy=_policy(style, script),
        payload=packed(
            page_data.page_data(data, context["cards"], context["matrix"], context["score"], context["sheets"])
        ),
    )


def same_report(report: str, other: str) -> bool:
    """Return whether two reports say the same, apart from when they were written."""
    return _GENERATED.sub(r"\1", report) == _GENERATED.sub(r"\1", other)


def packed(value: t.Any) -> str:
    """Return a value as JSON, compressed (RFC 1950) and in Base64: a third of its size, for ``DecompressionStream``.

    The JSON is ASCII only, so that lone surrogates survive.
    """
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return base64.b64encode(zlib.compress(text.encode())).decode()


def _policy(style: str, script: str) -> str:
    return "; ".join(
        [
            "default-src 'none'",
            f"style-src '{_hash(style)}'",
            f"script-src '{_hash(script)}'",
            "base-uri 'none'",
            "form-action 'none'",
            "require-trusted-types-for 'script'",
            "trusted-types 'none'",
        ]
    )


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


@functools.lru_cache(maxsize=2)
def _joined(folder: str, names: tuple[str, ...]) -> str:
    text = "".join((_FOLDER / folder / name).read_text(encoding="utf-8") for name in names)
    # One scope for the script's parts, so that they share names with each other and with nothing else.
    return f'"use strict";\n(() => {{\n{text}}})();\n' if folder == "script" else text


def _environment(data: model.ReportData) -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_FOLDER / "template"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_finalized,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        alert_text=lambda alert: cards.alert_text(data, alert),
        capability_name=shown.capability_name,
        command_uid=cards.command_uid,
        counted=shown.counted,
        machine_time=shown.machine_time,
        format_time=shown.format_time,
        host_ranges=alike.ranges,
        prose=_prose,
        quoted=shown.quoted,
        cve_url=cards.cve_url,
        short=lambda text: shown.visible(text, 300),
        technique_text=lambda technique: cards.technique_text(data, technique),
    )
    return environment


def _prose(text: str) -> markupsafe.Markup:
    """Return a text of the catalogue with what it marks as ``code`` in elements; card.js does the same."""
    parts = [markupsafe.escape(shown.visible(part, limit=20_000, multiline=True)) for part in text.split("``")]
    if len(parts) % 2 == 0:
        # The last mark has no end.
        parts[-2:] = [parts[-2] + "``" + parts[-1]]
    code = markupsafe.Markup("<code>{}</code>")
    return markupsafe.Markup("").join(code.format(part) if at % 2 else part for at, part in enumerate(parts))


def _finalized(value: t.Any) -> t.Any:
    # Markup has been through here when it was text; cutting is for those who know what they show.
    if isinstance(value, str) and not isinstance(value, markupsafe.Markup):
        return shown.visible(value, limit=20_000, multiline=True)
    return value
