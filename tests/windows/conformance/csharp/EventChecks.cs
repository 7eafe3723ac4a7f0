// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Globalization;
using System.Security.Principal;
using System.Threading;

namespace ansible_collections.bulwark.conformance.plugins.module_utils.EventChecks
{
// Inside the namespace: above it, the short name is the neighbouring namespace, not its class.
using ansible_collections.bulwark.conformance.plugins.module_utils.Evidence;
using ansible_collections.bulwark.conformance.plugins.module_utils.Workspace;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.AuditPolicy;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.EventLog;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.SecurityPrivilege;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.SystemAudit;

    /// <summary>Checks of EventLog. Without PowerShell nothing is asked.</summary>
    public static class EventChecks
    {
        private const string Log = "System";
        private static readonly Guid FileSystem = new Guid("0cce921d-69ae-11d9-bed3-505054503030");

        // Success of FILE_WRITE_DATA by everyone.
        private static readonly byte[] WriteEntry =
        {
            2, 0, 28, 0, 1, 0, 0, 0, 2, 0x40, 20, 0, 2, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0
        };
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
                new Check("event_log_actor", "EventLog.Export", "this process, which wrote a file with an audit entry", Actor),
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

        // With the query of file_integrity/Actors.
        private static void Actor(Workspace workspace, Evidence evidence)
        {
            int flags;
            if (!SecurityPrivilege.Enable() || new NativeAuditPolicy().Query(FileSystem, out flags) != 0 || (flags & 1) == 0)
                throw new NotPossibleException("the host does not record access to files");
            string path = workspace.Root + @"\actor.txt";
            string export = workspace.Root + @"\actor.evtx";
            System.IO.File.WriteAllText(path, "before");
            Workspace.Check(new NativeSystemAudit().Write(false, path, WriteEntry), "the audit entry");
            string query = string.Format(CultureInfo.InvariantCulture,
                "*[System[EventRecordID >= 1 and TimeCreated[@SystemTime >= '{0:yyyy-MM-ddTHH:mm:ss.fffZ}'] and "
                + "((EventID >= 4656 and EventID <= 4660) or EventID = 4663 or EventID = 4670)]]",
                DateTime.UtcNow.AddSeconds(-1));
            System.IO.File.WriteAllText(path, "after");
            // The record comes a little later.
            Thread.Sleep(3000);
            evidence.Same("error", new NativeEventLog().Export("Security", query, export), 0);
            string read = SecondWay.PowerShell(
                "Get-WinEvent -Path '" + export + "' | Where-Object Id -eq 4663 | ForEach-Object { $d = @{}; "
                + "([xml]$_.ToXml()).Event.EventData.Data | ForEach-Object { $d[$_.Name] = $_.'#text' }; '{0}|{1}|{2}|{3}' "
                + "-f $d.SubjectUserSid, $d.ProcessId, $d.AccessMask, $d.ObjectName } | Where-Object { $_ -like '*actor.txt' }");
            string[] parts = (read ?? "").Split('|');
            evidence.Same("fields", parts.Length, 4);
            string name = parts[parts.Length - 1];
            foreach (KeyValuePair<string, string> volume in new NativeEventLog().Volumes())
                name = name.StartsWith(volume.Key + "\\") ? volume.Value + name.Substring(volume.Key.Length) : name;
            evidence.Same("object", name, path);
            evidence.Same("right", parts.Length < 4 ? "" : parts[2], "0x2");
            using (WindowsIdentity identity = WindowsIdentity.GetCurrent())
            using (Process process = Process.GetCurrentProcess())
            {
                evidence.SamePrivate("account", parts[0], identity.User.Value);
                evidence.Same("process", parts.Length < 4 ? "" : parts[1], "0x" + process.Id.ToString("x"));
            }
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
