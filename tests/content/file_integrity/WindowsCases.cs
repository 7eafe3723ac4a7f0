// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Change;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Changes;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Classifier;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Definitions;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Entry;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.HostPaths;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Judgement;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Owners;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.RegistryJudge;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.SignatureJudge;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.SignedLikes;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Watch;
using JsonObject = System.Collections.Generic.Dictionary<string, object>;

/// <summary>What test_windows_cases.py needs in C#.</summary>
public static class WindowsCases
{
    /// <summary>
    /// Return what a change means: alert, severity, message and techniques; null where no watch has it. facts: as
    /// RecordedFacts takes them. likes: other files of the host. before and after: null, or kind, path and attributes.
    /// </summary>
    public static List<object> Verdict(
        List<object> watches, JsonObject facts, List<object> likes, JsonObject before, JsonObject after)
    {
        List<Watch> made = Definitions.FromOptions(watches);
        Entry old = EntryOf(before);
        Entry now = EntryOf(after);
        string owner = new Owners(made, new CaseHost()).Owner(now ?? old);
        if (owner == null)
        {
            return null;
        }
        SignedLikes signed = new SignedLikes(@"C:\Windows");
        foreach (object like in likes)
        {
            signed.Observe(EntryOf((JsonObject)like));
        }
        IJudge[] judges = { new SignatureJudge(signed, new string[0]), new RegistryJudge(new RecordedFacts(facts), 100) };
        Classifier classifier = new Classifier(made, judges);
        List<object> verdict = null;
        Changes changes = new Changes(delegate { return true; }, delegate(Change change)
        {
            Judgement judgement = classifier.Classify(change);
            verdict = new List<object>
            {
                judgement.Alert, judgement.Severity, judgement.Message, new List<object>(judgement.Techniques)
            };
        });
        if (old == null)
        {
            changes.Created(owner, now);
        }
        else if (now == null)
        {
            changes.Missing(owner, old);
        }
        else
        {
            changes.Compared(owner, old, now);
        }
        changes.Finish();
        return verdict;
    }

    private static Entry EntryOf(JsonObject entry)
    {
        return entry == null
            ? null
            : new Entry((string)entry["kind"], (string)entry["path"], (JsonObject)entry["attributes"]);
    }

    private sealed class CaseHost : IHostPaths
    {
        private static readonly Dictionary<string, string> Variables = new Dictionary<string, string>
        {
            { "SystemRoot", @"C:\Windows" },
            { "SystemDrive", "C:" },
            { "ProgramData", @"C:\ProgramData" },
            { "ProgramFiles", @"C:\Program Files" }
        };

        public IList<string> Profiles
        {
            get { return new[] { @"C:\Users\ann" }; }
        }

        public ICollection<string> Services
        {
            get { return new[] { @"C:\App\service.exe" }; }
        }

        public string Variable(string name)
        {
            string value;
            return Variables.TryGetValue(name, out value) ? value : null;
        }
    }
}
