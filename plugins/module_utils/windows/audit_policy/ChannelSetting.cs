// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Globalization;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.audit_policy.ChannelSetting
{
// Inside the namespace: above it, the short name is the neighbouring namespace, not its class.
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.EventChannels;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.audit_policy.PolicyHost;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.audit_policy.Settings;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Printable;

	/// <summary>What the settings of a channel have in common.</summary>
	public abstract class ChannelSetting : Setting
	{
		private const int ChannelNotFound = 15007;
		private const int FileNotFound = 2;

		// EvtChannelTypeOperational; the others are for tracing, and are not read as logs.
		private const int LastLogType = 1;

		public readonly string Channel;

		protected ChannelSetting(string kind, string channel) : base(kind + ":" + channel)
		{
			Channel = channel;
		}

		/// <summary>Return the configuration of a channel, or the reading of a setting that it has not.</summary>
		public static Reading Read(PolicyHost host, string channel, out ChannelSettings settings)
		{
			int error = host.Channels.Read(channel, out settings);
			if (error == ChannelNotFound || error == FileNotFound)
				return Reading.Missing("this host has no such channel");
			if (error != 0)
				return Reading.Failed(error);
			return settings.Type > LastLogType ? Reading.Missing("it is a channel for tracing, not a log") : null;
		}

		public override Reading Read(PolicyHost host)
		{
			ChannelSettings settings;
			return Read(host, Channel, out settings) ?? Reading.Of(Value(settings));
		}

		protected abstract string Value(ChannelSettings settings);
	}

	/// <summary>The largest size of a channel's log, in bytes.</summary>
	public sealed class ChannelSize : ChannelSetting
	{
		public const string Kind = "channel_size";

		// Windows keeps multiples of it.
		private const long Unit = 65536;

		public ChannelSize(string channel, long size) : base(Kind, channel)
		{
			Wanted = size == 0 ? null : Text(size);
		}

		public static string Text(long size)
		{
			return size.ToString(CultureInfo.InvariantCulture);
		}

		public override string Subject
		{
			get { return "size of the log " + Printable.Show(Channel); }
		}

		public override string Raised(string current)
		{
			return Number(current) >= Number(Wanted) ? current : Wanted;
		}

		public override string Show(string value)
		{
			return Text(Number(value));
		}

		public override void Join(Setting other)
		{
			Wanted = other.Raised(Wanted);
		}

		public override string Write(PolicyHost host, string value)
		{
			return Explained(host.Channels.SetMaxSize(Channel, Number(value)));
		}

		public override bool IsSame(string written, string current)
		{
			return Math.Abs(Number(written) - Number(current)) < Unit;
		}

		protected override string Value(ChannelSettings settings)
		{
			return Text(settings.MaxSize);
		}

		private static long Number(string value)
		{
			return Int64.Parse(value, NumberStyles.None, CultureInfo.InvariantCulture);
		}
	}

	/// <summary>Whether a channel takes events: "enabled" or "disabled".</summary>
	public sealed class ChannelState : ChannelSetting
	{
		public const string Kind = "channel_state";
		public const string Enabled = "enabled";
		public const string Disabled = "disabled";

		public ChannelState(string channel, bool isWanted) : base(Kind, channel)
		{
			Wanted = isWanted ? Enabled : null;
		}

		public override string Subject
		{
			get { return "log " + Printable.Show(Channel); }
		}

		public override string Raised(string current)
		{
			return Enabled;
		}

		public override string Show(string value)
		{
			if (value != Enabled && value != Disabled)
				throw Unknown(value);
			return value;
		}

		public override void Join(Setting other)
		{
		}

		public override string Write(PolicyHost host, string value)
		{
			return Explained(host.Channels.SetEnabled(Channel, value == Enabled));
		}

		protected override string Value(ChannelSettings settings)
		{
			return settings.IsEnabled ? Enabled : Disabled;
		}
	}
}
