// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;
using System.Globalization;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.evtx.BinXmlEvent
{
// Inside the namespace: above it, the short name is the neighbouring namespace, not its class.
using ansible_collections.bulwark.servers.plugins.module_utils.windows.evtx.BinXmlData;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.evtx.EventRecord;

/// <summary>Makes an EventRecord of the elements, attributes and texts of an Event, in their order.</summary>
public sealed class BinXmlEvent
{
	private const int DeepestElement = 32;

	private enum Section { None, System, EventData, UserData }

	private sealed class Element
	{
		public string Name;
		public string DataName;
		public bool HasChild;
		public string Text;

		// An array: the element stands once for each, with the text before and after.
		public List<string> Items;
		public string Before;
	}

	private readonly BinXmlData _data;
	private readonly Element[] _elements = new Element[DeepestElement];
	private EventRecord _record;
	private int _depth;
	private Section _section;
	private string _attribute;
	private string _attributeText;
	private List<string> _unnamed;
	private bool _hasRecordId;

	public BinXmlEvent(BinXmlData data)
	{
		_data = data;
		for (int index = 0; index < DeepestElement; index++)
			_elements[index] = new Element();
	}

	/// <summary>The number of a System field was no number.</summary>
	public bool HasBadNumber;

	/// <summary>Begin with a new event.</summary>
	public void Reset()
	{
		_record = new EventRecord();
		_depth = 0;
		_section = Section.None;
		_attribute = null;
		_unnamed = null;
		_hasRecordId = false;
		HasBadNumber = false;
	}

	/// <summary>Return the event; null when it has no record id.</summary>
	public EventRecord Finish()
	{
		return _hasRecordId ? _record : null;
	}

	/// <summary>Take the time when the event was created, in its own form.</summary>
	public bool TakeTime(long time)
	{
		if (_section != Section.System || _attribute != "SystemTime")
			return false;
		_record.Time = time;
		return true;
	}

	/// <summary>Begin an element; false when there are too many within each other.</summary>
	public bool Start(string name)
	{
		EndAttribute();
		if (_depth == DeepestElement)
			return false;
		if (_depth > 0)
			_elements[_depth - 1].HasChild = true;
		if (_depth == 1)
			_section = name == "System" ? Section.System : name == "EventData" ? Section.EventData
				: name == "RenderingInfo" ? Section.None : Section.UserData;
		Element element = _elements[_depth++];
		element.Name = name;
		element.DataName = null;
		element.HasChild = false;
		element.Text = null;
		element.Items = null;
		return true;
	}

	/// <summary>Begin an attribute of the element, which ends the one before.</summary>
	public void Attribute(string name)
	{
		EndAttribute();
		_attribute = name;
		_attributeText = "";
	}

	/// <summary>End the attributes of the element.</summary>
	public void EndAttribute()
	{
		if (_attribute == null)
			return;
		string name = _attribute;
		_attribute = null;
		if (_depth < 3)
			return;
		Element element = _elements[_depth - 1];
		if (_section == Section.System)
			TakeSystem(element.Name, name, _attributeText);
		else if (_section == Section.EventData && name == "Name")
			element.DataName = _attributeText;
		else if (_section != Section.None && !name.StartsWith("xmlns", StringComparison.Ordinal))
			Add(name, _attributeText);
	}

	/// <summary>Add text to the attribute or element; false when that is too much.</summary>
	public bool Append(string text)
	{
		if (_attribute != null)
			return Join(ref _attributeText, text);
		return _depth == 0 || Join(ref _elements[_depth - 1].Text, text);
	}

	/// <summary>Add an array to the attribute or element; false when that is too much.</summary>
	public bool Append(List<string> items)
	{
		Element element = _depth == 0 ? null : _elements[_depth - 1];
		if (element == null || _attribute != null || element.Items != null || items.Count < 2)
			return Append(string.Join(",", items));
		element.Items = items;
		element.Before = element.Text;
		element.Text = null;
		return true;
	}

	/// <summary>End the element; false when that is too much text.</summary>
	public bool End()
	{
		EndAttribute();
		Element element = _elements[--_depth];
		if (_depth < 1)
			return true;
		if (_section == Section.System)
		{
			if (_depth == 2)
				TakeSystem(element.Name, "", element.Text ?? "");
			return true;
		}
		bool isLeaf = _depth > 1 && !element.HasChild;
		if (_section == Section.None || (!isLeaf && string.IsNullOrWhiteSpace(element.Text) && element.Items == null))
			return true;
		if (element.Items == null)
			AddElement(element, element.Text ?? "");
		for (int index = 0; element.Items != null && index < element.Items.Count; index++)
		{
			string text = element.Before;
			if (!Join(ref text, element.Items[index]) || (element.Text != null && !Join(ref text, element.Text)))
				return false;
			AddElement(element, text);
		}
		return true;
	}

	// Each time the text is copied, so that many short pieces cost, too.
	private bool Join(ref string text, string more)
	{
		int length = (text == null ? 0 : text.Length) + more.Length;
		if (!_data.SpendText(length))
			return false;
		text = string.IsNullOrEmpty(text) ? more : text + more;
		return true;
	}

	private void AddElement(Element element, string text)
	{
		if (_section != Section.EventData || element.Name != "Data" || !string.IsNullOrEmpty(element.DataName))
		{
			Add(element.DataName ?? element.Name, text);
			return;
		}
		if (_unnamed == null)
		{
			_unnamed = new List<string>();
			Add("Data", _unnamed);
		}
		_unnamed.Add(text);
	}

	private void Add(string name, object value)
	{
		_record.Fields.Add(new KeyValuePair<string, object>(name, value));
	}

	private void TakeSystem(string element, string attribute, string text)
	{
		switch (attribute.Length == 0 ? element : attribute)
		{
			case "EventID":
				_record.EventId = (int)Number(text);
				break;
			case "Version":
				_record.Version = (int)Number(text);
				break;
			case "Level":
				_record.Level = (int)Number(text);
				break;
			case "Task":
				_record.Task = (int)Number(text);
				break;
			case "Opcode":
				_record.Opcode = (int)Number(text);
				break;
			case "Keywords":
				_record.Keywords = text;
				break;
			case "EventRecordID":
				_record.RecordId = Number(text);
				_hasRecordId = true;
				break;
			case "Channel":
				_record.Channel = text;
				break;
			case "Computer":
				_record.Computer = text;
				break;
			case "Name":
				if (element == "Provider")
					_record.Provider = text;
				break;
			case "ActivityID":
				_record.ActivityId = text;
				break;
			case "ProcessID":
				_record.ProcessId = (int)Number(text);
				break;
			case "ThreadID":
				_record.ThreadId = (int)Number(text);
				break;
			case "UserID":
				_record.UserSid = text;
				break;
		}
	}

	private long Number(string text)
	{
		long number;
		bool isNumber = long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out number);
		HasBadNumber |= !isNumber && text.Length > 0;
		return number;
	}
}
}
