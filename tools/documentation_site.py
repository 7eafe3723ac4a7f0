# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Arrange the documentation that antsibull-docs wrote as a site with navigation in groups.

    python3 tools/documentation_site.py COLLECTION SITE [--pictures DIRECTORY]

COLLECTION is the copy of the collection that SITE/rst was written from. It gets the front page, with the groups of
docs/docsite/extra-docs.yml; pages that list the modules, roles, plugins and playbooks; and pictures of the report where
a guide has a comment such as ``.. picture: findings``. SITE/conf.py gets the style sheet.
"""

from __future__ import annotations

import argparse
import dataclasses
import pathlib
import re
import shutil
import sys
import typing as t

import yaml

_FRONT = """\
bulwark.servers
===============

Protection for servers with nothing but Ansible: no agent, no cloud account. A scan looks at each host over the
connection that Ansible already has. It compares what it sees with a baseline and with the host's own package database,
keeps the findings in a store, and writes one HTML report.

.. picture: overview

.. code-block:: console

   $ ansible-galaxy collection install bulwark.servers
   $ ansible-playbook bulwark.servers.scan --inventory hosts.yml

Begin here
----------

- :doc:`Getting started <docsite/getting_started>`: the first scan, what it needs, and what it shows
- :doc:`The report <docsite/report>`: how to read it, and what to do about a finding
- :doc:`The playbooks <playbooks>`: scan, protect, learn, simulate, respond, and their variables
- :doc:`What a scan can and can't prove <docsite/security_model>`: the security model

"""
# The lists of content: file, title, and kinds of pages.
_LISTS = (
    ("modules", "Modules", ("module",)),
    ("roles", "Roles", ("role",)),
    ("plugins", "Filters, lookups and callbacks", ("filter", "lookup", "callback")),
)
_TITLE = re.compile(r"^bulwark\.servers\.(\w+) (\w+)(?: plugin| entrypoint)? -- (.+)$", re.MULTILINE)
_LONG_TITLE = re.compile(r"^bulwark\.servers\.(\w+ \w+)(?: plugin| entrypoint)? -- (.+)\n(\++)$", re.MULTILINE)
_CONTENTS = re.compile(r"^\.\. contents::.*\n(?: +:.*\n)*", re.MULTILINE)
_PICTURE = re.compile(r"^\.\. picture: (\w+)\n", re.MULTILINE)
# antsibull-docs has colours for white pages only. These take those of the theme, light or dark.
_STYLE = """\
body {
  --antsibull-table-border: var(--color-background-border);
  --antsibull-table-background-header: var(--color-background-secondary);
  --antsibull-table-background-odd: var(--color-background-primary);
  --antsibull-table-background-even: var(--color-background-secondary);
  --antsibull-narrowtable-background: var(--color-background-border);
  --antsibull-links-background: var(--color-background-secondary);
  --antsibull-links-background-active: var(--color-background-hover);
  --antsibull-links-text: var(--color-brand-content);
  --antsibull-links-focus-outline: var(--color-brand-content);
  --antsibull-option-type: var(--color-foreground-secondary);
  --antsibull-option-elements: var(--color-foreground-secondary);
  --antsibull-option-version-added: var(--color-foreground-secondary);
  --antsibull-option-aliases: var(--color-foreground-secondary);
  --antsibull-option-default: var(--color-brand-content);
  --antsibull-option-sample: var(--color-foreground-primary);
  --antsibull-option-sample-header: var(--color-foreground-primary);
  --antsibull-option-required: var(--color-problematic);
  --antsibull-attribute-support-full: var(--color-brand-content);
  --antsibull-attribute-support-partial: var(--color-foreground-primary);
  --antsibull-attribute-support-none: var(--color-problematic);
  --antsibull-attribute-support-na: var(--color-foreground-secondary);
}
h1 { font-size: clamp(1.6rem, 5vw, 2.2rem); overflow-wrap: anywhere; }
h2 { font-size: 1.6rem; }
h3 { font-size: 1.3rem; }
.highlight-text pre { white-space: pre-wrap; }
img[src*="_images/"] { border: 1px solid var(--color-background-border); border-radius: 0.5rem; }
"""
_CONFIGURATION = """
html_static_path = ["style"]
html_css_files = ["site.css"]
"""
# Descriptions of the pictures, for people who can't see them.
_SHOWN = {
    "overview": "The report of twelve hosts: secure score, findings by severity, hosts and coverage",
    "findings": "The findings of the report with filters, one of them unfolded",
    "investigation": "An investigation: what happened in sentences, the tree of processes and the timeline",
}


@dataclasses.dataclass(frozen=True)
class Page:
    """A page of a module, plugin or role. document: its file without the ending."""

    document: str
    name: str
    kind: str
    summary: str


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="documentation_site.py", description="Arrange the documentation as a site.")
    parser.add_argument("collection", type=pathlib.Path, help="copy of the collection that RST was written from")
    parser.add_argument("site", type=pathlib.Path, help="directory that antsibull-docs wrote")
    parser.add_argument("--pictures", type=pathlib.Path, help="directory with pictures of the report")
    options = parser.parse_args(arguments)
    sections = yaml.safe_load((options.collection / "docs" / "docsite" / "extra-docs.yml").read_text("utf-8"))[
        "sections"
    ]
    rst: pathlib.Path = options.site / "rst"
    content = pages(rst)
    for name, title, kinds in _LISTS:
        _write(rst / f"{name}.rst", listing(title, [page for page in content if page.kind in kinds]))
    _write(rst / "playbooks.rst", playbooks(options.collection / "playbooks"))
    _write(rst / "index.rst", front(sections))
    for parent, children in nested(sections).items():
        with (rst / "docsite" / f"{parent}.rst").open("a", encoding="utf-8") as page:
            page.write("\n" + toctree([f"docsite/{child}" for child in children], absolute=True))
    available = _copied(options.pictures, rst / "pictures")
    for path in sorted(rst.rglob("*.rst")):
        _write(path, for_the_site(path.read_text("utf-8"), available))
    (options.site / "style").mkdir(exist_ok=True)
    _write(options.site / "style" / "site.css", _STYLE)
    with (options.site / "conf.py").open("a", encoding="utf-8") as configuration:
        configuration.write(_CONFIGURATION)
    return 0


def pages(rst: pathlib.Path) -> list[Page]:
    """Return the pages of the collection's content, by name."""
    content = []
    for path in sorted(rst.glob("*.rst")):
        match = _TITLE.search(path.read_text("utf-8"))
        if match:
            content.append(Page(path.stem, *match.groups()))
    return sorted(content, key=lambda page: (page.name, page.kind))


def listing(title: str, listed: t.Sequence[Page]) -> str:
    """Return a page that lists content with summaries, and has it in the navigation by its short name."""
    rows = [f"   * - :doc:`{page.name} <{page.document}>`\n     - {page.summary}\n" for page in listed]
    table = "".join([".. list-table::\n   :widths: 30 70\n\n", *rows])
    return f"{_heading(title)}{table}\n{toctree([f'{page.name} <{page.document}>' for page in listed])}"


def playbooks(directory: pathlib.Path) -> str:
    """Return a page with the comment at the beginning of each playbook."""
    parts = [_heading("Playbooks")]
    for path in sorted(directory.glob("*.yml")):
        comment = []
        for line in path.read_text("utf-8").splitlines()[1:]:
            if not line.startswith("#"):
                break
            if not line.startswith("# SPDX-"):
                comment.append(line[2:])
        text = "\n".join(f"   {line}".rstrip() for line in comment)
        parts.append(f"{_heading(f'bulwark.servers.{path.stem}', '-')}.. code-block:: text\n\n{text}\n\n")
    return "".join(parts)


def front(sections: t.Sequence[t.Mapping[str, t.Any]]) -> str:
    """Return the front page. sections: those of extra-docs.yml; the last one also has the lists of content."""
    below = {child for children in nested(sections).values() for child in children}
    parts = [_FRONT]
    for section in sections:
        documents = [f"docsite/{entry['ref']}" for entry in section["toctree"] if entry["ref"] not in below]
        if section["title"] == "Reference":
            documents = ["playbooks", *(name for name, _title, _kinds in _LISTS), *documents, "environment_variables"]
        parts.append(toctree(documents, caption=section["title"]))
    return "\n".join(parts)


def nested(sections: t.Sequence[t.Mapping[str, t.Any]]) -> dict[str, list[str]]:
    """Return the pages to show below another page of their section, whose name theirs begins with."""
    children: dict[str, list[str]] = {}
    for section in sections:
        names = [entry["ref"] for entry in section["toctree"]]
        for name in names:
            parents = [other for other in names if name.startswith(f"{other}_")]
            if parents:
                children.setdefault(min(parents, key=len), []).append(name)
    return children


def toctree(documents: t.Iterable[str], caption: str = "", absolute: bool = False) -> str:
    """Return a toctree that only the navigation shows."""
    options = [f"   :caption: {caption}\n"] if caption else []
    slash = "/" if absolute else ""
    return "".join(
        [".. toctree::\n   :hidden:\n", *options, "\n", *(f"   {slash}{name}\n" for name in documents), "\n"]
    )


def for_the_site(text: str, available: t.Collection[str]) -> str:
    """Return a page in the form of this site.

    This removes its list of contents, as the theme shows one beside each page. It splits a title with the summary of a
    module. A picture that is available takes the place of its comment, in a light and a dark
    version.
    """

    def shown(match: re.Match[str]) -> str:
        name = match[1]
        if name not in available:
            return match[0]
        return "".join(
            f".. image:: /pictures/{name}-{scheme}.png\n   :alt: {_SHOWN[name]}\n   :class: only-{scheme}\n\n"
            for scheme in ("light", "dark")
        )

    return _PICTURE.sub(shown, _LONG_TITLE.sub(r"\1\n\3\n\n**\2.**", _CONTENTS.sub("", text), count=1))


def _copied(source: pathlib.Path | None, target: pathlib.Path) -> set[str]:
    if source is None:
        return set()
    shutil.copytree(source, target, dirs_exist_ok=True)
    return {path.stem.removesuffix("-light") for path in target.glob("*-light.png")}


def _heading(title: str, line: str = "=") -> str:
    return f"{title}\n{line * len(title)}\n\n"


def _write(path: pathlib.Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
