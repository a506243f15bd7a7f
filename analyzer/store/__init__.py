"""What must not be lost.

recording  every event of one analysis in a file, a line each
"""
