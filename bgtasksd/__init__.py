"""bgtasksd: keeps the wanted number of bgtasks workers alive on this machine. Importing it costs no Django."""
