// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;
using System.Globalization;
using System.Text;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.audit_policy.Deployment
{
// Inside the namespace: above it, the short name is the neighbouring namespace, not its class.
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.EventChannels;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.audit_policy.GroupPolicy;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.audit_policy.Note;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.audit_policy.ObjectSetting;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.audit_policy.Plan;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.audit_policy.PolicyHost;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.audit_policy.Settings;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.audit_policy.Wish;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Coverage;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Detections;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Errors;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Outcome;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Printable;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.State;

	/// <summary>Deploy, compare or remove the audit policy of a host: the work of win_audit_policy.</summary>
	public sealed class Deployment
	{
		public const string Scope = "audit_policy";
		private const string ForceKey = @"value:system\currentcontrolset\control\lsa\\scenoapplylegacyauditpolicy";
		private const string LsaKey = @"SYSTEM\CurrentControlSet\Control\Lsa";
		private const string HaltValue = "CrashOnAuditFail";
		private const int Listed = 1000;
		private const int Shown = 20;

		private readonly ModuleCall _call;
		private readonly PolicyHost _host;
		private readonly bool _isPresent;
		private readonly List<Remark> _failed = new List<Remark>();
		private GroupPolicy _policy;
		private IList<Setting> _wanted;

		private Deployment(ModuleCall call, PolicyHost host)
		{
			_call = call;
			_host = host;
			_isPresent = call.Text("state") == "present";
		}

		/// <summary>Return the result. Raises UsageException, HostException and StateException.</summary>
		public static Dictionary<string, object> Of(ModuleCall call, PolicyHost host)
		{
			string root = call.Text("state_dir") ?? StateDirectory.DefaultRoot();
			bool isWritten = !call.CheckMode && call.Text("state") == "present";
			using (StateDirectory directory = StateDirectory.Open(root, Note.Capability, isWritten))
			{
				return Of(call, host, directory);
			}
		}

		/// <summary>The same with the directory of its state; null for none.</summary>
		public static Dictionary<string, object> Of(ModuleCall call, PolicyHost host, StateDirectory directory)
		{
			Deployment deployment = new Deployment(call, host);
			if (call.CheckMode || directory == null)
				return deployment.Deploy(directory, true);
			using (directory.Lock(Note.Lock, call.Number("lock_timeout")))
				return deployment.Deploy(directory, false);
		}

		private Dictionary<string, object> Deploy(StateDirectory directory, bool isLook)
		{
			_policy = new GroupPolicy(_host);
			_wanted = _isPresent ? new Wish(_call, _host).Settings : new List<Setting>();
			Note note = Note.Read(directory);
			Plan plan = MakePlan(note);
			Plan now = plan;
			List<Change> made = plan.Changes;
			string halt = Halt(plan);
			if (!isLook && halt != null)
				throw new HostException(halt);
			if (!isLook)
			{
				made = Perform(plan, note, directory);
				now = MakePlan(Note.Read(directory));
			}
			return Result(plan, made, now, isLook, halt);
		}

		private Plan MakePlan(Note note)
		{
			return new Plan(_host, _policy, note, _wanted);
		}

		// Why more records would stop Windows; null if they do not.
		private string Halt(Plan plan)
		{
			uint type;
			byte[] data;
			ChannelSettings log;
			bool isMore = plan.Changes.Exists(delegate(Change change)
			{
				return !change.IsUndo && (change.Setting is SubcategorySetting || change.Setting is ObjectSetting);
			});
			bool halts = isMore && _host.Settings.Read(LsaKey, HaltValue, out type, out data) == 0
				&& Array.Exists(data, delegate(byte part) { return part != 0; });
			if (!halts || _host.Channels.Read("Security", out log) != 0 || !log.Retention || log.AutoBackup)
				return null;
			return HaltValue + @" of HKLM\" + LsaKey + " is set and the log Security keeps its old records, so that"
				+ " Windows stops when it is full: let it overwrite or archive them before more is recorded";
		}

		// In an order that can be cut off anywhere: what is changed is noted before.
		private List<Change> Perform(Plan plan, Note note, StateDirectory directory)
		{
			List<Change> made = new List<Change>();
			foreach (string id in plan.Done)
				note.Entries.Remove(id);
			foreach (Remark left in plan.Left)
				note.Entries.Remove(left.Setting.Id);
			List<string> ours = new List<string>();
			foreach (Change change in plan.Changes)
			{
				if (!change.IsUndo)
					Announce(change, note, ours);
			}
			foreach (KeyValuePair<string, string> finished in plan.Finished)
				Complete(note.Entries[finished.Key], finished.Value);
			bool isNew = plan.Changes.Count + plan.Done.Count + plan.Left.Count + plan.Finished.Count > 0;
			if (isNew)
				note.Write(directory);
			foreach (Change change in plan.Changes)
			{
				string problem = Write(change);
				if (problem != null)
					_failed.Add(new Remark { Setting = change.Setting, Reason = problem });
				else
					made.Add(change);
				Settle(change, problem == null, note, ours);
			}
			if (RemoveKeys(note) || isNew)
				note.Write(directory);
			return made;
		}

		private static void Complete(NoteEntry entry, string value)
		{
			entry.Since.Clear();
			entry.Since.Add(value);
			entry.IsComplete = true;
		}

		private void Announce(Change change, Note note, List<string> ours)
		{
			NoteEntry entry;
			if (!note.Entries.TryGetValue(change.Setting.Id, out entry))
			{
				entry = new NoteEntry { Before = change.Before };
				note.Entries[change.Setting.Id] = entry;
				ours.Add(change.Setting.Id);
			}
			if (!entry.Since.Contains(change.After))
				entry.Since.Add(change.After);
			entry.IsComplete = false;
			ValueSetting value = change.Setting as ValueSetting;
			for (string key = value == null ? "" : value.Key; key.IndexOf('\\') > 0 && !Exists(key); key = Parent(key))
			{
				if (!note.Keys.Contains(key))
					note.Keys.Add(key);
			}
		}

		private bool Exists(string key)
		{
			uint type;
			byte[] data;
			// Whatever cannot be opened is not ours.
			return _host.Settings.Read(key, null, out type, out data) != 2;
		}

		private static string Parent(string key)
		{
			return key.Substring(0, key.LastIndexOf('\\'));
		}

		private string Write(Change change)
		{
			string problem = change.Setting.Write(_host, change.After);
			if (problem != null)
				return problem;
			Reading reading = change.Setting.Read(_host);
			if (reading.Value == null)
				return "it was written, but cannot be read: " + reading.Problem;
			bool isReached = change.IsUndo || change.Setting.Wanted == null
				? change.Setting.IsSame(change.After, reading.Value)
				: change.Setting.IsMet(reading.Value);
			return isReached
				? null
				: "Windows took " + change.Setting.Show(change.After) + ", but it is "
					+ change.Setting.Show(reading.Value) + " afterwards; something else sets it";
		}

		private void Settle(Change change, bool isMade, Note note, List<string> ours)
		{
			string id = change.Setting.Id;
			if (change.IsUndo)
			{
				if (isMade)
					note.Entries.Remove(id);
				return;
			}
			NoteEntry entry = note.Entries[id];
			Reading reading = change.Setting.Read(_host);
			if (isMade)
				Complete(entry, reading.Value ?? change.After);
			else if (ours.Contains(id) && reading.Value == change.Before)
				note.Entries.Remove(id);
		}

		// Keys that were made for values go with the last of them; the deepest first.
		private bool RemoveKeys(Note note)
		{
			int before = note.Keys.Count;
			List<string> keys = new List<string>(note.Keys);
			keys.Sort(delegate(string left, string right) { return right.Length.CompareTo(left.Length); });
			foreach (string key in keys)
			{
				bool isUsed = false;
				foreach (string id in note.Entries.Keys)
					isUsed |= id.StartsWith(ValueSetting.Kind + ":" + key + "\\", StringComparison.OrdinalIgnoreCase);
				if (isUsed)
					continue;
				// One that somebody else uses by now stays, and is not ours any more.
				_host.Settings.DeleteEmptyKey(key);
				note.Keys.Remove(key);
			}
			return note.Keys.Count < before;
		}

		private Dictionary<string, object> Result(
			Plan plan, List<Change> made, Plan now, bool isLook, string halt)
		{
			Dictionary<string, object> result = new Dictionary<string, object>();
			bool isForgotten = plan.Done.Count + plan.Left.Count > 0;
			result["changed"] = made.Count > 0 || isForgotten;
			result["settings_count"] = _wanted.Count;
			result["changes"] = Shorten(made.ConvertAll<object>(delegate(Change change)
			{
				return Row(change.Setting, "before", change.Setting.Show(change.Before),
					"after", change.Setting.Show(change.After));
			}));
			result["not_deployed"] = Shorten(NotDeployed(now));
			result["missing"] = Shorten(now.Missing.ConvertAll<object>(AsRow));
			// As they were before: deploying them again must not hide that somebody changed them.
			result["lowered"] = Shorten(plan.Lowered.ConvertAll<object>(AsRow));
			result["left"] = Shorten(plan.Left.ConvertAll<object>(AsRow));
			result["group_policy"] = Shorten(now.Ruled.ConvertAll<object>(AsRow));
			result["diff"] = Diff(made);
			List<object> warnings = Warnings(plan, now);
			if (halt != null)
				warnings.Add(halt + ".");
			if (_failed.Count > 0 || (!isLook && now.Unknown.Count > 0))
			{
				result["failed"] = true;
				result["msg"] = Failure(made, now);
			}
			result["warnings"] = warnings;
			result["detections"] = Detected(plan, now);
			result["coverage"] = new List<object> { Covered(now) };
			return result;
		}

		private string Failure(List<Change> made, Plan now)
		{
			List<Remark> all = new List<Remark>(_failed);
			foreach (Remark unknown in now.Unknown)
			{
				if (!all.Exists(delegate(Remark remark) { return remark.Setting.Id == unknown.Setting.Id; }))
					all.Add(unknown);
			}
			return string.Format(CultureInfo.InvariantCulture,
				_isPresent
					? "{0} of {1} settings could not be deployed, first {2}: {3}; {4} were changed, which are"
						+ " noted, so that state=absent takes them back"
					: "{0} of {1} settings could not be taken back, first {2}: {3}; {4} were, and the others"
						+ " stay noted",
				all.Count, Math.Max(_wanted.Count, made.Count + all.Count), all[0].Setting.Subject, all[0].Reason,
				made.Count);
		}

		private List<object> NotDeployed(Plan now)
		{
			List<object> rows = new List<object>();
			foreach (Ruled ruled in now.Ruled)
			{
				if (!ruled.IsMet)
					rows.Add(Row(ruled.Setting, "reason", Undoes(ruled), null, null));
			}
			foreach (Remark failed in _failed)
				rows.Add(AsRow(failed));
			foreach (Remark unknown in now.Unknown)
			{
				if (!_failed.Exists(delegate(Remark failed) { return failed.Setting.Id == unknown.Setting.Id; }))
					rows.Add(AsRow(unknown));
			}
			return rows;
		}

		private static string Undoes(Ruled ruled)
		{
			return ruled.Rule.Source + " sets it to " + ruled.Setting.Show(ruled.Rule.Value)
				+ " and would undo a change: change it there";
		}

		private List<object> Warnings(Plan plan, Plan now)
		{
			List<object> warnings = new List<object>();
			foreach (Remark lowered in plan.Lowered)
			{
				if (warnings.Count < Shown)
					warnings.Add(
						lowered.Setting.Subject + " records less than what was deployed: " + lowered.Reason + ".");
			}
			foreach (Ruled ruled in now.Ruled)
			{
				if (!ruled.IsMet && warnings.Count < 2 * Shown)
					warnings.Add(ruled.Setting.Subject + ": " + Undoes(ruled) + ".");
			}
			bool isForced = now.Examined > 0 && !now.Changes.Exists(IsForce) && !now.Ruled.Exists(IsOverruledForce);
			if (_isPresent && _policy.Categories.Count > 0 && !isForced)
				warnings.Add(
					Printable.Show(string.Join(", ", _policy.Categories.ToArray()))
					+ " sets whole audit categories. They replace the subcategories while"
					+ " SCENoApplyLegacyAuditPolicy is not 1.");
			if (_isPresent && _policy.IsManaged)
				warnings.Add(
					"Mobile device management sets audit policy on this host, and may undo changes. What it sets is not"
					+ " read.");
			foreach (KeyValuePair<string, string> problem in _policy.Problems)
				warnings.Add(problem.Key + ": " + problem.Value);
			return warnings;
		}

		private static bool IsForce(Change change)
		{
			return change.Setting.Id.Equals(ForceKey, StringComparison.OrdinalIgnoreCase);
		}

		private static bool IsOverruledForce(Ruled ruled)
		{
			return !ruled.IsMet && ruled.Setting.Id.Equals(ForceKey, StringComparison.OrdinalIgnoreCase);
		}

		private List<object> Detected(Plan plan, Plan now)
		{
			List<string> lowered = plan.Lowered.ConvertAll<string>(AsText);
			List<string> missing = new List<string>();
			List<string> overruled = new List<string>();
			foreach (Change change in now.Changes)
			{
				if (!change.IsUndo && !change.IsLowered)
					missing.Add(change.Setting.Subject + ": " + change.Setting.Show(change.Before));
			}
			foreach (Ruled ruled in now.Ruled)
			{
				if (!ruled.IsMet)
					overruled.Add(ruled.Setting.Subject + ": " + Undoes(ruled));
			}
			List<object> detections = new List<object>();
			if (!_isPresent)
				return detections;
			Detect(detections, "audit_policy_lowered", lowered, "{0} of {1} settings record less than what was deployed.");
			Detect(detections, "audit_policy_not_deployed", missing, "{0} of {1} wanted settings are not deployed.");
			Detect(detections, "audit_policy_overruled", overruled,
				"Group policy keeps {0} of {1} wanted settings from being deployed.");
			return detections;
		}

		private void Detect(List<object> detections, string alert, List<string> settings, string message)
		{
			if (settings.Count == 0)
				return;
			List<object> shown = settings.GetRange(0, Math.Min(settings.Count, Shown)).ConvertAll<object>(
				delegate(string setting) { return setting; });
			if (settings.Count > Shown)
				shown.Add("and " + (settings.Count - Shown).ToString(CultureInfo.InvariantCulture) + " more");
			Dictionary<string, object> data = new Dictionary<string, object> { { "settings", shown } };
			detections.Add(Detections.Make(
				alert, "audit policy", Scope, new[] { new Dictionary<string, object> { { "data", data } } },
				message: string.Format(CultureInfo.InvariantCulture, message, settings.Count, _wanted.Count)));
		}

		private static string AsText(Remark remark)
		{
			return remark.Setting.Subject + ": " + remark.Reason;
		}

		private Dictionary<string, object> Covered(Plan now)
		{
			if (!_isPresent)
				return ScopeCoverage.NotChecked(
					Scope, "This collection has no audit policy on the host, as asked for with state=absent.");
			ScopeCoverage coverage = new ScopeCoverage(Scope);
			coverage.Examined = now.Examined;
			foreach (Remark unknown in now.Unknown)
				coverage.Skip(unknown.Setting.Subject, "It cannot be read: " + unknown.Reason + ".");
			foreach (KeyValuePair<string, string> problem in _policy.Problems)
				coverage.Skip(problem.Key, problem.Value);
			if (now.Examined == 0 && now.Unknown.Count > 0)
				coverage.Fail("No setting could be read, first " + now.Unknown[0].Setting.Subject + ": "
					+ now.Unknown[0].Reason + ".");
			return coverage.Entry();
		}

		private static Dictionary<string, object> Diff(List<Change> made)
		{
			StringBuilder before = new StringBuilder();
			StringBuilder after = new StringBuilder();
			foreach (Change change in made)
			{
				string subject = change.Setting.Subject + ": ";
				before.Append(subject).Append(change.Setting.Show(change.Before)).Append('\n');
				after.Append(subject).Append(change.Setting.Show(change.After)).Append('\n');
			}
			return new Dictionary<string, object>
			{
				{ "before", before.ToString() }, { "after", after.ToString() },
				{ "before_header", "audit policy" }, { "after_header", "audit policy" }
			};
		}

		private static Dictionary<string, object> Row(
			Setting setting, string first, string firstValue, string second, string secondValue)
		{
			Dictionary<string, object> row = new Dictionary<string, object>();
			row["subject"] = setting.Subject;
			row[first] = firstValue;
			if (second != null)
				row[second] = secondValue;
			return row;
		}

		private static object AsRow(Remark remark)
		{
			return Row(remark.Setting, "reason", remark.Reason, null, null);
		}

		private static object AsRow(Ruled ruled)
		{
			Dictionary<string, object> row = Row(
				ruled.Setting, "value", ruled.Setting.Show(ruled.Rule.Value), "source", ruled.Rule.Source);
			row["is_enough"] = ruled.IsMet;
			return row;
		}

		private static List<object> Shorten(List<object> rows)
		{
			return rows.Count <= Listed ? rows : rows.GetRange(0, Listed);
		}
	}
}
