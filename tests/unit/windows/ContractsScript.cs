// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Json;

/// <summary>What test_contracts.py needs in C#.</summary>
public static class ContractsScript
{
    /// <summary>Parse a document and write it.</summary>
    public static string Rewrite(string text)
    {
        return Json.Write(Json.Parse(text));
    }
}
