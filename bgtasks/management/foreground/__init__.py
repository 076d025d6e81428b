"""One worker and its maintenance in this process, with nobody to look after them but themselves."""
