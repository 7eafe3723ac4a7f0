// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.evtx.BinXmlReader
{
// Inside the namespace: above it, the short name is the neighbouring namespace, not its class.
using ansible_collections.bulwark.servers.plugins.module_utils.windows.evtx.BinXmlData;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.evtx.BinXmlEvent;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.evtx.BinXmlValues;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.evtx.EventRecord;

/// <summary>Reads the BinXml of a record ([MS-EVEN6] 2.2.12; libevtx, "Binary XML"), without exceptions.</summary>
public sealed class BinXmlReader
{
	private const int DeepestFragment = 16;
	private const int DefinitionHeader = 24;
	private const int HasMore = 0x40;
	private const string TooMuchWork = "the record is more work than any real one";

	private readonly BinXmlData _data;
	private readonly BinXmlEvent _event;

	// The values of the template instances that are being read, an inner one's behind those of the outer.
	private readonly List<Value> _values = new List<Value>();

	private struct Value
	{
		public int Offset;
		public int Size;
		public int Type;
	}

	/// <summary>The values that a template's substitutions name: a range of _values.</summary>
	private struct Instance
	{
		public int First;
		public int Count;
		public bool IsTemplate;
	}

	/// <summary>Why the last record could not be read to its end, or what was wrong with its first bad value.</summary>
	public string Reason;

	/// <summary>The offset in the chunk of that.</summary>
	public int FailedAt;

	/// <summary>How many values of the last record are incomplete; the rest of it, where it cannot be read, is one.
	/// </summary>
	public int Values;

	public BinXmlReader(BinXmlData data)
	{
		_data = data;
		_event = new BinXmlEvent(data);
	}

	/// <summary>
	/// Return the record whose BinXml is in this range of the chunk, as far as it can be read; null, and Reason, when
	/// that does not reach its id.
	/// </summary>
	public EventRecord Read(int start, int end)
	{
		_data.StartRecord();
		_event.Reset();
		_values.Clear();
		Values = 0;
		Reason = "";
		bool isWhole = Fragment(start, end, new Instance(), 0);
		EventRecord record = _event.Finish();
		if (record == null && isWhole)
			Fail(start, "the record has no System/EventRecordID");
		if (!isWhole)
			Values++;
		else if (_event.HasBadNumber)
			Doubt(start, "a number of System is none");
		return record;
	}

	private bool Fragment(int position, int end, Instance instance, int level)
	{
		if (level == DeepestFragment)
			return Fail(position, "templates are nested too deeply");
		int open = 0;
		while (position < end)
		{
			if (!_data.Spend(1))
				return Fail(position, TooMuchWork);
			int token = _data.Bytes[position];
			int count;
			string text;
			switch (token & ~HasMore)
			{
				case 0x00:
					end = position;
					break;
				case 0x01:
					position += HasDependency(position, end, instance.IsTemplate) ? 7 : 5;
					text = Name(ref position);
					if (text == null)
						return Fail(position, "the name of an element is not in the chunk");
					if ((token & HasMore) != 0)
						position += 4;
					if (!_event.Start(text))
						return Fail(position, "elements are nested too deeply");
					open++;
					break;
				case 0x02:
					_event.EndAttribute();
					position++;
					break;
				case 0x03:
				case 0x04:
					if (--open < 0 || !_event.End())
						return Fail(position, "an element ends that did not begin, or has too much text");
					position++;
					break;
				case 0x05:
					if (!LiteralValue(ref position, end))
						return false;
					break;
				case 0x06:
					position++;
					text = Name(ref position);
					if (text == null)
						return Fail(position, "the name of an attribute is not in the chunk");
					_event.Attribute(text);
					break;
				case 0x07:
				case 0x0B:
					count = _data.UInt16(position + 1);
					text = _data.Literal(position + 3, count);
					if (text == null || ((token & ~HasMore) == 0x07 && !_event.Append(text)))
						return Fail(position, "a text is not in the chunk");
					position += 3 + 2 * count;
					break;
				case 0x08:
					if (!_event.Append(((char)_data.UInt16(position + 1)).ToString()))
						return Fail(position, "an element has too much text");
					position += 3;
					break;
				case 0x09:
				case 0x0A:
					position++;
					text = Name(ref position);
					if (text == null || ((token & ~HasMore) == 0x09 && !_event.Append(Entity(text))))
						return Fail(position, "the name of an entity is not in the chunk");
					break;
				case 0x0C:
					if (!Template(ref position, end, level))
						return false;
					break;
				case 0x0D:
				case 0x0E:
					if (!Substitution(position, instance, level))
						return false;
					position += 4;
					break;
				case 0x0F:
					position += 4;
					break;
				default:
					return Fail(position, "there is an unknown token");
			}
		}
		return open == 0 || Fail(end, "an element does not end");
	}

	// Within templates an element has an identifier of two bytes, elsewhere not, and some providers differ from that.
	private bool HasDependency(int position, int end, bool isTemplate)
	{
		if (IsElement(position + (isTemplate ? 3 : 1), end))
			return isTemplate;
		return IsElement(position + (isTemplate ? 1 : 3), end) ? !isTemplate : isTemplate;
	}

	private bool IsElement(int position, int end)
	{
		if (position + 8 > end)
			return false;
		int size = _data.Int32(position);
		int name = _data.Int32(position + 4);
		return size > 0 && size <= end - position - 4 && name > 0 && name < BinXmlData.Size;
	}

	/// <summary>Return the name whose offset stands here, null when there is none, and go behind it.</summary>
	private string Name(ref int position)
	{
		if (position > BinXmlData.Size)
			return null;
		int offset = _data.Int32(position);
		position += 4;
		if (offset < 0 || offset > BinXmlData.Size - 8)
			return null;
		int count = _data.UInt16(offset + 6);
		// Where the name is used first it stands here.
		if (offset == position)
			position += 8 + 2 * count + 2;
		return _data.Literal(offset + 8, count);
	}

	private static string Entity(string name)
	{
		switch (name)
		{
			case "lt":
				return "<";
			case "gt":
				return ">";
			case "amp":
				return "&";
			case "quot":
				return "\"";
			case "apos":
				return "'";
			default:
				return "&" + name + ";";
		}
	}

	private bool LiteralValue(ref int position, int end)
	{
		int type = _data.Bytes[position + 1];
		int start = position + 2;
		if (type == BinXmlValues.String)
		{
			int count = _data.UInt16(start);
			string text = _data.Literal(start + 2, count);
			position = start + 2 + 2 * count;
			return (text != null && _event.Append(text)) || Fail(start, "a text is not in the chunk");
		}
		int size = BinXmlValues.SizeOf(type);
		position = start + size;
		if (size == 0 || position > end)
			return Fail(start, "a value has an unknown type");
		return AppendValue(new Value { Offset = start, Size = size, Type = type });
	}

	private bool Template(ref int position, int end, int level)
	{
		int id = _data.Int32(position + 2);
		int definition = _data.Int32(position + 6);
		position += 10;
		if (definition < 0 || definition > BinXmlData.Size - DefinitionHeader)
			return Fail(position, "a template is not in the chunk");
		int body = definition + DefinitionHeader;
		int size = _data.Int32(body - 4);
		if (size < 0 || size > BinXmlData.Size - body)
			return Fail(definition, "a template is longer than the chunk");
		// A template's id is the beginning of its GUID. Another one would give values wrong names.
		if (_data.Int32(definition + 4) != id)
			return Fail(definition, "a template is not that of the record");
		// Where the template is used first it stands here.
		if (definition == position)
			position = body + size;
		int count = position + 4 > end ? -1 : _data.Int32(position);
		position += 4;
		int offset = position + 4 * count;
		if (count < 0 || count > (end - position) / 4 || !_data.Spend(count))
			return Fail(position, "a template has more values than the record");
		Instance instance = new Instance { First = _values.Count, Count = count, IsTemplate = true };
		for (; count > 0; count--, position += 4)
		{
			Value value = new Value();
			value.Offset = offset;
			value.Size = _data.UInt16(position);
			value.Type = _data.Bytes[position + 2];
			offset += value.Size;
			if (offset > end)
				return Fail(position, "the values of a template are longer than the record");
			_values.Add(value);
		}
		position = offset;
		if (!Fragment(body, body + size, instance, level + 1))
			return false;
		_values.RemoveRange(instance.First, instance.Count);
		return true;
	}

	private bool Substitution(int position, Instance instance, int level)
	{
		int index = _data.UInt16(position + 1);
		if (index >= instance.Count)
		{
			Doubt(position, "a template names a value that the record does not have");
			return true;
		}
		Value value = _values[instance.First + index];
		if (value.Type == BinXmlValues.BinXml)
			return Fragment(value.Offset, value.Offset + value.Size, new Instance(), level + 1);
		return AppendValue(value);
	}

	private bool AppendValue(Value value)
	{
		int type = value.Type & ~BinXmlValues.Array;
		if (type == BinXmlValues.Null || value.Size == 0)
			return true;
		if (value.Type == BinXmlValues.FileTime && value.Size == 8
			&& _event.TakeTime(BitConverter.ToInt64(_data.Bytes, value.Offset)))
			return true;
		if (value.Type != type)
		{
			List<string> items = BinXmlValues.Items(_data, type, value.Offset, value.Size);
			if (items != null)
				return _event.Append(items) || Fail(value.Offset, "an element has too much text");
		}
		if (!_data.Spend(BinXmlValues.Cost(value.Type, value.Size)))
			return Fail(value.Offset, TooMuchWork);
		string text = value.Type == type ? BinXmlValues.Text(_data, type, value.Offset, value.Size) : null;
		if (text == null)
		{
			if (!_data.SpendText(value.Size))
				return Fail(value.Offset, TooMuchWork);
			Doubt(value.Offset, "a value is not as its type demands");
			text = BinXmlValues.Hex(_data.Bytes, value.Offset, value.Size);
		}
		return _event.Append(text) || Fail(value.Offset, "an element has too much text");
	}

	private bool Fail(int position, string reason)
	{
		FailedAt = position;
		Reason = reason;
		return false;
	}

	private void Doubt(int position, string reason)
	{
		if (Values++ == 0)
			Fail(position, reason);
	}
}
}
