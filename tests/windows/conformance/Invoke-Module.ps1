# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: bulwark.servers contributors
<#
.SYNOPSIS
Run a literal module as ansible-core's module wrapper does, in a PowerShell process of its own.
.PARAMETER Core
The directory of the Python package ansible, from ansible-core.
.PARAMETER Module
The module's file.
.PARAMETER Arguments
A file with the module's options as a PowerShell data file.
#>
param(
    [Parameter(Mandatory = $true)][string]$Core,
    [Parameter(Mandatory = $true)][string]$Module,
    [Parameter(Mandatory = $true)][string]$Arguments
)
$ErrorActionPreference = 'Stop'

$root = Resolve-Path -Path (Join-Path -Path $PSScriptRoot -ChildPath '../../..')
$used = '^(?:#AnsibleRequires -CSharpUtil|using) ([\w.]+);?$'
$known = '^ansible_collections\.bulwark\.(servers|conformance)\.plugins\.module_utils\.'
$texts = @{}
$waiting = New-Object -TypeName System.Collections.Queue
$waiting.Enqueue($Module)
while ($waiting.Count -gt 0) {
    $text = Get-Content -LiteralPath $waiting.Dequeue() -Raw -Encoding UTF8
    foreach ($match in [regex]::Matches(($text -replace "`r"), $used, 'Multiline')) {
        $name = $match.Groups[1].Value
        if ($texts.ContainsKey($name) -or $name -notmatch "$known|^Ansible\.") {
            continue
        }
        $file = ($name -replace $known).Replace('.', '/') + '.cs'
        if ($name -like 'Ansible.*') {
            $file = Join-Path -Path $Core -ChildPath "module_utils/csharp/$name.cs"
        }
        elseif ($name -match '^ansible_collections\.bulwark\.conformance\.') {
            $file = Join-Path -Path $PSScriptRoot -ChildPath "csharp/$file"
        }
        else {
            $file = Join-Path -Path $root -ChildPath "plugins/module_utils/$file"
        }
        $texts[$name] = Get-Content -LiteralPath $file -Raw -Encoding UTF8
        $waiting.Enqueue($file)
    }
}

Import-Module -Name (Join-Path -Path $Core -ChildPath 'module_utils/powershell/Ansible.ModuleUtils.AddType.psm1')
# Warnings are errors, as on a host that Ansible manages.
Add-CSharpType -References ([string[]]$texts.Values) -TempPath ([IO.Path]::GetTempPath())
$global:complex_args = Import-PowerShellDataFile -LiteralPath $Arguments
& $Module
