"""What is answered to who ends a sync: theirs is confirmed first, ours ends at once."""

from typing import Final

from bot.chat import layout
from bot.chat.rendered import Rendered
from bot.chat.text import cut, escape
from bot.operations.card import render_preview
from bot.operations.model import Operation, State

_TITLE: Final = 150


def render_ending(operation: Operation) -> Rendered:
    """Render the preview of ending somebody else's sync, or what becomes of one of ours."""
    if operation.state is State.REQUESTED:
        return render_preview(operation)
    words = operation.outcome if operation.state.is_final else "Its end is asked for."
    title = f"**{cut(escape(operation.plan.title), _TITLE)}**"
    return Rendered(
        view=layout.view(layout.text(f"{title}: {words} See <#{operation.channel_id}>.")), marker=""
    )
