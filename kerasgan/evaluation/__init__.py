"""Evaluation protocols that several papers use."""
