"""Traces: what a delivery and a card are a part of."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("delivery", sa.Column("trace", sa.Text(), nullable=True))
    op.add_column("card", sa.Column("trace", sa.Text(), nullable=True))


def downgrade() -> None:
    op.drop_column("card", "trace")
    op.drop_column("delivery", "trace")
