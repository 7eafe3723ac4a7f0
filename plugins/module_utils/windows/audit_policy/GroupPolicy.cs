// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;
using System.IO;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.audit_policy.GroupPolicy
{
// Inside the namespace: above it, the short name is the neighbouring namespace, not its class.
using ansible_collections.bulwark.servers.plugins.module_utils.windows.audit_policy.ObjectSetting;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.audit_policy.PolicyHost;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.audit_policy.PolicyParser;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.audit_policy.Settings;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.audit_policy.Wish;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Printable;

	/// <summary>What group policy makes of one setting.</summary>
	public sealed class PolicyRule
	{
		/// <summary>In the setting's own form.</summary>
		public string Value;

		/// <summary>For people: what sets it.</summary>
		public string Source;

		/// <summary>The higher, the later it is applied.</summary>
		internal int Rank;

		/// <summary>Whether it counts for all files or keys below, too.</summary>
		internal bool ReplacesBelow;
	}

	/// <summary>
	/// What group policy sets on a host, as far as the host knows it: what was applied, its local policy, and the
	/// copies of the domain's policies that count for it. A policy that was never applied here is not known.
	/// </summary>
	public sealed class GroupPolicy
	{
		private const int LocalRank = 1;
		private const int DomainRank = 2;
		private const int AppliedRank = 3;
		private const string Audit = @"\Machine\Microsoft\Windows NT\Audit\audit.csv";
		private const string Template = @"\Machine\Microsoft\Windows NT\SecEdit\GptTmpl.inf";
		private const string Registry = @"\Machine\Registry.pol";
		private const string History = @"SOFTWARE\Microsoft\Windows\CurrentVersion\Group Policy\History";
		private const string ManagedAudit = @"SOFTWARE\Microsoft\PolicyManager\current\device\Audit";
		private const string EventLogPolicy = @"SOFTWARE\Policies\Microsoft\Windows\EventLog";

		private readonly PolicyHost _host;
		private readonly Dictionary<string, PolicyRule> _rules = new Dictionary<string, PolicyRule>();

		/// <summary>What could not be read: subject and reason.</summary>
		public readonly List<KeyValuePair<string, string>> Problems = new List<KeyValuePair<string, string>>();

		/// <summary>What sets whole audit categories, as Windows did before Vista; empty for none.</summary>
		public readonly List<string> Categories = new List<string>();

		/// <summary>Whether mobile device management sets audit policy, which is not read.</summary>
		public readonly bool IsManaged;

		public GroupPolicy(PolicyHost host)
		{
			_host = host;
			string root = host.Files.Folder("SystemRoot") ?? "";
			string local = root + @"\System32\GroupPolicy";
			ReadPolicy(local, "the local group policy", LocalRank);
			Dictionary<string, string> names = Applied();
			foreach (string directory in Copies(root, local))
			{
				string name;
				// Copies of policies that do not count any more stay, so those that do are looked up.
				if (names.TryGetValue(Path(directory), out name))
					ReadPolicy(directory, "the group policy " + name, DomainRank);
			}
			Read((host.Files.Folder("ProgramData") ?? "") + @"\ntuser.pol", delegate(byte[] file)
			{
				PolicyParser.ReadRegistry(file, Rule("the applied group policy (ntuser.pol)", AppliedRank));
			});
			Read(root + @"\security\audit\audit.csv", delegate(byte[] file)
			{
				PolicyParser.ReadAudit(file, Rule(@"the applied group policy (security\audit\audit.csv)", AppliedRank));
			});
			ReadLogs();
			uint type;
			byte[] data;
			IsManaged = host.Settings.Read(ManagedAudit, null, out type, out data) == 0;
		}

		/// <summary>Return what rules a setting, null for nothing.</summary>
		public PolicyRule Find(string id)
		{
			PolicyRule rule;
			string name = id.ToLowerInvariant();
			if (_rules.TryGetValue(name, out rule))
				return rule;
			bool isObject = name.StartsWith(ObjectSetting.KeyKind + ":", StringComparison.Ordinal)
				|| name.StartsWith(ObjectSetting.FileKind + ":", StringComparison.Ordinal);
			for (int end = name.LastIndexOf('\\'); isObject && end > 0; end = name.LastIndexOf('\\', end - 1))
			{
				if (_rules.TryGetValue(name.Substring(0, end), out rule) && rule.ReplacesBelow)
					return rule;
			}
			return null;
		}

		private void ReadPolicy(string directory, string source, int rank)
		{
			Action<string, string> rule = Rule(source, rank);
			Read(directory + Registry, delegate(byte[] file) { PolicyParser.ReadRegistry(file, rule); });
			Read(directory + Audit, delegate(byte[] file) { PolicyParser.ReadAudit(file, rule); });
			Read(directory + Template, delegate(byte[] file)
			{
				PolicyParser.ReadTemplate(file, rule, delegate(string category)
				{
					if (!Categories.Contains(source))
						Categories.Add(source);
				}, delegate(ObjectRule inherited) { AddObject(inherited, source, rank); });
			});
		}

		private void AddObject(ObjectRule found, string source, int rank)
		{
			const string Machine = @"MACHINE\";
			if (found.IsKey && !found.Path.StartsWith(Machine, StringComparison.OrdinalIgnoreCase))
				return;
			string id = found.IsKey
				? ObjectSetting.KeyKind + ":" + found.Path.Substring(Machine.Length).TrimEnd('\\')
				: ObjectSetting.FileKind + ":" + Wish.Expand(found.Path, _host);
			Rule(source, rank)(id.ToLowerInvariant(), found.Acl);
			PolicyRule rule = _rules[id.ToLowerInvariant()];
			rule.ReplacesBelow |= found.ReplacesBelow && rule.Source == source;
		}

		// The policies of logs, which whoever sets them does by these keys.
		private void ReadLogs()
		{
			IList<string> channels;
			if (_host.Settings.Subkeys(EventLogPolicy, out channels) != 0)
				return;
			foreach (string channel in channels)
			{
				string key = EventLogPolicy + "\\" + channel;
				Action<string, string> rule = Rule("the policy key " + Printable.ShowPath(@"HKLM\" + key), AppliedRank);
				foreach (string name in new[] { "MaxSize", "Enabled" })
				{
					Reading reading = new ValueSetting(key, name, null).Read(_host);
					if (reading.Value != null)
						PolicyParser.AddChannel(channel, name, reading.Value, rule);
				}
			}
		}

		private Action<string, string> Rule(string source, int rank)
		{
			return delegate(string id, string value)
			{
				PolicyRule known;
				bool isKnown = _rules.TryGetValue(id, out known);
				// What was applied says the value, the policy that has the same one its name.
				if (!isKnown || (known.Rank <= rank && (known.Value != value || rank != AppliedRank)))
					_rules[id] = new PolicyRule { Value = value, Source = source, Rank = rank };
			};
		}

		private void Read(string path, Action<byte[]> read)
		{
			try
			{
				byte[] file = _host.Files.Read(path);
				if (file != null)
					read(file);
			}
			catch (FormatException error)
			{
				Fail(path, error);
			}
			catch (IOException error)
			{
				Fail(path, error);
			}
			catch (UnauthorizedAccessException error)
			{
				Fail(path, error);
			}
		}

		private void Fail(string path, Exception error)
		{
			Problems.Add(new KeyValuePair<string, string>(
				Printable.ShowPath(path),
				"This file of group policy cannot be read: " + error.Message.TrimEnd('.') + "."));
		}

		// GUIDs of the policies that were applied at last, with their names.
		private Dictionary<string, string> Applied()
		{
			Dictionary<string, string> names = new Dictionary<string, string>(StringComparer.OrdinalIgnoreCase);
			IList<string> extensions;
			_host.Settings.Subkeys(History, out extensions);
			foreach (string extension in extensions)
			{
				IList<string> policies;
				_host.Settings.Subkeys(History + "\\" + extension, out policies);
				foreach (string policy in policies)
				{
					string key = History + "\\" + extension + "\\" + policy;
					string identifier = ValueSetting.AsText(new ValueSetting(key, "GPOName", null).Read(_host).Value);
					string shown = ValueSetting.AsText(new ValueSetting(key, "DisplayName", null).Read(_host).Value);
					if (!string.IsNullOrEmpty(identifier))
						names[identifier] = "\"" + Printable.Show(shown ?? identifier) + "\"";
				}
			}
			return names;
		}

		// A member keeps copies of the domain's policies, a controller the policies themselves.
		private IList<string> Copies(string root, string local)
		{
			List<string> above = new List<string> { root + @"\SYSVOL\domain\Policies" };
			string store = local + @"\DataStore";
			foreach (string number in _host.Files.Directories(store))
			{
				string volume = store + "\\" + number + @"\sysvol";
				foreach (string domain in _host.Files.Directories(volume))
					above.Add(volume + "\\" + domain + @"\Policies");
			}
			List<string> directories = new List<string>();
			foreach (string policies in above)
			{
				foreach (string policy in _host.Files.Directories(policies))
					directories.Add(policies + "\\" + policy);
			}
			return directories;
		}

		private static string Path(string directory)
		{
			return directory.Substring(directory.LastIndexOf('\\') + 1);
		}
	}
}
