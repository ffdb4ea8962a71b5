"""Qwen2.5-VL and Qwen3-VL, MedMO among them: `qwen_vl.QwenVl` puts together prompt, pixels, network and answers."""
