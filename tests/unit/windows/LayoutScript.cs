// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;
using System.Reflection;
using System.Runtime.InteropServices;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Json;

/// <summary>Prints size and offsets of each struct that the collection gives to Windows, and its integer constants, as
/// JSON: FILE.STRUCT by name, and FILE.CLASS.CONSTANT.</summary>
public static class LayoutScript
{
    private const string Edges = "ansible_collections.bulwark.servers.plugins.module_utils.windows.api.";

    public static int Main()
    {
        Dictionary<string, object> structs = new Dictionary<string, object>();
        Dictionary<string, object> constants = new Dictionary<string, object>();
        foreach (Type type in Assembly.GetExecutingAssembly().GetTypes())
        {
            if (type.Namespace == null || !type.Namespace.StartsWith(Edges, StringComparison.Ordinal))
            {
                continue;
            }
            string file = type.Namespace.Substring(Edges.Length);
            if (type.IsValueType && !type.IsEnum)
            {
                structs[file + "." + type.Name] = Layout(type);
            }
            else
            {
                AddConstants(constants, file + "." + type.Name, type);
            }
        }
        Dictionary<string, object> result = new Dictionary<string, object>();
        result["structs"] = structs;
        result["constants"] = constants;
        Console.WriteLine(Json.Write(result));
        return 0;
    }

    private static Dictionary<string, object> Layout(Type type)
    {
        Dictionary<string, object> layout = new Dictionary<string, object>();
        layout[""] = (long)Marshal.SizeOf(type);
        BindingFlags all = BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic;
        foreach (FieldInfo field in type.GetFields(all))
        {
            layout[field.Name] = Marshal.OffsetOf(type, field.Name).ToInt64();
        }
        return layout;
    }

    private static void AddConstants(Dictionary<string, object> constants, string prefix, Type type)
    {
        BindingFlags all = BindingFlags.Static | BindingFlags.Public | BindingFlags.NonPublic;
        foreach (FieldInfo field in type.GetFields(all))
        {
            if (field.IsLiteral && field.FieldType == typeof(int))
            {
                constants[prefix + "." + field.Name] = (long)(int)field.GetRawConstantValue();
            }
        }
    }
}
