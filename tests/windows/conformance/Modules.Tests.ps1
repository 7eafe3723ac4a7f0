# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: bulwark.servers contributors
#Requires -Modules @{ ModuleName = 'Pester'; ModuleVersion = '5.3.0' }
<#
What PowerShell itself has to do for our modules, with each PowerShell of this host. README.md says how to run it.
ANSIBLE_CORE is the directory of the Python package ansible, from an unpacked ansible-core.
#>

BeforeDiscovery {
    $program = 'WindowsPowerShell\v1.0\powershell.exe'
    $wide = @{ Shell = '5.1'; Edition = 'Desktop'; Is32Bit = $false; Path = "$env:SystemRoot\System32\$program" }
    $narrow = @{ Shell = '5.1 of 32'; Edition = 'Desktop'; Is32Bit = $true; Path = "$env:SystemRoot\SysWOW64\$program" }
    $shells = @($wide, $narrow)
    $seven = @(Get-Command -Name 'pwsh.exe' -CommandType Application -ErrorAction SilentlyContinue)[0]
    if ($null -ne $seven) {
        $shells += @{ Shell = '7'; Edition = 'Core'; Is32Bit = $false; Path = $seven.Source }
    }
    $shells = @($shells | Where-Object -FilterScript { Test-Path -LiteralPath $_.Path })
    $directory = Join-Path -Path $PSScriptRoot -ChildPath '../../../plugins/modules'
    $modules = @(Get-ChildItem -Path $directory -Filter 'win_*.ps1' | ForEach-Object -Process {
            @{ Module = $_.BaseName; File = $_.FullName }
        })
    $modules += @{ Module = 'win_conformance'; File = (Join-Path -Path $PSScriptRoot -ChildPath 'win_conformance.ps1') }
}

BeforeAll {
    $script:core = $env:ANSIBLE_CORE
    if (-not $script:core -or -not (Test-Path -LiteralPath "$script:core/module_utils/csharp/Ansible.Basic.cs")) {
        throw 'Set ANSIBLE_CORE to the directory of the Python package ansible.'
    }
    $script:runner = Join-Path -Path $PSScriptRoot -ChildPath 'Invoke-Module.ps1'

    function Invoke-Module {
        param([string]$Path, [string]$File, [string]$Data)
        $arguments = Join-Path -Path $TestDrive -ChildPath 'arguments.psd1'
        Set-Content -LiteralPath $arguments -Value $Data -Encoding UTF8
        $output = & $Path -NoProfile -NonInteractive -ExecutionPolicy Bypass -File $script:runner `
            -Core $script:core -Module $File -Arguments $arguments
        ($output -join "`n") | ConvertFrom-Json
    }

    function Get-ConstrainedError {
        param([string]$Path, [string]$Command)
        $script = '$ExecutionContext.SessionState.LanguageMode = "ConstrainedLanguage";' +
            "try { $Command } catch { `$_.FullyQualifiedErrorId }"
        $encoded = [Convert]::ToBase64String([Text.Encoding]::Unicode.GetBytes($script))
        & $Path -NoProfile -NonInteractive -EncodedCommand $encoded
    }
}

Describe 'PowerShell <Shell>' -ForEach $shells {
    Context '<Module>' -ForEach $modules {
        It 'compiles its C# without a warning, and Ansible.Basic takes its specification' {
            $result = Invoke-Module -Path $Path -File $File -Data "@{ colour = 'red' }"
            $result.failed | Should -BeTrue
            $result.msg | Should -BeLike 'Unsupported parameters for (*) module: colour*'
        }
    }

    It 'returns what win_platform_facts makes of this PowerShell' {
        $file = Join-Path -Path $PSScriptRoot -ChildPath '../../../plugins/modules/win_platform_facts.ps1'
        $result = Invoke-Module -Path $Path -File $file -Data '@{}'
        $version = & $Path -NoProfile -NonInteractive -Command '$PSVersionTable.PSVersion.ToString()'
        $result.changed | Should -BeFalse
        $result.ansible_facts.ansible_system | Should -Be 'Win32NT'
        $result.windows.build | Should -Be ([string][Environment]::OSVersion.Version.Build)
        $result.windows.powershell_edition | Should -Be $Edition
        $result.windows.powershell_version | Should -Be $version
        $result.windows.is_32bit_process | Should -Be $Is32Bit
        $result.windows.language_mode | Should -Be 'FullLanguage'
    }

    It 'compares nothing where there is no baseline, and says so' {
        $file = Join-Path -Path $PSScriptRoot -ChildPath '../../../plugins/modules/win_file_integrity_info.ps1'
        $data = "@{ state_dir = 'C:\bulwark-conformance-missing' }"
        $result = Invoke-Module -Path $Path -File $file -Data $data
        $result.changed | Should -BeFalse
        $result.baseline.exists | Should -BeFalse
        'C:\bulwark-conformance-missing' | Should -Not -Exist
    }

    # The controller knows constrained language by these ids (plugins/plugin_utils/actions/windows.py).
    It 'names constrained language by <Id>' -ForEach @(
        @{ Id = 'CannotDefineNewType'; Command = "Add-Type -TypeDefinition 'public class C { }'" }
        @{ Id = 'MethodInvocationNotSupportedInConstrainedLanguage'; Command = '[Environment]::GetFolderPath(35)' }
    ) {
        Get-ConstrainedError -Path $Path -Command $Command | Should -BeLike "$Id*"
    }
}
