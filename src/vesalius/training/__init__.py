"""Recipes and what they run: data, losses, stages. Trainer and PEFT do the rest."""
