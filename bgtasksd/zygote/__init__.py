"""What runs in the zygote and in the workers it forks. Started by dotted name, so no arrow leads here."""
