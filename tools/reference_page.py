# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Parts of generated pages of the documentation, in reStructuredText, and the list of pages that names each."""

from __future__ import annotations

import pathlib
import re
import typing as t

# Of the names that pages refer to each other by.
PREFIX = "ansible_collections.bulwark.servers.docsite."
_SECTION = "  - title: Reference\n    toctree:\n"


def write(docsite: pathlib.Path, name: str, text: str) -> None:
    """Write a page, and list it in the last section, Reference, where it isn't listed yet."""
    (docsite / "rst" / f"{name}.rst").write_text(text, encoding="utf-8")
    index = docsite / "extra-docs.yml"
    sections = index.read_text(encoding="utf-8")
    if _SECTION not in sections:
        sections += _SECTION
    listed = f"      - ref: {name}\n"
    if listed not in sections:
        sections += listed
    index.write_text(sections, encoding="utf-8")


def table(rows: t.Iterable[t.Sequence[str]], widths: str) -> str:
    """Return a table. rows: cells in reStructuredText, the first row of titles. widths: of the columns, in percent."""
    lines = ["".join(f"   {' ' if cell else '*'} - {text}\n" for cell, text in enumerate(row)) for row in rows]
    return f".. list-table::\n   :header-rows: 1\n   :widths: {widths}\n\n{''.join(lines)}"


def escape(text: str) -> str:
    """Return plain text as reStructuredText that renders to the same."""
    return re.sub(r"([\\*`|_<>\[\]]|:(?=:))", r"\\\1", text)


def heading(text: str, underline: str) -> str:
    """Return a title. text: in reStructuredText."""
    return f"{text}\n{underline * max(4, len(text))}\n"
