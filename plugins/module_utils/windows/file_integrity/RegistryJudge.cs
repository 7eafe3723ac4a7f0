// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;
using System.Text.RegularExpressions;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.RegistryJudge
{
// Inside the namespace: above it, the short name is the neighbouring namespace, not its class.
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Printable;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Change;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Classifier;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.CommandLine;
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

        private const RegexOptions Options = RegexOptions.IgnoreCase | RegexOptions.CultureInvariant;

        private static readonly Regex Provider = new Regex(
            @"\\Authentication\\(?:Credential Providers|Credential Provider Filters|PLAP Providers)\\[^\\]+\z",
            Options);

        // New classes, logs and filters of files that software brings: they replace none.
        private static readonly Regex Additions = new Regex(
            @"^HKLM\\(?:SOFTWARE\\Classes\\(?:WOW6432Node\\)?CLSID\\|SYSTEM\\CurrentControlSet\\Services\\(?:" +
            @"EventLog\\(?!(?:Application|Security|System|Setup|Windows PowerShell)\\)|" +
            @"[^\\]+\\(?<filter>Instances)\\))", Options);

        private readonly RegistryFirstLook _firstLook;
        private readonly RegistryExplanations _explanations;

        private readonly IRegistryFacts _facts;

        /// <summary>
        /// since: when the baseline was taken, in 100 ns since 1601; 0 when that is not known. isRecorded: says whether
        /// the baseline has entries of the hive HKU\SID.
        /// </summary>
        public RegistryJudge(IRegistryFacts facts, long since = 0, Func<string, bool> isRecorded = null)
        {
            _facts = facts;
            _firstLook = new RegistryFirstLook(facts);
            _explanations = new RegistryExplanations(facts, since, isRecorded ?? delegate { return false; });
        }

        public Judgement JudgeEntry(Entry entry, Watch watch)
        {
            return entry.IsRegistry ? _firstLook.Judge(entry) : null;
        }

        public Judgement JudgeChange(Change change, Watch watch)
        {
            if (!change.Current.IsRegistry)
            {
                return null;
            }
            // What is wrong by itself is also wrong when it is new.
            Judgement firstLook = change.After == null ? null : _firstLook.Judge(change.After);
            if (firstLook != null)
            {
                Judgement before = change.Kind == ChangeKinds.Modified ? _firstLook.Judge(change.Before) : null;
                Judgement move = before != null && before.Severity == firstLook.Severity
                    ? _explanations.Move(change)
                    : null;
                Judgement more = Unexplained(change, watch);
                bool isMore = more != null && more.Alert != null &&
                    Classifier.Rank(more.Severity) > Classifier.Rank(firstLook.Severity);
                return move ?? (isMore ? more : firstLook);
            }
            return _explanations.Explain(change, watch) ?? Unexplained(change, watch);
        }

        private Judgement Unexplained(Change change, Watch watch)
        {
            Entry current = change.Current;
            if (current.Kind == EntryKinds.Key)
            {
                return Key(change);
            }
            string key = RegistryPattern.ParentOf(current.Path);
            string name = RegistryPattern.NameOf(current.Path);
            RegistryPlace place = RegistryPlaces.Find(key, name);
            bool isOfDefence = watch.Category == "defence" && place != null && place.Alert == RegistryPlaces.Service;
            if (place == null || isOfDefence)
            {
                return null;
            }
            if (place.Alert == RegistryPlaces.Service && Is(name, "Start") && change.Kind == ChangeKinds.Modified)
            {
                return Start(change, place, key);
            }
            Judgement judgement = change.After == null ? Deleted(change, place, key, name) : Written(change, place);
            // What a new service or task runs stays a finding beside that of its key.
            bool isOfKey = place.Alert == RegistryPlaces.Service || place.Alert == RegistryPlaces.Task;
            bool isRun = change.After != null && (place.IsProgram || place.Severity == "high");
            judgement.IsPart = isOfKey && change.Kind != ChangeKinds.Modified && !isRun;
            return judgement;
        }

        /// <summary>Judge that a service starts otherwise: only 4, disabled, differs much from the rest.</summary>
        private Judgement Start(Change change, RegistryPlace place, string key)
        {
            string before = change.Before.Text("data");
            string now = change.After.Text("data");
            bool isTyped = Array.IndexOf(change.Attributes, "type") >= 0;
            if (!isTyped && (before == "2" || before == "3") && (now == "2" || now == "3"))
            {
                return Judgement.Explain(
                    "services", null, "explained by services that start by themselves or on demand");
            }
            if (isTyped || (before != "4" && now != "4"))
            {
                return Written(change, place);
            }
            string program = CommandLine.Parse(
                _facts.Data(key, "ImagePath"), _facts.SystemRoot, _facts.Expand).Program;
            bool isOfWindows = _facts.Signer(program) == "Microsoft Corporation";
            return Judgement.Raise(RegistryPlaces.Service, isOfWindows ? "low" : "medium", Printable.ShowPath(key) +
                (now == "4" ? " was disabled" : " was enabled again: it was disabled before"),
                now == "4" ? "T1562.001" : "T1543.003");
        }

        private Judgement Key(Change change)
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
                    place == null ? RegistryFirstLook.Suspicious : place.Alert,
                    OrdinaryAccounts.AreMany(writers) ? "high" : "medium",
                    path + " can now be changed by " + string.Join(" and ", writers), "T1222.001", "T1112");
            }
            if (change.Kind == ChangeKinds.Created && IsService(change.Path))
            {
                // Adapters of networks have keys there, too; what can be started has a type.
                bool isStartable = _facts.HasValue(change.Path, "Type") != false;
                return Judgement.Raise(RegistryPlaces.Service, isStartable ? "medium" : "low", isStartable
                    ? "the service or driver " + path + " was installed"
                    : "the key " + path + " is new among the services, and starts nothing", "T1543.003");
            }
            if (change.Kind == ChangeKinds.Deleted && IsService(change.Path))
            {
                return Judgement.Raise(
                    RegistryPlaces.Service, "medium", "the service or driver " + path + " was removed", "T1489");
            }
            if (place != null && (change.Kind == ChangeKinds.Created || change.Kind == ChangeKinds.Deleted))
            {
                // Its values are changes of their own; but a credential provider is its key.
                bool isAll = Provider.IsMatch(change.Path) && change.Kind == ChangeKinds.Created;
                Judgement judgement = Judgement.Raise(place.Alert, isAll ? place.Severity : "low",
                    "the key " + path + " was " + change.Kind, place.Techniques);
                judgement.IsPart = place.Alert == RegistryPlaces.Task;
                return judgement;
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
            Match addition = change.Kind == ChangeKinds.Created ? Additions.Match(change.Path) : Match.Empty;
            string severity = !addition.Success ? place.Severity : addition.Groups["filter"].Success ? "medium" : "low";
            return Judgement.Raise(place.Alert, severity, sentence + ": it " + place.Effect, place.Techniques);
        }

        private Judgement Deleted(Change change, RegistryPlace place, string key, string name)
        {
            string path = change.Current.Shown;
            bool isTask = place.Alert == RegistryPlaces.Task;
            if (isTask && _facts.HasKey(key) != false && name.Equals("SD", StringComparison.OrdinalIgnoreCase))
            {
                string message = path +
                    " was deleted: this hides the task while it still runs";
                return Judgement.Raise(RegistryFirstLook.HiddenTask, "high", message, "T1053.005", "T1564");
            }
            bool defends = place.Alert == RegistryPlaces.Defence || place.Alert == RegistryPlaces.Authentication;
            string effect = Data(change.Before) + " " + place.Effect;
            string severity = defends ? place.Severity : "low";
            return Judgement.Raise(place.Alert, severity, path + " was deleted: before, " + effect, place.Techniques);
        }

        private static bool Is(string text, string other)
        {
            return string.Equals(text, other, StringComparison.OrdinalIgnoreCase);
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
