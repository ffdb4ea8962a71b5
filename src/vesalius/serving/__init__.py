"""The OpenAI-compatible server and the web page will live in this room; nothing is released yet."""
