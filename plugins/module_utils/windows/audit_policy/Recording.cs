// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.audit_policy.Recording
{
// Inside the namespace: above it, the short name is the neighbouring namespace, not its class.
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.EventChannels;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.audit_policy.ChannelSetting;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.audit_policy.GroupPolicy;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.audit_policy.ObjectSetting;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.audit_policy.PolicyHost;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.audit_policy.Settings;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.audit_policy.Subcategories;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.audit_policy.Wish;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Outcome;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Printable;

	/// <summary>Say what a host records: the work of win_audit_policy_info. What is not known is null.</summary>
	public sealed class Recording
	{
		private const string PowerShell = @"SOFTWARE\Policies\Microsoft\Windows\PowerShell\";
		private const string PowerShellCore = @"SOFTWARE\Policies\Microsoft\PowerShellCore\";
		private const string CommandLines = @"SOFTWARE\Microsoft\Windows\CurrentVersion\Policies\System\Audit";
		private const string Lsa = @"SYSTEM\CurrentControlSet\Control\Lsa";
		private const string SysmonChannel = "Microsoft-Windows-Sysmon/Operational";
		private const string SysmonPublisher =
			@"SOFTWARE\Microsoft\Windows\CurrentVersion\WINEVT\Publishers\{5770385f-c22a-43e0-bf4c-06f5698ffbd9}";
		private const int ServiceMissing = 1060;
		private const int Running = 4;

		private readonly PolicyHost _host;
		private readonly List<object> _unknown = new List<object>();

		private Recording(PolicyHost host)
		{
			_host = host;
		}

		/// <summary>Return the result. Raises UsageException.</summary>
		public static Dictionary<string, object> Of(ModuleCall call, PolicyHost host)
		{
			GroupPolicy policy = new GroupPolicy(host);
			Recording reader = new Recording(host);
			Dictionary<string, object> recording = reader.Recorded(call.Texts("channels"), call.Texts("paths"));
			foreach (KeyValuePair<string, string> problem in policy.Problems)
				reader.Unknown(problem.Key, problem.Value);
			if (policy.IsManaged)
				reader.Unknown("mobile device management", "It sets audit policy on this host, which is not read.");
			return new Dictionary<string, object>
			{
				{ "changed", false },
				{ "recording", recording },
				{ "group_policy", Ruled(policy, call.Texts("channels"), call.Texts("paths"), host) },
				{ "audit_categories", policy.Categories.ConvertAll<object>(Printable.Show) },
				{ "unknown", reader._unknown }
			};
		}

		private Dictionary<string, object> Recorded(List<string> channels, List<string> paths)
		{
			Dictionary<string, object> listed = Channels(channels);
			return new Dictionary<string, object>
			{
				{ "is_domain_controller", _host.IsDomainController },
				{ "event_log_running", IsRunning("EventLog") },
				{ "subcategories", SubcategoryFlags() },
				{ "subcategories_forced", IsOne(Lsa, "SCENoApplyLegacyAuditPolicy") },
				{ "command_lines", IsOne(CommandLines, "ProcessCreationIncludeCmdLine_Enabled") },
				{ "powershell", Logging(PowerShell) },
				{ "powershell_core", Logging(PowerShellCore) },
				{ "channels", listed },
				{ "sysmon", Sysmon() },
				{ "paths", Paths(paths) }
			};
		}

		private Dictionary<string, object> SubcategoryFlags()
		{
			Dictionary<string, object> all = new Dictionary<string, object>();
			IList<Guid> subcategories;
			int error = _host.Audit.List(out subcategories);
			if (error != 0)
			{
				Unknown("audit policy", "It cannot be listed: " + PolicyHost.Explain(error) + ".");
				return all;
			}
			foreach (Guid subcategory in subcategories)
			{
				int flags;
				error = _host.Audit.Query(subcategory, out flags);
				if (error != 0)
				{
					Unknown("audit policy " + Subcategories.Name(subcategory), "It cannot be read: "
						+ PolicyHost.Explain(error) + ".");
					continue;
				}
				all[Subcategories.Name(subcategory)] = new Dictionary<string, object>
				{
					{ "guid", Subcategories.Text(subcategory) },
					{ "category", Subcategories.Category(subcategory) },
					{ "success", (flags & Subcategories.Success) != 0 },
					{ "failure", (flags & Subcategories.Failure) != 0 }
				};
			}
			return all;
		}

		private Dictionary<string, object> Channels(List<string> channels)
		{
			Dictionary<string, object> all = new Dictionary<string, object>();
			foreach (string channel in channels)
			{
				ChannelSettings settings;
				Reading reading = ChannelSetting.Read(_host, channel, out settings);
				if (reading != null && !reading.IsMissing)
					Unknown("log " + Printable.Show(channel), "It cannot be read: " + reading.Problem + ".");
				if (reading != null)
					continue;
				all[Printable.Show(channel)] = new Dictionary<string, object>
				{
					{ "enabled", settings.IsEnabled },
					{ "max_size", settings.MaxSize },
					{ "when_full", !settings.Retention ? "overwrite" : settings.AutoBackup ? "archive" : "stop" },
					{ "file", Printable.ShowPath(settings.Path ?? "") }
				};
			}
			return all;
		}

		private Dictionary<string, object> Paths(List<string> paths)
		{
			Dictionary<string, object> all = new Dictionary<string, object>();
			foreach (string path in paths)
			{
				ObjectSetting setting = Wish.Object(path, _host);
				Reading reading = setting.Read(_host);
				if (reading.Value != null)
					all[Printable.ShowPath(path)] = setting.IsMet(reading.Value);
				else if (!reading.IsMissing)
					Unknown(setting.Subject, "Whether they are recorded cannot be read: " + reading.Problem + ".");
			}
			return all;
		}

		// Of both views: a 32-bit PowerShell that logs nothing is a way around.
		private Dictionary<string, object> Logging(string parent)
		{
			return new Dictionary<string, object>
			{
				{ "script_blocks", Logs(parent, "ScriptBlockLogging", "EnableScriptBlockLogging") },
				{ "modules", Logs(parent, "ModuleLogging", "EnableModuleLogging") }
			};
		}

		private bool? Logs(string parent, string key, string name)
		{
			// PowerShell 7 may follow the policy of Windows PowerShell.
			bool follows = parent == PowerShellCore && IsOne(parent + key, "UseWindowsPowerShellPolicySetting") == true;
			string policy = (follows ? PowerShell : parent) + key;
			bool? both = true;
			foreach (bool is32Bit in new[] { false, true })
			{
				string path;
				bool? isOn = _host.Settings.Resolve(policy, is32Bit, out path) == 0 ? IsOne(path, name) : null;
				if (isOn == true && key == "ModuleLogging")
					isOn = IsText(path + @"\ModuleNames", "*", "*");
				if (both != false && isOn != true)
					both = isOn;
			}
			return both;
		}

		private Dictionary<string, object> Sysmon()
		{
			ChannelSettings settings;
			Reading reading = ChannelSetting.Read(_host, SysmonChannel, out settings);
			string service = null;
			bool? isRunning = false;
			foreach (string name in SysmonNames())
			{
				int state;
				int error = _host.Services.State(name, out state);
				if (error == ServiceMissing)
					continue;
				service = name;
				isRunning = error == 0 ? state == Running : (bool?)null;
				break;
			}
			return new Dictionary<string, object>
			{
				{ "service", service == null ? null : Printable.Show(service) },
				{ "running", isRunning },
				{ "channel", reading == null ? settings.IsEnabled : reading.IsMissing ? (bool?)false : null }
			};
		}

		// Its program has any name, and the service has that of the program.
		private List<string> SysmonNames()
		{
			List<string> names = new List<string> { "Sysmon64", "Sysmon", "Sysmon64a" };
			string file = ValueSetting.AsText(
				new ValueSetting(SysmonPublisher, "ResourceFileName", null).Read(_host).Value);
			string name = file == null ? "" : file.Substring(file.LastIndexOf('\\') + 1);
			int dot = name.LastIndexOf('.');
			if (dot > 0)
				names.Insert(0, name.Substring(0, dot));
			return names;
		}

		private bool? IsRunning(string service)
		{
			int state;
			int error = _host.Services.State(service, out state);
			if (error != 0)
				Unknown("service " + service, "Its state cannot be read: " + PolicyHost.Explain(error) + ".");
			return error == 0 ? state == Running : (bool?)null;
		}

		private bool? IsOne(string key, string name)
		{
			string value = Value(key, name);
			return value == null ? (bool?)null : ValueSetting.AsNumber(value) == 1;
		}

		private bool? IsText(string key, string name, string text)
		{
			string value = Value(key, name);
			return value == null ? (bool?)null : ValueSetting.AsText(value) == text;
		}

		private string Value(string key, string name)
		{
			ValueSetting setting = new ValueSetting(key, name, null);
			Reading reading = setting.Read(_host);
			if (reading.Value == null)
				Unknown(setting.Subject, "It cannot be read: " + reading.Problem + ".");
			return reading.Value;
		}

		private void Unknown(string subject, string reason)
		{
			_unknown.Add(new Dictionary<string, object> { { "subject", subject }, { "reason", reason } });
		}

		private static List<object> Ruled(
			GroupPolicy policy, List<string> channels, List<string> paths, PolicyHost host)
		{
			List<Setting> settings = new List<Setting>();
			foreach (Guid subcategory in Subcategories.All.Keys)
				settings.Add(new SubcategorySetting(subcategory, 0));
			settings.Add(new ValueSetting(Lsa, "SCENoApplyLegacyAuditPolicy", null));
			settings.Add(new ValueSetting(CommandLines, "ProcessCreationIncludeCmdLine_Enabled", null));
			foreach (string parent in new[] { PowerShell, PowerShellCore })
			{
				settings.Add(new ValueSetting(parent + "ScriptBlockLogging", "EnableScriptBlockLogging", null));
				settings.Add(new ValueSetting(parent + "ModuleLogging", "EnableModuleLogging", null));
			}
			foreach (string channel in channels)
			{
				settings.Add(new ChannelSize(channel, 0));
				settings.Add(new ChannelState(channel, false));
			}
			foreach (string path in paths)
				settings.Add(Wish.Object(path, host));
			List<object> rows = new List<object>();
			foreach (Setting setting in settings)
			{
				PolicyRule rule = policy.Find(setting.Id);
				if (rule != null)
					rows.Add(new Dictionary<string, object>
					{
						{ "subject", setting.Subject }, { "value", setting.Show(rule.Value) }, { "source", rule.Source }
					});
			}
			return rows;
		}
	}
}
