// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

//NoWarn -Name CS1702 -CLR Core

using System;
using System.Collections.Generic;
using System.Globalization;
using System.IO;
using System.Text;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.StateFiles;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Errors;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.IStateFiles;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.State;

/// <summary>What test_state.py does with state as a Windows process: StateProgram COMMAND ROOT [ARGUMENT].</summary>
public static class StateProgram
{
    private const string Name = "file";
    private const int Lines = 20000;

    public static int Main(string[] arguments)
    {
        try
        {
            Console.WriteLine(Run(arguments[0], arguments[1], arguments.Length > 2 ? arguments[2] : null));
            return 0;
        }
        catch (StateException error)
        {
            Console.WriteLine(error.GetType().Name + ": " + error.Message);
            return 1;
        }
    }

    private static string Run(string command, string root, string argument)
    {
        switch (command)
        {
            case "facts":
                return Facts(root);
            case "open":
                using (StateDirectory state = StateDirectory.Open(root, "part", argument == "create"))
                    return state == null ? "none" : state.Path;
            case "write":
                return Write(root, Number(argument));
            case "fill":
                return Fill(root, Number(argument));
            case "forever":
                for (int number = 1; ; number++)
                    Write(root, number);
            case "count":
                return Count(root, Number(argument));
            case "rename":
                return Rename(root);
            default:
                return Read(root);
        }
    }

    private static int Number(string text)
    {
        return Int32.Parse(text, CultureInfo.InvariantCulture);
    }

    private static string Facts(string path)
    {
        using (IStateDirectoryHandle handle = new NativeStateFiles().OpenDirectory(path))
            return handle == null
                ? "none"
                : handle.Attributes + "|" + handle.FinalPath + "|" + Convert.ToBase64String(handle.Descriptor) + "|"
                    + new NativeStateFiles().UserSid;
    }

    // A file of many equal lines: one that is cut off or mixed is seen.
    private static string Write(string root, int number)
    {
        byte[] line = Encoding.ASCII.GetBytes(number.ToString("D9", CultureInfo.InvariantCulture) + "\n");
        using (StateDirectory state = StateDirectory.Open(root, "part", true))
        using (state.Lock("lock", 30))
            state.Replace(Name, delegate(Stream stream)
            {
                for (int count = 0; count < Lines; count++)
                    stream.Write(line, 0, line.Length);
            });
        return "written " + number;
    }

    private static string Fill(string root, int megabytes)
    {
        using (StateDirectory state = StateDirectory.Open(root, "part", true))
        using (state.Lock("lock", 30))
            state.Replace(Name, delegate(Stream stream)
            {
                byte[] block = new byte[1 << 20];
                for (int count = 0; count < megabytes; count++)
                    stream.Write(block, 0, block.Length);
            });
        return "written";
    }

    private static string Read(string root)
    {
        using (StateDirectory state = StateDirectory.Open(root, "part", false))
        {
            byte[] content = state == null ? null : state.Read(Name);
            if (content == null)
                return "none";
            string[] lines = Encoding.ASCII.GetString(content).Split('\n');
            foreach (string line in lines)
            {
                if (line != lines[0] && line.Length > 0)
                    return "mixed";
            }
            List<string> names = new List<string>(state.Names());
            names.Sort(string.CompareOrdinal);
            return (lines.Length - 1 == Lines ? "whole " : "cut off ") + Number(lines[0]) + " " + string.Join(" ", names);
        }
    }

    // Adds to a number in a file: without the lock, two processes lose some.
    private static string Count(string root, int times)
    {
        for (int count = 0; count < times; count++)
        {
            using (StateDirectory state = StateDirectory.Open(root, "part", true))
            using (state.Lock("lock", 30))
            {
                byte[] content = state.Read(Name);
                int number = content == null ? 0 : Number(Encoding.ASCII.GetString(content));
                state.Write(Name, Encoding.ASCII.GetBytes((number + 1).ToString(CultureInfo.InvariantCulture)));
            }
        }
        using (StateDirectory state = StateDirectory.Open(root, "part", false))
            return Encoding.ASCII.GetString(state.Read(Name));
    }

    // While state is open, neither it nor the directory above can be renamed.
    private static string Rename(string root)
    {
        using (StateDirectory.Open(root, "part", true))
        {
            foreach (string path in new[] { root + "\\part", root })
            {
                try
                {
                    Directory.Move(path, path + "-moved");
                    return "renamed " + path;
                }
                catch (IOException)
                {
                }
            }
        }
        Directory.Move(root, root + "-moved");
        return "renamed afterwards";
    }
}
