// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.sigma.Conditions
{
using ansible_collections.bulwark.servers.plugins.module_utils.windows.sigma.Addresses;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.sigma.Patterns;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.sigma.TextTests;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.sigma.Values;

/// <summary>A node of a compiled rule (module_utils/sigma/model.py), as module_utils/sigma/conditions.py reads it.
/// </summary>
public abstract class Condition
{
	/// <summary>
	/// Say whether a view satisfies it. TooLongException; ArgumentException for an expression that .NET does not read.
	/// </summary>
	public abstract bool IsTrue(Values values);

	/// <summary>Build a condition. FormatException for a node that is none.</summary>
	public static Condition Build(object node, FieldNames names)
	{
		List<object> parts = (List<object>)node;
		string kind = (string)parts[0];
		switch (kind)
		{
			case "and":
			case "or":
				List<object> nodes = (List<object>)parts[1];
				Condition[] conditions = new Condition[nodes.Count];
				for (int index = 0; index < conditions.Length; index++)
					conditions[index] = Build(nodes[index], names);
				return new Joined(conditions, kind == "or");
			case "not":
				return new Negated(Build(parts[1], names));
			case "exists":
			case "null":
				return new Present(names.Number((string)parts[1]), kind == "exists");
			case "same":
				return new Same(names.Number((string)parts[1]), names.Number((string)parts[2]), (string)parts[3]);
			case "words":
			case "patterns":
				return new InFields(Numbers(parts[1], names), IsLower(parts), Test(parts));
			default:
				return new InField(names.Number((string)parts[1]), IsLower(parts), Test(parts), kind == "regex");
		}
	}

	/// <summary>Add the names of the fields that a node reads.</summary>
	public static void AddFields(object node, ICollection<string> fields)
	{
		List<object> parts = (List<object>)node;
		switch ((string)parts[0])
		{
			case "and":
			case "or":
				foreach (object part in (List<object>)parts[1])
					AddFields(part, fields);
				break;
			case "not":
				AddFields(parts[1], fields);
				break;
			case "listed":
				foreach (object field in (List<object>)parts[2])
					fields.Add((string)field);
				break;
			case "words":
			case "patterns":
				foreach (object field in (List<object>)parts[1])
					fields.Add((string)field);
				if (((List<object>)parts[1]).Count == 0)
					fields.Add(FieldNames.All);
				break;
			default:
				fields.Add((string)parts[1]);
				if ((string)parts[0] == "same")
					fields.Add((string)parts[2]);
				break;
		}
	}

	private static int[] Numbers(object fields, FieldNames names)
	{
		return ((List<object>)fields).ConvertAll(field => names.Number((string)field)).ToArray();
	}

	private static bool IsLower(List<object> node)
	{
		string kind = (string)node[0];
		return (kind == "text" || kind == "words") && !((string)node[2]).EndsWith("_cased", StringComparison.Ordinal);
	}

	private static TextTest Test(List<object> node)
	{
		switch ((string)node[0])
		{
			case "text":
			case "words":
				List<string> wanted = ((List<object>)node[3]).ConvertAll(text => (string)text);
				return TextTests.Build((string)node[2], wanted.ToArray());
			case "regex":
			case "patterns":
				int number = 0;
				return TextTests.AnyOf(((List<object>)node[2]).ConvertAll(delegate(object pattern)
				{
					List<object> pair = (List<object>)pattern;
					List<object> literals = node.Count > 3 ? (List<object>)((List<object>)node[3])[number++] : null;
					return (TextTest)new Pattern((string)pair[0], (string)pair[1], literals);
				}));
			case "number":
				return new NumberTest((string)node[2], node[3]);
			case "network":
				return new NetworkTest(((List<object>)node[2]).ConvertAll(cidr => new Network((string)cidr)));
			default:
				throw new FormatException("a compiled rule has the unknown node '" + node[0] + "'");
		}
	}
}

internal sealed class Joined : Condition
{
	private readonly Condition[] _parts;
	private readonly bool _decides;

	public Joined(Condition[] parts, bool decides)
	{
		_parts = parts;
		_decides = decides;
	}

	public override bool IsTrue(Values values)
	{
		foreach (Condition part in _parts)
		{
			if (part.IsTrue(values) == _decides)
				return _decides;
		}
		return !_decides;
	}
}

internal sealed class Negated : Condition
{
	private readonly Condition _part;

	public Negated(Condition part)
	{
		_part = part;
	}

	public override bool IsTrue(Values values)
	{
		return !_part.IsTrue(values);
	}
}

// The field has a value; or it has none, or an empty one.
internal sealed class Present : Condition
{
	private readonly int _field;
	private readonly bool _exists;

	public Present(int field, bool exists)
	{
		_field = field;
		_exists = exists;
	}

	public override bool IsTrue(Values values)
	{
		object value = values.Value(_field);
		if (_exists || value == null)
			return (value != null) == _exists;
		object texts = values.Texts(_field);
		return texts is string ? ((string)texts).Length == 0 : ((string[])texts).Length == 0;
	}
}

internal sealed class Same : Condition
{
	private readonly int _field;
	private readonly int _other;
	private readonly string _test;

	public Same(int field, int other, string test)
	{
		_field = field;
		_other = other;
		_test = test;
	}

	public override bool IsTrue(Values values)
	{
		string[] others = Values.Each(values.Lower(_other));
		foreach (string text in Values.Each(values.Lower(_field)))
		{
			if (TextTests.Build(_test, others).Passes(text))
				return true;
		}
		return false;
	}
}

internal sealed class InField : Condition
{
	private readonly int _field;
	private readonly bool _isLower;
	private readonly TextTest _test;
	private readonly bool _isExpression;

	public InField(int field, bool isLower, TextTest test, bool isExpression = false)
	{
		_field = field;
		_isLower = isLower;
		_test = test;
		_isExpression = isExpression;
	}

	public override bool IsTrue(Values values)
	{
		object texts = _isLower ? values.Lower(_field) : values.Texts(_field);
		string text = texts as string;
		if (text != null)
			return _isExpression ? _test.Passes(text, (string)values.Lower(_field)) : _test.Passes(text);
		foreach (string each in (string[])texts)
		{
			if (_test.Passes(each))
				return true;
		}
		return false;
	}
}

// In one of some fields, or in any where none is named.
internal sealed class InFields : Condition
{
	private readonly InField[] _fields;
	private readonly bool _isLower;
	private readonly TextTest _test;

	public InFields(int[] fields, bool isLower, TextTest test)
	{
		_fields = Array.ConvertAll(fields, field => new InField(field, isLower, test));
		_isLower = isLower;
		_test = test;
	}

	public override bool IsTrue(Values values)
	{
		foreach (InField field in _fields)
		{
			if (field.IsTrue(values))
				return true;
		}
		if (_fields.Length > 0)
			return false;
		foreach (string text in values.Everything(_isLower))
		{
			if (_test.Passes(text))
				return true;
		}
		return false;
	}
}
}
