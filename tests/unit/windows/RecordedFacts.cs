// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.RegistryFacts;
using JsonObject = System.Collections.Generic.Dictionary<string, object>;

/// <summary>Facts that a case gives; what it does not give is not known.</summary>
internal sealed class RecordedFacts : IRegistryFacts
{
    private readonly JsonObject _facts;

    public RecordedFacts(JsonObject facts)
    {
        _facts = facts;
    }

    public string SystemRoot
    {
        get { return @"C:\Windows"; }
    }

    public string Expand(string text)
    {
        string expanded = text.Replace("%SystemRoot%", SystemRoot).Replace("%ProgramData%", @"C:\ProgramData");
        return expanded.Replace("%OS%", "Windows_NT");
    }

    public bool? HasKey(string path)
    {
        return (bool?)Fact("keys", path);
    }

    public bool? HasValue(string path, string name)
    {
        return (bool?)Fact("values", path + "\\\\" + name);
    }

    public string Data(string path, string name)
    {
        return (string)Fact("data", path + "\\\\" + name);
    }

    public byte[] Bytes(string path, string name)
    {
        string data = (string)Fact("bytes", path + "\\\\" + name);
        return data == null ? null : Convert.FromBase64String(data);
    }

    public string Signer(string path)
    {
        return (string)Fact("signers", path);
    }

    public long? LastWrite(string path)
    {
        return (long?)Fact("last_writes", path);
    }

    public bool? FileExists(string path)
    {
        return (bool?)Fact("files", path);
    }

    public IList<string> Writers(string path)
    {
        List<object> names = (List<object>)Fact("writers", path);
        return names == null ? null : names.ConvertAll(delegate(object name) { return (string)name; });
    }

    private object Fact(string kind, string name)
    {
        object group;
        object fact = null;
        if (_facts.TryGetValue(kind, out group))
        {
            ((JsonObject)group).TryGetValue(name, out fact);
        }
        return fact;
    }
}
