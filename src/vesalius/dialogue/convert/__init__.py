"""Foreign training data ↔ samples: a file per format, `table` lists them."""
