PROVEN = frozenset(("fim_baseline_removed", "fim_baseline_tampered", "fim_mass_change"))
