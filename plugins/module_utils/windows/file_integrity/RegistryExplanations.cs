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

    /// <summary>Changes of the registry that an ordinary day brings, each proven by what the host shows.</summary>
    public sealed class RegistryExplanations
    {
        // SERVICE_USER_SERVICE (winnt.h): a template, of which each session gets an instance.
        private const int UserService = 0x40;

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
        /// The hive of an account comes with its sign-in and goes with its sign-out. What is in it already when the
        /// baseline is taken, by the time of the last write of the key, is no change. An account can set this time in
        /// its own hive: what is suspicious in itself is judged before.
        /// </summary>
        private Judgement Session(Change change)
        {
            Match match = Hive.Match(change.Path);
            if (!match.Success)
            {
                return null;
            }
            string hive = match.Groups[1].Value;
            string sid = hive.Substring(4);
            if (change.Kind == ChangeKinds.Deleted && _facts.HasKey(match.Value) == false)
            {
                return Judgement.Explain("sign-out of " + sid, null, "explained by the sign-out of " + sid);
            }
            if (change.Kind != ChangeKinds.Created || _since <= 0)
            {
                return null;
            }
            string key = change.After.Kind == EntryKinds.Key ? change.Path : RegistryPattern.ParentOf(change.Path);
            // Windows makes this key anew at each sign-in.
            long? signIn = _facts.LastWrite(hive + @"\Volatile Environment");
            bool isOlder = signIn > _since && _facts.LastWrite(key) <= _since;
            return isOlder ? Judgement.Explain("sign-in of " + sid, null, "explained by the sign-in of " + sid) : null;
        }

        private Judgement SessionService(Change change)
        {
            Match match = Instance.Match(change.Path);
            if (!match.Success)
            {
                return null;
            }
            string template = match.Groups[1].Value;
            int type;
            bool isTemplate = int.TryParse(
                _facts.Data(template, "Type"), NumberStyles.None, CultureInfo.InvariantCulture, out type) &&
                (type & UserService) != 0;
            if (!isTemplate || (change.After != null && !RunsTheSame(match.Value, template)))
            {
                return null;
            }
            string name = RegistryPattern.NameOf(template);
            return Judgement.Explain("service " + name + " of each session", null,
                "explained by the service " + name + ", of which each session gets an instance");
        }

        private bool RunsTheSame(string instance, string template)
        {
            return _facts.Data(instance, "ImagePath") == _facts.Data(template, "ImagePath") &&
                _facts.Data(instance + @"\Parameters", "ServiceDll") ==
                _facts.Data(template + @"\Parameters", "ServiceDll") &&
                _facts.Data(instance, "FailureCommand") == _facts.Data(template, "FailureCommand");
        }

        /// <summary>
        /// Defender installs a driver with each update of its definitions and moves its services with each update of
        /// its platform, into directories where only it may write.
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
            if (!isDefenders)
            {
                return null;
            }
            IList<string> writers = _facts.Writers(command.Program);
            return writers != null && writers.Count == 0
                ? Judgement.Explain("update of Defender", null, "explained by an update of Defender")
                : null;
        }
    }
}
