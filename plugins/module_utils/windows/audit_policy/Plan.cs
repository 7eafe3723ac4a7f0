// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.audit_policy.Plan
{
// Inside the namespace: above it, the short name is the neighbouring namespace, not its class.
using ansible_collections.bulwark.servers.plugins.module_utils.windows.audit_policy.ChannelSetting;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.audit_policy.GroupPolicy;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.audit_policy.Note;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.audit_policy.ObjectSetting;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.audit_policy.PolicyHost;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.audit_policy.Settings;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Errors;

	/// <summary>A setting that is to be changed.</summary>
	public sealed class Change
	{
		public Setting Setting;
		public string Before;
		public string After;

		/// <summary>Whether it takes back what was deployed.</summary>
		public bool IsUndo;

		/// <summary>Whether it is in Plan.Lowered.</summary>
		public bool IsLowered;
	}

	/// <summary>A setting that is left as it is, with the reason.</summary>
	public sealed class Remark
	{
		public Setting Setting;
		public string Reason;
	}

	/// <summary>What group policy makes of a setting that is wanted.</summary>
	public sealed class Ruled
	{
		public Setting Setting;
		public PolicyRule Rule;
		public bool IsMet;
	}

	/// <summary>How the settings of a host are, and what leads to those that it is to have: it changes nothing.
	/// </summary>
	public sealed class Plan
	{
		public readonly List<Change> Changes = new List<Change>();

		/// <summary>Settings that group policy has.</summary>
		public readonly List<Ruled> Ruled = new List<Ruled>();

		/// <summary>What the host does not have.</summary>
		public readonly List<Remark> Missing = new List<Remark>();

		/// <summary>What could not be read.</summary>
		public readonly List<Remark> Unknown = new List<Remark>();

		/// <summary>What records less than what was deployed, whoever did that.</summary>
		public readonly List<Remark> Lowered = new List<Remark>();

		/// <summary>What was deployed and is somebody else's by now.</summary>
		public readonly List<Remark> Left = new List<Remark>();

		/// <summary>Ids of the note that nothing is left to do for.</summary>
		public readonly List<string> Done = new List<string>();

		/// <summary>Ids of the note whose deployment was cut off after it had its effect, with the values.</summary>
		public readonly Dictionary<string, string> Finished = new Dictionary<string, string>();

		/// <summary>How many settings could be read.</summary>
		public int Examined;

		private readonly PolicyHost _host;
		private readonly GroupPolicy _policy;
		private readonly Note _note;

		/// <summary>wanted: in the order in which they are deployed; what the note has beside them is undone.</summary>
		public Plan(PolicyHost host, GroupPolicy policy, Note note, IList<Setting> wanted)
		{
			_host = host;
			_policy = policy;
			_note = note;
			HashSet<string> ids = new HashSet<string>(StringComparer.OrdinalIgnoreCase);
			foreach (Setting setting in wanted)
			{
				ids.Add(setting.Id);
				Raise(setting);
			}
			foreach (KeyValuePair<string, NoteEntry> entry in note.Entries)
			{
				if (!ids.Contains(entry.Key))
					Undo(entry.Key, entry.Value);
			}
		}

		private void Raise(Setting setting)
		{
			Reading reading = Read(setting);
			PolicyRule rule = _policy.Find(setting.Id);
			bool isOverruled = rule != null && !setting.IsMet(rule.Value);
			if (rule != null)
				Ruled.Add(new Ruled { Setting = setting, Rule = rule, IsMet = !isOverruled });
			NoteEntry entry;
			bool isNoted = _note.Entries.TryGetValue(setting.Id, out entry);
			bool isDeployed = isNoted && entry.IsComplete;
			if (reading.Value == null)
			{
				// A file or key that comes back is compared then. With its channel, a log goes for good.
				if (isDeployed && reading.IsMissing && setting is ChannelSetting)
					Forget(setting, reading.Problem + " any more");
				return;
			}
			bool isMet = setting.IsMet(reading.Value);
			if (isMet && isNoted && !isDeployed && entry.Since.Contains(reading.Value))
				Finished[setting.Id] = reading.Value;
			if (isMet)
				return;
			bool isLowered = isDeployed && !Reaches(setting, reading.Value, entry);
			string reason = "it was changed to " + setting.Show(reading.Value) + " since";
			if (isOverruled)
			{
				// An intruder can write local policy, so it excuses nothing.
				if (isLowered)
					Forget(setting, reason + ", which " + rule.Source + " sets");
				return;
			}
			if (isLowered)
				Lowered.Add(new Remark { Setting = setting, Reason = reason });
			Changes.Add(new Change
			{
				Setting = setting,
				Before = reading.Value,
				After = setting.Raised(reading.Value),
				IsLowered = isLowered
			});
		}

		// It cannot be deployed again: whoever deploys next has seen it.
		private void Forget(Setting setting, string reason)
		{
			Lowered.Add(new Remark { Setting = setting, Reason = reason });
			Done.Add(setting.Id);
		}

		private static bool Reaches(Setting setting, string current, NoteEntry entry)
		{
			string wanted = setting.Wanted;
			setting.Wanted = entry.Since[entry.Since.Count - 1];
			bool isMet = setting.IsMet(current);
			setting.Wanted = wanted;
			return isMet;
		}

		private void Undo(string id, NoteEntry entry)
		{
			Setting setting = Parse(id);
			if (setting == null)
				throw new DamagedException(
					"the note of what was deployed names '" + id
					+ "', which is no setting; find out why, and remove the note");
			Reading reading = Read(setting);
			if (reading.IsMissing)
				Done.Add(id);
			if (reading.Value == null)
				return;
			PolicyRule rule = _policy.Find(id);
			string after;
			try
			{
				after = setting.Undone(reading.Value, entry.Before, entry.Since);
				// A value that cannot be shown cannot be written.
				setting.Show(entry.Before);
			}
			catch (SystemException error)
			{
				if (!(error is FormatException || error is OverflowException))
					throw;
				throw new DamagedException(
					"the note of what was deployed is damaged: " + error.Message + "; find out why, and remove it",
					error);
			}
			bool isRuled = rule != null && setting.IsSame(rule.Value, reading.Value);
			if (after == reading.Value)
				Done.Add(id);
			else if (after == null || isRuled)
				Left.Add(new Remark
				{
					Setting = setting,
					Reason = isRuled
						? rule.Source + " sets it"
						: "it was changed to " + setting.Show(reading.Value) + " since"
				});
			else
				Changes.Add(new Change { Setting = setting, Before = reading.Value, After = after, IsUndo = true });
		}

		// The setting of an id, wanted by nobody; null for what is no id.
		private static Setting Parse(string id)
		{
			int colon = id.IndexOf(':');
			string name = id.Substring(colon + 1);
			switch (colon < 0 ? "" : id.Substring(0, colon))
			{
				case SubcategorySetting.Kind:
					Guid subcategory;
					return Guid.TryParse(name, out subcategory) ? new SubcategorySetting(subcategory, 0) : null;
				case ValueSetting.Kind:
					int divider = name.IndexOf(@"\\", StringComparison.Ordinal);
					return divider > 0
						? new ValueSetting(name.Substring(0, divider), name.Substring(divider + 2), null)
						: null;
				case ChannelSize.Kind:
					return new ChannelSize(name, 0);
				case ChannelState.Kind:
					return new ChannelState(name, false);
				case ObjectSetting.KeyKind:
					return new ObjectSetting(true, name);
				case ObjectSetting.FileKind:
					return new ObjectSetting(false, name);
				default:
					return null;
			}
		}

		private Reading Read(Setting setting)
		{
			Reading reading = setting.Read(_host);
			if (reading.Value != null)
				Examined++;
			else
				(reading.IsMissing ? Missing : Unknown).Add(new Remark { Setting = setting, Reason = reading.Problem });
			return reading;
		}
	}
}
