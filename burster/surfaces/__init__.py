"""Outward faces: health, metrics, status."""
