from hypothesis import settings

# The same examples on every machine and at every hour, and none that fails for being slow.
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")
