// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Errors
{
	/// <summary>
	/// The host cannot be looked at, or changed, whatever the options are. The message is for people: one sentence that
	/// says what is missing and what to do.
	/// </summary>
	public class HostException : Exception
	{
		public HostException(string message) : base(message)
		{
		}

		public HostException(string message, Exception cause) : base(message, cause)
		{
		}
	}

	/// <summary>An option has a value that cannot be used; the message names the option and what to do.</summary>
	public class UsageException : HostException
	{
		public UsageException(string message) : base(message)
		{
		}
	}

	/// <summary>State on the host cannot be used; the message is one sentence that names it and what to do.</summary>
	public class StateException : Exception
	{
		public StateException(string message) : base(message)
		{
		}

		public StateException(string message, Exception cause) : base(message, cause)
		{
		}
	}

	/// <summary>A state file is missing, cut off, or is not one.</summary>
	public class DamagedException : StateException
	{
		public DamagedException(string message) : base(message)
		{
		}

		public DamagedException(string message, Exception cause) : base(message, cause)
		{
		}
	}

	/// <summary>A state file was written by a newer version of the collection.</summary>
	public class NewerException : StateException
	{
		public NewerException(string message) : base(message)
		{
		}
	}
}
