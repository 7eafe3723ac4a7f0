// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.audit_policy.AuditAcl
{
	/// <summary>
	/// A SACL as bytes ([MS-DTYP] 2.4.5). Entries that are not ours stay as they are, byte by byte. FormatException for
	/// what is no ACL.
	/// </summary>
	public sealed class AuditAcl
	{
		private const int HeaderSize = 8;
		private const int LargestSize = 0xFFFF;
		private const byte AuditType = 2;
		private const byte Inherits = 3;
		private const byte NoPropagate = 4;
		private const byte InheritOnly = 8;
		private const byte SuccessfulAccess = 0x40;

		// KEY_SET_VALUE, KEY_CREATE_SUB_KEY, DELETE, WRITE_DAC, WRITE_OWNER
		private const uint KeyRights = 0x2 | 0x4 | 0x10000 | 0x40000 | 0x80000;

		// FILE_WRITE_DATA, FILE_APPEND_DATA, FILE_WRITE_EA, FILE_DELETE_CHILD, FILE_WRITE_ATTRIBUTES (times, too), DELETE,
		// WRITE_DAC, WRITE_OWNER
		private const uint FileRights = 0x2 | 0x4 | 0x10 | 0x40 | 0x100 | 0x10000 | 0x40000 | 0x80000;

		// S-1-1-0
		private static readonly byte[] Everyone = { 1, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0 };

		private readonly byte _revision;
		private readonly List<byte[]> _entries = new List<byte[]>();

		public AuditAcl(byte[] acl)
		{
			if (acl == null)
			{
				_revision = 2;
				return;
			}
			if (acl.Length < HeaderSize)
				throw new FormatException("the access list is cut off");
			_revision = acl[0];
			int position = HeaderSize;
			for (int count = BitConverter.ToUInt16(acl, 4); count > 0; count--)
			{
				int size = position + 4 <= acl.Length ? BitConverter.ToUInt16(acl, position + 2) : 0;
				if (size < 4 || position + size > acl.Length)
					throw new FormatException("the access list is cut off");
				byte[] entry = new byte[size];
				Buffer.BlockCopy(acl, position, entry, 0, size);
				_entries.Add(entry);
				position += size;
			}
		}

		public int Count
		{
			get { return _entries.Count; }
		}

		/// <summary>
		/// Return the entry that records every successful change of a key or of a file, and for one with content what
		/// is in it, too.
		/// </summary>
		public static byte[] Entry(bool isKey, bool isContainer)
		{
			byte[] entry = new byte[HeaderSize + Everyone.Length];
			entry[0] = AuditType;
			// A key has no objects, only containers in it.
			entry[1] = (byte)(SuccessfulAccess | (isContainer ? isKey ? 2 : Inherits : 0));
			entry[2] = (byte)entry.Length;
			BitConverter.GetBytes(isKey ? KeyRights : FileRights).CopyTo(entry, 4);
			Everyone.CopyTo(entry, HeaderSize);
			return entry;
		}

		/// <summary>Say whether some entry records all that <paramref name="wanted"/> does.</summary>
		public bool Covers(byte[] wanted)
		{
			uint rights = BitConverter.ToUInt32(wanted, 4);
			return _entries.Exists(delegate(byte[] entry)
			{
				if (entry.Length != wanted.Length || entry[0] != AuditType)
					return false;
				bool applies = (entry[1] & InheritOnly) == 0 && (entry[1] & SuccessfulAccess) != 0;
				int inherits = wanted[1] & Inherits;
				bool reaches = (entry[1] & inherits) == inherits && (inherits == 0 || (entry[1] & NoPropagate) == 0);
				return applies && reaches && (BitConverter.ToUInt32(entry, 4) & rights) == rights && HasSid(entry);
			});
		}

		/// <summary>Say whether exactly this entry is there, by itself and not inherited.</summary>
		public bool Has(byte[] entry)
		{
			return _entries.Exists(delegate(byte[] other) { return AreEqual(entry, other); });
		}

		/// <summary>Put an entry before the others: what is inherited comes last.</summary>
		public void Add(byte[] entry)
		{
			_entries.Insert(0, entry);
		}

		/// <summary>Remove every entry with these bytes.</summary>
		public void Remove(byte[] entry)
		{
			_entries.RemoveAll(delegate(byte[] other) { return AreEqual(entry, other); });
		}

		/// <summary>Return the whole ACL; FormatException if it becomes larger than 64 KiB.</summary>
		public byte[] ToBytes()
		{
			int size = HeaderSize;
			foreach (byte[] entry in _entries)
				size += entry.Length;
			if (size > LargestSize)
				throw new FormatException("the access list has no room for another entry");
			byte[] acl = new byte[size];
			acl[0] = _revision;
			BitConverter.GetBytes((ushort)size).CopyTo(acl, 2);
			BitConverter.GetBytes((ushort)_entries.Count).CopyTo(acl, 4);
			int position = HeaderSize;
			foreach (byte[] entry in _entries)
			{
				entry.CopyTo(acl, position);
				position += entry.Length;
			}
			return acl;
		}

		private static bool HasSid(byte[] entry)
		{
			for (int index = 0; index < Everyone.Length; index++)
			{
				if (entry[HeaderSize + index] != Everyone[index])
					return false;
			}
			return true;
		}

		private static bool AreEqual(byte[] left, byte[] right)
		{
			if (left.Length != right.Length)
				return false;
			for (int index = 0; index < left.Length; index++)
			{
				if (left[index] != right[index])
					return false;
			}
			return true;
		}
	}
}
