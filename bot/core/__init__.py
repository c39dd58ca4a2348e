"""What everything stands on: clock, durations, matchers, errors, the loop runner; standard library only."""
