// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.RegistryJudge
{
// Inside the namespace: above it, the short name is the neighbouring namespace, not its class.
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Change;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Entry;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Judgement;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.OrdinaryAccounts;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.RegistryExplanations;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.RegistryFacts;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.RegistryFirstLook;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.RegistryPattern;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.RegistryPlaces;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Watch;

    /// <summary>Says what changes of the registry mean, and what is wrong in it on the first look.</summary>
    public sealed class RegistryJudge : IJudge
    {
        private const int LongestData = 200;

        private readonly RegistryFirstLook _firstLook;
        private readonly RegistryExplanations _explanations;

        /// <summary>since: when the baseline was taken, in 100 ns since 1601; 0 when that is not known.</summary>
        public RegistryJudge(IRegistryFacts facts, long since = 0)
        {
            _firstLook = new RegistryFirstLook(facts);
            _explanations = new RegistryExplanations(facts, since);
        }

        public Judgement JudgeEntry(Entry entry, Watch watch)
        {
            return entry.IsRegistry ? _firstLook.Judge(entry) : null;
        }

        public Judgement JudgeChange(Change change, Watch watch)
        {
            Entry current = change.Current;
            if (!current.IsRegistry)
            {
                return null;
            }
            // What is wrong by itself is also wrong when it is new.
            Judgement firstLook = change.After == null ? null : _firstLook.Judge(change.After);
            if (firstLook != null)
            {
                return firstLook;
            }
            Judgement explanation = _explanations.Explain(change);
            if (explanation != null)
            {
                return explanation;
            }
            if (current.Kind == EntryKinds.Key)
            {
                return Key(change);
            }
            string key = RegistryPattern.ParentOf(current.Path);
            string name = RegistryPattern.NameOf(current.Path);
            RegistryPlace place = RegistryPlaces.Find(key, name);
            if (place == null)
            {
                return null;
            }
            return change.After == null ? Deleted(change, place, key, name) : Written(change, place);
        }

        private static Judgement Key(Change change)
        {
            string path = change.Current.Shown;
            List<string> before = change.Before == null
                ? new List<string>()
                : OrdinaryAccounts.KeyWriters(change.Before.Text("dacl"));
            List<string> writers = change.After == null
                ? new List<string>()
                : OrdinaryAccounts.KeyWriters(change.After.Text("dacl"));
            writers.RemoveAll(before.Contains);
            bool isOfMachine = path.StartsWith("HKLM", StringComparison.OrdinalIgnoreCase);
            RegistryPlace place = RegistryPlaces.Find(change.Path, null);
            if (isOfMachine && writers.Count > 0)
            {
                return Judgement.Raise(
                    place == null ? RegistryFirstLook.Suspicious : place.Alert, "high",
                    path + " can now be changed by " + string.Join(" and ", writers), "T1222.001", "T1112");
            }
            if (change.Kind == ChangeKinds.Created && IsService(change.Path))
            {
                return Judgement.Raise(
                    RegistryPlaces.Service, "medium", "the service or driver " + path + " was installed", "T1543.003");
            }
            if (change.Kind == ChangeKinds.Deleted && IsService(change.Path))
            {
                return Judgement.Raise(
                    RegistryPlaces.Service, "medium", "the service or driver " + path + " was removed", "T1489");
            }
            if (place != null && (change.Kind == ChangeKinds.Created || change.Kind == ChangeKinds.Deleted))
            {
                // Its values are changes of their own.
                return Judgement.Raise(
                    place.Alert, "low", "the key " + path + " was " + change.Kind, place.Techniques);
            }
            return null;
        }

        private static bool IsService(string path)
        {
            string[] parts = RegistryPlaces.Normal(path).Split('\\');
            return parts.Length == 5 && parts[3].Equals("Services", StringComparison.OrdinalIgnoreCase) &&
                parts[2] == "CCS";
        }

        private static Judgement Written(Change change, RegistryPlace place)
        {
            string path = change.Current.Shown;
            string now = Data(change.After);
            string sentence;
            if (change.Before == null || change.Before.Kind != EntryKinds.Value)
            {
                sentence = path + " was added with " + now;
            }
            else if (Array.IndexOf(change.Attributes, "content") < 0)
            {
                sentence = path + " was changed (" + string.Join(", ", change.Attributes) + ")";
            }
            else
            {
                sentence = path + " was changed from " + Data(change.Before) + " to " + now;
            }
            return Judgement.Raise(place.Alert, place.Severity, sentence + ": it " + place.Effect, place.Techniques);
        }

        private static Judgement Deleted(Change change, RegistryPlace place, string key, string name)
        {
            string path = change.Current.Shown;
            bool isTask = place.Alert == RegistryPlaces.Task;
            if (isTask && name.Equals("SD", StringComparison.OrdinalIgnoreCase))
            {
                string message = path +
                    " was deleted: this hides the task while it still runs, unless the task itself was deleted";
                return Judgement.Raise(RegistryFirstLook.HiddenTask, "high", message, "T1053.005", "T1564");
            }
            bool defends = place.Alert == RegistryPlaces.Defence || place.Alert == RegistryPlaces.Authentication;
            string effect = Data(change.Before) + " " + place.Effect;
            string severity = defends ? place.Severity : "low";
            return Judgement.Raise(place.Alert, severity, path + " was deleted: before, " + effect, place.Techniques);
        }

        private static string Data(Entry entry)
        {
            string data = entry.Text("data");
            if (data == null)
            {
                return (entry.Text("type") ?? "data") + " of " + (entry.Number("size") ?? 0) + " bytes";
            }
            return "'" + (data.Length <= LongestData ? data : data.Substring(0, LongestData) + "...") + "'";
        }
    }
}
