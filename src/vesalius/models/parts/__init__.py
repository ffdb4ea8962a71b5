"""Networks and decoding that families share."""
