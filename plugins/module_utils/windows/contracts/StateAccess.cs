// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;
using System.Globalization;
using System.Text;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.StateAccess
{
	/// <summary>
	/// Decides by owner and DACL who could read, forge or exchange state. Descriptors are self-relative
	/// ([MS-DTYP] 2.4.6).
	/// </summary>
	public static class StateAccess
	{
		public const string System = "S-1-5-18";
		public const string Administrators = "S-1-5-32-544";

		// The service that owns the directories of Windows.
		private const string TrustedInstaller =
			"S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464";

		// Rights by which what is in a directory can be replaced: FILE_DELETE_CHILD, WRITE_DAC, WRITE_OWNER,
		// GENERIC_ALL (https://learn.microsoft.com/windows/win32/fileio/file-security-and-access-rights).
		private const uint ReplaceRights = 0x40 | 0x40000 | 0x80000 | 0x10000000;
		private const uint DeleteRight = 0x10000;

		/// <summary>
		/// Return what is wrong with a directory of state, null when only SYSTEM, Administrators and the account that
		/// runs this can use it.
		/// </summary>
		public static string PrivateProblem(byte[] descriptor, string userSid)
		{
			HashSet<string> trusted = new HashSet<string> { System, Administrators, userSid };
			return Problem(descriptor, trusted, UInt32.MaxValue, true);
		}

		/// <summary>
		/// Return what is wrong with a directory above the state, null when nobody else can replace what is in it. That
		/// anybody can make new directories there, as in ProgramData, is no problem. isRoot: of a volume, which nobody
		/// can delete.
		/// </summary>
		public static string AboveProblem(byte[] descriptor, string userSid, bool isRoot)
		{
			HashSet<string> trusted = new HashSet<string> { System, Administrators, TrustedInstaller, userSid };
			return Problem(descriptor, trusted, isRoot ? ReplaceRights : ReplaceRights | DeleteRight, false);
		}

		private static string Problem(byte[] descriptor, HashSet<string> trusted, uint rights, bool countsInherited)
		{
			StateDescriptor parsed;
			try
			{
				parsed = new StateDescriptor(descriptor);
			}
			catch (FormatException)
			{
				return "has permissions that cannot be read";
			}
			if (parsed.Owner == null || !trusted.Contains(parsed.Owner))
				return "belongs to " + (parsed.Owner ?? "nobody");
			if (!parsed.HasDacl)
				return "can be changed by everybody (it has no access list)";
			foreach (StateAce entry in parsed.Entries)
			{
				bool applies = countsInherited || !entry.IsInheritOnly;
				if (applies && entry.IsAllowing && (entry.Rights & rights) != 0 && !trusted.Contains(entry.Sid))
					return countsInherited
						? "can be used by " + entry.Sid
						: "can be changed by " + entry.Sid;
			}
			return null;
		}
	}

	internal sealed class StateAce
	{
		public uint Rights;
		public string Sid;
		public bool IsAllowing;

		/// <summary>It only counts for what is made below.</summary>
		public bool IsInheritOnly;
	}

	internal sealed class StateDescriptor
	{
		private const int DaclPresent = 0x0004;
		private const int InheritOnly = 0x08;

		public readonly string Owner;
		public readonly bool HasDacl;
		public readonly List<StateAce> Entries = new List<StateAce>();
		private readonly byte[] _bytes;

		public StateDescriptor(byte[] bytes)
		{
			_bytes = bytes;
			int owner = (int)Number(4, 4);
			Owner = owner == 0 ? null : ReadSid(owner);
			int dacl = (int)Number(16, 4);
			HasDacl = (Number(2, 2) & DaclPresent) != 0 && dacl != 0;
			if (!HasDacl)
				return;
			int position = dacl + 8;
			for (uint count = Number(dacl + 4, 2); count > 0; count--)
			{
				int size = (int)Number(position + 2, 2);
				if (size < 8)
					throw new FormatException("an entry is too short");
				Entries.Add(ReadAce(position));
				position += size;
			}
		}

		private StateAce ReadAce(int position)
		{
			uint type = Number(position, 1);
			StateAce entry = new StateAce();
			entry.IsInheritOnly = (Number(position + 1, 1) & InheritOnly) != 0;
			entry.Rights = Number(position + 4, 4);
			int sid = position + 8;
			switch (type)
			{
				// Allowed, for everybody who fulfils a condition (callback), for some objects ([MS-DTYP] 2.4.4.1).
				case 0:
				case 9:
					entry.IsAllowing = true;
					break;
				case 5:
				case 11:
					entry.IsAllowing = true;
					uint guids = Number(sid, 4);
					sid += 4 + ((guids & 1) != 0 ? 16 : 0) + ((guids & 2) != 0 ? 16 : 0);
					break;
				// Denied.
				case 1:
				case 6:
				case 10:
				case 12:
					return entry;
				default:
					throw new FormatException("an entry has an unknown type");
			}
			entry.Sid = ReadSid(sid);
			return entry;
		}

		private string ReadSid(int position)
		{
			ulong authority = 0;
			for (int index = 2; index < 8; index++)
				authority = authority << 8 | Number(position + index, 1);
			StringBuilder sid = new StringBuilder("S-");
			sid.Append(Number(position, 1)).Append('-').Append(authority.ToString(CultureInfo.InvariantCulture));
			for (uint index = 0; index < Number(position + 1, 1); index++)
				sid.Append('-').Append(Number(position + 8 + (int)index * 4, 4).ToString(CultureInfo.InvariantCulture));
			return sid.ToString();
		}

		private uint Number(int position, int width)
		{
			if (position < 0 || position > _bytes.Length - width)
				throw new FormatException("the descriptor is cut off");
			uint value = 0;
			for (int index = width - 1; index >= 0; index--)
				value = value << 8 | _bytes[position + index];
			return value;
		}
	}
}
