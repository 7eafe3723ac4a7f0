// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;
using System.Globalization;

namespace ansible_collections.bulwark.conformance.plugins.module_utils.EventChecks
{
// Inside the namespace: above it, the short name is the neighbouring namespace, not its class.
using ansible_collections.bulwark.conformance.plugins.module_utils.Evidence;
using ansible_collections.bulwark.conformance.plugins.module_utils.Workspace;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.EventLog;

    /// <summary>Checks of EventLog. Without PowerShell nothing is asked.</summary>
    public static class EventChecks
    {
        private const string Log = "System";
        private const string Session = "[System.Diagnostics.Eventing.Reader.EventLogSession]::GlobalSession";
        private const string Configuration = "New-Object System.Diagnostics.Eventing.Reader.EventLogConfiguration";

        public static Check[] All()
        {
            return new[]
            {
                new Check("event_log_read", "EventLog.Read", "EventLogInformation and EventLogConfiguration of .NET", Read),
                new Check("event_log_missing", "EventLog.Read", "a channel that no host has", Missing),
                new Check("event_log_export", "EventLog.Export", "Get-WinEvent of PowerShell", Export),
                new Check("event_log_export_ids", "EventLog.Export", "the same with as many comparisons as we use", Ranges),
                new Check("event_log_volumes", "EventLog.Volumes", "fltmc.exe", Volumes),
                new Check("event_log_names", "EventLog.Names", "the newest record of the System log", Names)
            };
        }

        private static LogState State()
        {
            LogState state;
            Workspace.Check(new NativeEventLog().Read(Log, out state), "the state of the log");
            return state;
        }

        private static void Read(Workspace workspace, Evidence evidence)
        {
            string second = SecondWay.PowerShell(
                "$c = " + Configuration + " '" + Log + "'; '{0} {1} {2} {3}' -f $c.IsEnabled, $c.MaximumSizeInBytes, "
                + "($c.LogMode -eq 'AutoBackup'), ($c.LogMode -eq 'Retain')");
            LogState state = State();
            evidence.Same("configuration", string.Format(CultureInfo.InvariantCulture, "{0} {1} {2} {3}",
                state.IsEnabled, state.MaxSize, state.IsArchived, state.IsKept), second);
            // The log is written meanwhile.
            evidence.Same("oldest", state.Oldest.ToString(CultureInfo.InvariantCulture), SecondWay.PowerShell(
                "[string]" + Session + ".GetLogInformation('" + Log + "', 'LogName').OldestRecordNumber"));
            long newest = long.Parse(SecondWay.PowerShell(
                "[string](Get-WinEvent -LogName " + Log + " -MaxEvents 1).RecordId"), CultureInfo.InvariantCulture);
            long difference = newest - (state.Oldest + state.Count - 1);
            evidence.Same("the newest is where the count says", difference >= 0 && difference < 100, true);
            evidence.Same("the file is there", System.IO.File.Exists(state.Path), true);
        }

        private static void Missing(Workspace workspace, Evidence evidence)
        {
            string channel = workspace.Id + "/missing";
            SecondWay.PowerShell("1");
            LogState state;
            evidence.Same("error", new NativeEventLog().Read(channel, out state), 15007);
        }

        private static void Export(Workspace workspace, Evidence evidence)
        {
            SecondWay.PowerShell("1");
            LogState state = State();
            long last = state.Oldest + state.Count - 1;
            Compare(workspace, evidence, string.Format(CultureInfo.InvariantCulture,
                "*[System[EventRecordID >= {0} and EventRecordID <= {1}]]", last - 20, last), "newest.evtx");
        }

        private static void Ranges(Workspace workspace, Evidence evidence)
        {
            SecondWay.PowerShell("1");
            LogState state = State();
            List<string> ranges = new List<string>();
            for (int index = 0; index < 7; index++)
                ranges.Add(string.Format(CultureInfo.InvariantCulture,
                    "(EventID >= {0} and EventID <= {1})", index * 1000, index * 1000 + 500));
            Compare(workspace, evidence, string.Format(CultureInfo.InvariantCulture,
                "*[System[(EventRecordID = {0}) or (EventRecordID = {1}) or (EventRecordID > {0} and ({2}))]]",
                state.Oldest + state.Count - 50, state.Oldest + state.Count - 1, string.Join(" or ", ranges.ToArray())),
                "ids.evtx");
        }

        // Records that come between the two are left out.
        private static void Compare(Workspace workspace, Evidence evidence, string query, string name)
        {
            LogState state = State();
            long last = state.Oldest + state.Count - 1;
            string path = workspace.Root + "\\" + name;
            evidence.Same("error", new NativeEventLog().Export(Log, query, path), 0);
            string ids = " | Where-Object RecordId -le " + last.ToString(CultureInfo.InvariantCulture)
                + " | Sort-Object RecordId | ForEach-Object { [string]$_.RecordId }) -join ' '";
            evidence.Same("ids", SecondWay.PowerShell("(Get-WinEvent -Path '" + path + "'" + ids),
                SecondWay.PowerShell("(Get-WinEvent -LogName " + Log + " -FilterXPath '" + query + "'" + ids));
            evidence.Same("an export over a file fails", new NativeEventLog().Export(Log, query, path) != 0, true);
        }

        private static void Volumes(Workspace workspace, Evidence evidence)
        {
            string volumes = SecondWay.Program("fltmc.exe", "volumes");
            string drive = Environment.SystemDirectory.Substring(0, 2);
            string device = null;
            foreach (KeyValuePair<string, string> volume in new NativeEventLog().Volumes())
            {
                if (volume.Value.Equals(drive, StringComparison.OrdinalIgnoreCase))
                    device = volume.Key;
            }
            string line = Array.Find(volumes.Split('\n'), each => each.TrimStart().StartsWith(drive + " "));
            string[] words = (line ?? "").Split(new[] { ' ', '\r' }, StringSplitOptions.RemoveEmptyEntries);
            evidence.Same("device of " + drive, device, words.Length > 1 ? words[1] : null);
        }

        private static void Names(Workspace workspace, Evidence evidence)
        {
            string second = SecondWay.PowerShell("(Get-WinEvent -LogName " + Log + " -MaxEvents 1).MachineName");
            string own = "";
            foreach (string name in new NativeEventLog().Names())
            {
                if (name.Equals(second, StringComparison.OrdinalIgnoreCase))
                    own = second;
            }
            evidence.SamePrivate("name in the record", own, second);
        }
    }
}
