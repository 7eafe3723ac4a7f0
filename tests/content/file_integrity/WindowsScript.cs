// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Model;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Classifier;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Definitions;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.HostPaths;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Owners;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.RegistryJudge;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Updates;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Signatures;
using JsonObject = System.Collections.Generic.Dictionary<string, object>;

/// <summary>What a change, or an entry on the first look, becomes with given watches and all judges.</summary>
public static class WindowsScript
{
    private const long Baseline = 100;

    private static readonly string[] SignatureNames =
    {
        "signature_status", "signer", "signer_organisation", "signer_thumbprint", "signer_root", "catalogue", "company",
        "original_name", "file_version"
    };

    /// <summary>
    /// likes: other programs of the host. recorded: hives that the baseline has. roots: Microsoft's, by thumbprints.
    /// </summary>
    public static JsonObject Verdict(
        List<object> watches, JsonObject facts, List<object> likes, List<object> recorded, JsonObject before,
        JsonObject after, bool isFirstLook, List<object> roots)
    {
        List<Watch> all = Definitions.FromOptions(watches);
        Entry current = EntryOf(after ?? before, null);
        string owner = new Owners(all, new RecordedPaths()).Owner(current);
        Watch watch = all.Find(delegate(Watch each) { return each.Name == owner; });
        if (watch == null)
        {
            return Outcome("unwatched", null);
        }
        SignedLikes programs = new SignedLikes(@"C:\Windows");
        likes.ForEach(delegate(object like) { programs.Observe(EntryOf((JsonObject)like, null)); });
        string[] microsoft = roots.ConvertAll(delegate(object root) { return (string)root; }).ToArray();
        IJudge[] judges =
        {
            new SignatureJudge(programs, microsoft),
            new UpdateJudge(new NoServicing(), Baseline, microsoft, new RecordedPaths()),
            new RegistryJudge(new RecordedFacts(facts), Baseline, recorded.Contains)
        };
        Change change = new Change { Watch = owner, Before = EntryOf(before, watch), After = EntryOf(after, watch) };
        change.Path = current.Path;
        Classifier classifier = new Classifier(all, judges);
        if (isFirstLook)
        {
            change.Kind = ChangeKinds.Suspicious;
            change.Before = change.After;
            bool isMarked = classifier.Mark(change.After, watch).Length > 0;
            return isMarked ? Outcome(null, classifier.Classify(change)) : Outcome("nothing", null);
        }
        change.Kind = before == null ? ChangeKinds.Created : after == null ? ChangeKinds.Deleted : ChangeKinds.Modified;
        if (before != null && after != null)
        {
            change.Attributes = Attributes.Differing(change.Before, change.After);
            if (change.Attributes.Length == 0)
            {
                return Outcome("nothing", null);
            }
        }
        return Outcome(null, classifier.Classify(change));
    }

    private static JsonObject Outcome(string becomes, Judgement judgement)
    {
        string verdict = becomes ?? judgement.Alert ?? (judgement.Claimed ? "claimed" : "explained");
        return new JsonObject
        {
            { "becomes", verdict },
            { "severity", judgement == null ? null : judgement.Severity },
            { "message", judgement == null ? "" : judgement.Message },
            { "is_part", judgement != null && judgement.IsPart },
        };
    }

    // With the attributes that the watch compares.
    private static Entry EntryOf(JsonObject fields, Watch watch)
    {
        if (fields == null)
        {
            return null;
        }
        JsonObject attributes = new JsonObject();
        foreach (KeyValuePair<string, object> attribute in (JsonObject)fields["attributes"])
        {
            if (watch == null || watch.Records(ReadWith(attribute.Key)))
            {
                attributes.Add(attribute.Key, attribute.Value);
            }
        }
        return new Entry((string)fields["kind"], (string)fields["path"], attributes);
    }

    // FileReader adds these with the content or the signature.
    private static string ReadWith(string attribute)
    {
        bool isOfSignature = Array.IndexOf(SignatureNames, attribute) >= 0;
        return attribute == "code_sha256" ? "sha256" : isOfSignature ? "signature" : attribute;
    }

    private sealed class RecordedPaths : IHostPaths
    {
        public IList<string> Profiles
        {
            get { return new[] { @"C:\Users\ann", @"C:\Users\Default" }; }
        }

        public ICollection<string> Services
        {
            get { return new[] { @"C:\App\service.exe" }; }
        }

        public string Variable(string name)
        {
            switch (name)
            {
                case "SystemRoot":
                    return @"C:\Windows";
                case "SystemDrive":
                    return "C:";
                case "ProgramData":
                    return @"C:\ProgramData";
                default:
                    return name == "ProgramFiles" ? @"C:\Program Files" : null;
            }
        }
    }

    private sealed class NoServicing : IServicing
    {
        public bool IsInStore(string path)
        {
            return false;
        }

        public IList<Installation> UpdatesSince(long time)
        {
            return new List<Installation>();
        }

        public Installation ProductSince(string path, long time)
        {
            return null;
        }
    }
}
