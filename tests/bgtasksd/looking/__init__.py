"""Looking at a running daemon: events, stacks, log, metrics, `top`. No database matters here: they run once."""
