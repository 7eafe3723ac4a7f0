// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;
using System.IO;
using System.Text;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.TaskData
{
/// <summary>
/// Reads the binary values of scheduled tasks in the task cache, as researchers of G DATA published their layout
/// (cyber.wtf, "Windows registry analysis: tasks", 2022).
/// </summary>
public static class TaskData
{
	private const int Execute = 0x6666;
	private const int ComHandler = 0x7777;
	private const uint Hidden = 0x800000;
	private const uint HighestPrivileges = 0x1000000;

	/// <summary>
	/// Return what the value Actions runs, several divided by divider: COMMAND ARGUMENTS, (in DIRECTORY\) after
	/// it, or {CLASS} DATA for a COM class. Null when it is not of this form.
	/// </summary>
	public static string Actions(byte[] data, string divider)
	{
		return Read(data, delegate(BinaryReader reader)
		{
			List<string> actions = new List<string>();
			int version = reader.ReadUInt16();
			if (version == 3)
				Text(reader, reader.ReadInt32(), 1);
			while (reader.BaseStream.Position < data.Length)
			{
				int kind = reader.ReadUInt16();
				Text(reader, reader.ReadInt32(), 1);
				if (kind == ComHandler)
				{
					string id = new Guid(Bytes(reader, 16)).ToString("B").ToUpperInvariant();
					actions.Add((id + " " + Text(reader, reader.ReadInt32(), 1)).Trim());
					continue;
				}
				if (kind != Execute)
					return null;
				string command = Text(reader, reader.ReadInt32(), 1).Trim();
				string arguments = Text(reader, reader.ReadInt32(), 1);
				string directory = Text(reader, reader.ReadInt32(), 1).Trim('"', '\\');
				Bytes(reader, version == 3 ? 2 : 0);
				bool needsQuotes = command.IndexOf(' ') > 0 && command[0] != '"';
				command = needsQuotes ? "\"" + command + "\"" : command;
				string ending = directory.Length == 0 ? "" : " (in " + directory + "\\)";
				actions.Add((command + " " + arguments).Trim() + ending);
			}
			return actions.Count == 0 ? null : string.Join(divider, actions.ToArray());
		});
	}

	/// <summary>Return as whom a task runs from the value Triggers; null when it is not of this form.</summary>
	public static string Principal(byte[] data)
	{
		return Read(data, delegate(BinaryReader reader)
		{
			uint version = Number(reader) & 0xFF;
			Bytes(reader, 32);
			uint flags = Number(reader);
			Number(reader);
			for (uint text = 0x16; text <= version && text <= 0x17; text++)
				Text(reader, (int)Number(reader), 8);
			string account = "whoever is signed in";
			if ((Number(reader) & 0xFF) == 0)
			{
				bool hasSid = (Number(reader) & 0xFF) == 0;
				if (hasSid)
				{
					Number(reader);
					byte[] sid = Bytes(reader, (int)Number(reader));
					Bytes(reader, -sid.Length & 7);
					account = BitConverter.ToString(sid).Replace("-", "");
					account = sid.Length < 8 ? account : Sid(sid);
				}
				string name = Text(reader, (int)Number(reader), 8);
				account = hasSid ? account : name;
			}
			return "as " + account + ((flags & HighestPrivileges) != 0 ? ", with highest privileges" : "") +
				((flags & Hidden) != 0 ? ", hidden" : "");
		});
	}

	private static string Read(byte[] data, Func<BinaryReader, string> read)
	{
		try
		{
			using (BinaryReader reader = new BinaryReader(new MemoryStream(data)))
				return read(reader);
		}
		catch (IOException)
		{
			return null;
		}
	}

	private static string Sid(byte[] data)
	{
		StringBuilder text = new StringBuilder("S-").Append(data[0]).Append('-').Append(data[7]);
		for (int position = 8; position + 4 <= data.Length; position += 4)
			text.Append('-').Append(BitConverter.ToUInt32(data, position));
		return text.ToString();
	}

	// Numbers and bytes are padded to 8 bytes.
	private static uint Number(BinaryReader reader)
	{
		return (uint)reader.ReadUInt64();
	}

	private static string Text(BinaryReader reader, int length, int alignment)
	{
		string text = Encoding.Unicode.GetString(Bytes(reader, length));
		Bytes(reader, -length & (alignment - 1));
		return text.TrimEnd('\0');
	}

	private static byte[] Bytes(BinaryReader reader, int length)
	{
		if (length < 0 || length > reader.BaseStream.Length - reader.BaseStream.Position)
			throw new EndOfStreamException();
		return reader.ReadBytes(length);
	}
}
}
