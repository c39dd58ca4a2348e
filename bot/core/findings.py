"""What those who look at everything say of each thing."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """What one question was answered with."""

    subject: str
    is_fine: bool
    text: str
    """What was found; if it is not fine, also what to do."""

    def __str__(self) -> str:
        return f"{'ok  ' if self.is_fine else 'FAIL'} {self.subject}: {self.text}"
