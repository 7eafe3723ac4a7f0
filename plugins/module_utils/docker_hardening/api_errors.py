# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why a Docker Engine gave no answer."""

from __future__ import annotations


class ApiError(Exception):
    """The engine gave no answer that can be used; the message is a part of a sentence, printable."""


class GoneError(ApiError):
    """The engine does not have what was asked for, or no longer."""


class TlsError(ApiError):
    """The API answers over TLS only, and wants a certificate as a rule."""


class HangsError(ApiError):
    """The engine did not answer in time."""
