"""What people read on a terminal or in a log: lines for tasks, JSON, the journal, tables, answers. Stdlib only."""

from bgtasks.output.answers import CannotPrint, say
from bgtasks.output.folding import FoldingHandler, Folds, attach_if_silent, flush_folded, fold
from bgtasks.output.formatters import JournalFormatter, JsonFormatter, LineFormatter, formatter
from bgtasks.output.log_file import why_no_log
from bgtasks.output.terminal import format_count, harmless, one_line, paint, table, terminal_width, wants_colour

__all__ = [
    "CannotPrint",
    "FoldingHandler",
    "Folds",
    "JournalFormatter",
    "JsonFormatter",
    "LineFormatter",
    "attach_if_silent",
    "flush_folded",
    "fold",
    "format_count",
    "formatter",
    "harmless",
    "one_line",
    "paint",
    "say",
    "table",
    "terminal_width",
    "wants_colour",
    "why_no_log",
]
