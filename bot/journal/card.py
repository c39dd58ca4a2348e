"""How the day's head of the journal looks in the audit channel."""

from bot.chat import layout
from bot.chat.action import button, custom_id
from bot.chat.rendered import Rendered
from bot.journal.model import PostedHead

ACTION = "journal-head"


def render_head(head: PostedHead) -> Rendered:
    """Render the line that makes tampering visible, and why it is there."""
    day = head.day.isoformat()
    view = layout.view(
        layout.container(
            layout.text(str(head)),
            layout.text(layout.subtext("keeps the record honest: `machine audit verify` compares with it")),
            layout.row(button(ACTION, day, "What is this?")),
            colour=layout.QUIET,
        )
    )
    return Rendered(view=view, marker=custom_id(ACTION, day), silent=True)
