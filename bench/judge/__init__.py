"""The judge's benchmark."""
