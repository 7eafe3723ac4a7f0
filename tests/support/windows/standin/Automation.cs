// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections;
using System.Collections.Generic;

// What Ansible.Basic refers to of PowerShell's own assembly. No PowerShell runs: there is no runspace, so that
// Ansible.Basic writes JSON and ends the process by itself.
namespace System.Management.Automation
{
    public class PSObject
    {
        public object BaseObject { get; set; }
    }

    public class InvocationInfo
    {
        public string PositionMessage { get; set; }
    }

    public class ErrorRecord
    {
        public Exception Exception { get; set; }
        public object CategoryInfo { get; set; }
        public string FullyQualifiedErrorId { get; set; }
        public string ScriptStackTrace { get; set; }
        public InvocationInfo InvocationInfo { get; set; }
    }

    /// <summary>A script of which only the variable with the module's arguments is known.</summary>
    public class ScriptBlock
    {
        /// <summary>The module's arguments, as PowerShell holds them: hashtables and arrays.</summary>
        public static Hashtable ComplexArguments;

        private readonly string _text;

        private ScriptBlock(string text)
        {
            _text = text;
        }

        public static ScriptBlock Create(string text)
        {
            return new ScriptBlock(text);
        }

        public List<PSObject> Invoke(params object[] arguments)
        {
            if (_text != "$complex_args")
                throw new NotSupportedException("No PowerShell runs here: " + _text);
            return new List<PSObject> { new PSObject { BaseObject = ComplexArguments } };
        }
    }
}

namespace System.Management.Automation.Runspaces
{
    public class Runspace
    {
        public static Runspace DefaultRunspace
        {
            get { return null; }
        }
    }
}
