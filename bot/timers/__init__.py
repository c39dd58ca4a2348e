"""Due times as rows, and the loop that claims them."""
