// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.evtx.EvtxChunk
{
// Inside the namespace: above it, the short name is the neighbouring namespace, not its class.
using ansible_collections.bulwark.servers.plugins.module_utils.windows.evtx.BinXmlData;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.evtx.BinXmlReader;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.evtx.EventRecord;

/// <summary>A chunk of an event log: a header of 512 bytes, then records up to where its free space begins.</summary>
public sealed class EvtxChunk
{
	private const int HeaderSize = 512;
	private const int RecordHeaderSize = 24;
	private const int SmallestRecord = RecordHeaderSize + 4;
	private const int RecordSignature = 0x2A2A;
	private const int FreeOffset = 48;
	private const int RecordsChecksumOffset = 52;
	private const int HeaderChecksumOffset = 124;
	private const int TablesOffset = 128;

	private readonly EvtxProblems _problems;
	private readonly BinXmlReader _reader;
	private long _offset;
	private int _position;
	private int _end;
	private int _free;
	private bool _isFreeKnown;

	// Of the record before, also across chunks; 0 for none.
	private long _lastId;

	// Something before was lost and counted.
	private bool _isGapKnown;

	/// <summary>The chunk's bytes, to be filled before Load.</summary>
	public readonly BinXmlData Data = new BinXmlData();

	public EvtxChunk(EvtxProblems problems)
	{
		_problems = problems;
		_reader = new BinXmlReader(Data);
	}

	/// <summary>Say whether these bytes begin as a chunk does.</summary>
	public static bool HasSignature(byte[] bytes)
	{
		return BitConverter.ToInt64(bytes, 0) == 0x006B6E6843666C45;
	}

	/// <summary>
	/// Begin with what Data.Bytes holds. offset: its position in the file. length: fewer bytes than a chunk has only at
	/// the end of the file. False for a block that was never used.
	/// </summary>
	public bool Load(long offset, int length)
	{
		Data.Load(length);
		byte[] bytes = Data.Bytes;
		bool isChunk = HasSignature(bytes);
		if (!isChunk && IsZero(0, length))
			return false;
		_offset = offset;
		_position = HeaderSize;
		_end = length;
		_free = BitConverter.ToInt32(bytes, FreeOffset);
		_isFreeKnown = isChunk && _free >= HeaderSize && _free <= BinXmlData.Size;
		if (!_isFreeKnown)
			_free = BinXmlData.Size;
		if (!isChunk || (length < BinXmlData.Size && length < _free))
			LoseChunk(offset, isChunk ? "the file ends within a chunk" : "a block has no signature of a chunk");
		uint header = Crc32.Next(Crc32.Next(0, bytes, 0, 120), bytes, TablesOffset, HeaderSize - TablesOffset);
		uint records = Crc32.Next(0, bytes, HeaderSize, _free - HeaderSize);
		if (header != BitConverter.ToUInt32(bytes, HeaderChecksumOffset)
			|| records != BitConverter.ToUInt32(bytes, RecordsChecksumOffset))
			_problems.Checksums++;
		return true;
	}

	/// <summary>Count a chunk that cannot be read as a whole.</summary>
	public void LoseChunk(long offset, string reason)
	{
		_isGapKnown = true;
		_problems.Chunks++;
		_problems.Explain(offset, reason);
	}

	/// <summary>Return the next record that can be read, null at the end.</summary>
	public EventRecord Next()
	{
		while (_position + SmallestRecord <= _end)
		{
			int start = _position;
			int size = BitConverter.ToInt32(Data.Bytes, start + 4);
			bool isSound = IsSound(start);
			// The header of a log in use is older than its last records; anything else there is of an earlier use.
			if (start >= _free && !(isSound && IsNext(start)))
				return null;
			int next = isSound ? start + size : NextSound(start + 8);
			_position = next;
			EventRecord record = null;
			if (BitConverter.ToInt32(Data.Bytes, start) == RecordSignature)
			{
				bool isPlausible = size >= SmallestRecord && size <= next - start;
				record = _reader.Read(start + RecordHeaderSize, isPlausible ? start + size - 4 : next);
				if (record == null)
					Lose(_reader.FailedAt, _reader.Reason);
				else if (_reader.Values > 0)
				{
					_problems.Values += _reader.Values;
					_problems.Explain(_offset + _reader.FailedAt, _reader.Reason);
				}
			}
			else if (_isFreeKnown || !IsZero(start, next))
				Lose(start, "there is no record where one should begin");
			if (record == null)
				continue;
			// Logs, and exports, count the records in their headers without gaps.
			if (!IsNext(start) && !_isGapKnown)
				Lose(start, "the ids in the headers of records are not consecutive");
			_isGapKnown = false;
			record.HeaderRecordId = _lastId = Id(start);
			if (record.Time == 0)
				record.Time = BitConverter.ToInt64(Data.Bytes, start + 16);
			return record;
		}
		return null;
	}

	private void Lose(int position, string reason)
	{
		_isGapKnown = true;
		_problems.Records++;
		_problems.Explain(_offset + position, reason);
	}

	private bool IsNext(int record)
	{
		return _lastId == 0 || Id(record) == _lastId + 1;
	}

	private long Id(int record)
	{
		return BitConverter.ToInt64(Data.Bytes, record + 8);
	}

	/// <summary>Say whether a record begins here whose size stands before and behind it.</summary>
	private bool IsSound(int start)
	{
		if (BitConverter.ToInt32(Data.Bytes, start) != RecordSignature)
			return false;
		int size = BitConverter.ToInt32(Data.Bytes, start + 4);
		return size >= SmallestRecord && size <= _end - start
			&& BitConverter.ToInt32(Data.Bytes, start + size - 4) == size;
	}

	private bool IsZero(int start, int end)
	{
		while (start < end && Data.Bytes[start] == 0)
			start++;
		return start >= end;
	}

	private int NextSound(int start)
	{
		int end = Math.Min(_end, _free);
		while (start + SmallestRecord <= end && !IsSound(start))
			start += 8;
		return start + SmallestRecord <= end ? start : end;
	}
}

/// <summary>CRC-32 as of zip (ISO 3309), four bytes at a time.</summary>
public static class Crc32
{
	private static readonly uint[][] Tables = MakeTables();

	/// <summary>Return the checksum of bytes; checksum: that of the bytes before, 0 at the beginning.</summary>
	public static uint Next(uint checksum, byte[] bytes, int start, int count)
	{
		uint[] first = Tables[3], second = Tables[2], third = Tables[1], last = Tables[0];
		uint value = ~checksum;
		int end = start + count;
		for (; start + 4 <= end; start += 4)
		{
			value ^= BitConverter.ToUInt32(bytes, start);
			value = first[value & 0xFF] ^ second[(value >> 8) & 0xFF] ^ third[(value >> 16) & 0xFF] ^ last[value >> 24];
		}
		for (; start < end; start++)
			value = (value >> 8) ^ last[(value ^ bytes[start]) & 0xFF];
		return ~value;
	}

	private static uint[][] MakeTables()
	{
		uint[][] tables = { new uint[256], new uint[256], new uint[256], new uint[256] };
		for (uint index = 0; index < 256; index++)
		{
			uint value = index;
			for (int bit = 0; bit < 8; bit++)
				value = (value >> 1) ^ ((value & 1) * 0xEDB88320);
			tables[0][index] = value;
		}
		for (int table = 1; table < 4; table++)
		{
			for (int index = 0; index < 256; index++)
			{
				uint before = tables[table - 1][index];
				tables[table][index] = (before >> 8) ^ tables[0][before & 0xFF];
			}
		}
		return tables;
	}
}
}
