"""The starter, trained from nothing: see, calibrate, say."""
