"""Training data: checked, counted, split, mixed, and turned into the conversations models prepare."""
