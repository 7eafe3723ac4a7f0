// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections;
using System.Collections.Generic;
using System.IO;
using System.Management.Automation;
using System.Web.Script.Serialization;
using Ansible.Basic;

/// <summary>What a literal module does in PowerShell: create the module, make its one call, exit.</summary>
public static class StandIn
{
    /// <summary>arguments: a JSON file with the specification, and one with the module's arguments.</summary>
    public static int Main(string[] arguments)
    {
        Hashtable specification = (Hashtable)Literal(Read(arguments[0]));
        ScriptBlock.ComplexArguments = (Hashtable)Literal(Read(arguments[1]));
        AnsibleModule module = AnsibleModule.Create(new string[0], specification);
        try
        {
            ModuleCall.Run(module);
        }
        catch (Exception exception)
        {
            // The message of ansible-core's module wrapper around PowerShell's own of a method that throws.
            Dictionary<string, object> result = new Dictionary<string, object>();
            result["failed"] = true;
            result["msg"] = "Unhandled exception while executing module: "
                + "Exception calling \"Run\" with \"1\" argument(s): \"" + exception.Message + "\"";
            result["exception"] = exception.ToString();
            Console.Out.WriteLine(AnsibleModule.ToJson(result));
            return 1;
        }
        module.ExitJson();
        return 0;
    }

    private static object Read(string file)
    {
        return new JavaScriptSerializer().Deserialize<object>(File.ReadAllText(file));
    }

    /// <summary>Make of JSON what PowerShell has for it: hashtables, whose keys have no case, and arrays.</summary>
    private static object Literal(object value)
    {
        IDictionary table = value as IDictionary;
        object[] list = value as object[];
        if (table != null)
        {
            Hashtable literal = new Hashtable(StringComparer.OrdinalIgnoreCase);
            foreach (DictionaryEntry entry in table)
                literal[entry.Key] = Literal(entry.Value);
            return literal;
        }
        return list == null ? value : Array.ConvertAll<object, object>(list, Literal);
    }
}
