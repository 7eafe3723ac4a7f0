// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections;
using System.Collections.Generic;
using System.Text;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Outcome
{
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Errors;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Printable;

	/// <summary>What a module is called with.</summary>
	public sealed class ModuleCall
	{
		/// <summary>
		/// The options: null, bool, long, double, string, List&lt;object&gt;, Dictionary&lt;string, object&gt;.
		/// </summary>
		public readonly Dictionary<string, object> Params;

		public readonly bool CheckMode;
		public readonly bool DiffMode;

		public ModuleCall(IDictionary parameters, bool checkMode, bool diffMode)
		{
			Params = (Dictionary<string, object>)Outcome.Plain(parameters);
			CheckMode = checkMode;
			DiffMode = diffMode;
		}

		/// <summary>Return a text option, null when it is not set.</summary>
		public string Text(string option)
		{
			return Params[option] as string;
		}

		/// <summary>Return a boolean option.</summary>
		public bool Flag(string option)
		{
			return Params[option] is bool && (bool)Params[option];
		}

		/// <summary>Return a number option.</summary>
		public long Number(string option)
		{
			return Convert.ToInt64(Params[option], System.Globalization.CultureInfo.InvariantCulture);
		}

		/// <summary>Raise UsageException for a number option that is too small.</summary>
		public void CheckLeast(string option, long least)
		{
			if (Number(option) < least)
				throw new UsageException(option + " is " + Number(option) + "; use " + least + " or more");
		}

		/// <summary>Return a list of texts; an empty one when it is not set.</summary>
		public List<string> Texts(string option)
		{
			List<string> texts = new List<string>();
			foreach (object element in (Params[option] as List<object>) ?? new List<object>())
				texts.Add((string)element);
			return texts;
		}
	}

	/// <summary>The result of a module's action, or its failure as one sentence; as Python's <c>_argspec.outcome</c>.
	/// </summary>
	public static class Outcome
	{
		private const int MessageLimit = 500;

		// A trace begins where it was thrown and ends in the module.
		private const int TraceLimit = 20000;

		/// <summary>
		/// Return the result, or <c>failed</c> with <c>msg</c> for what the action throws; <c>usage_error</c> marks a
		/// wrong option. <c>diff</c> is only there in diff mode, and <c>warnings</c> are called <c>notices</c>, as the
		/// action plugin shows them.
		/// </summary>
		public static Dictionary<string, object> Of(
			ModuleCall call, Func<ModuleCall, Dictionary<string, object>> action, out Exception unexpected)
		{
			unexpected = null;
			Dictionary<string, object> result;
			try
			{
				result = action(call);
			}
			catch (UsageException error)
			{
				result = Failure(error.Message);
				result["usage_error"] = true;
				return result;
			}
			catch (HostException error)
			{
				return Failure(error.Message);
			}
			catch (StateException error)
			{
				return Failure(error.Message);
			}
			catch (OutOfMemoryException)
			{
				return Failure(
					"the module ran out of memory: give the host more memory or the module less to do");
			}
			catch (Exception error)
			{
				unexpected = error;
				return Failure(Describe(error));
			}
			if (!call.DiffMode)
				result.Remove("diff");
			object warnings;
			if (result.TryGetValue("warnings", out warnings) && !IsFailed(result))
			{
				result.Remove("warnings");
				result["notices"] = warnings;
			}
			return result;
		}

		public static bool IsFailed(Dictionary<string, object> result)
		{
			object failed;
			return result.TryGetValue("failed", out failed) && true.Equals(failed);
		}

		/// <summary>
		/// Return the sentence for an exception that nothing expected. Its text may hold what an intruder wrote, so it
		/// is cut and escaped.
		/// </summary>
		public static string Describe(Exception error)
		{
			string text = error.GetType().Name + ": " + error.Message;
			if (text.Length > MessageLimit)
				text = text.Substring(0, MessageLimit) + "...";
			return "the module crashed: " + Printable.Show(text)
				+ "; if this comes again, report it with the exception that -vvv shows";
		}

		/// <summary>
		/// Return the types of an exception and of those that led to it, each with its calls. Their messages are left
		/// out: Ansible removes secrets from the message of a failure only.
		/// </summary>
		public static string Trace(Exception error)
		{
			StringBuilder trace = new StringBuilder();
			for (Exception cause = error; cause != null; cause = cause.InnerException)
				trace.Append(cause.GetType().FullName).Append('\n').Append(cause.StackTrace).Append('\n');
			if (trace.Length > TraceLimit)
				trace.Length = TraceLimit;
			return trace.ToString();
		}

		/// <summary>Return options as plain values, whatever collections Ansible.Basic gave them.</summary>
		public static object Plain(object value)
		{
			IDictionary members = value as IDictionary;
			if (members != null)
			{
				Dictionary<string, object> copied = new Dictionary<string, object>(StringComparer.Ordinal);
				foreach (DictionaryEntry member in members)
					copied[(string)member.Key] = Plain(member.Value);
				return copied;
			}
			if (value is IEnumerable && !(value is string))
			{
				List<object> elements = new List<object>();
				foreach (object element in (IEnumerable)value)
					elements.Add(Plain(element));
				return elements;
			}
			if (value is int)
				return (long)(int)value;
			if (value is float)
				return (double)(float)value;
			return value;
		}

		private static Dictionary<string, object> Failure(string message)
		{
			return new Dictionary<string, object> { { "failed", true }, { "msg", message } };
		}
	}
}
