"""What everything stands on: clock, ids, durations, matchers, errors, the loop runner; standard library only."""
