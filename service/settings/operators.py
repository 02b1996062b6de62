"""Operators' keys, and the audit log."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from service.settings.log import SpoolSettings


class OperatorSettings(SpoolSettings):
    """Operators' keys, and the audit log."""

    admin_keys_file: str = Field(
        default="",
        description="File of operators' keys, one `name:key` per line, reread whenever it changes; empty "
        "closes /admin, DELETE /people and DELETE /sessions.",
    )
    admin_port: int = Field(
        default=0,
        ge=0,
        le=65_535,
        description="TCP port of /admin, DELETE /people and DELETE /sessions, on the same host; 0 uses the "
        "main port.",
    )
    audit_log: str = Field(
        default="",
        description="File that records operators' changes; empty: `audit.jsonl` in the spool's folder.",
    )

    @property
    def audit_file(self) -> Path:
        """The file that records operators' changes."""
        return Path(self.audit_log) if self.audit_log else self.spool_folder / "audit.jsonl"
