// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System.Collections.Generic;
using System.Threading;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.events.Collect;

/// <summary>Looks of win_audit_events_info at the event log of a test, with state in plain files.</summary>
public static class CollectScript
{
    /// <summary>Look several times, as LogLooks does.</summary>
    public static List<object> Looks(string directory, string content, List<object> looks)
    {
        return LogLooks.Run(directory, content, looks, new Dictionary<string, object>(), (call, log, files, look) =>
            new Collect(call, log, files).Run());
    }

    /// <summary>Look twice at once after a first look, and return the results of the two.</summary>
    public static List<object> AtOnce(string directory, string content, List<object> looks)
    {
        Dictionary<string, object> first = (Dictionary<string, object>)Looks(
            directory, content, new List<object> { looks[0] })[0];
        Dictionary<string, object> second = (Dictionary<string, object>)looks[1];
        second["options"] = new Dictionary<string, object>
        {
            { "_token", ((Dictionary<string, object>)first["checkpoint"])["token"] },
        };
        List<object> results = new List<object> { null, null };
        Thread[] threads = new Thread[2];
        for (int index = 0; index < threads.Length; index++)
        {
            int number = index;
            threads[number] = new Thread(delegate()
            {
                results[number] = Looks(directory, content, new List<object> { second })[0];
            });
            threads[number].Start();
        }
        foreach (Thread thread in threads)
            thread.Join();
        return results;
    }
}
