// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;
using System.IO;
using System.Text;

using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Json;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Outcome;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.State;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Apply;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Host;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Look;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Options;

/// <summary>
/// Calls both modules as Ansible does, without PowerShell: reads a list of {module, params, check_mode} as JSON from
/// standard input and prints the list of their results.
/// </summary>
public static class Calls
{
    private static readonly List<Stream> Held = new List<Stream>();

    public static int Main()
    {
        StreamReader input = new StreamReader(Console.OpenStandardInput(), new UTF8Encoding(false));
        List<object> results = new List<object>();
        foreach (object item in (List<object>)Json.Parse(input.ReadToEnd()))
        {
            results.Add(Result((Dictionary<string, object>)item));
        }
        byte[] output = Encoding.ASCII.GetBytes(Json.Write(results));
        using (Stream stream = Console.OpenStandardOutput())
        {
            stream.Write(output, 0, output.Length);
        }
        return 0;
    }

    private static Dictionary<string, object> Result(Dictionary<string, object> asked)
    {
        object value;
        Dictionary<string, object> parameters = (Dictionary<string, object>)asked["params"];
        if ((string)asked["module"] == "hold")
        {
            // As another comparison has it open, until this process ends.
            StateDirectory state = StateDirectory.Open((string)parameters["state_dir"], "file_integrity", false);
            Held.Add(state.OpenRead("default.baseline"));
            return new Dictionary<string, object>();
        }
        bool checkMode = asked.TryGetValue("check_mode", out value) && true.Equals(value);
        ModuleCall call = new ModuleCall(parameters, checkMode, true);
        Exception unexpected;
        Dictionary<string, object> result;
        using (Host host = Host.Local())
        {
            bool looks = (string)asked["module"] == "win_file_integrity_info";
            result = Outcome.Of(
                call,
                delegate(ModuleCall invocation)
                {
                    return looks ? Look.Compared(Options.Parse(invocation.Params), host) : Apply.Of(invocation, host);
                },
                out unexpected);
        }
        if (unexpected != null)
        {
            result["exception"] = unexpected.ToString();
        }
        return result;
    }
}
