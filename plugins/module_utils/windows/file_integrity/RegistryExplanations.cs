// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;
using System.Globalization;
using System.Text.RegularExpressions;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.RegistryExplanations
{
// Inside the namespace: above it, the short name is the neighbouring namespace, not its class.
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Change;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.CommandLine;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Entry;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Judgement;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.RegistryFacts;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.RegistryPattern;

    /// <summary>
    /// Changes of the registry that an ordinary day brings. What an intruder could bring likewise is only claimed.
    /// </summary>
    public sealed class RegistryExplanations
    {
        // SERVICE_USER_SERVICE (winnt.h): a template, of which each session gets an instance.
        private const int UserService = 0x40;

        // SERVICE_USERSERVICE_INSTANCE
        private const int UserServiceInstance = 0x80;

        private const RegexOptions Options =
            RegexOptions.IgnoreCase | RegexOptions.CultureInvariant | RegexOptions.Singleline;

        private static readonly Regex Hive = new Regex(
            @"^(HKU\\S-1-(?:5-21|12-1)-[0-9-]+?)(?:_Classes)?(?=\\|\z)", Options);

        private static readonly Regex Instance = new Regex(
            @"^(HKLM\\SYSTEM\\CurrentControlSet\\Services\\[^\\]+)_[0-9a-f]{3,16}(?=\\|\z)", Options);

        private static readonly Regex ServiceKey = new Regex(
            @"^HKLM\\SYSTEM\\CurrentControlSet\\Services\\[^\\]+", Options);

        private readonly IRegistryFacts _facts;
        private readonly long _since;

        /// <summary>since: when the baseline was taken, in 100 ns since 1601; 0 when that is not known.</summary>
        public RegistryExplanations(IRegistryFacts facts, long since)
        {
            _facts = facts;
            _since = since;
        }

        /// <summary>Return what explains a change, null when nothing does.</summary>
        public Judgement Explain(Change change)
        {
            return Session(change) ?? SessionService(change) ?? Antivirus(change);
        }

        /// <summary>
        /// The hive of an account comes with its sign-in. What was in it before the baseline was taken, by the time of
        /// the last write of the key, is only claimed to be no change: an account can set this time in its own hive.
        /// </summary>
        private Judgement Session(Change change)
        {
            Match match = Hive.Match(change.Path);
            if (!match.Success || change.Kind != ChangeKinds.Created || _since <= 0)
            {
                return null;
            }
            string hive = match.Groups[1].Value;
            string key = change.After.Kind == EntryKinds.Key ? change.Path : RegistryPattern.ParentOf(change.Path);
            // Windows makes this key anew at each sign-in.
            long? signIn = _facts.LastWrite(hive + @"\Volatile Environment");
            bool isOlder = signIn > _since && _facts.LastWrite(key) <= _since;
            return isOlder ? Claim("sign-in of " + hive.Substring(4)) : null;
        }

        /// <summary>Of a service of each session, an instance explains what its template has likewise.</summary>
        private Judgement SessionService(Change change)
        {
            Match match = Instance.Match(change.Path);
            if (!match.Success || (change.Kind == ChangeKinds.Modified && change.After.Kind == EntryKinds.Key))
            {
                return null;
            }
            string template = match.Groups[1].Value;
            int type;
            bool isTemplate = int.TryParse(
                _facts.Data(template, "Type"), NumberStyles.None, CultureInfo.InvariantCulture, out type) &&
                (type & UserService) != 0;
            if (!isTemplate || (change.After != null && !IsOfTemplate(change.After, match, type)))
            {
                return null;
            }
            string name = RegistryPattern.NameOf(template);
            return Judgement.Explain("service " + name + " of each session", null,
                "explained by the service " + name + ", of which each session gets an instance");
        }

        private bool IsOfTemplate(Entry entry, Match instance, int type)
        {
            string path = instance.Groups[1].Value + entry.Path.Substring(instance.Length);
            if (entry.Kind == EntryKinds.Key)
            {
                return _facts.HasKey(path) == true;
            }
            string data = entry.Text("data");
            string name = RegistryPattern.ValueName(RegistryPattern.NameOf(path));
            if (name.Equals("Type", StringComparison.OrdinalIgnoreCase) && entry.Path.Length == instance.Length + 5)
            {
                return data == (type | UserServiceInstance).ToString(CultureInfo.InvariantCulture);
            }
            return data != null && data == _facts.Data(RegistryPattern.ParentOf(path), name);
        }

        /// <summary>
        /// Defender installs a driver with each update of its definitions and moves its services with each update of
        /// its platform, into directories where only it may write. Whoever administrates the host can do it likewise.
        /// </summary>
        private Judgement Antivirus(Change change)
        {
            Match match = ServiceKey.Match(change.Path);
            if (!match.Success || change.After == null)
            {
                return null;
            }
            CommandLine command = CommandLine.Parse(
                _facts.Data(match.Value, "ImagePath"), _facts.SystemRoot, _facts.Expand);
            string defender = _facts.Expand(@"%ProgramData%\Microsoft\Windows Defender\");
            bool isDefenders = command.Program.StartsWith(defender, StringComparison.OrdinalIgnoreCase) &&
                command.Program.IndexOf(@"\..", StringComparison.Ordinal) < 0;
            IList<string> writers = isDefenders ? _facts.Writers(command.Program) : null;
            return writers != null && writers.Count == 0 ? Claim("update of Defender") : null;
        }

        private static Judgement Claim(string by)
        {
            Judgement claim = Judgement.Explain(by, null, "claimed to come with the " + by);
            claim.Claimed = true;
            return claim;
        }
    }
}
