// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;

// The event log of .NET Framework: Wine's keeps nothing, so that nothing is written.
namespace System.Diagnostics
{
    public enum EventLogEntryType
    {
        Error = 1,
        Warning = 2,
        Information = 4
    }

    public class EventLog : IDisposable
    {
        public string Source { get; set; }

        public EventLog(string logName)
        {
        }

        public static bool SourceExists(string source)
        {
            return true;
        }

        public static void CreateEventSource(string source, string logName)
        {
        }

        public void WriteEntry(string message, EventLogEntryType type, int eventId)
        {
        }

        public void Dispose()
        {
        }
    }
}
