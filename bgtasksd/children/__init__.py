"""Mechanism: fork, watch, signal and reap child processes, talk to them, explain how they ended. No policy is here."""
