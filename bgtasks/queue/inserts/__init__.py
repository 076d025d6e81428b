"""How new rows are written, a file per vendor: one row for `enqueue`, up to a thousand alike for `enqueue_many`."""
