// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System.Collections.Generic;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.sign_ins.Collect;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.sign_ins.Host;

/// <summary>Looks of win_sign_in_info at the event log of a test, with state in plain files.</summary>
public static class SignInLookScript
{
    /// <summary>Look several times, as LogLooks does; a look may have "host", the members of Host.</summary>
    public static List<object> Looks(string directory, string content, List<object> looks)
    {
        Dictionary<string, object> defaults = new Dictionary<string, object> { { "first_days", 36500L } };
        return LogLooks.Run(directory, content, looks, defaults, (call, log, files, look) =>
            new Collect(call, log, files, () => Made(LogLooks.Member(look, "host"))).Run());
    }

    private static Host Made(Dictionary<string, object> members)
    {
        Host host = new Host
        {
            IsDomainController = members.ContainsKey("IsDomainController"),
            HasOpenSsh = members.ContainsKey("HasOpenSsh"),
        };
        if (members.ContainsKey("Logon"))
            host.Logons.Add((string)members["Logon"]);
        if (members.ContainsKey("LogonsSince"))
            host.LogonsSince = long.Parse((string)members["LogonsSince"]);
        if (members.ContainsKey("Address"))
            host.Addresses.Add((string)members["Address"]);
        return host;
    }
}
