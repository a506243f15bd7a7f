"""Run as a program of its own between us and an act: becomes the act's program, unless it is too late.

Whoever decides that an act may begin and then starts it can stand still in between, for as long as it takes another
process to be given the work; the act would come after all. So what is started is this, which looks at the clock itself:
a process of its own, with nothing between the look and the act. It says why it did not become the program into a file.
Its words: the moment of `time.monotonic()` before which it is in time, the file's descriptor, the command.
"""

import os
import signal
import sys
import time

TOO_LATE = "late"


def main() -> None:
    """Become the program, or write `TOO_LATE` or the number of the error into the file."""
    before, told, command = float(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
    os.set_inheritable(told, False)
    for number in (signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores them, and a program inherits that
        signal.signal(number, signal.SIG_DFL)
    why = TOO_LATE
    if time.monotonic() < before:
        try:
            os.execvp(command[0], command)  # noqa: S606 -- no shell, as our caller wants it
        except OSError as error:
            why = str(error.errno)
    os.write(told, why.encode())


if __name__ == "__main__":
    main()
