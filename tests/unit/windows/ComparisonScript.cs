// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;
using System.IO;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Coverage;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.State;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Baseline;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Classifier;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Comparison;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Model;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Header;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Host;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.HostState;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Lines;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Options;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.RegistryJudge;
using JsonObject = System.Collections.Generic.Dictionary<string, object>;

/// <summary>Compares the entries of a host with a baseline of others, as a whole run does.</summary>
public static class ComparisonScript
{
    /// <summary>marks: of the entries of the baseline, which come in its order. Returns the result of the module.
    /// </summary>
    public static JsonObject Compare(
        string directory, JsonObject facts, List<object> before, List<object> marks, List<object> now)
    {
        Watch watch = new Watch { Name = "watch", Registry = new[] { @"HKU\*", @"HKLM\SYSTEM" } };
        watch.Paths = new List<string> { @"C:\x" };
        Directory.CreateDirectory(directory + "/C");
        PlainStateFiles files = new PlainStateFiles(directory);
        using (StateDirectory state = StateDirectory.Open(files, @"C:\state", "file_integrity", true))
        {
            state.Replace("default.baseline", delegate(Stream stream)
            {
                Header header = new Header { Since = 100, Watches = new List<Watch> { watch } };
                BaselineWriter writer = new BaselineWriter(stream, header);
                for (int index = 0; index < before.Count; index++)
                {
                    writer.Add(Lines.Write(ListedEntries.EntryOf(before[index]), "watch", (string)marks[index]));
                }
                writer.Finish();
            });
            ListedEntries entries = new ListedEntries(now);
            Host host = new Host { IsAdministrator = true, Presence = entries };
            host.Collectors.Add(entries);
            host.NewJudges = delegate(Options asked, long since, Func<string, bool> isRecorded)
            {
                return new IJudge[] { new RegistryJudge(new RecordedFacts(facts), since, isRecorded) };
            };
            Options options = new Options { MaxChanges = 1000 };
            using (Opened opened = new Opened { Baseline = Baseline.Open(state, "default.baseline") })
            {
                Comparison comparison = new Comparison(options, opened, state, host, new Deadline(0));
                comparison.Run(null);
                return comparison.Result();
            }
        }
    }

    /// <summary>Return the mark of an entry that is suspicious by itself.</summary>
    public static string Mark(JsonObject facts, JsonObject entry)
    {
        IJudge[] judges = { new RegistryJudge(new RecordedFacts(facts)) };
        return new Classifier(new Watch[0], judges).Mark(ListedEntries.EntryOf(entry), new Watch());
    }
}
