// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;
using System.Globalization;
using System.Text;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.audit_policy.Settings
{
// Inside the namespace: above it, the short name is the neighbouring namespace, not its class.
using ansible_collections.bulwark.servers.plugins.module_utils.windows.audit_policy.PolicyHost;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.audit_policy.Subcategories;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Printable;

	/// <summary>What a setting is, or why that is not known.</summary>
	public sealed class Reading
	{
		/// <summary>Null unless it is known.</summary>
		public string Value;

		/// <summary>Why the value is not known; null when it is.</summary>
		public string Problem;

		/// <summary>Whether this host has no such thing.</summary>
		public bool IsMissing;

		/// <summary>Return a value that is known.</summary>
		public static Reading Of(string value)
		{
			return new Reading { Value = value };
		}

		/// <summary>Return that the host has no such thing. reason: a sentence without a full stop.</summary>
		public static Reading Missing(string reason)
		{
			return new Reading { Problem = reason, IsMissing = true };
		}

		/// <summary>Return that a value cannot be read. error: of Win32.</summary>
		public static Reading Failed(int error)
		{
			return new Reading { Problem = PolicyHost.Explain(error) };
		}
	}

	/// <summary>
	/// One setting of a host. Values are texts, which the note keeps; each class has its own form of them. Wanted is
	/// null for a setting that nobody wants any more.
	/// </summary>
	public abstract class Setting
	{
		public const string Absent = "absent";

		/// <summary>What the note calls it: KIND:NAME.</summary>
		public readonly string Id;

		public string Wanted;

		protected Setting(string id)
		{
			Id = id;
		}

		/// <summary>For people.</summary>
		public abstract string Subject { get; }

		/// <summary>Read the value that a host has.</summary>
		public abstract Reading Read(PolicyHost host);

		/// <summary>Return what a value becomes, which never records less: the same one if nothing is missing.
		/// </summary>
		public abstract string Raised(string current);

		/// <summary>Write a value; return why that failed, null when it did not.</summary>
		public abstract string Write(PolicyHost host, string value);

		/// <summary>Take what another wish for the same setting wants in addition.</summary>
		public abstract void Join(Setting other);

		/// <summary>Return a value for people; FormatException or OverflowException for one that no host has.</summary>
		public virtual string Show(string value)
		{
			return value;
		}

		protected static FormatException Unknown(string value)
		{
			return new FormatException("'" + value + "' is no value of it");
		}

		/// <summary>Say whether a value records what is wanted, or more.</summary>
		public bool IsMet(string current)
		{
			return Raised(current) == current;
		}

		/// <summary>Say whether a value is what was written, as Windows keeps it.</summary>
		public virtual bool IsSame(string written, string current)
		{
			return written == current;
		}

		/// <summary>
		/// Return what a value becomes when our change is undone; null when somebody changed it since. before: the
		/// value before the first deployment; since: those that were deployed.
		/// </summary>
		public virtual string Undone(string current, string before, ICollection<string> since)
		{
			if (IsSame(before, current))
				return current;
			foreach (string value in since)
			{
				if (IsSame(value, current))
					return before;
			}
			return null;
		}

		protected static string Explained(int error)
		{
			return error == 0 ? null : PolicyHost.Explain(error);
		}
	}

	/// <summary>A subcategory of the audit policy. Values are those of Subcategories.Show.</summary>
	public sealed class SubcategorySetting : Setting
	{
		public const string Kind = "subcategory";

		private readonly Guid _subcategory;

		public SubcategorySetting(Guid subcategory, int flags) : base(Kind + ":" + Subcategories.Text(subcategory))
		{
			_subcategory = subcategory;
			Wanted = flags == 0 ? null : Subcategories.Show(flags);
		}

		public override string Subject
		{
			get { return "audit policy " + Subcategories.Name(_subcategory); }
		}

		public override Reading Read(PolicyHost host)
		{
			int flags;
			int error = host.Audit.Query(_subcategory, out flags);
			IList<Guid> known;
			if (error != 0 && host.Audit.List(out known) == 0 && !known.Contains(_subcategory))
				return Reading.Missing("this Windows has no such subcategory");
			return error != 0 ? Reading.Failed(error) : Reading.Of(Subcategories.Show(flags));
		}

		public override string Raised(string current)
		{
			return Subcategories.Show(Subcategories.Flags(current) | Subcategories.Flags(Wanted));
		}

		public override void Join(Setting other)
		{
			Wanted = other.Raised(Wanted);
		}

		public override string Show(string value)
		{
			if (Subcategories.Flags(value) < 0)
				throw Unknown(value);
			return value;
		}

		public override string Write(PolicyHost host, string value)
		{
			int flags = Subcategories.Flags(value);
			int error = host.Audit.Set(_subcategory, flags == 0 ? Subcategories.None : flags);
			int current;
			// Documentation has both: that new flags replace the old ones, and that only NONE makes them do so.
			if (error == 0 && host.Audit.Query(_subcategory, out current) == 0 && Subcategories.Show(current) != value)
				error = host.Audit.Set(_subcategory, Subcategories.None | flags);
			return Explained(error);
		}
	}

	/// <summary>A value of the registry, as TYPE:DATA in hexadecimal, or "absent".</summary>
	public sealed class ValueSetting : Setting
	{
		public const string Kind = "value";
		private const int NotFound = 2;
		private const uint Text = 1;
		private const uint ExpandText = 2;
		private const uint Number = 4;

		public readonly string Key;
		private readonly string _name;

		/// <summary>key: below HKEY_LOCAL_MACHINE, in the 64-bit view.</summary>
		public ValueSetting(string key, string name, string wanted) : base(Kind + ":" + key + @"\\" + name)
		{
			Key = key;
			_name = name;
			Wanted = wanted;
		}

		public static string Encode(uint type, byte[] data)
		{
			return type.ToString(CultureInfo.InvariantCulture) + ":" + BitConverter.ToString(data).Replace("-", "");
		}

		public static string OfNumber(uint number)
		{
			return Encode(Number, BitConverter.GetBytes(number));
		}

		public static string OfText(string text)
		{
			return Encode(Text, Encoding.Unicode.GetBytes(text + "\0"));
		}

		/// <summary>Return the number of a DWORD value, null for anything else.</summary>
		public static long? AsNumber(string value)
		{
			uint type;
			byte[] data = Decode(value, out type);
			return data != null && type == Number && data.Length == 4 ? BitConverter.ToUInt32(data, 0) : (long?)null;
		}

		/// <summary>Return the text of a value up to the first NUL, null for anything else.</summary>
		public static string AsText(string value)
		{
			uint type;
			byte[] data = Decode(value, out type);
			return data != null && (type == Text || type == ExpandText)
				? Encoding.Unicode.GetString(data).Split('\0')[0]
				: null;
		}

		public override string Subject
		{
			get { return Printable.ShowPath(@"HKLM\" + Key + @"\\" + _name); }
		}

		public override Reading Read(PolicyHost host)
		{
			uint type;
			byte[] data;
			int error = host.Settings.Read(Key, _name, out type, out data);
			if (error == NotFound)
				return Reading.Of(Absent);
			return error != 0 ? Reading.Failed(error) : Reading.Of(Encode(type, data));
		}

		public override string Raised(string current)
		{
			bool isMet = current == Wanted || (AsText(Wanted) != null && AsText(current) == AsText(Wanted));
			return isMet ? current : Wanted;
		}

		public override void Join(Setting other)
		{
		}

		public override string Write(PolicyHost host, string value)
		{
			if (value == Absent)
			{
				int error = host.Settings.DeleteValue(Key, _name);
				return error == NotFound ? null : Explained(error);
			}
			uint type;
			byte[] data = Decode(value, out type);
			return Explained(host.Settings.Write(Key, _name, type, data));
		}

		public override string Show(string value)
		{
			uint type;
			byte[] data = Decode(value, out type);
			if (data == null)
				return value;
			if (AsNumber(value) != null)
				return AsNumber(value).Value.ToString(CultureInfo.InvariantCulture);
			if (AsText(value) != null)
				return "\"" + Printable.Show(AsText(value)) + "\"";
			return string.Format(CultureInfo.InvariantCulture, "{0} bytes of type {1}", data.Length, type);
		}

		// Null for "absent"; FormatException for what Encode never makes.
		private static byte[] Decode(string value, out uint type)
		{
			type = 0;
			if (value == null || value == Absent)
				return null;
			int colon = value.IndexOf(':');
			if (colon < 1 || (value.Length - colon) % 2 == 0)
				throw new FormatException("'" + value + "' is no value of the registry");
			type = UInt32.Parse(value.Substring(0, colon), NumberStyles.None, CultureInfo.InvariantCulture);
			return Hex(value.Substring(colon + 1));
		}

		internal static byte[] Hex(string text)
		{
			byte[] bytes = new byte[text.Length / 2];
			for (int index = 0; index < bytes.Length; index++)
				bytes[index] = Byte.Parse(
					text.Substring(index * 2, 2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture);
			return bytes;
		}
	}
}
