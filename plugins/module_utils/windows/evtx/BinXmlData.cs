// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.evtx.BinXmlData
{
/// <summary>The bytes of a chunk, the texts in it, and how much work they may cause.</summary>
/// <remarks>
/// Templates multiply: a record of 40 bytes may name one of 60 KiB, with texts that overlap and values that are named
/// again and again. So each token, descriptor of a value and 8 characters cost a unit, which is about 50 ns. Chunks of
/// real logs cost up to 45,000, and one full of events with nothing but empty fields would cost 115,000.
/// </remarks>
public sealed class BinXmlData
{
	/// <summary>The size of a chunk in bytes.</summary>
	public const int Size = 65536;

	private const int ChunkUnits = 150000;
	private const int RecordUnits = 75000;
	private const int CharactersPerUnit = 8;

	// Numbers are read before it is known whether they are within the chunk: this much behind it is zero.
	private const int Slack = 64;

	// Characters may begin at an odd offset.
	private readonly char[] _even = new char[Size / 2];
	private readonly char[] _odd = new char[Size / 2];
	private readonly Dictionary<int, string> _literals = new Dictionary<int, string>();
	private int _chunkUnits;
	private int _recordUnits;

	public readonly byte[] Bytes = new byte[Size + Slack];

	/// <summary>Begin with a new chunk of which this many bytes are there; the rest becomes zero.</summary>
	public void Load(int length)
	{
		Array.Clear(Bytes, length, Bytes.Length - length);
		Buffer.BlockCopy(Bytes, 0, _even, 0, Size);
		Buffer.BlockCopy(Bytes, 1, _odd, 0, Size);
		_literals.Clear();
		_chunkUnits = ChunkUnits;
	}

	/// <summary>Begin with a new record of the chunk.</summary>
	public void StartRecord()
	{
		_recordUnits = Math.Min(RecordUnits, _chunkUnits);
	}

	/// <summary>Take units of work; false when they are used up.</summary>
	public bool Spend(int units)
	{
		_recordUnits -= units;
		_chunkUnits -= units;
		return _recordUnits >= 0;
	}

	/// <summary>Take the work of this many characters.</summary>
	public bool SpendText(int characters)
	{
		return Spend(characters / CharactersPerUnit);
	}

	/// <summary>Return a text that many records use, as names do; null when it is not in the chunk.</summary>
	public string Literal(int offset, int count)
	{
		// Each use costs: comparing a name of 30,000 characters takes long, too.
		if (offset + 2 * count > Size || !SpendText(count))
			return null;
		string text;
		if (_literals.TryGetValue(offset, out text) && text.Length == count)
			return text;
		text = Text(offset, count);
		_literals[offset] = text;
		return text;
	}

	/// <summary>Return characters of the chunk as they are: any 16 bits, surrogates without their other half, too.
	/// </summary>
	public string Text(int offset, int count)
	{
		return new string((offset & 1) == 0 ? _even : _odd, offset >> 1, count);
	}

	/// <summary>Return how many characters there are before the first NUL.</summary>
	public int Terminated(int offset, int count)
	{
		int index = Array.IndexOf((offset & 1) == 0 ? _even : _odd, '\0', offset >> 1, count);
		return index < 0 ? count : index - (offset >> 1);
	}

	public int Int32(int offset)
	{
		return BitConverter.ToInt32(Bytes, offset);
	}

	public int UInt16(int offset)
	{
		return Bytes[offset] | (Bytes[offset + 1] << 8);
	}
}
}
