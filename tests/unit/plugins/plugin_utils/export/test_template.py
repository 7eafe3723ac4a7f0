# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Templates of named fields: what they make of values, and that no value changes their shape."""

from __future__ import annotations

import json
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils.export import visible
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.receiver import ExportError
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.template import (
    ESCAPES,
    FIELDS,
    Template,
    Translation,
    markdown_escape,
    slack_escape,
)
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.plugins.plugin_utils.export.export_events import event


def _rendered(value: t.Any, of: dict[str, t.Any] | None = None, **options: t.Any) -> t.Any:
    return Template("template", value, **options).render(event(1) if of is None else of).value


@pytest.mark.parametrize(
    ("template", "value"),
    [
        ("{title}", "Executable changed"),
        ("{severity_id}", 4),
        ("{count}", 3),
        ("{event}", event(1)),
        ("{device.os.name}", "Debian"),
        ("{evidences[0].file.path}", "/usr/bin/tool1"),
        ("{evidences[].file.path}", ["/usr/bin/tool1"]),
        ("{time}", "2026-11-30T00:53:20.124Z"),
        ("{first_seen}", "2026-11-18T11:06:40.000Z"),
        ("{severity}: {title} on {host}", "High: Executable changed on web1.example"),
        ("count {count} of {evidences[].file.path}", "count 3 of /usr/bin/tool1"),
        ("{device.os}!", '{"name":"Debian"}!'),
        ("[{status_detail}]", "[]"),
        ("{status_detail|none}", "none"),
        ("{status_detail|} {status_detail|-}", " -"),
        ("{title:10}", "Executabl…"),
        ("{title:18}", "Executable changed"),
        ("{subject:5|none} {status_detail:3|x}", "/usr… x"),
        ("{a: 1} {} { {Title} }", "{a: 1} {} { {Title} }"),
        ("", ""),
        (7, 7),
        (None, None),
        ([True, "{count}", "{status_detail}"], [True, 3]),
        ({"a": "{count}", "b": "{status_detail}", "c": {"d": ["{host}"]}}, {"a": 3, "c": {"d": ["web1.example"]}}),
    ],
)
def test_values(template: t.Any, value: t.Any) -> None:
    assert _rendered(template) == value


def test_a_missing_value_alone_is_nothing() -> None:
    assert _rendered("{status_detail}") is None


def test_each_name_has_a_value_in_a_finding() -> None:
    rendered = _rendered({name: f"{{{name}}}" for name in FIELDS})

    assert rendered.keys() == FIELDS.keys()


def test_what_is_cut_is_counted() -> None:
    template = Template("template", {"a": "{title:5}", "b": "x {title:5} {title:500}"})

    assert template.render(event(1)).shortened == 2


@given(st.text("&<>*a", max_size=60), st.integers(1, 40), st.sampled_from(sorted(ESCAPES)))
def test_a_limit_counts_escapes_and_cuts_none_of_them(text: str, limit: int, escape: str) -> None:
    template = Template("template", f"{{message:{limit}}}", escape=ESCAPES[escape])

    value, shortened = template.render(event(1, message=text))

    whole = ESCAPES[escape](text)
    if not text:
        return
    assert len(value) <= limit
    assert shortened == (len(whole) > limit)
    if shortened:
        shown = [ESCAPES[escape](text[:length]) for length in range(len(text))]
        assert value == "" or value.removesuffix("…") in shown
    else:
        assert value == whole


def test_a_translation_is_a_field_of_its_own() -> None:
    words = {"High": "error", "4": "four", "true": "yes"}
    translations = {
        "level": Translation("severity", words, "info"),
        "number": Translation("severity_id", words),
        "none": Translation("status_detail", words),
        "rest": Translation("status_detail", words, "rest"),
        "other": Translation("title", words),
    }
    template = {name: f"{{{name}}}" for name in translations}

    assert _rendered(template, translations=translations) == {"level": "error", "number": "four", "rest": "rest"}


def test_constants_are_neither_cut_nor_escaped() -> None:
    assert _rendered("{token} {title}", constants={"token": "<&>"}, escape=slack_escape) == "<&> Executable changed"


@pytest.mark.parametrize(
    ("template", "problem"),
    [
        ("{titel}", "template: there is no field {titel}; write one of alert, capability, "),
        ({"a": ["{nothing.at.all}"]}, "template: there is no field {nothing.at.all}"),
        ("{evidences[x y].file}", "template: {evidences\\[x y\\].file}: the path '.*' is wrong at character"),
        ("{title:0}", "template: {title:0} leaves nothing of a text"),
    ],
)
def test_slips_of_the_pen(template: t.Any, problem: str) -> None:
    with pytest.raises(ExportError, match=problem):
        Template("template", template)


def test_escapes() -> None:
    text = "<!channel> & [free](https://x) *b* `c` _d_"

    assert slack_escape(text) == "&lt;!channel&gt; &amp; [free](https://x) *b* `c` _d_"
    assert markdown_escape("[a](b) `c` <d> _e_ *f* \\ !") == ("\\[a\\]\\(b\\) \\`c\\` \\<d\\> \\_e\\_ \\*f\\* \\\\ \\!")
    nested = event(1, message=text, evidences=[{"a": [text, 7]}])
    rendered = _rendered({"a": "{message}", "b": "{evidences}", "c": "<b>{message}"}, nested, escape=slack_escape)
    assert rendered == {
        "a": slack_escape(text),
        "b": [{"a": [slack_escape(text), 7]}],
        "c": f"<b>{slack_escape(text)}",
    }


_HOSTILE = st.text() | st.sampled_from(['"', '","x":"', "{title}", "{{ 7 * 7 }}", "\\", "\n", "\x00", "\u202e", "</a>"])


@given(_HOSTILE, st.sampled_from(sorted(ESCAPES)))
def test_no_value_changes_the_shape(text: str, escape: str) -> None:
    template = {"text": "a {subject} b {message}", "list": ["{subject}"], "alone": "{subject|none}"}
    of = event(1, message=text)
    of["unmapped"] = {**of["unmapped"], "subject": text}

    rendered = _rendered(template, of, escape=ESCAPES[escape])

    shown = ESCAPES[escape](visible.without_surrogates(text))
    assert rendered["text"] == f"a {shown} b {shown}"
    assert rendered.get("list") == ([shown] if text else [])
    assert rendered["alone"] == (shown or "none")
    assert json.loads(json.dumps(rendered)) == rendered
