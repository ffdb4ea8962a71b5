"""MedM-VL: 2D-3B, CT-Chest-3B and CT-3B, in every published config generation."""
