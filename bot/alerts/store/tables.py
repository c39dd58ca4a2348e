"""The tables of incidents, their alerts, and where they are shown."""

from sqlalchemy import Boolean, Column, ForeignKey, Index, Integer, Table, Text, false

from bot.database.schema import BigId, Json, UtcDateTime, metadata

incident = Table(
    "incident",
    metadata,
    Column("number", BigId, primary_key=True, autoincrement=True),
    Column("source", Text, nullable=False),
    Column("receiver", Text, nullable=False),
    Column("group_key", Text, nullable=False),
    Column("labels_key", Text, nullable=False),
    Column("group_labels", Json, nullable=False),
    Column("external_url", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("namespace", Text),
    Column("state", Text, nullable=False),
    Column("severity", Integer, nullable=False),
    Column("opened_at", UtcDateTime, nullable=False),
    Column("changed_at", UtcDateTime, nullable=False),
    Column("closed_at", UtcDateTime),
    Column("unknown_since", UtcDateTime),
    Column("reopened", Integer, nullable=False),
    Column("reopened_at", UtcDateTime),
    Column("truncated", Integer, nullable=False),
    Column("acknowledged_by", Text),
    Column("acknowledged_name", Text),
    Column("acknowledged_at", UtcDateTime),
    Column("acknowledged_note", Text),
    Column("closed_by", Text),
    Column("closed_name", Text),
    Column("closed_note", Text),
    Column("muting", Json(none_as_null=True)),
    Column("notes", Json, nullable=False),
    Column("last_key", Text, nullable=False),
    # A number that was on a card is never given again.
    sqlite_autoincrement=True,
)
Index("ix_incident_group", incident.c.source, incident.c.receiver, incident.c.group_key, incident.c.number)
Index("ix_incident_labels", incident.c.source, incident.c.receiver, incident.c.labels_key, incident.c.number)
is_open = incident.c.closed_at.is_(None)
Index("ix_incident_open", incident.c.severity, sqlite_where=is_open, postgresql_where=is_open)
by_hand = incident.c.closed_by.is_not(None)
Index("ix_incident_closed_by_hand", incident.c.source, sqlite_where=by_hand, postgresql_where=by_hand)

alert = Table(
    "alert",
    metadata,
    Column("incident", BigId, ForeignKey("incident.number", ondelete="CASCADE"), primary_key=True),
    Column("fingerprint", Text, primary_key=True),
    Column("status", Text, nullable=False),
    Column("labels", Json, nullable=False),
    Column("annotations", Json, nullable=False),
    Column("starts_at", UtcDateTime, nullable=False),
    Column("ends_at", UtcDateTime),
    Column("generator_url", Text, nullable=False),
)

destination = Table(
    "destination",
    metadata,
    Column("incident", BigId, ForeignKey("incident.number", ondelete="CASCADE"), primary_key=True),
    Column("channel", Text, primary_key=True),
    Column("position", Integer, nullable=False),
    Column("mention", Json, nullable=False),
    Column("remind_seconds", Integer),
    Column("thread", Boolean, nullable=False, server_default=false()),
    Column("pings", Integer, nullable=False, default=0),
    Column("ping_reason", Text),
    Column("pinged_at", UtcDateTime),
)
Index("ix_destination_channel", destination.c.channel, destination.c.incident)
