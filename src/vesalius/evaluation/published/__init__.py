"""Rules of published evaluations, each in its file, defects included: for comparing with the figures they printed."""
