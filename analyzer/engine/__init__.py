"""One analysis from plan to receipt."""
