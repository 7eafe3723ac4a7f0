// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections;
using System.Collections.Generic;
using System.Globalization;
using System.IO;
using System.Reflection;
using System.Text;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Json;

/// <summary>
/// Calls C# for tests in Python: each line of standard input is a case in JSON, each line of standard output its result.
/// driver.py says what a case is.
/// </summary>
public static class Driver
{
    private const string Collection = "ansible_collections.bulwark.servers.plugins.module_utils.windows.";

    public static int Main()
    {
        using (StreamReader cases = new StreamReader(Console.OpenStandardInput(), new UTF8Encoding(false)))
        using (StreamWriter results = new StreamWriter(Console.OpenStandardOutput(), new UTF8Encoding(false)))
        {
            string line;
            while ((line = cases.ReadLine()) != null)
                results.Write(Judge((Dictionary<string, object>)Json.Parse(line)) + "\n");
        }
        return 0;
    }

    private static string Judge(Dictionary<string, object> single)
    {
        Dictionary<string, object> outcome = new Dictionary<string, object>();
        try
        {
            outcome["result"] = Plain(Run(single));
        }
        catch (Exception error)
        {
            Exception cause = error;
            while (cause is TargetInvocationException && cause.InnerException != null)
                cause = cause.InnerException;
            outcome["error"] = cause.GetType().Name;
            outcome["message"] = cause.Message;
        }
        return Json.Write(outcome);
    }

    private static object Run(Dictionary<string, object> single)
    {
        if (single.ContainsKey("call"))
        {
            string name = (string)single["call"];
            int dot = name.LastIndexOf('.');
            return Call(FindType(name.Substring(0, dot)), null, name.Substring(dot + 1), Arguments(single));
        }
        Type type = FindType((string)single["new"]);
        object target = Create(type, Arguments(single));
        object result = null;
        foreach (object element in (List<object>)single["steps"])
        {
            Dictionary<string, object> step = (Dictionary<string, object>)element;
            if (step.ContainsKey("call"))
                result = Call(type, target, (string)step["call"], Arguments(step));
            else
                Set(type, target, (string)step["set"], step["value"]);
        }
        return result;
    }

    private static List<object> Arguments(Dictionary<string, object> single)
    {
        object arguments;
        return single.TryGetValue("args", out arguments) ? (List<object>)arguments : new List<object>();
    }

    private static Type FindType(string name)
    {
        Assembly assembly = Assembly.GetExecutingAssembly();
        Type type = assembly.GetType(Collection + name) ?? assembly.GetType(name);
        if (type == null)
            throw new InvalidOperationException("there is no type '" + name + "' in the program");
        return type;
    }

    private static object Create(Type type, List<object> values)
    {
        foreach (ConstructorInfo constructor in type.GetConstructors())
        {
            object[] arguments = Fit(constructor.GetParameters(), values);
            if (arguments != null)
                return constructor.Invoke(arguments);
        }
        throw new InvalidOperationException("no constructor of '" + type.Name + "' takes these arguments");
    }

    private static object Call(Type type, object target, string name, List<object> values)
    {
        BindingFlags kind = target == null ? BindingFlags.Static : BindingFlags.Instance;
        foreach (MethodInfo method in type.GetMethods(BindingFlags.Public | BindingFlags.NonPublic | kind))
        {
            object[] arguments = method.Name == name ? Fit(method.GetParameters(), values) : null;
            if (arguments != null)
                return method.Invoke(target, arguments);
        }
        throw new InvalidOperationException("no method '" + name + "' of '" + type.Name + "' takes these arguments");
    }

    private static void Set(Type type, object target, string name, object value)
    {
        FieldInfo field = type.GetField(name);
        if (field != null)
            field.SetValue(target, Convert(value, field.FieldType));
        else
            type.GetProperty(name).SetValue(target, Convert(value, type.GetProperty(name).PropertyType), null);
    }

    // Null where the number of the arguments or the type of one does not fit.
    private static object[] Fit(ParameterInfo[] parameters, List<object> values)
    {
        if (values.Count > parameters.Length)
            return null;
        object[] arguments = new object[parameters.Length];
        for (int index = 0; index < parameters.Length; index++)
        {
            if (index >= values.Count && !parameters[index].IsOptional)
                return null;
            try
            {
                arguments[index] = index < values.Count
                    ? Convert(values[index], parameters[index].ParameterType)
                    : parameters[index].DefaultValue;
            }
            catch (InvalidCastException)
            {
                return null;
            }
        }
        return arguments;
    }

    private static object Convert(object value, Type type)
    {
        type = Nullable.GetUnderlyingType(type) ?? type;
        if (value == null && !type.IsValueType)
            return null;
        if (type.IsInstanceOfType(value))
            return value;
        if (type == typeof(byte[]) && value is string)
            return System.Convert.FromBase64String((string)value);
        if (type.IsEnum && value is string)
            return Enum.Parse(type, (string)value);
        if (type.IsPrimitive && value is IConvertible)
            return System.Convert.ChangeType(value, type, CultureInfo.InvariantCulture);
        List<object> elements = value as List<object>;
        Type element = type.IsArray ? type.GetElementType() : type.IsGenericType ? type.GetGenericArguments()[0] : null;
        if (elements == null || element == null)
            throw new InvalidCastException("a " + value + " is no " + type.Name);
        Array array = Array.CreateInstance(element, elements.Count);
        for (int index = 0; index < elements.Count; index++)
            array.SetValue(Convert(elements[index], element), index);
        if (type.IsInstanceOfType(array))
            return array;
        return Activator.CreateInstance(typeof(List<>).MakeGenericType(element), array);
    }

    // Bytes are given as base64, objects of other types as their public fields and properties.
    private static object Plain(object value)
    {
        if (value == null || value is string || value is bool || value is double || value is long || value is ulong)
            return value;
        if (value is byte[])
            return System.Convert.ToBase64String((byte[])value);
        if (value is Enum || value is char)
            return value.ToString();
        if (value.GetType().IsPrimitive)
            return value is float ? (object)(double)(float)value : System.Convert.ToInt64(value);
        Dictionary<string, object> members = new Dictionary<string, object>();
        if (value is IDictionary)
        {
            foreach (DictionaryEntry member in (IDictionary)value)
                members[System.Convert.ToString(member.Key, CultureInfo.InvariantCulture)] = Plain(member.Value);
            return members;
        }
        if (value is IEnumerable)
        {
            List<object> elements = new List<object>();
            foreach (object element in (IEnumerable)value)
                elements.Add(Plain(element));
            return elements;
        }
        foreach (FieldInfo field in value.GetType().GetFields(BindingFlags.Public | BindingFlags.Instance))
            members[field.Name] = Plain(field.GetValue(value));
        foreach (PropertyInfo property in value.GetType().GetProperties(BindingFlags.Public | BindingFlags.Instance))
        {
            if (property.GetIndexParameters().Length == 0)
                members[property.Name] = Plain(property.GetValue(value, null));
        }
        return members;
    }
}
