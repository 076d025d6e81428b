"""The indexes that claims live on, and PostgreSQL's storage settings: vendors differ too much for Meta."""

from __future__ import annotations

from typing import Any

from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.operations.base import Operation

# Partial indexes hold only rows of one status: a claim is not slowed by rows that are scheduled, or running.
PARTIAL = {
    "bgtasks_task_ready": ("(queue, claim_order, run_at, id)", "WHERE status = 1"),
    "bgtasks_task_scheduled": ("(run_at)", "WHERE status = 0"),
    "bgtasks_task_running": ("(locked_by)", "WHERE status = 2"),
}
# MySQL and MariaDB have none: there the status leads.
LED_BY_STATUS = {
    "bgtasks_task_ready": ("(status, queue, claim_order, run_at, id)", ""),
    "bgtasks_task_scheduled": ("(status, run_at)", ""),
    "bgtasks_task_running": ("(status, locked_by)", ""),
}
# What was known of these columns when the table was nearly empty makes PostgreSQL sort a whole backlog for each claim,
# until it is analysed again (100,000 rows: 90 ms, else 10). Knowing nothing of them, it reads the indexes in order.
NEVER_ANALYSED = ("id", "queue", "claim_order", "run_at", "status", "locked_by")
EAGER_VACUUM = "autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 1000"


class CreateClaimIndexes(Operation):
    """Create them; a later migration that rebuilds the table on SQLite must end with this operation again."""

    reversible = True
    reduces_to_sql = True

    def state_forwards(self, app_label: str, state: Any) -> None:
        """Change nothing: the models do not know of these indexes."""

    def database_forwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: Any, to_state: Any
    ) -> None:
        if not self.allow_migrate_model(schema_editor.connection.alias, to_state.apps.get_model(app_label, "Task")):
            return
        vendor = schema_editor.connection.vendor
        for name, (columns, condition) in (LED_BY_STATUS if vendor == "mysql" else PARTIAL).items():
            schema_editor.execute(f"CREATE INDEX {name} ON bgtasks_task {columns} {condition}".strip())
        if vendor == "postgresql":
            schema_editor.execute(f"ALTER TABLE bgtasks_task SET (fillfactor = 85, {EAGER_VACUUM})")
            unanalysed = ", ".join(f"ALTER COLUMN {name} SET STATISTICS 0" for name in NEVER_ANALYSED)
            schema_editor.execute(f"ALTER TABLE bgtasks_task {unanalysed}")
            schema_editor.execute(f"ALTER TABLE bgtasks_completedtask SET ({EAGER_VACUUM})")

    def database_backwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: Any, to_state: Any
    ) -> None:
        if not self.allow_migrate_model(schema_editor.connection.alias, from_state.apps.get_model(app_label, "Task")):
            return
        for name in PARTIAL:
            on = " ON bgtasks_task" if schema_editor.connection.vendor == "mysql" else ""
            schema_editor.execute(f"DROP INDEX {name}{on}")

    def describe(self) -> str:
        return "Create the indexes that claims live on"
