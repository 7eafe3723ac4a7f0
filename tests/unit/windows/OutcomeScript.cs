// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections;
using System.Collections.Generic;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Errors;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Outcome;

/// <summary>What test_outcome.py needs in C#: actions that return or throw.</summary>
public static class OutcomeScript
{
    /// <summary>Return the outcome of an action that returns a result.</summary>
    public static Dictionary<string, object> Returning(
        Dictionary<string, object> options, bool diffMode, Dictionary<string, object> result)
    {
        Exception unexpected;
        ModuleCall call = new ModuleCall(new Hashtable(options), false, diffMode);
        return Outcome.Of(call, delegate { return result; }, out unexpected);
    }

    /// <summary>Return the outcome of an action that throws, and the trace of what was unexpected.</summary>
    public static List<object> Throwing(string type, string message)
    {
        Exception unexpected;
        ModuleCall call = new ModuleCall(new Hashtable(), false, false);
        Dictionary<string, object> result = Outcome.Of(call, delegate { throw Make(type, message); }, out unexpected);
        return new List<object> { result, unexpected == null ? null : Outcome.Trace(unexpected) };
    }

    /// <summary>Return options as an action reads them, from the collections that Ansible.Basic makes.</summary>
    public static List<object> Options()
    {
        Hashtable options = new Hashtable();
        options["text"] = "t";
        options["number"] = 5;
        options["flag"] = true;
        options["none"] = null;
        options["texts"] = new List<object> { "a", "b" };
        options["nested"] = new ArrayList { new Hashtable { { "n", new object[] { 1, 2.5f } } } };
        ModuleCall call = new ModuleCall(options, true, false);
        return new List<object>
        {
            call.Params, call.CheckMode, call.DiffMode
        };
    }

    private static Exception Make(string type, string message)
    {
        switch (type)
        {
            case "usage":
                return new UsageException(message);
            case "host":
                return new HostException(message);
            case "damaged":
                return new DamagedException(message);
            case "newer":
                return new NewerException(message);
            case "memory":
                return new OutOfMemoryException(message);
            default:
                return new InvalidOperationException(message, new FormatException("inner " + message));
        }
    }
}
