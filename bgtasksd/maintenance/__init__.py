"""What runs in the maintenance process. Started by dotted name, so no arrow leads here."""
