"""Metrics, statistics and the rules of published evaluations; nothing here runs a model."""
