"""Citrus-V: Qwen2.5-VL whose [SEG] tokens become masks through SAM2; `citrusv.CitrusV` puts it together."""
