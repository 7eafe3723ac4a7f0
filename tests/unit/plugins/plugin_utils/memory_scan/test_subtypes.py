# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a memory scan can see is content: what is right with it, and what is said where it is wrong."""

from __future__ import annotations

import pathlib

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils import _payload
from ansible_collections.bulwark.servers.plugins.plugin_utils import catalogue
from ansible_collections.bulwark.servers.plugins.plugin_utils.catalogue import ContentError
from ansible_collections.bulwark.servers.plugins.plugin_utils.memory_scan import content, subtypes

GOOD = """- id: a_sign
  class: technique
  severity: high
  attack: [T1620]
  title: A sign
  description: It was seen.
"""


def test_good_content_is_read(tmp_path: pathlib.Path) -> None:
    (tmp_path / "own.yml").write_text(GOOD)
    found = subtypes.load(tmp_path)["a_sign"]
    assert found.payload() == {"class": "technique", "severity": "high", "attack": ["T1620"], "title": "A sign"}
    assert found.description == "It was seen."


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: 1", "own.yml: a list of subtypes is needed, not dict"),
        ("- x", "own.yml, entry 1: a subtype is a mapping with attack, class, description, id, severity, title"),
        (GOOD + "  words: x\n", "own.yml, entry 1: a subtype is a mapping with"),
        (GOOD.replace("  title: A sign\n", ""), "own.yml, entry 1: a subtype is a mapping with"),
        (GOOD.replace("A sign", "1"), "own.yml, entry 1: 'title' is not text"),
        (GOOD.replace("a_sign", "A-sign"), "own.yml, entry 1: an id is 3 to 64 lower-case letters"),
        (
            GOOD.replace("technique", "tool"),
            r"entry 1 \(a_sign\): class 'tool' is not one of toolkit, technique, behavior",
        ),
        (GOOD.replace("high", "great"), r"entry 1 \(a_sign\): severity 'great' is not one of informational"),
        (GOOD.replace("[T1620]", "T1620"), "'attack' is not a list of techniques"),
        (GOOD.replace("T1620", "T9999"), "attack technique 'T9999' is not in attack.yml"),
        (GOOD * 2, "own.yml, entry 2: there is a subtype 'a_sign' already"),
    ],
)
def test_wrong_content_is_named_with_its_place(tmp_path: pathlib.Path, text: str, words: str) -> None:
    (tmp_path / "own.yml").write_text(text)
    with pytest.raises(ContentError, match=words):
        subtypes.load(tmp_path)


def test_the_collection_s_own_is_right() -> None:
    found = subtypes.load()
    assert found
    for subtype in found.values():
        assert not subtype.title.endswith("."), subtype.id
        assert subtype.description.endswith("."), subtype.id
        if subtype.kind == "behavior":
            assert subtype.severity in ("informational", "low", "medium"), subtype.id
    for kind in subtypes.CLASSES:
        assert catalogue.load().alert(f"fileless_attack_{kind}").capability == "memory_scan"


def test_hosts_get_it_as_text_in_which_no_signature_can_be_found() -> None:
    packed = content.load()
    assert set(_payload.unpack(packed)) == {"subtypes", "engines", "signatures"}
    assert packed.isascii()
    assert "stratum" not in packed
