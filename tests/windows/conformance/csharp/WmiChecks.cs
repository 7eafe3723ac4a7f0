// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;
using System.Text.RegularExpressions;

namespace ansible_collections.bulwark.conformance.plugins.module_utils.WmiChecks
{
using ansible_collections.bulwark.conformance.plugins.module_utils.Evidence;
using ansible_collections.bulwark.conformance.plugins.module_utils.HostChecks;
using ansible_collections.bulwark.conformance.plugins.module_utils.Workspace;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.Wmi;

    /// <summary>Checks of Wmi.</summary>
    public static class WmiChecks
    {
        private const int Limit = 2000;

        public static Check[] All()
        {
            return new[]
            {
                new Check("wmi_service", "Wmi.ServiceState", "sc.exe", Service),
                new Check("wmi_instances", "Wmi.Instances", "the build in the registry, and a limit", Instances),
                new Check("wmi_subscriptions", "Wmi.Instances", "Get-CimInstance", Subscriptions),
                new Check("wmi_describe", "Wmi.Describe", "what does not exist, and a limit", Describe)
            };
        }

        private static int Read(string path, string name, int limit, List<WmiInstance> instances)
        {
            using (NativeWmi wmi = new NativeWmi())
                return wmi.Instances(path, name, limit, instances);
        }

        private static void Service(Workspace workspace, Evidence evidence)
        {
            // The type before it has two digits, and the code behind it no word.
            Match match = Regex.Match(SecondWay.Program("sc.exe", "query winmgmt"), @":\s+(\d)\s+[A-Z_]+");
            if (!match.Success)
                throw new NotPossibleException("sc.exe says nothing of Winmgmt");
            using (NativeWmi wmi = new NativeWmi())
                evidence.Same("state", wmi.ServiceState(), match.Groups[1].Value);
        }

        private static void Instances(Workspace workspace, Evidence evidence)
        {
            List<WmiInstance> systems = new List<WmiInstance>();
            List<WmiInstance> services = new List<WmiInstance>();
            evidence.Same("status", Read(@"root\cimv2", "Win32_OperatingSystem", 2, systems), 0);
            evidence.Same("count", systems.Count, 1);
            evidence.Same("build", systems[0].Properties["BuildNumber"], HostChecks.Build());
            evidence.Same("class", systems[0].Class, "Win32_OperatingSystem");
            Read(@"root\cimv2", "Win32_Service", 2, services);
            evidence.Same("services with a limit", services.Count, 2);
        }

        // Text of the instances of somebody else's subscriptions is private.
        private static void Subscriptions(Workspace workspace, Evidence evidence)
        {
            foreach (string source in new[]
            {
                @"root:__NAMESPACE", @"root\subscription:__EventConsumer", @"root\subscription:__EventFilter",
                @"root\subscription:__FilterToConsumerBinding"
            })
            {
                string[] parts = source.Split(':');
                string second = SecondWay.PowerShell(
                    "@(Get-CimInstance -Namespace '" + parts[0] + "' -ClassName " + parts[1] + " | ForEach-Object {" +
                    " $_.CimSystemProperties.ClassName + '/' + $_.Name + '/' + $_.Query }) -join \"`n\"");
                List<WmiInstance> instances = new List<WmiInstance>();
                evidence.Same("status of " + source, Read(parts[0], parts[1], Limit, instances), 0);
                List<string> texts = new List<string>();
                foreach (WmiInstance instance in instances)
                    texts.Add(instance.Class + "/" + Text(instance, "Name") + "/" + Text(instance, "Query"));
                evidence.SamePrivate(source, Sorted(string.Join("\n", texts.ToArray())), Sorted(second ?? ""));
            }
        }

        private static string Text(WmiInstance instance, string name)
        {
            object value;
            return instance.Properties.TryGetValue(name, out value) ? value as string : null;
        }

        private static string Sorted(string text)
        {
            string[] lines = text.Split('\n');
            Array.Sort(lines, StringComparer.Ordinal);
            return string.Join("\n", lines);
        }

        private static void Describe(Workspace workspace, Evidence evidence)
        {
            foreach (string[] asked in new[]
            {
                new[] { "root", "bulwark_missing", "there is no such class" },
                new[] { @"root\bulwark_missing", "__NAMESPACE", "there is no such namespace" },
                new[] { @"root\cimv2", "Win32_Service", "there are too many" }
            })
            {
                int status = Read(asked[0], asked[1], 1, new List<WmiInstance>());
                evidence.Same(asked[0] + ":" + asked[1], WmiStatus.Describe(status), asked[2]);
            }
        }
    }
}
