"""Operations: what people asked of the cluster, who approved it, how far it is."""

import sqlalchemy as sa
from alembic import op

from bot.database.schema import UtcDateTime

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "operation",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("holds", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("asked_at", UtcDateTime(), nullable=False),
        sa.Column("confirmed_at", UtcDateTime(), nullable=True),
        sa.Column("ended_at", UtcDateTime(), nullable=True),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_operation")),
        sa.UniqueConstraint("holds", name=op.f("uq_operation_holds")),
    )
    op.create_index("ix_operation_state", "operation", ["state"])
    op.create_index("ix_operation_confirmed_at", "operation", ["confirmed_at"])
    op.create_index("ix_operation_ended_at", "operation", ["ended_at"])


def downgrade() -> None:
    op.drop_table("operation")
