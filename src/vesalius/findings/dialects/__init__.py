"""How models write places into their answers, one dialect a file: text ↔ numbers in the model's own frame."""
