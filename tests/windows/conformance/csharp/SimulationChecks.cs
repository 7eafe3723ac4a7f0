// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Diagnostics;
using System.Globalization;
using System.IO;
using System.Threading;

namespace ansible_collections.bulwark.conformance.plugins.module_utils.SimulationChecks
{
// Inside the namespace: above it, the short name is the neighbouring namespace, not its class.
using ansible_collections.bulwark.conformance.plugins.module_utils.Evidence;
using ansible_collections.bulwark.conformance.plugins.module_utils.Workspace;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.EventWriter;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.SuspendedPrograms;

    /// <summary>Checks of SuspendedPrograms and EventWriter.</summary>
    public static class SimulationChecks
    {
        // A shell that runs has done its line then.
        private const int Milliseconds = 2000;

        public static Check[] All()
        {
            return new[]
            {
                new Check("suspended_start", "SuspendedPrograms.Start", "a file that its command line would make", Start),
                new Check("suspended_parent", "SuspendedPrograms.Start", "Win32_Process of WMI", Parent),
                new Check("suspended_end", "SuspendedPrograms.End", "Process of .NET", End),
                new Check("suspended_end_below", "SuspendedPrograms.EndBelow", "Process of .NET", EndBelow),
                new Check("event_write", "EventWriter.Write", "Get-WinEvent of PowerShell", Write)
            };
        }

        // A shell does what its command line says, if it ever runs.
        private static string Shell(Workspace workspace, string name)
        {
            string path = workspace.Files + "\\" + name + ".exe";
            File.Copy(Environment.SystemDirectory + "\\cmd.exe", path, true);
            return path;
        }

        private static int Started(ISuspendedPrograms programs, string path, string line, int parent)
        {
            int id;
            Workspace.Check(programs.Start(path, line, parent, out id), "the process");
            return id;
        }

        private static bool IsThere(int id)
        {
            try
            {
                using (Process process = Process.GetProcessById(id))
                    return !process.HasExited;
            }
            catch (ArgumentException)
            {
                return false;
            }
        }

        private static void Start(Workspace workspace, Evidence evidence)
        {
            string shell = Shell(workspace, "start");
            string made = workspace.Files + "\\ran.txt";
            using (NativeSuspendedPrograms programs = new NativeSuspendedPrograms())
            {
                int id = Started(programs, shell, "start /c echo x > \"" + made + "\"", 0);
                Thread.Sleep(Milliseconds);
                evidence.Same("it is there", IsThere(id), true);
                evidence.Same("it ran", File.Exists(made), false);
            }
        }

        private static void Parent(Workspace workspace, Evidence evidence)
        {
            SecondWay.PowerShell("1");
            string shell = Shell(workspace, "parent");
            using (NativeSuspendedPrograms programs = new NativeSuspendedPrograms())
            {
                int parent = Started(programs, shell, "parent", 0);
                int child = Started(programs, shell, "child /c rem", parent);
                string found = SecondWay.PowerShell(string.Format(CultureInfo.InvariantCulture,
                    "$p = Get-CimInstance Win32_Process -Filter 'ProcessId={0}'; '{{0}} {{1}}' -f $p.ParentProcessId, "
                    + "$p.CommandLine", child));
                evidence.Same("parent and line", parent.ToString(CultureInfo.InvariantCulture) + " child /c rem", found);
            }
        }

        private static void End(Workspace workspace, Evidence evidence)
        {
            string shell = Shell(workspace, "end");
            using (NativeSuspendedPrograms programs = new NativeSuspendedPrograms())
            {
                int id = Started(programs, shell, "end", 0);
                evidence.Same("error", programs.End(id), 0);
                evidence.Same("it is there", IsThere(id), false);
            }
            File.Delete(shell);
            evidence.Same("its file can be removed", File.Exists(shell), false);
        }

        private static void EndBelow(Workspace workspace, Evidence evidence)
        {
            string shell = Shell(workspace, "below");
            using (NativeSuspendedPrograms programs = new NativeSuspendedPrograms())
            using (NativeSuspendedPrograms others = new NativeSuspendedPrograms())
            {
                int id = Started(programs, shell, "below", 0);
                others.EndBelow(workspace.Files + "\\none");
                evidence.Same("it is there before", IsThere(id), true);
                others.EndBelow(workspace.Files);
                evidence.Same("it is there after", IsThere(id), false);
            }
        }

        private static void Write(Workspace workspace, Evidence evidence)
        {
            SecondWay.PowerShell("1");
            string source = "MSSQL$" + workspace.Id;
            Workspace.Check(new NativeEventWriter().Write(source, 18456, new[] { "first", "second" }), "the event");
            // The service writes a moment later.
            Thread.Sleep(Milliseconds);
            evidence.Same("event", "Application 18456 first second", SecondWay.PowerShell(
                "$e = Get-WinEvent -FilterHashtable @{LogName='Application'; ProviderName='" + source + "'} -MaxEvents 1; "
                + "'{0} {1} {2} {3}' -f $e.LogName, $e.Id, $e.Properties[0].Value, $e.Properties[1].Value"));
        }
    }
}
