// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.audit_policy.ObjectSetting
{
// Inside the namespace: above it, the short name is the neighbouring namespace, not its class.
using ansible_collections.bulwark.servers.plugins.module_utils.windows.audit_policy.AuditAcl;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.audit_policy.PolicyHost;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.audit_policy.Settings;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Printable;

	/// <summary>The SACL of a key or of a file, in hexadecimal, or "absent".</summary>
	public sealed class ObjectSetting : Setting
	{
		public const string KeyKind = "key";
		public const string FileKind = "file";
		private const int FileNotFound = 2;
		private const int PathNotFound = 3;

		public readonly string Path;
		private readonly bool _isKey;
		private byte[] _entry;

		/// <summary>path: below HKEY_LOCAL_MACHINE for a key.</summary>
		public ObjectSetting(bool isKey, string path) : base((isKey ? KeyKind : FileKind) + ":" + path)
		{
			_isKey = isKey;
			Path = path;
			_entry = AuditAcl.Entry(isKey, true);
		}

		public override string Subject
		{
			get { return "changes of " + Printable.ShowPath(_isKey ? @"HKLM\" + Path : Path); }
		}

		public override Reading Read(PolicyHost host)
		{
			int kind = _isKey ? 2 : host.Files.Kind(Path);
			if (kind == 0)
				return Reading.Missing("it does not exist");
			_entry = AuditAcl.Entry(_isKey, kind == 2);
			byte[] acl;
			int error = host.Objects.Read(_isKey, Path, out acl);
			if (error == FileNotFound || error == PathNotFound)
				return Reading.Missing("it does not exist");
			if (error != 0)
				return Reading.Failed(error);
			try
			{
				new AuditAcl(acl);
			}
			catch (FormatException problem)
			{
				return new Reading { Problem = problem.Message };
			}
			return Reading.Of(Text(acl));
		}

		public override string Raised(string current)
		{
			AuditAcl acl = Acl(current);
			if (acl.Covers(_entry))
				return current;
			acl.Add(_entry);
			return Text(acl.ToBytes());
		}

		public override void Join(Setting other)
		{
		}

		public override bool IsSame(string written, string current)
		{
			return Acl(written).Has(_entry) == Acl(current).Has(_entry);
		}

		public override string Undone(string current, string before, ICollection<string> since)
		{
			AuditAcl acl = Acl(current);
			if (!acl.Has(_entry) || Acl(before).Has(_entry))
				return current;
			acl.Remove(_entry);
			return acl.Count == 0 && before == Absent ? Absent : Text(acl.ToBytes());
		}

		public override string Write(PolicyHost host, string value)
		{
			return Explained(host.Objects.Write(_isKey, Path, value == Absent ? null : ValueSetting.Hex(value)));
		}

		public override string Show(string value)
		{
			return Acl(value).Covers(_entry) ? "recorded" : "not recorded";
		}

		private static AuditAcl Acl(string value)
		{
			return new AuditAcl(value == Absent ? null : ValueSetting.Hex(value));
		}

		/// <summary>Return a SACL as the value of a setting; null is one without entries.</summary>
		public static string Text(byte[] acl)
		{
			return acl == null ? Absent : BitConverter.ToString(acl).Replace("-", "");
		}
	}
}
