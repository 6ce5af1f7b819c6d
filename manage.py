#!/usr/bin/env python
"""The command line flows in, a command's work flows out; `reduce` starts before Django is even imported."""

import os
import sys

if __name__ == "__main__":
    # Loading Django takes several times as long as reducing a small bundle, so this command never waits for it.
    if sys.argv[1:2] == ["reduce"]:
        from traces.reducer.__main__ import leave
        from traces.reducer.__main__ import main as reduce

        leave(reduce(sys.argv[2:]))

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tracesite.settings")
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)
