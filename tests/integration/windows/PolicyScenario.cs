// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;
using Microsoft.Win32;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.MachineSettings;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.audit_policy.Deployment;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.audit_policy.PolicyHost;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.audit_policy.Recording;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Outcome;

/// <summary>What test_audit_policy.py needs in C#: the modules' work, and the registry by .NET.</summary>
public static class PolicyScenario
{
    public static Dictionary<string, object> Deploy(Dictionary<string, object> options, bool checkMode)
    {
        Exception unexpected;
        return Outcome.Of(
            new ModuleCall(options, checkMode, true),
            delegate(ModuleCall call) { return Deployment.Of(call, PolicyHost.Local()); }, out unexpected);
    }

    public static Dictionary<string, object> Look(Dictionary<string, object> options)
    {
        Exception unexpected;
        return Outcome.Of(
            new ModuleCall(options, true, true),
            delegate(ModuleCall call) { return Recording.Of(call, PolicyHost.Local()); }, out unexpected);
    }

    /// <summary>Return a value of the 64-bit view, null without it; "no key" without its key.</summary>
    public static object Read(string path, string name)
    {
        using (RegistryKey machine = RegistryKey.OpenBaseKey(RegistryHive.LocalMachine, RegistryView.Registry64))
        using (RegistryKey key = machine.OpenSubKey(path))
            return key == null ? "no key" : key.GetValue(name);
    }

    public static void Write(string path, string name, object value)
    {
        using (RegistryKey machine = RegistryKey.OpenBaseKey(RegistryHive.LocalMachine, RegistryView.Registry64))
        using (RegistryKey key = machine.CreateSubKey(path))
            key.SetValue(name, value is long ? (object)(int)(long)value : value);
    }

    public static void Delete(string path)
    {
        using (RegistryKey machine = RegistryKey.OpenBaseKey(RegistryHive.LocalMachine, RegistryView.Registry64))
            machine.DeleteSubKeyTree(path, false);
    }

    public static string Resolve(string path, bool is32Bit)
    {
        string resolved;
        int error = new NativeMachineSettings().Resolve(path, is32Bit, out resolved);
        return error == 0 ? resolved : "error " + error;
    }
}
