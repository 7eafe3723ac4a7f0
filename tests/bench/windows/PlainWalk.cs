// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Diagnostics;
using System.Globalization;
using System.IO;
using System.Security.Cryptography;
using System.Text;
using Microsoft.Win32;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.BackgroundMode;

/// <summary>Reads and hashes a directory, or a key below HKLM, and prints how long that took.</summary>
public static class PlainWalk
{
    private static long _entries;

    public static int Main(string[] arguments)
    {
        Stopwatch watch = Stopwatch.StartNew();
        // The modules read in background mode, which on a busy machine takes longer.
        using (new BackgroundMode())
        using (SHA256 hash = SHA256.Create())
        {
            const string Hive = "HKLM\\";
            if (arguments[0].StartsWith(Hive, StringComparison.Ordinal))
            {
                using (RegistryKey root = RegistryKey.OpenBaseKey(RegistryHive.LocalMachine, RegistryView.Registry64))
                using (RegistryKey key = root.OpenSubKey(arguments[0].Substring(Hive.Length)))
                {
                    Walk(key, hash);
                }
            }
            else
            {
                foreach (string file in Directory.EnumerateFiles(arguments[0], "*", SearchOption.AllDirectories))
                {
                    _entries++;
                    using (FileStream stream = File.OpenRead(file))
                    {
                        hash.ComputeHash(stream);
                    }
                }
            }
        }
        string seconds = watch.Elapsed.TotalSeconds.ToString("F4", CultureInfo.InvariantCulture);
        Console.WriteLine("{\"entries\":" + _entries + ",\"seconds\":" + seconds + "}");
        return 0;
    }

    private static void Walk(RegistryKey key, SHA256 hash)
    {
        _entries++;
        foreach (string name in key.GetValueNames())
        {
            _entries++;
            object data = key.GetValue(name, null, RegistryValueOptions.DoNotExpandEnvironmentNames);
            byte[] bytes = data as byte[];
            hash.ComputeHash(bytes ?? Encoding.Unicode.GetBytes(Convert.ToString(data)));
        }
        foreach (string name in key.GetSubKeyNames())
        {
            using (RegistryKey below = key.OpenSubKey(name))
            {
                if (below != null)
                {
                    Walk(below, hash);
                }
            }
        }
    }
}
