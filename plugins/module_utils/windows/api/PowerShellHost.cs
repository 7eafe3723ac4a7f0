// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Reflection;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.api.PowerShellHost
{
	/// <summary>The PowerShell that runs this code; a null is "not known".</summary>
	public interface IPowerShellHost
	{
		/// <summary>Core (PowerShell 7) or Desktop (Windows PowerShell).</summary>
		string Edition();

		/// <summary>As 5.1 or 7.4.6.</summary>
		string Version();

		/// <summary>FullLanguage, ConstrainedLanguage or another (about_Language_Modes).</summary>
		string LanguageMode();

		/// <summary>What App Control and AppLocker ask of PowerShell: None, Audit or Enforce.</summary>
		string LockdownPolicy();
	}

	/// <summary>The PowerShell of this process, by reflection: not everything that compiles this code has it.</summary>
	public sealed class PowerShellHost : IPowerShellHost
	{
		private const string AssemblyName = "System.Management.Automation";
		private readonly Assembly _assembly;

		public PowerShellHost()
		{
			foreach (Assembly assembly in AppDomain.CurrentDomain.GetAssemblies())
				if (assembly.GetName().Name == AssemblyName)
					_assembly = assembly;
		}

		public string Edition()
		{
			return typeof(object).Assembly.GetName().Name == "mscorlib" ? "Desktop" : "Core";
		}

		public string Version()
		{
			return Text(Property(DefaultRunspace(), "Version"));
		}

		public string LanguageMode()
		{
			return Text(Property(Property(DefaultRunspace(), "SessionStateProxy"), "LanguageMode"));
		}

		public string LockdownPolicy()
		{
			Type policy = PowerShellType("Security.SystemPolicy");
			MethodInfo method = policy == null ? null : policy.GetMethod("GetSystemLockdownPolicy", Type.EmptyTypes);
			try
			{
				return method == null ? null : Text(method.Invoke(null, null));
			}
			catch (TargetInvocationException)
			{
				return null;
			}
		}

		private object DefaultRunspace()
		{
			Type runspace = PowerShellType("Runspaces.Runspace");
			PropertyInfo property = runspace == null ? null : runspace.GetProperty("DefaultRunspace");
			return property == null ? null : property.GetValue(null, null);
		}

		private Type PowerShellType(string name)
		{
			return _assembly == null ? null : _assembly.GetType(AssemblyName + "." + name, false);
		}

		private static object Property(object instance, string name)
		{
			PropertyInfo property = instance == null ? null : instance.GetType().GetProperty(name);
			try
			{
				return property == null ? null : property.GetValue(instance, null);
			}
			catch (TargetInvocationException)
			{
				return null;
			}
		}

		private static string Text(object value)
		{
			return value == null ? null : value.ToString();
		}
	}
}
