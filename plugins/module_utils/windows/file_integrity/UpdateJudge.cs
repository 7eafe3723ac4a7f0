// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.UpdateJudge
{
// Inside the namespace: above it, the short name is the neighbouring namespace, not its class.
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Printable;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Change;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Entry;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Judgement;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Servicing;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.SignatureReader;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Watch;

    /// <summary>
    /// Explains changed programs: signed now as before by one publisher, whose chain ends in the same certificate, not
    /// older than before, and installed since by an update or a product. Without a record of an installation the change
    /// is only claimed. Names and versions count as the signature covers them: another program of the publisher, put
    /// in the place of this one, is not explained.
    /// </summary>
    public sealed class UpdateJudge : IJudge
    {
        // What an update changes of a file. Owner, access list and streams of a replaced file stay what they were.
        private static readonly HashSet<string> Replaced = new HashSet<string>(StringComparer.Ordinal)
        {
            "content", "sha256", "size", "mtime", "created", "file_id", "links", "attributes", "signature", "signer",
            "signer_thumbprint", "catalogue", "company", "file_version"
        };

        private readonly IServicing _servicing;
        private readonly long _since;

        /// <summary>since: when the baseline was made, in 100 ns since 1601, UTC.</summary>
        public UpdateJudge(IServicing servicing, long since)
        {
            _servicing = servicing;
            _since = since;
        }

        public Judgement JudgeEntry(Entry entry, Watch watch)
        {
            return null;
        }

        public Judgement JudgeChange(Change change, Watch watch)
        {
            string original = change.After == null ? null : change.After.Text("original_name");
            if (change.Kind != ChangeKinds.Modified || !IsReplaced(change) || !IsSamePublisher(change) ||
                IsOlder(change) || original != change.Before.Text("original_name"))
            {
                return null;
            }
            string version = change.After.Text("file_version") ?? "";
            string publisher = Printable.Show(Publisher(change.After));
            // Without a name that is signed, another file of the publisher could have taken its place.
            Installation installation = original == null ? null : Find(change.Path);
            if (installation != null)
            {
                string name = Printable.Show(installation.Name);
                return Judgement.Explain(
                    name, Printable.Show(installation.Version), "explained by " + name + ", signed by " + publisher);
            }
            Judgement claim = Judgement.Explain(
                publisher, version, "claimed by " + publisher + ": it signed the program before and now, but this " +
                "host records no installation of it");
            claim.Claimed = true;
            return claim;
        }

        private Installation Find(string path)
        {
            if (_servicing.IsInStore(path))
            {
                IList<Installation> updates = _servicing.UpdatesSince(_since);
                // The last one is cumulative.
                if (updates.Count > 0)
                {
                    return updates[updates.Count - 1];
                }
            }
            return _servicing.ProductSince(path, _since);
        }

        private static bool IsReplaced(Change change)
        {
            bool hasContent = false;
            foreach (string attribute in change.Attributes)
            {
                if (!Replaced.Contains(attribute))
                {
                    return false;
                }
                hasContent |= attribute == "content" || attribute == "sha256";
            }
            return hasContent;
        }

        private static bool IsSamePublisher(Change change)
        {
            Entry before = change.Before;
            Entry after = change.After;
            return before.Text("signature") == SignatureWords.Valid &&
                after.Text("signature") == SignatureWords.Valid &&
                Publisher(before) != null && Publisher(before) == Publisher(after) &&
                before.Text("signer_root") != null && before.Text("signer_root") == after.Text("signer_root");
        }

        private static string Publisher(Entry entry)
        {
            return entry.Text("signer_organisation") ?? entry.Text("signer");
        }

        /// <summary>
        /// Say whether the version went back, as when a program with a known weakness is brought back.
        /// </summary>
        private static bool IsOlder(Change change)
        {
            Version before;
            Version after;
            return Version.TryParse(change.Before.Text("file_version") ?? "", out before) &&
                (!Version.TryParse(change.After.Text("file_version") ?? "", out after) || after < before);
        }
    }
}
